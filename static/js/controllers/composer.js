import { Controller } from "@hotwired/stimulus"
import { show } from "streams"
import * as store from "unsent"
import { t } from "words"

// Writing and sending. A text shows at once and settles or fails in place; a repeat carries the same key, so nothing is sent twice.
export default class extends Controller {
  static targets = ["form", "text", "grow", "list", "pending", "unsent", "files"]
  static values = { conversation: String }
  #sending = Promise.resolve()
  #typedAt = 0

  connect() {
    if (!this.hasFormTarget) return
    if (this.textTarget.value === "") this.textTarget.value = store.draft(this.conversationValue)
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
    for (const entry of store.unsent(this.conversationValue)) {
      if (document.querySelector(`[data-ref="${CSS.escape(entry.ref)}"]`)) store.forget(this.conversationValue, entry.ref)
      else this.#fail(this.#show(entry), "")
    }
  }

  // Opened from the list: one goes on writing. Not on a phone, where a keyboard would cover what is to be read.
  opened({ target }) {
    if (target === this.element.parentElement && matchMedia("(hover: hover)").matches && this.hasFormTarget) this.focus()
  }

  focus() {
    this.textTarget.focus({ preventScroll: true })
    this.textTarget.selectionStart = this.textTarget.value.length
  }

  write() {
    this.growTarget.dataset.text = this.textTarget.value
    store.keepDraft(this.conversationValue, this.textTarget.value)
  }

  typing() {
    if (this.textTarget.value === "" || Date.now() - this.#typedAt < 3000) return
    this.#typedAt = Date.now()
    this.dispatch("says", { target: window, detail: { type: "typing", conversation_id: this.conversationValue } })
  }

  press(event) {
    if (event.key === "Escape") return document.querySelector(".row[aria-current]")?.focus() ?? event.target.blur()
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return
    event.preventDefault()
    this.formTarget.requestSubmit()
  }

  submit(event) {
    event.preventDefault()
    const content = this.textTarget.value
    // What is still on its way up, or was refused, is for the person to wait for or take away.
    if (this.hasFilesTarget && this.filesTarget.querySelector(".uploading, .bad")) return this.focus()
    const media = this.#files
    if (content.trim() === "" && media.length === 0) return this.focus()
    const entry = { ref: crypto.randomUUID?.() ?? randomRef(), content, media, seen: this.#newest, at: Date.now() }
    store.keep(this.conversationValue, entry)
    if (this.hasFilesTarget) this.filesTarget.replaceChildren()
    this.textTarget.value = ""
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
    this.#send(entry, this.#show(entry))
    this.focus()
  }

  retry({ target }) {
    const bubble = target.closest(".message")
    const entry = this.#entryOf(bubble)
    // "Send anyway": whoever answered meanwhile has been seen now.
    if (bubble.dataset.code === "conversation_moved") entry.seen = this.#newest
    this.#send(entry, bubble)
  }

  // The connection is back: what it did not take is offered again, under the same keys.
  retryAll() {
    for (const bubble of this.element.querySelectorAll(".message.unsent[data-code='']")) this.#send(this.#entryOf(bubble), bubble)
  }

  edit({ target }) {
    const bubble = target.closest(".message")
    const { ref, content, media } = this.#entryOf(bubble)
    store.forget(this.conversationValue, ref)
    bubble.remove()
    this.textTarget.value = [this.textTarget.value, content].filter(Boolean).join("\n")
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
    if (media?.length) this.dispatch("files", { target: this.formTarget, detail: media })
    this.focus()
  }

  refused({ target, detail: { code, reason } }) {
    this.#fail(target, code, reason)
  }

  get #newest() {
    return [...this.element.querySelectorAll(".message[id^=message-]")].at(-1)?.id.slice("message-".length) ?? ""
  }

  get #files() {
    if (!this.hasFilesTarget) return []
    return [...this.filesTarget.children].map(({ dataset: { id, kind, url, name } }) => ({ id, content_type: kind, url, name }))
  }

  #entryOf({ id }) {
    return store.unsent(this.conversationValue).find(({ ref }) => `pending-${ref}` === id)
  }

  // One after the other, so that they arrive in the order in which they were written.
  #send(entry, bubble) {
    bubble.classList.remove("unsent", "failed")
    bubble.querySelector(".meta").replaceChildren("Sending…")
    this.#sending = this.#sending.then(() => this.#deliver(entry, bubble))
  }

  async #deliver({ ref, content, media = [], seen }, bubble) {
    const body = new URLSearchParams({ content, idempotency_key: ref, seen_message_id: seen, media_ids: media.map(({ id }) => id).join() })
    try {
      const response = await fetch(this.formTarget.action, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" } })
      if (response.status >= 500 || !response.headers.get("content-type")?.startsWith("text/vnd.turbo-stream")) throw new Error(response.status)
      show(await response.text())
      if (response.ok) store.forget(this.conversationValue, ref)
    } catch {
      this.#fail(bubble, "")
    }
  }

  #show({ ref, content, media = [], at }) {
    const bubble = this.pendingTarget.content.cloneNode(true).firstElementChild
    bubble.id = `pending-${ref}`
    bubble.dataset.at = at
    bubble.querySelector(".bubble").textContent = content
    if (content.trim() === "") bubble.querySelector(".bubble").remove()
    bubble.querySelector(".media").append(...media.map(picture))
    this.listTarget.append(bubble)
    this.listTarget.parentElement.scrollTop = 0
    return bubble
  }

  #fail(bubble, code, reason = "") {
    bubble.dataset.code = code ?? ""
    bubble.classList.add("unsent", "failed")
    const line = this.unsentTarget.content.cloneNode(true)
    if (reason) line.querySelector(".reason").textContent = reason
    line.querySelector(".anyway").hidden = code !== "conversation_moved"
    line.querySelector(".again").hidden = code === "conversation_moved"
    bubble.querySelector(".meta").replaceChildren(line)
  }
}

function picture({ content_type, url, name }) {
  if (!content_type.startsWith("image/")) return Object.assign(document.createElement("span"), { className: "file", textContent: name })
  return Object.assign(new Image(), { className: "photo", src: `${url}?size=thumb`, alt: t("Picture") })
}

// Outside https and localhost a browser has no randomUUID.
function randomRef() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

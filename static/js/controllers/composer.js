import { Controller } from "@hotwired/stimulus"
import * as drafts from "drafts"
import { isComposing } from "keys"
import { showOwnPreviewOf } from "own-previews"
import * as outbox from "outbox"
import { composed } from "segments"
import * as store from "unsent"
import { t } from "i18n"

// Writes and sends texts. A text appears at once and is replaced or fails in place; unsent texts are kept.
export default class extends Controller {
  static targets = ["form", "text", "grow", "list", "pending", "unsent", "files", "other", "otherText"]
  static values = { conversation: String, draftUrl: String, draftAt: String }
  #typedAt = 0
  #other
  #behind
  // The newest message that was there when the user began to write.
  #began
  #filling = false

  connect() {
    if (!this.hasFormTarget) return
    // Controllers of descendants connect later.
    queueMicrotask(() => this.element.isConnected && this.#restore())
    for (const entry of store.unsent(this.conversationValue)) this.#shown(entry)
  }

  disconnect() {
    if (this.hasFormTarget) drafts.save(this.conversationValue)
    showOwnPreviewOf(this.conversationValue)
  }

  // Focuses the field when a conversation is opened, not on touch screens, where the keyboard would cover the thread.
  opened({ target }) {
    if (this.hasTextTarget && document.activeElement === this.textTarget) return
    if ("keyed" in target.dataset) return delete target.dataset.keyed
    if (target === this.element.parentElement && matchMedia("(hover: hover)").matches && this.hasFormTarget) this.focus()
  }

  focus() {
    this.textTarget.focus({ preventScroll: true })
    this.textTarget.selectionStart = this.textTarget.value.length
  }

  write() {
    const text = this.textTarget.value
    this.growTarget.dataset.text = text
    if (!this.#isReady) return
    if (text === "") this.#began = undefined
    else if (!this.#filling) this.#began ??= this.#newest
    drafts.write(this.conversationValue, this.draftUrlValue, { text, media: this.#files, began: this.#began })
  }

  leave() {
    if (document.visibilityState === "hidden") drafts.save(this.conversationValue)
  }

  typing() {
    if (this.textTarget.value === "" || Date.now() - this.#typedAt < 3000) return
    this.#typedAt = Date.now()
    this.dispatch("send", { prefix: "live", target: window, detail: { type: "typing", conversation_id: this.conversationValue } })
  }

  press(event) {
    if (isComposing(event)) return
    if (event.key === "Escape") return document.querySelector(".row[aria-current]")?.focus() ?? event.target.blur()
    if (event.key !== "Enter" || event.shiftKey || matchMedia("(pointer: coarse)").matches) return
    event.preventDefault()
    const done = event.ctrlKey || event.metaKey ? this.formTarget.querySelector("[name=then]") : undefined
    this.formTarget.requestSubmit(done)
  }

  submit(event) {
    const { submitter } = event
    // Switching the number submits the text to the other conversation; this draft ends.
    if (submitter?.hasAttribute("formaction")) return store.keepDraft(this.conversationValue, undefined)
    event.preventDefault()
    const content = composed(this.textTarget.value)
    if (this.element.querySelector(".credits.none")) return this.focus()
    // The user has to await or remove pending and failed uploads.
    if (this.hasFilesTarget && this.filesTarget.querySelector(".uploading, .bad")) return this.focus()
    const media = this.#files
    if (content.trim() === "" && media.length === 0) return this.focus()
    const scheduled = submitter?.name === "later" ? this.formTarget.elements.scheduled_at.value : undefined
    const entry = {
      ref: store.newRef(), conversation: this.conversationValue, url: this.formTarget.action, content, media,
      seen: this.#seen, at: Date.now(), scheduled,
      then: submitter?.name === "then" ? submitter.value : undefined,
    }
    store.keep(entry)
    this.#clear()
    this.#show(entry)
    if (entry.then) this.dispatch("closing", { target: window })
    outbox.send()
    this.focus()
  }

  retry({ target }) {
    const { ref } = this.#entryOf(target)
    const { code, reason, ...entry } = store.find(ref)
    // "Send anyway": asked once.
    if (code === "conversation_moved") entry.seen = ""
    store.keep(entry)
    outbox.send()
  }

  // The lock excludes a send in progress: an accepted text cannot be edited.
  async edit({ target }) {
    const { ref } = this.#entryOf(target)
    const entry = await outbox.withLock(() => {
      const entry = store.find(ref)
      store.forget(ref)
      return entry
    })
    if (!entry) return
    target.closest(".message").remove()
    this.textTarget.value = [this.textTarget.value, entry.content].filter(Boolean).join("\n")
    this.#changed()
    if (entry.media?.length) this.dispatch("files", { target: this.formTarget, detail: entry.media })
    this.focus()
  }

  outboxChanged({ detail: { ref, state, then, conversation } }) {
    if (state === "accepted" && then && conversation === this.conversationValue) this.dispatch("closed", { target: window })
    const bubble = document.getElementById(`pending-${ref}`)
    if (!bubble) return
    const { code, reason } = store.find(ref) ?? {}
    if (state === "accepted") bubble.remove()
    else if (state === "sending") this.#sending(bubble)
    else this.#fail(bubble, code, reason)
  }

  stored({ key, oldValue, newValue }) {
    if (!this.hasFormTarget) return
    if (key === store.draftKey(this.conversationValue)) return this.#follow(JSON.parse(oldValue) ?? { text: "" }, JSON.parse(newValue) ?? { text: "" })
    if (!key?.startsWith("unsent:")) return
    const entry = newValue && JSON.parse(newValue)
    if (entry?.conversation === this.conversationValue && !document.getElementById(`pending-${entry.ref}`)) this.#shown(entry)
  }

  async moved({ detail: { conversation } }) {
    if (conversation !== this.conversationValue) return
    const response = await fetch(this.draftUrlValue, { headers: { Accept: "application/json" } }).catch(() => undefined)
    if (!response?.ok) return
    const { content, media, updated_at } = await response.json()
    this.#reconcile({ text: content, media: media.map((file) => ({ ...file, name: "File" })), base: updated_at ?? "" })
  }

  swap() {
    const mine = { text: composed(this.textTarget.value), media: this.#files }
    this.#fill(this.#other)
    this.#offer(mine)
    this.focus()
  }

  // An unedited tab follows the draft of the edited one. Events older than the stored draft are skipped: saving them
  // would overwrite the newest input.
  #follow(before, now) {
    const shown = composed(this.textTarget.value)
    if (now.text === before.text || (shown !== before.text && shown !== this.#behind)) return
    const isNewest = now.text === (store.draft(this.conversationValue)?.text ?? "")
    this.#behind = isNewest ? undefined : shown
    if (isNewest) this.#fill(now)
  }

  rewrite({ target }) {
    // Not from the bubble, which the browser may have translated.
    this.textTarget.value = [this.textTarget.value, target.value.trim()].filter(Boolean).join("\n")
    this.#changed()
    this.focus()
  }

  #restore() {
    const shown = { text: composed(this.textTarget.value), media: this.#files, base: this.draftAtValue }
    this.#began = store.draft(this.conversationValue)?.began
    this.#reconcile(shown, shown)
    this.formTarget.dataset.ready = ""
  }

  #reconcile(server, shown) {
    const [kept, other] = drafts.reconcile(this.conversationValue, this.draftUrlValue, server)
    // Keeps the caret if the text is the same.
    if (kept.text !== this.textTarget.value || (shown && kept !== shown)) this.#fill(kept)
    else this.#changed()
    this.#offer(other)
  }

  get #isReady() {
    return "ready" in this.formTarget.dataset
  }

  #fill({ text, media = [] }) {
    this.textTarget.value = text
    if (this.hasFilesTarget) this.filesTarget.replaceChildren()
    if (media.length) this.dispatch("files", { target: this.formTarget, detail: media })
    this.#filling = true
    this.#changed()
    this.#filling = false
  }

  #offer(other) {
    this.#other = other
    drafts.offer(this.conversationValue, other)
    this.otherTarget.hidden = !other || other.text.trim() === ""
    if (other) this.otherTextTarget.textContent = other.text
  }

  #clear() {
    if (this.hasFilesTarget) this.filesTarget.replaceChildren()
    this.textTarget.value = ""
    this.#changed()
    this.#offer()
    drafts.save(this.conversationValue)
  }

  #changed() {
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
  }

  // Ids sort by time. Messages below a gap are not loaded; the page names the newest of them.
  get #newest() {
    const ids = [...this.element.querySelectorAll(".message[id^=message-]")].map(({ id }) => id.slice("message-".length))
    return [this.formTarget.elements.seen_message_id.value, ...ids].reduce((one, other) => (other > one ? other : one))
  }

  // What the user knew: the messages that were there when they began to write, and those that have been in view since. Before the
  // first message of a conversation that is the least id.
  get #seen() {
    const began = this.#began ?? ""
    const seen = this.element.dataset.seen ?? ""
    return (seen > began ? seen : began) || "00000000-0000-0000-0000-000000000000"
  }

  get #files() {
    if (!this.hasFilesTarget) return []
    const files = [...this.filesTarget.children].filter(({ dataset }) => dataset.id)
    return files.map(({ dataset: { id, kind, url, name } }) => ({ id, content_type: kind, url, name }))
  }

  #entryOf(element) {
    return { ref: element.closest(".message").id.slice("pending-".length) }
  }

  // An entry that the thread already contains was sent, and its response lost.
  #shown(entry) {
    if (document.querySelector(`[data-ref="${CSS.escape(entry.ref)}"]`)) return store.forget(entry.ref)
    const bubble = this.#show(entry)
    if (entry.code !== undefined) this.#fail(bubble, entry.code, entry.reason)
  }

  #show({ ref, content, media = [], at }) {
    const bubble = this.pendingTarget.content.cloneNode(true).firstElementChild
    bubble.id = `pending-${ref}`
    bubble.dataset.at = at
    bubble.querySelector(".bubble").textContent = content
    if (content.trim() === "") bubble.querySelector(".bubble").remove()
    bubble.querySelector(".media").append(...media.map(picture))
    this.listTarget.append(bubble)
    this.listTarget.closest(".scroller").scrollTop = 0
    return bubble
  }

  #sending(bubble) {
    bubble.classList.remove("unsent", "failed")
    bubble.querySelector(".meta").replaceChildren(t("Sending…"))
  }

  #fail(bubble, code, reason) {
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

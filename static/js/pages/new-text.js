import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"
import * as drafts from "drafts"
import * as outbox from "outbox"
import { composed } from "segments"
import * as store from "unsent"
import { t } from "i18n"

const TIMEOUT = 30_000
// A final refusal. Other responses leave the text queued.
const isRefused = ({ status }) => status >= 400 && status < 500 && ![401, 408, 429].includes(status)

// A text to a new recipient. The draft is kept here and on the server. A submitted text stays in the outbox, under the
// form's idempotency key, until the server accepts or refuses it, so it is sent once even if this page closes.
export default class extends Controller {
  static targets = ["form", "key", "to", "contact", "number", "text", "files", "reason", "list", "entry"]
  static values = { workspace: String, draftUrl: String, refused: Boolean }
  #place
  #url
  #sending
  #last
  #shown
  #ready = false
  #timer

  connect() {
    // A link with a recipient has a draft of its own, in this browser only.
    this.#keepAt(/[?&](contact_id|to)=/.test(location.search) ? location.search : "")
    // Controllers of descendants connect later.
    queueMicrotask(() => this.element.isConnected && this.#restore())
  }

  disconnect() {
    clearTimeout(this.#timer)
    drafts.save(this.#place)
  }

  keep() {
    if (!this.#ready) return
    this.#keep(this.#written)
    this.#allow()
  }

  leave() {
    if (document.visibilityState === "hidden") drafts.save(this.#place)
  }

  // The user has to await or remove pending and failed uploads.
  hold(event) {
    if (this.hasFilesTarget && this.filesTarget.querySelector(".uploading, .bad")) event.preventDefault()
  }

  begun({ detail: { formSubmission } }) {
    const { ref, to, contact, number, text, media } = this.#written
    const scheduled = formSubmission.submitter?.name === "later" ? this.formTarget.elements.scheduled_at.value : undefined
    this.#sending = {
      ref, conversation: this.#conversation, url: this.formTarget.action, who: { to, contact_id: contact, number_id: number }, content: text, media,
      at: Date.now(), scheduled,
    }
    store.keep(this.#sending)
    this.#keep({ text: "", media: [], to: "", number })
    this.reasonTarget.hidden = true
    this.#timer = setTimeout(() => formSubmission.stop(), TIMEOUT)
  }

  ended({ detail: { fetchResponse } }) {
    clearTimeout(this.#timer)
    const { ref } = this.#sending
    this.#sending = undefined
    const response = fetchResponse?.response
    if (!response) return this.#cutOff(ref)
    if (/\/inbox\/[^/]+$/.test(new URL(response.url).pathname)) {
      store.forget(ref)
      store.keepDraft(this.#place, undefined)
    } else if (isRefused(response)) {
      store.forget(ref)
      this.keep()
    }
  }

  outboxChanged({ detail: { ref, state, href } }) {
    if (state === "accepted" && href && ref === this.#last && this.#isEmpty) return visit(href)
    this.#list()
  }

  stored({ key }) {
    if (key?.startsWith("unsent:")) this.#list()
  }

  // The lock excludes a send in progress. The text keeps its idempotency key: if the server has accepted it, it is not
  // sent again.
  async change({ target }) {
    const { ref } = target.closest("li").dataset
    const entry = await outbox.withLock(() => {
      const entry = store.find(ref)
      store.forget(ref)
      return entry
    })
    if (entry) this.#anew(entry, ref)
    this.dispatch("changed", { prefix: "outbox", target: window, detail: { ref, state: "back" } })
  }

  #keepAt(search) {
    this.#place = this.#conversation + search
    this.#url = search ? undefined : this.draftUrlValue
  }

  #keep(written) {
    if (this.#url || !isEmpty(written)) drafts.write(this.#place, this.#url, written)
    else store.keepDraft(this.#place, undefined)
  }

  #restore() {
    const shown = this.#written
    const kept = store.draft(this.#place)
    const isWaiting = store.unsent(this.#conversation).some(({ content, who }) => content === shown.text && who.to === shown.to)
    this.#ready = true
    if (this.refusedValue) this.keep()
    else if (isWaiting) this.#fill({ ref: store.newRef() })
    else if (kept && (kept.dirty || !this.#url)) {
      this.#fill(kept)
      drafts.soon(this.#place)
    } else if (kept?.ref && kept.text === shown.text && kept.to === shown.to) this.keyTarget.value = kept.ref
    this.#list()
    this.formTarget.dataset.ready = ""
  }

  #cutOff(ref) {
    this.#last = ref
    history.replaceState(history.state, "", location.pathname)
    this.#keepAt("")
    this.formTarget.elements.draft_of.value = "new"
    this.#fill({ ref: store.newRef() })
    this.#list()
    outbox.send()
  }

  #anew({ who: { to, contact_id: contact, number_id: number }, content: text, media }, ref) {
    this.#fill({ to, contact, number, text, media, ref })
    this.textTarget.focus()
  }

  // A refused text returns to the form with the reason, unless another text is being written.
  #list() {
    const all = store.unsent(this.#conversation).filter(({ ref }) => ref !== this.#sending?.ref)
    const refused = all.find(({ code }) => code !== undefined)
    if (refused && !this.#sending && this.#isEmpty) {
      store.forget(refused.ref)
      this.#anew(refused, store.newRef())
      this.reasonTarget.hidden = false
      this.reasonTarget.lastElementChild.textContent = reasonOf(refused)
      return this.#list()
    }
    const shown = JSON.stringify(all.map(({ ref, code }) => [ref, code]))
    if (shown !== this.#shown) this.listTarget.replaceChildren(...all.map((entry) => this.#item(entry)))
    this.#shown = shown
    this.listTarget.hidden = all.length === 0
    this.#allow()
  }

  #item(entry) {
    const item = this.entryTarget.content.cloneNode(true).firstElementChild
    item.dataset.ref = entry.ref
    item.querySelector(".whom").textContent = entry.who.to
    item.querySelector(".text").textContent = entry.content || entry.media.map(({ name }) => name).join(", ")
    if (entry.code !== undefined) item.querySelector(".why").textContent = reasonOf(entry)
    return item
  }

  // The form holds one text at a time.
  #allow() {
    for (const button of this.listTarget.querySelectorAll("button")) button.disabled = !this.#isEmpty
  }

  #fill({ to = "", contact = "", number, text = "", media = [], ref }) {
    this.toTarget.value = to
    this.contactTarget.value = contact
    if ([...this.numberTarget.options].some(({ value }) => value === number)) this.numberTarget.value = number
    this.textTarget.value = text
    if (ref) this.keyTarget.value = ref
    if (this.hasFilesTarget) this.filesTarget.replaceChildren()
    if (media.length) this.dispatch("files", { target: this.formTarget, detail: media })
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
  }

  get #conversation() {
    return `new-${this.workspaceValue}`
  }

  get #written() {
    const form = new FormData(this.formTarget)
    return { to: form.get("to"), contact: form.getAll("contact_id").at(-1) ?? "", number: form.get("number_id"), text: composed(this.textTarget.value), media: this.#files, ref: this.keyTarget.value }
  }

  get #files() {
    if (!this.hasFilesTarget) return []
    const files = [...this.filesTarget.children].filter(({ dataset }) => dataset.id)
    return files.map(({ dataset: { id, kind, url, name } }) => ({ id, content_type: kind, url, name }))
  }

  get #isEmpty() {
    return isEmpty(this.#written)
  }
}

function isEmpty({ to, text, media }) {
  return to.trim() === "" && text.trim() === "" && media.length === 0
}

function reasonOf({ reason }) {
  return reason ? `${reason[0].toUpperCase()}${reason.slice(1)}` : t("A text couldn’t be sent")
}

import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"
import * as drafts from "drafts"
import * as outbox from "outbox"
import { composed } from "segments"
import * as store from "unsent"
import { toast } from "toasts"
import { count, t } from "i18n"

const TIMEOUT = 30_000
// A final refusal. Other responses leave the text queued.
const isRefused = ({ status }) => status >= 400 && status < 500 && ![401, 408, 429].includes(status)

// A text to a new recipient. The draft is kept here and on the server. A submitted text stays in the outbox, under the
// form's idempotency key, until the server accepts or refuses it, so it is sent once even if this page closes.
export default class extends Controller {
  static targets = ["form", "key", "to", "contact", "number", "text", "files", "reason", "list", "entry"]
  static values = { workspace: String, search: String, draftUrl: String, refused: Boolean }
  #place
  #url
  #sending
  #last
  #shown
  #ready = false
  #copying = false
  // The texts that were sent together: { open, sent }
  #batch
  #timer

  connect() {
    // Nobody can text without a number.
    if (!this.hasFormTarget) return
    // A link with a recipient has a draft of its own, in this browser only.
    this.#keepAt(this.searchValue)
    // Controllers of descendants connect later.
    queueMicrotask(() => this.element.isConnected && this.#restore())
  }

  disconnect() {
    clearTimeout(this.#timer)
    drafts.save(this.#place)
  }

  keep() {
    this.textTarget.parentElement.dataset.text = this.textTarget.value
    if (!this.#ready) return
    this.#keep(this.#written)
    this.#allow()
  }

  leave() {
    if (document.visibilityState === "hidden") drafts.save(this.#place)
  }

  // The user has to await or remove pending and failed uploads.
  hold(event) {
    if (this.#copying || (this.hasFilesTarget && this.filesTarget.querySelector(".uploading, .bad"))) return event.preventDefault()
    if (this.#people.length < 2 && !this.formTarget.querySelector(".recipient")) return
    event.preventDefault()
    this.#sendToAll(event.submitter?.name === "later" ? this.formTarget.elements.scheduled_at.value : undefined)
  }

  // A text of its own for each, with its own idempotency key, by way of the outbox.
  async #sendToAll(scheduled) {
    const { text, media, number } = this.#written
    const people = this.#people
    if (people.length === 0) return this.toTarget.focus()
    if (text.trim() === "" && media.length === 0) return this.textTarget.focus()
    this.#copying = true
    const files = await copies(media, people.length)
    this.#copying = false
    // Somewhere else meanwhile: the draft is kept.
    if (!this.element.isConnected) return
    if (!files) return this.#refuse(t("No connection. The files couldn’t be copied for each person."))
    const batch = store.newRef()
    const entries = people.map(({ to, contact }, i) => ({
      ref: store.newRef(), batch, conversation: this.#conversation, url: this.formTarget.action, who: { to, contact_id: contact, number_id: number },
      content: text, media: files[i], at: Date.now() + i, scheduled,
    }))
    for (const entry of entries) store.keep(entry)
    this.#batch = { open: new Set(entries.map(({ ref }) => ref)), sent: 0, isScheduled: Boolean(scheduled) }
    this.#keep({ text: "", media: [], to: "", number })
    this.reasonTarget.hidden = true
    this.#fill({ ref: store.newRef() })
    this.#list()
    this.toTarget.focus()
    outbox.send()
  }

  #refuse(reason) {
    this.reasonTarget.hidden = false
    this.reasonTarget.lastElementChild.textContent = reason
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
    if (/\/inbox\/[^\/]+$/.test(new URL(response.url).pathname)) {
      store.forget(ref)
      store.keepDraft(this.#place, undefined)
    } else if (isRefused(response)) {
      store.forget(ref)
      this.keep()
    }
  }

  outboxChanged({ detail: { ref, state, href } }) {
    if (!this.#ready) return
    if (["accepted", "refused"].includes(state) && this.#batch?.open.delete(ref)) this.#settle(state)
    if (state === "accepted" && href && ref === this.#last && this.#isEmpty) return visit(href)
    this.#list()
  }

  #settle(state) {
    const { open, isScheduled } = this.#batch
    if (state === "accepted") this.#batch.sent += 1
    const { sent } = this.#batch
    if (open.size || !sent) return
    const sentence = isScheduled ? count(sent, "{n} text scheduled", "{n} texts scheduled") : count(sent, "{n} text sent", "{n} texts sent")
    toast(document.createTextNode(sentence))
  }

  stored({ key }) {
    if (this.#ready && key?.startsWith("unsent:")) this.#list()
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
    else if (kept && (kept.dirty || !this.#url || (kept.people?.length > 1 && kept.to === shown.to))) {
      this.#fill(kept)
      drafts.soon(this.#place)
    } else if (kept?.ref && kept.text === shown.text && kept.to === shown.to) this.keyTarget.value = kept.ref
    // Begun in another browser: the names of several.
    else if (shown.to.includes(";")) this.#fill({ ...shown, people: shown.to.split(/;\s*/).map((to) => ({ to })) })
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

  #anew({ who: { to, contact_id: contact, number_id: number }, content: text, media }, ref, people) {
    this.#fill({ to, contact, number, text, media, ref, people })
    this.textTarget.focus()
    this.#keep(this.#written)
  }

  // A refused text returns to the form with the reason, unless another text is being written. Those that were sent together
  // return together.
  #list() {
    const all = store.unsent(this.#conversation).filter(({ ref }) => ref !== this.#sending?.ref)
    const isOpen = (batch) => batch && all.some((other) => other.batch === batch && other.code === undefined)
    const refused = all.find(({ code, batch }) => code !== undefined && !isOpen(batch))
    if (refused && !this.#sending && this.#isEmpty) {
      const together = refused.batch ? all.filter(({ batch }) => batch === refused.batch) : [refused]
      for (const { ref } of together) store.forget(ref)
      const people = together.map((entry) => ({ to: entry.who.to, contact: entry.who.contact_id, reason: reasonOf(entry) }))
      this.#anew(refused, store.newRef(), refused.batch && people)
      this.#refuse(refused.batch ? people.map(({ to, reason }) => t("Not sent to {name}: {reason}", { name: to, reason })).join("\n") : reasonOf(refused))
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

  #fill({ to = "", contact = "", number, text = "", media = [], ref, people = [{ to, contact }] }) {
    this.dispatch("people", { target: this.formTarget, detail: people })
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

  // On the server and for comparison, `to` names all of them.
  get #written() {
    const form = new FormData(this.formTarget)
    const people = this.#people
    const to = people.length > 1 ? people.map(({ to }) => to).join("; ") : (people[0]?.to ?? form.get("to"))
    return { to, people, contact: form.getAll("contact_id").at(-1) ?? "", number: form.get("number_id"), text: composed(this.textTarget.value), media: this.#files, ref: this.keyTarget.value }
  }

  get #people() {
    const form = new FormData(this.formTarget)
    const chips = [...this.formTarget.querySelectorAll(".recipient")].map(({ dataset: { to, contact } }) => ({ to, contact }))
    const last = { to: form.get("to"), contact: form.getAll("contact_id").at(-1) ?? "" }
    return last.to.trim() === "" ? chips : [...chips, last]
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

// A file can be in one text only: the others get copies of it.
async function copies(media, most) {
  const all = [media]
  try {
    while (all.length < most) all.push(await Promise.all(media.map(copy)))
    return all
  } catch {
    return undefined
  }
}

async function copy({ url, name, content_type }) {
  const body = new FormData()
  const file = await fetch(url)
  if (!file.ok) throw new Error(`${file.status}`)
  body.set("file", new File([await file.blob()], name, { type: content_type }))
  const answer = await fetch(url.slice(0, url.lastIndexOf("/")), { method: "POST", body, headers: { Accept: "application/json" } })
  if (!answer.ok) throw new Error(`${answer.status}`)
  return { ...(await answer.json()), name }
}

function reasonOf({ reason }) {
  return reason ? `${reason[0].toUpperCase()}${reason.slice(1)}` : t("A text couldn’t be sent")
}

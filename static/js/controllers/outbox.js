import { Controller } from "@hotwired/stimulus"
import * as drafts from "drafts"
import { showOwnPreviews, showOwnPreviewOf } from "own-previews"
import { withLock, send, waiting } from "outbox"
import * as store from "unsent"
import { count, t } from "i18n"

const RETRY_INTERVAL = 10_000

// On every page: sends queued texts when the connection is back, and shows their number until then.
export default class extends Controller {
  static targets = ["bar", "message", "link"]
  #timer
  #failed = false

  connect() {
    this.#failed = !navigator.onLine
    store.expireOthers()
    this.#render()
    this.go()
  }

  disconnect() {
    clearTimeout(this.#timer)
  }

  go() {
    clearTimeout(this.#timer)
    drafts.saveAll()
    if (waiting().length) send()
    else this.#render()
  }

  changed({ detail: { ref, state } }) {
    if (state === "waiting") this.#again()
    else if (state === "accepted") this.#failed = false
    showOwnPreviewOf(store.find(ref)?.conversation)
    this.#render()
    if (state === "accepted") showOwnPreviews()
  }

  stored({ key }) {
    if (key?.startsWith("unsent:")) this.#render()
    if (/^(unsent|draft):/.test(key ?? "")) showOwnPreviews()
  }

  marked() {
    showOwnPreviews()
  }

  async forget() {
    await withLock(() => store.everyUnsent().filter(({ code }) => code !== undefined).forEach(({ ref }) => store.forget(ref)))
  }

  // The browser does not report every outage, so sending is retried on a timer.
  #again() {
    this.#failed = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.go(), RETRY_INTERVAL)
  }

  #render() {
    const all = waiting()
    // An open thread shows the refusal at the text itself.
    const refused = store.everyUnsent().find(({ code, conversation }) => code !== undefined && !document.getElementById(`thread-${conversation}`))
    const waits = all.length > 0 && (this.#failed || !navigator.onLine)
    const text = waits ? count(all.length, "{n} text is waiting for a connection", "{n} texts are waiting for a connection") : refused ? t("A text couldn’t be sent") : ""
    if (this.messageTarget.textContent !== text) this.messageTarget.textContent = text
    this.barTarget.hidden = text === ""
    this.linkTarget.hidden = waits || !refused
    if (refused) this.linkTarget.href = refused.url.replace(/\/messages$/, "")
  }
}

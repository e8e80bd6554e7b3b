import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

const DELAY = 600

// Shows the unread count on every page: in the document title, as in "(3) Maya Okafor · Harbor Dental", and as a dot in the rail.
export default class extends Controller {
  static targets = ["counts"]
  static values = { unread: Number, url: String }
  #timer

  disconnect() {
    clearTimeout(this.#timer)
  }

  // The tabs of the inbox have been rendered anew.
  countsTargetConnected({ dataset }) {
    this.unreadValue = Number(dataset.unread)
  }

  unreadValueChanged() {
    this.show()
  }

  // Pages without the tabs of the inbox fetch them for their count: once for changes that arrive together.
  stale() {
    if (this.hasCountsTarget) return
    this.#timer ??= setTimeout(() => this.#fetch(), DELAY)
  }

  // Another page of the inbox was fetched to catch up.
  fetched({ detail: { unread } }) {
    this.unreadValue = unread
  }

  show() {
    const who = document.querySelector("[data-title]")?.dataset.title
    const inbox = [who ?? t("Inbox"), document.body.dataset.workspaceName].join(" · ")
    const place = document.querySelector(".panes") ? inbox : document.title.replace(/^\(\d+\+?\) /, "")
    const unread = this.unreadValue > 99 ? "99+" : this.unreadValue
    document.title = unread ? `(${unread}) ${place}` : place
    navigator.setAppBadge?.(this.unreadValue).catch(() => {})
    for (const dot of document.querySelectorAll("[data-unread-dot]")) dot.hidden = !unread
  }

  async #fetch() {
    this.#timer = undefined
    if (!navigator.onLine) return
    const html = await fetch(this.urlValue, { headers: { Accept: "text/html", "Turbo-Frame": "counts" } }).then((answer) => (answer.ok ? answer.text() : ""), () => "")
    const unread = html.match(/data-unread="(\d+)"/)?.[1]
    if (unread && this.element.isConnected && !this.hasCountsTarget) this.unreadValue = Number(unread)
  }
}

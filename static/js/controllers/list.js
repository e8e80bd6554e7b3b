import { Controller } from "@hotwired/stimulus"
import { toast } from "toasts"
import { t } from "i18n"

// The list pane: marks the open conversation, keeps the filter in the URL and refreshes the counts.
export default class extends Controller {
  static targets = ["frame", "counts"]
  #stale
  #left
  // The id of a row; null: there is none.
  #next

  // Gestures are loaded once the page is at rest, where there is a touch screen.
  connect() {
    if (navigator.maxTouchPoints) setTimeout(() => import("lazy/touch").then(({ attach }) => attach(this.element, () => this.refresh())).catch(() => {}), 500)
  }

  refresh() {
    const { base, query } = document.getElementById("rows").dataset
    this.frameTarget.src = new URL(base + query, location).href
    this.frameTarget.reload()
  }

  disconnect() {
    clearTimeout(this.#stale)
  }

  countsTargetConnected({ dataset }) {
    for (const place of this.element.querySelectorAll("[data-count-of]")) place.textContent = dataset[place.dataset.countOf]
  }

  // Done: notes the conversation after the one that is closed, before it leaves the list.
  closing({ target, detail: { formSubmission } }) {
    if (target.matches(".thread-head .status") && formSubmission.submitter?.value === "done") this.#noteNext()
  }

  // Sent and done.
  sending() {
    this.#noteNext()
  }

  closed({ detail: { success, formSubmission: { formElement, submitter } } }) {
    if (!formElement.matches("[id^=status-]") || submitter?.value !== "done") return
    if (success) this.advance()
    else this.#next = undefined
  }

  // Opens the conversation that followed, the member's setting permitting.
  advance() {
    const next = this.#next
    this.#next = undefined
    if (next === undefined || document.querySelector("[data-open-next]").dataset.openNext !== "true") return
    const row = next && document.getElementById(next)
    if (!row) return this.#close()
    this.#conversation.dataset.keyed = ""
    row.click()
    row.focus({ preventScroll: true })
    row.scrollIntoView({ block: "nearest" })
  }

  // Marked as unread: opening it would mark it as read again.
  left({ detail: { success, formSubmission: { formElement } } }) {
    if (success && formElement.matches("[data-leaves]")) this.#close()
  }

  #noteNext() {
    const row = this.element.querySelector(".row[aria-current]")
    const items = [...this.element.querySelectorAll(".rows > .item")]
    const at = items.indexOf(row?.closest(".item"))
    // A conversation that is not in the list has none that follows.
    this.#next = at < 0 ? undefined : ((items[at + 1] ?? items[at - 1])?.querySelector(".row").id ?? null)
  }

  #close() {
    const { base, query } = document.getElementById("rows").dataset
    this.#mark()
    this.#conversation.src = new URL(base + query, location).href
  }

  open({ currentTarget: row, ctrlKey, metaKey, shiftKey }) {
    if (ctrlKey || metaKey || shiftKey) return
    this.#mark(row)
    this.#leave(row)
  }

  // Before autofocus: inert elements cannot be focused.
  arrived({ target }) {
    if (target === this.#conversation) target.inert = false
  }

  // The conversation frame has navigated, by a click or through history.
  follow(event) {
    const arrived = event?.target === this.#conversation || event?.type === "turbo:load"
    if (this.#left && !arrived) return
    this.#left = undefined
    this.#conversation.inert = false
    this.#mark([...this.element.querySelectorAll(".row")].find((row) => row.pathname === location.pathname))
  }

  // The conversation could not be loaded: the previous one stays open.
  stay({ target }) {
    if (target !== this.#conversation) return
    const { name, shown } = this.#left ?? {}
    if (name) name.textContent = shown
    this.follow({ target })
    toast(document.createTextNode(t("No connection. This conversation couldn’t be opened.")), { bad: true })
  }

  // The filter or search changed: updates the URL, keeps the open conversation.
  filtered({ target }) {
    if (target !== this.frameTarget) return
    const rows = document.getElementById("rows")
    history.replaceState(history.state, "", location.pathname + rows.dataset.query)
    rows.scrollTop = 0
    const field = document.forms.search?.elements.q
    if (field && field !== document.activeElement) field.value = rows.dataset.q
    this.follow()
  }

  countsStale() {
    clearTimeout(this.#stale)
    this.#stale = setTimeout(() => {
      if (!navigator.onLine) return
      const { base, query } = document.getElementById("rows").dataset
      this.countsTarget.src = new URL(base + query, location).href
      this.countsTarget.reload()
    }, 600)
  }

  get #conversation() {
    return document.getElementById("conversation")
  }

  // Disables the previous conversation until the next one has loaded, however slow the connection.
  #leave(row) {
    const name = this.#conversation.querySelector(".thread-head h1")
    this.#left ??= { name, shown: name?.textContent }
    if (name) name.textContent = row.querySelector(".name").textContent
    this.#conversation.inert = true
  }

  #mark(current) {
    for (const row of this.element.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current")
    current?.setAttribute("aria-current", "true")
  }
}

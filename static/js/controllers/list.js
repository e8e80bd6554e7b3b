import { Controller } from "@hotwired/stimulus"
import { toast } from "toasts"
import { t } from "i18n"

// The list pane: marks what is open, keeps its address through a reload, and its counts fresh.
export default class extends Controller {
  static targets = ["frame", "counts"]
  #stale
  #left

  disconnect() {
    clearTimeout(this.#stale)
  }

  open({ currentTarget: row, ctrlKey, metaKey, shiftKey }) {
    if (ctrlKey || metaKey || shiftKey) return
    this.#mark(row)
    this.#leave(row)
  }

  // Before anything in it wants the focus.
  arrived({ target }) {
    if (target === this.#conversation) target.inert = false
  }

  // The conversation's frame has moved on, by a click or by going back.
  follow(event) {
    const arrived = event?.target === this.#conversation || event?.type === "turbo:load"
    if (this.#left && !arrived) return
    this.#left = undefined
    this.#conversation.inert = false
    this.#mark([...this.element.querySelectorAll(".row")].find((row) => row.pathname === location.pathname))
  }

  // It could not be opened: the one before is still the open one.
  stay({ target }) {
    if (target !== this.#conversation) return
    const { name, shown } = this.#left ?? {}
    if (name) name.textContent = shown
    this.follow({ target })
    toast(document.createTextNode(t("No connection: this conversation could not be opened.")), { bad: true })
  }

  // Another tab or another search: the address says so, and the open conversation stays.
  narrowed({ target }) {
    if (target !== this.frameTarget) return
    const rows = document.getElementById("rows")
    history.replaceState(history.state, "", location.pathname + rows.dataset.query)
    rows.scrollTop = 0
    // A tab leaves the search.
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

  // Whoever has chosen somebody else writes nothing more to this one, however long the line takes.
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

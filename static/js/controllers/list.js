import { Controller } from "@hotwired/stimulus"

// The list pane: marks what is open, keeps its address through a reload, and its counts fresh.
export default class extends Controller {
  static targets = ["frame", "counts"]
  #stale

  disconnect() {
    clearTimeout(this.#stale)
  }

  open({ currentTarget }) {
    this.#mark(currentTarget)
  }

  // The conversation's frame has moved on, by a click or by going back.
  follow() {
    this.#mark([...this.element.querySelectorAll(".row")].find((row) => row.pathname === location.pathname))
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

  #mark(current) {
    for (const row of this.element.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current")
    current?.setAttribute("aria-current", "true")
  }
}

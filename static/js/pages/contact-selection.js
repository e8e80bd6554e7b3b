import Selection from "controllers/selection"
import { count } from "i18n"

// Selects contacts of the table, or all of the filter. The table is replaced by live updates: what is selected stays.
export default class extends Selection {
  static targets = ["tick", "whole"]
  #picked = new Set()
  #isWhole = false

  tickTargetConnected(tick) {
    if (!this.#picked.has(tick.value)) return
    tick.checked = true
    this.show()
  }

  barTargetConnected() {
    this.show()
  }

  get ticks() {
    return this.tickTargets
  }

  itemOf(tick) {
    return tick.closest("tr")
  }

  idOf(row) {
    return row.dataset.id
  }

  fieldOf(row) {
    return this.idOf(row)
  }

  noteSelected() {}

  begin() {
    this.begun = true
    this.show()
  }

  clear() {
    this.#isWhole = false
    super.clear()
  }

  // The button that selects all of the filter.
  selectWhole() {
    this.#isWhole = true
    for (const tick of this.ticks) tick.checked = true
    super.show()
    this.#showWhole()
  }

  fill(event) {
    super.fill(event)
    if (event.target.matches("[data-bulk]")) event.target.elements.all.value = this.#isWhole
  }

  // Another page or filter.
  reset({ target }) {
    if (target.id !== "table") return
    this.#picked.clear()
    super.reset({ target: { id: "list" } })
  }

  show() {
    this.#isWhole = false
    this.#picked = new Set(this.ticks.filter(({ checked }) => checked).map(({ value }) => value))
    super.show()
    this.#showWhole()
  }

  #showWhole() {
    if (!this.hasBarTarget) return
    const selected = this.#isWhole ? Number(this.wholeTarget.dataset.total) : this.#picked.size
    this.countTarget.textContent = count(selected, "{n} contact selected", "{n} contacts selected")
    if (this.hasWholeTarget) this.wholeTarget.hidden = this.#isWhole || this.#picked.size < this.ticks.length
  }
}

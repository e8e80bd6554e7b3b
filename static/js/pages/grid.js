import { Controller } from "@hotwired/stimulus"

const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }

// Arrow keys move between checkboxes. The box of a row or column shows whether all of its boxes are checked.
export default class extends Controller {
  connect() {
    this.sum()
  }

  move(event) {
    const step = STEPS[event.key]
    if (!step || event.target.type !== "checkbox") return
    const next = this.#beside(event.target, ...step)
    if (!next) return
    event.preventDefault()
    next.focus()
  }

  sum() {
    for (const whole of this.element.querySelectorAll(".whole [type=checkbox]")) {
      const cell = whole.closest("th")
      const boxes = this.#boxes.filter((box) => (cell.scope === "row" ? box.closest("tr") === cell.parentElement : box.closest("td").cellIndex === cell.cellIndex))
      const checked = boxes.filter((box) => box.checked).length
      whole.checked = checked > 0 && checked === boxes.length
      whole.indeterminate = checked > 0 && checked < boxes.length
    }
  }

  get #boxes() {
    return [...this.element.querySelectorAll("tbody td [type=checkbox]")]
  }

  #beside(box, across, down) {
    const rows = [...this.element.querySelectorAll("tr")].map((row) => [...row.querySelectorAll("[type=checkbox]")]).filter((row) => row.length)
    const y = rows.findIndex((row) => row.includes(box))
    // The row of headings has no box of a whole row.
    const x = rows[y].indexOf(box) + across - (rows[y + down] && isHead(rows[y + down]) ? 1 : 0) + (isHead(rows[y]) && down ? 1 : 0)
    return rows[y + down]?.[x]
  }
}

const isHead = ([box]) => Boolean(box.closest("thead"))

import { Controller } from "@hotwired/stimulus"

const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }

// Arrow keys move between checkboxes.
export default class extends Controller {
  move(event) {
    const step = STEPS[event.key]
    if (!step || event.target.type !== "checkbox") return
    const next = this.#beside(event.target, ...step)
    if (!next) return
    event.preventDefault()
    next.focus()
  }

  #beside(box, across, down) {
    const rows = [...this.element.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("[type=checkbox]")]).filter((row) => row.length)
    const y = rows.findIndex((row) => row.includes(box))
    return rows[y + down]?.[rows[y].indexOf(box) + across]
  }
}

import { Controller } from "@hotwired/stimulus"
import * as time from "time"

// An hour.
const LATE = 3_600_000

// Formats a <time> in the viewer's zone and language; without scripts it shows UTC.
export default class extends Controller {
  static values = { style: String }

  #timer

  connect() {
    this.show()
    if (this.styleValue === "wait") this.#timer = setInterval(() => this.show(), 30_000)
  }

  disconnect() {
    clearInterval(this.#timer)
  }

  show() {
    const at = new Date(this.element.dateTime)
    this.element.textContent = time[this.styleValue](at)
    this.element.title = time.long(at)
    if (this.styleValue === "wait") this.element.classList.toggle("late", Date.now() - at >= LATE)
  }
}

import { Controller } from "@hotwired/stimulus"
import * as time from "time"

// Formats a <time> in the viewer's zone and language; without scripts it shows UTC.
export default class extends Controller {
  static values = { style: String }

  connect() {
    this.show()
  }

  show() {
    const at = new Date(this.element.dateTime)
    this.element.textContent = time[this.styleValue](at)
    this.element.title = time.long(at)
  }
}

import { Controller } from "@hotwired/stimulus"

// Scrolls the current item of a wide bar into view.
export default class extends Controller {
  connect() {
    const current = this.element.querySelector("[aria-current]")
    if (current) this.element.scrollLeft = current.offsetLeft - (this.element.clientWidth - current.offsetWidth) / 2
  }
}

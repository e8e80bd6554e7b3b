import { Controller } from "@hotwired/stimulus"

// Of what is wider than the screen, the current part is what one sees.
export default class extends Controller {
  connect() {
    const current = this.element.querySelector("[aria-current]")
    if (current) this.element.scrollLeft = current.offsetLeft - (this.element.clientWidth - current.offsetWidth) / 2
  }
}

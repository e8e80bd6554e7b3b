import { Controller } from "@hotwired/stimulus"

// Searches while one types, a moment after the last key.
export default class extends Controller {
  #timer

  disconnect() {
    clearTimeout(this.#timer)
  }

  soon() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.element.requestSubmit(), 200)
  }

  leave({ target }) {
    if (target.value) {
      target.value = ""
      this.soon()
    } else {
      target.blur()
    }
  }
}

import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"

// Submits the search 200 ms after the last key.
export default class extends Controller {
  #timer

  disconnect() {
    clearTimeout(this.#timer)
  }

  soon() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.element.requestSubmit(), 200)
  }

  // Keeps the sort order that was chosen meanwhile.
  sorted({ target }) {
    const { sort } = this.element.elements
    const order = target.src && new URL(target.src).searchParams.get("sort")
    if (sort && order) sort.value = order
  }

  leave(event) {
    const { target } = event
    if (isComposing(event)) return
    if (target.value) {
      target.value = ""
      this.soon()
    } else {
      target.blur()
    }
  }
}

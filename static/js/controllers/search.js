import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"

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

  // A heading was followed meanwhile: what is searched next stays in its order.
  sorted({ target }) {
    const { sort } = this.element.elements
    const order = target.src && new URL(target.src).searchParams.get("sort")
    if (sort && order) sort.value = order
  }

  leave(event) {
    const { target } = event
    // Then Escape takes back what is being composed.
    if (isComposing(event)) return
    if (target.value) {
      target.value = ""
      this.soon()
    } else {
      target.blur()
    }
  }
}

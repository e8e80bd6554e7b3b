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

  // A heading was followed meanwhile: what is searched next stays in its order.
  sorted({ target }) {
    const { sort } = this.element.elements
    const order = target.src && new URL(target.src).searchParams.get("sort")
    if (sort && order) sort.value = order
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

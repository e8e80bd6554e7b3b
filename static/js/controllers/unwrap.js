import { Controller } from "@hotwired/stimulus"

// Replaces a lazily loaded frame by its content. Elements that already exist are skipped.
export default class extends Controller {
  unwrap({ target }) {
    if (target !== this.element) return
    for (const child of [...this.element.children]) {
      const twin = child.id && [...document.querySelectorAll(`#${CSS.escape(child.id)}`)].some((other) => other !== child)
      if (twin) child.remove()
    }
    this.element.replaceWith(...this.element.childNodes)
  }
}

import { Controller } from "@hotwired/stimulus"

// A lazily loaded frame that, once loaded, gives way to what it brought. What is there already is not shown twice.
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

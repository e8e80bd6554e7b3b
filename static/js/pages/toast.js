import { Controller } from "@hotwired/stimulus"

// Says once what was done: the address forgets it, and it goes by itself unless one points at it.
export default class extends Controller {
  #timer

  connect() {
    const url = new URL(location.href)
    url.searchParams.delete("done")
    history.replaceState(history.state, "", url)
    document.getElementById("announcer").textContent = this.element.textContent
    this.#timer = setTimeout(() => this.#leave(), 6000)
  }

  disconnect() {
    clearTimeout(this.#timer)
  }

  #leave() {
    if (this.element.matches(":hover")) this.#timer = setTimeout(() => this.#leave(), 2000)
    else this.element.remove()
  }
}

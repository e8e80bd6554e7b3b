import { Controller } from "@hotwired/stimulus"

// Toast of a loaded page: removes `done` from the URL and disappears unless it is hovered.
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

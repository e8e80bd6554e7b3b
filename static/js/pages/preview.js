import { Controller } from "@hotwired/stimulus"

// Shows what is typed where it will stand.
export default class extends Controller {
  static targets = ["source", "shown"]

  show() {
    const text = this.sourceTarget.value.trimEnd()
    this.shownTarget.textContent = text && `\n${text}`
  }
}

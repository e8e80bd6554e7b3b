import { Controller } from "@hotwired/stimulus"

// Previews the signature below a sample text.
export default class extends Controller {
  static targets = ["source", "shown"]

  show() {
    const text = this.sourceTarget.value.trimEnd()
    this.shownTarget.textContent = text && `\n${text}`
  }
}

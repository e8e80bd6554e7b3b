import { Controller } from "@hotwired/stimulus"

// Previews the signature below a sample text.
export default class extends Controller {
  static targets = ["source", "shown"]

  // It may have been typed before this script was there.
  connect() {
    this.show()
  }

  show() {
    const text = this.sourceTarget.value.trimEnd()
    this.shownTarget.textContent = text && `\n${text}`
  }
}

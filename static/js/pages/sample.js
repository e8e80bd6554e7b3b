import { Controller } from "@hotwired/stimulus"
import { composed, segments } from "segments"
import { filled } from "variables"

// Previews a template with sample values.
export default class extends Controller {
  static targets = ["text", "shown", "count"]
  static values = { values: Object }

  connect() {
    this.show()
  }

  show() {
    if (!this.hasTextTarget) return
    const text = filled(this.textTarget.value, this.valuesValue)
    this.shownTarget.textContent = text
    this.countTarget.textContent = text.trim() === "" ? "" : segments(composed(text)).summary
  }

  insert({ params: { name } }) {
    const { selectionStart, selectionEnd } = this.textTarget
    this.textTarget.setRangeText(`{{${name}}}`, selectionStart, selectionEnd, "end")
    this.textTarget.focus()
    this.show()
  }
}

import { Controller } from "@hotwired/stimulus"
import { segments } from "segments"

// How many texts the carrier will charge for, and what made it more.
export default class extends Controller {
  static targets = ["text", "count"]

  connect() {
    this.count()
  }

  count() {
    const text = this.textTarget.value
    this.countTarget.textContent = text.trim() === "" ? "" : segments(text).summary
  }
}

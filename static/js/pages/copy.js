import { Controller } from "@hotwired/stimulus"
import { t } from "words"

export default class extends Controller {
  static targets = ["text", "label"]

  async copy() {
    await navigator.clipboard.writeText(this.textTarget.textContent.trim())
    const label = this.labelTarget.textContent
    this.labelTarget.textContent = t("Copied")
    setTimeout(() => (this.labelTarget.textContent = label), 1600)
  }
}

import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// Copies the original text: the browser may have translated the shown one.
export default class extends Controller {
  static targets = ["text", "label"]
  #text

  connect() {
    this.#text = this.textTarget.textContent.trim()
  }

  async copy() {
    await navigator.clipboard.writeText(this.#text)
    const label = this.labelTarget.textContent
    this.labelTarget.textContent = t("Copied")
    setTimeout(() => (this.labelTarget.textContent = label), 1600)
  }
}

import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// The text as it was when it came: a browser may have translated what is shown.
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

import { Controller } from "@hotwired/stimulus"
import { LONGEST, composed, simplified, segments } from "segments"
import { t } from "i18n"

// Shows the number of segments, with the signature, and the character that increases it with its replacement.
export default class extends Controller {
  static targets = ["text", "count", "replacement", "culprit", "instead"]
  static values = { signature: String, price: String }

  connect() {
    this.count()
  }

  count() {
    const typed = composed(this.textTarget.value)
    const signature = composed(this.signatureValue)
    const text = signed(typed, signature)
    const over = text.length - LONGEST
    const { culprit, summary, segments: parts } = segments(text)
    const better = simplified(typed)
    const left = segments(signed(better, signature))
    // Offers a replacement only if it removes every character outside GSM-7; else names one that stays.
    const isReplaceable = culprit !== null && left.culprit === null
    this.countTarget.classList.toggle("bad", over > 0)
    this.countTarget.textContent = typed.trim() === "" ? "" : over > 0 ? t("{n} over the limit", { n: over }) : [summary, this.signatureValue && t("with your signature"), this.priceValue].filter(Boolean).join(" · ")
    this.replacementTarget.hidden = culprit === null || (parts < 2 && !isReplaceable)
    if (this.replacementTarget.hidden) return
    const named = isReplaceable ? culprit : left.culprit
    this.culpritTarget.textContent = t("{character} is a special character: this text now fits 70 characters per segment instead of 160.", { character: visible(named) })
    this.insteadTarget.hidden = !isReplaceable
    if (isReplaceable) this.insteadTarget.textContent = simplified(culprit) === "" ? t("Remove it") : simplified(culprit) === " " ? t("Use a space") : t("Use “{character}”", { character: simplified(culprit) })
  }

  replace() {
    const better = simplified(composed(this.textTarget.value))
    this.textTarget.focus()
    this.textTarget.select()
    // execCommand keeps the undo history.
    if (!document.execCommand("insertText", false, better)) {
      this.textTarget.value = better
      this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
    }
  }

  hold(event) {
    if (event.submitter?.hasAttribute("formaction") || signed(composed(this.textTarget.value), composed(this.signatureValue)).length <= LONGEST) return
    event.preventDefault()
    event.stopImmediatePropagation()
    this.textTarget.focus()
  }
}

// Same as on the server.
function signed(text, signature) {
  if (signature === "" || text.trim() === "" || text.endsWith(`\n${signature}`)) return text
  return `${text.trimEnd()}\n${signature}`
}

const NAMES = { "\t": t("A tab"), "\u00a0": t("A non-breaking space"), "\u200b": t("An invisible space") }

function visible(culprit) {
  return NAMES[culprit] ?? `“${culprit}”`
}

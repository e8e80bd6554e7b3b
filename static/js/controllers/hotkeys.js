import { Controller } from "@hotwired/stimulus"

// One key does what the control with that data-hotkey does. j and k walk through the rows.
export default class extends Controller {
  press(event) {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault()
      return this.palette()
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    if (document.querySelector("dialog[open]")) return
    if (isTyping(event.target)) return
    const acted = event.key === "j" ? this.#walk(1) : event.key === "k" ? this.#walk(-1) : this.#use(event.key)
    if (acted) event.preventDefault()
  }

  help() {
    document.querySelector("[popover]:popover-open")?.hidePopover()
    dispatchEvent(new CustomEvent("help:open", { cancelable: true }))
  }

  // It comes with the first wish for it.
  async palette() {
    document.querySelector("[popover]:popover-open")?.hidePopover()
    const { open } = await import("later/palette")
    open()
  }

  #use(key) {
    const control = key.length === 1 && document.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)
    if (!control) return false
    if (control.matches("input, textarea")) control.focus()
    else control.click()
    return true
  }

  #walk(step) {
    const rows = [...document.querySelectorAll(".rows .row")]
    const from = rows.indexOf(document.activeElement.closest?.(".row") ?? rows.find((row) => row.hasAttribute("aria-current")))
    const to = rows[Math.max(0, Math.min(rows.length - 1, from + step))]
    to?.focus()
    return Boolean(to)
  }
}

function isTyping(element) {
  return element.matches?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")
}

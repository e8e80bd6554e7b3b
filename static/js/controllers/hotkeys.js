import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"

const SHORTCUTS = "shortcuts"
const OF_A_CONVERSATION = new Set(["a", "e", "n", "s"])

// One key does what the control with that data-hotkey does. j and k walk through the rows.
export default class extends Controller {
  connect() {
    this.remember()
  }

  // What the member has set goes to pages that are open already, and to those that are shown to anybody.
  remember() {
    const { shortcuts } = document.body.dataset
    try {
      if (shortcuts) localStorage.setItem(SHORTCUTS, `${this.#member} ${shortcuts}`)
      else document.body.dataset.shortcuts = localStorage.getItem(SHORTCUTS)?.split(" ").at(-1) ?? "on"
    } catch { /* this page knows it */ }
  }

  stored({ key, newValue }) {
    const [member, shortcuts] = key === SHORTCUTS && newValue ? newValue.split(" ") : []
    if (member === this.#member) document.body.dataset.shortcuts = shortcuts
  }

  get #member() {
    return `${document.body.dataset.user}@${this.element.dataset.liveWorkspaceValue}`
  }

  press(event) {
    if (isComposing(event)) return
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault()
      return this.palette()
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (document.querySelector("dialog[open]")) return
    const menu = document.querySelector(".menu:popover-open")
    if (menu) return this.#walkIn(menu, event)
    if (isTyping(event.target) || document.body.dataset.shortcuts === "off") return
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
    const row = OF_A_CONVERSATION.has(key) && document.activeElement.closest?.(".row:not([aria-current])")
    if (row) return this.#open(row, () => this.#use(key))
    const control = key.length === 1 && document.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)
    if (!control || control.closest("[inert]")) return false
    if (control.matches("input, textarea")) control.focus()
    else control.click()
    return true
  }

  // What one points at is meant, not what happens to be open.
  #open(row, then) {
    const conversation = document.getElementById("conversation")
    // The focus stays in the list, for the next one.
    conversation.dataset.keyed = ""
    const over = new AbortController()
    const { signal } = over
    // Only to the one that was meant, and only now: not to whatever is opened after all, or later.
    conversation.addEventListener("turbo:frame-load", ({ target }) => {
      if (target !== conversation) return
      over.abort()
      if (location.pathname === row.pathname) then()
    }, { signal })
    conversation.addEventListener("turbo:fetch-request-error", ({ target }) => {
      if (target !== conversation) return
      over.abort()
      delete conversation.dataset.keyed
    }, { signal })
    row.click()
    return true
  }

  // In a menu the arrows go from one to the next, and no key does anything behind it.
  #walkIn(menu, event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step || isTyping(event.target)) return
    const items = [...menu.querySelectorAll(".menu-item")].filter((item) => item.checkVisibility())
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length]?.focus()
    event.preventDefault()
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

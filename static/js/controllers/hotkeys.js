import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"

const SHORTCUTS = "shortcuts"
const CONVERSATION_KEYS = new Set(["a", "e", "n", "s"])

// A single key activates the control with that data-hotkey; j and k move through the rows.
export default class extends Controller {
  connect() {
    this.remember()
  }

  // Shares the member's setting with open pages and with pages that have no member.
  remember() {
    const { shortcuts } = document.body.dataset
    try {
      if (shortcuts) localStorage.setItem(SHORTCUTS, `${this.#member} ${shortcuts}`)
      else document.body.dataset.shortcuts = localStorage.getItem(SHORTCUTS)?.split(" ").at(-1) ?? "on"
    } catch { /* storage is blocked */ }
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

  async palette() {
    document.querySelector("[popover]:popover-open")?.hidePopover()
    const { open } = await import("lazy/palette")
    open()
  }

  #use(key) {
    const row = CONVERSATION_KEYS.has(key) && document.activeElement.closest?.(".row:not([aria-current])")
    if (row) return this.#open(row, () => this.#use(key))
    const control = key.length === 1 && document.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)
    if (!control || control.closest("[inert]")) return false
    if (control.matches("input, textarea")) control.focus()
    else control.click()
    return true
  }

  // Keys act on the focused row, which is opened first.
  #open(row, then) {
    const conversation = document.getElementById("conversation")
    conversation.dataset.keyed = ""
    const over = new AbortController()
    const { signal } = over
    // Runs `then` only if this row's conversation loads next.
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

  // In an open menu arrows move between items, and other keys have no effect behind it.
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

import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"
import { undoLast } from "toasts"

const SHORTCUTS = "shortcuts"
const CONVERSATION_KEYS = new Set(["a", "e", "n", "s", "u"])
// A second press within this time is taken for an accident.
const REPEAT = 500

// A single key activates the control with that data-hotkey; j and k move through the rows, x selects one.
export default class extends Controller {
  #closedAt = -REPEAT
  #ahead

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
    if (this.#ahead !== undefined && event.key.length === 1) {
      this.#ahead += event.key
      return event.preventDefault()
    }
    if (document.querySelector("dialog[open]")) return
    const menu = document.querySelector(".menu:popover-open")
    if (menu) return this.#walkIn(menu, event)
    if (isTyping(event.target) || document.body.dataset.shortcuts === "off") return
    if (event.repeat && event.key !== "j" && event.key !== "k") return
    const acts = { j: () => this.#walk(1), k: () => this.#walk(-1), x: () => this.#select(), z: () => undoLast() }
    const acted = acts[event.key]?.() ?? this.#use(event.key)
    if (acted) event.preventDefault()
  }

  help() {
    document.querySelector("[popover]:popover-open")?.hidePopover()
    dispatchEvent(new CustomEvent("help:open", { cancelable: true }))
  }

  async palette() {
    document.querySelector("[popover]:popover-open")?.hidePopover()
    // What is typed until the palette is there belongs to it.
    this.#ahead ??= ""
    const { open } = await import("lazy/palette").catch(() => ({ open() {} }))
    open(this.#ahead)
    this.#ahead = undefined
  }

  // Another conversation is shown: a key that was meant for the one before does not act on it.
  shown({ target }) {
    if (target.id === "conversation" && performance.now() - this.#closedAt < 2 * REPEAT) this.#closedAt = performance.now()
  }

  #use(key) {
    if (key === "e") {
      const now = performance.now()
      if (now - this.#closedAt < REPEAT) return true
      this.#closedAt = now
    }
    const bulk = document.querySelector(`.bulk:not([hidden]) [data-bulk-hotkey="${CSS.escape(key)}"]`)
    if (bulk) {
      bulk.click()
      return true
    }
    // Keys act on the conversation that is shown. Without one they show that of the row first, and close none unseen.
    const row = CONVERSATION_KEYS.has(key) && !document.querySelector(".thread-head") && document.activeElement.closest?.(".row")
    if (row) return this.#open(row, () => "ans".includes(key) && this.#use(key))
    const control = key.length === 1 && document.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)
    if (!control || control.closest("[inert]")) return false
    if (control.matches("input, textarea")) control.focus()
    else control.click()
    return true
  }

  #select() {
    const item = document.activeElement.closest?.(".item") ?? document.querySelector(".item:has(.row[aria-current])")
    item?.querySelector(".tick").click()
    return Boolean(item)
  }

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

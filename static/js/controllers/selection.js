import { Controller } from "@hotwired/stimulus"
import { count } from "i18n"

// As the server takes them.
const MOST = 200

// Selects conversations of the list to change them at once, and offers the same for the row under the pointer.
export default class extends Controller {
  static targets = ["acts", "bar", "all", "count"]
  #acts
  #anchor
  #hovered
  #opener
  begun = false
  // Who had the selected ones when they were selected.
  #assignees = new Map()

  toggle({ target, shiftKey }) {
    if (shiftKey && this.#anchor?.isConnected) this.#selectBetween(this.#anchor, target, target.checked)
    this.#anchor = target
    this.show()
  }

  // Shift and a click on a row.
  extend(event) {
    if (!event.shiftKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    event.stopImmediatePropagation()
    getSelection()?.removeAllRanges()
    const tick = event.currentTarget.closest(".item").querySelector(".tick")
    const from = this.#anchor?.isConnected ? this.#anchor : this.element.querySelector(".item:has(.row[aria-current]) .tick")
    this.#selectBetween(from ?? tick, tick, true)
    this.#anchor = tick
    this.show()
  }

  // The key x.
  pick(item) {
    item?.querySelector(".tick").click()
  }

  toggleAll({ target }) {
    const ticks = this.ticks
    for (const tick of ticks) tick.checked = false
    if (target.checked) for (const tick of ticks.slice(0, MOST)) tick.checked = true
    this.show()
  }

  // Shows the boxes, for screens without a pointer that hovers.
  begin() {
    this.begun = true
    document.getElementById("views-menu").hidePopover()
    this.show()
  }

  clear() {
    this.begun = false
    const hadFocus = this.barTarget.contains(document.activeElement)
    for (const tick of this.ticks) tick.checked = false
    this.show()
    if (hadFocus) this.element.querySelector(".row[aria-current], .row")?.focus()
  }

  escape({ target, defaultPrevented }) {
    if (defaultPrevented || !this.hasBarTarget || this.barTarget.hidden) return
    if (target.matches("textarea, input:not(.tick)") || document.querySelector(":popover-open, dialog[open]")) return
    this.clear()
  }

  // The actions are one element, which moves to the item under the pointer or with the focus.
  hover({ target }) {
    const item = target.closest?.(".item")
    if (!item || (this.#hovered === item && this.#acts?.isConnected)) return
    // A menu that was opened from an item stays with it.
    if (this.#opener && this.element.querySelector("#bulk-snooze:popover-open")) return
    this.#acts ??= this.actsTarget.content.cloneNode(true).firstElementChild
    this.#hovered = item
    item.append(this.#acts)
  }

  // Assigns the item to the user, unless a colleague has been faster.
  take({ currentTarget }) {
    const row = currentTarget.closest(".item").querySelector(".row")
    const form = Object.assign(document.createElement("form"), { method: "post", action: `${new URL(row.href).pathname}/assign`, hidden: true })
    for (const [name, value] of Object.entries({ assignee_id: "me", expected_assignee_id: row.dataset.assignee })) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }))
    }
    document.body.append(form)
    form.requestSubmit()
    form.remove()
  }

  // A menu was opened from the bar, or from the actions of an item.
  opened({ target }) {
    const button = target.closest?.("[popovertarget]")
    if (button) this.#opener = button.closest(".item") ?? undefined
  }

  // The ids of a form: those of the item whose action was used, else the selected ones. Each with the
  // assignee that the user knows of: one that a colleague has taken since is left to them.
  fill({ target, submitter }) {
    if (!target.matches("[data-bulk]")) return
    const item = submitter?.closest(".item") ?? (target.closest("[popover]") && this.#opener)
    target.elements.ids.value = (item ? [item] : this.selected).map((one) => this.fieldOf(one)).join()
    target.dataset.single = item ? "true" : ""
  }

  sent({ detail: { success, formSubmission: { formElement } } }) {
    if (success && formElement.matches("[data-bulk]") && !formElement.dataset.single) this.clear()
  }

  // The list was loaded anew.
  reset({ target }) {
    if (target.id !== "list") return
    this.#anchor = undefined
    this.show()
  }

  itemOf(tick) {
    return tick.closest(".item")
  }

  idOf(item) {
    return item.id.slice("item-".length)
  }

  // As the form has it: with who had the conversation when it was selected.
  fieldOf(item) {
    const id = this.idOf(item)
    return `${id}*${this.#assignees.get(id) ?? assigneeOf(item)}`
  }

  noteSelected() {
    this.#assignees = new Map(this.selected.map((item) => [this.idOf(item), this.#assignees.get(this.idOf(item)) ?? assigneeOf(item)]))
  }

  #selectBetween(from, to, checked) {
    const ticks = this.ticks
    const [first, last] = [ticks.indexOf(from), ticks.indexOf(to)].sort((a, b) => a - b)
    for (const tick of ticks.slice(Math.max(first, 0), last + 1)) tick.checked = checked
  }

  get ticks() {
    return [...this.element.querySelectorAll(".rows .tick")]
  }

  get selected() {
    return this.ticks.filter(({ checked }) => checked).map((tick) => this.itemOf(tick)).slice(0, MOST)
  }

  show() {
    if (!this.hasBarTarget) return
    this.noteSelected()
    const selected = this.selected.length
    const all = this.ticks.length
    this.barTarget.hidden = selected === 0 && !this.begun
    this.element.classList.toggle("selecting", !this.barTarget.hidden)
    this.allTarget.checked = selected > 0 && selected === Math.min(all, MOST)
    this.allTarget.indeterminate = selected > 0 && !this.allTarget.checked
    this.countTarget.textContent = count(selected, "{n} selected", "{n} selected")
    for (const button of this.barTarget.querySelectorAll(".acts button")) button.disabled = selected === 0
  }
}

const assigneeOf = (item) => item.querySelector(".row").dataset.assignee

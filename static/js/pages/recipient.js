import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"
import { t } from "i18n"

const MOST = 10

// Recipients of a new text: suggests contacts while the user types. The field holds the last one; those before it are chips.
export default class extends Controller {
  static targets = ["to", "contact", "menu", "list", "text", "chips", "chip", "add", "hint", "warning", "number"]
  static values = { people: String }
  #current
  #chosen
  #asked = 0

  // The field may have the focus before the controller connects.
  connect() {
    if (document.activeElement === this.toTarget || this.toTarget.autofocus) this.toTarget.focus()
    if (document.activeElement === this.toTarget) this.offer()
    this.#show()
  }

  async offer() {
    const mine = ++this.#asked
    const url = new URL(this.peopleValue, location)
    const q = this.toTarget.value.trim()
    url.searchParams.set("q", q)
    url.searchParams.set("number_id", this.numberTarget.value)
    const response = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => undefined)
    if (!response?.ok || response.redirected) return
    const html = await response.text()
    if (mine !== this.#asked || document.activeElement !== this.toTarget) return
    const marked = this.#current?.dataset.contact
    this.listTarget.innerHTML = html
    const chosen = new Set([...this.chipsTarget.children].map(({ dataset }) => dataset.contact))
    for (const option of [...this.listTarget.children]) if (chosen.has(option.dataset.contact)) option.remove()
    this.listTarget.dataset.q = q
    const first = this.listTarget.firstElementChild
    this.menuTarget.hidden = !first
    this.toTarget.setAttribute("aria-expanded", String(Boolean(first)))
    this.#mark([...this.listTarget.children].find(({ dataset }) => marked && dataset.contact === marked))
  }

  write() {
    this.contactTarget.value = ""
    this.#chosen = undefined
    this.#show()
    this.offer()
  }

  // Consent is by number.
  switched() {
    for (const chip of this.chipsTarget.children) delete chip.dataset.optedOut
    if (this.#chosen) this.#chosen.optedOut = undefined
    this.#show()
  }

  press(event) {
    if (isComposing(event)) return
    if (event.key === "Enter" && !(event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      return this.#next()
    }
    // A comma may be part of a name that is not chosen yet.
    if (event.key === ";" || (event.key === "," && this.#isComplete)) {
      event.preventDefault()
      return this.add()
    }
    if (event.key === "Backspace" && this.toTarget.value === "" && this.chipsTarget.lastElementChild) {
      event.preventDefault()
      return this.#takeBack(this.chipsTarget.lastElementChild)
    }
    if (this.menuTarget.hidden) return
    const options = [...this.listTarget.children]
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) {
      const from = this.#current ? options.indexOf(this.#current) : step > 0 ? -1 : 0
      this.#mark(options[(from + step + options.length) % options.length])
    } else if (event.key === "Escape") this.close()
    else return
    event.preventDefault()
  }

  // Several numbers at once.
  paste(event) {
    const pieces = event.clipboardData.getData("text").split(/[;,\n\t]+/).map((piece) => piece.trim()).filter(Boolean)
    if (pieces.length < 2 || !pieces.every((piece) => /\d{3}/.test(piece)) || this.toTarget.value !== "") return
    event.preventDefault()
    const room = MOST - this.chipsTarget.children.length
    for (const to of pieces.slice(0, room)) this.#append({ to })
    this.#changed()
  }

  // Enter completes a partial name to the first match and moves on to the text. It never sends.
  async #next() {
    const typed = this.toTarget.value.trim()
    if (this.#current) return this.#put(this.#current)
    if (!(await this.#complete())) return
    this.close()
    if (typed === "" && this.chipsTarget.children.length === 0) return
    this.textTarget.focus()
  }

  // Whether what was typed is somebody.
  async #complete() {
    const typed = this.toTarget.value.trim()
    if (!/\p{L}/u.test(typed) || this.contactTarget.value !== "") return true
    if (this.listTarget.dataset.q !== typed) await this.offer()
    const first = this.listTarget.firstElementChild
    if (first && this.listTarget.dataset.q === typed) this.#put(first)
    return false
  }

  get #isComplete() {
    return this.contactTarget.value !== "" || /^[\d\s()+.-]{3,}$/.test(this.toTarget.value)
  }

  // Turns the recipient into a chip, and the field is empty for the next one.
  async add() {
    const to = this.toTarget.value.trim()
    if (to !== "" && !this.#isComplete) await this.#complete()
    if (to !== "" && this.#isComplete && this.chipsTarget.children.length < MOST - 1) {
      this.#append({ to: this.toTarget.value.trim(), contact: this.contactTarget.value, ...this.#chosen })
      this.#clear()
    }
    this.toTarget.focus()
    this.offer()
    this.#changed()
  }

  remove({ target }) {
    const chip = target.closest(".recipient")
    chip.remove()
    this.toTarget.focus()
    this.#changed()
  }

  // [{ to, contact, reason }]: the last one goes into the field.
  restore({ detail: people }) {
    this.chipsTarget.replaceChildren()
    this.#clear()
    for (const person of people.slice(0, -1)) this.#append(person)
    this.#fill(people.at(-1) ?? {})
    this.#show()
  }

  // On mousedown, before the field loses the focus.
  pick(event) {
    event.preventDefault()
    const option = event.target.closest("[role=option]")
    if (option) this.#put(option)
  }

  close() {
    this.#asked++
    this.menuTarget.hidden = true
    this.toTarget.setAttribute("aria-expanded", "false")
    this.#mark(undefined)
  }

  send(event) {
    if (isComposing(event) || event.key !== "Enter" || event.shiftKey || event.defaultPrevented) return
    if (matchMedia("(pointer: coarse)").matches && !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    this.element.requestSubmit()
  }

  #mark(option) {
    this.#current?.setAttribute("aria-selected", "false")
    this.#current = option
    option?.setAttribute("aria-selected", "true")
    option?.scrollIntoView({ block: "nearest" })
    if (option) this.toTarget.setAttribute("aria-activedescendant", option.id)
    else this.toTarget.removeAttribute("aria-activedescendant")
  }

  #put({ dataset: { contact, name, number, optedOut } }) {
    this.#fill({ to: name, contact, number, optedOut })
    this.close()
    this.toTarget.dispatchEvent(new Event("change", { bubbles: true }))
    this.textTarget.focus()
    this.#show()
  }

  #fill({ to = "", contact = "", number, optedOut, reason }) {
    this.toTarget.value = to
    this.contactTarget.value = contact
    this.#chosen = { number, optedOut, reason }
  }

  #clear() {
    this.#fill({})
    this.#chosen = undefined
  }

  #append({ to, contact = "", number, optedOut, reason }) {
    const chip = this.chipTarget.content.cloneNode(true).firstElementChild
    Object.assign(chip.dataset, { to, contact })
    if (number) chip.title = chip.dataset.number = number
    if (optedOut !== undefined) chip.dataset.optedOut = optedOut
    if (reason) chip.title = chip.dataset.reason = reason
    chip.firstElementChild.textContent = to
    const label = chip.querySelector(".visually-hidden")
    label.textContent = label.textContent.replace("{name}", to)
    this.chipsTarget.append(chip)
  }

  #takeBack(chip) {
    const { to, contact, number, optedOut } = chip.dataset
    chip.remove()
    this.#fill({ to, contact, number, optedOut })
    this.#changed()
  }

  #changed() {
    this.#show()
    this.dispatch("changed")
  }

  #show() {
    const chips = [...this.chipsTarget.children]
    this.toTarget.required = chips.length === 0
    this.addTarget.hidden = chips.length >= MOST - 1
    for (const chip of chips) chip.classList.toggle("bad", "optedOut" in chip.dataset || "reason" in chip.dataset)
    const stopped = [...chips.map(({ dataset }) => dataset), { to: this.toTarget.value, ...this.#chosen }].filter(({ optedOut }) => optedOut !== undefined)
    this.warningTarget.hidden = stopped.length === 0
    this.warningTarget.lastElementChild.textContent = stopped.map(({ to }) => t("{name} has opted out and can’t be texted from this number.", { name: to })).join(" ")
    const count = chips.length + (this.toTarget.value.trim() ? 1 : 0)
    if (this.#chosen?.number && count === 1) this.hintTarget.textContent = this.#chosen.number
    else if (!this.contactTarget.value || count > 1) this.hintTarget.textContent = this.hintTarget.dataset.default
  }
}

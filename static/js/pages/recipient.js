import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"

// Recipient field: suggests contacts while the user types.
export default class extends Controller {
  static targets = ["to", "contact", "menu", "list", "text"]
  static values = { people: String }
  #current
  #asked = 0

  // The field may have the focus before the controller connects.
  connect() {
    if (document.activeElement === this.toTarget || this.toTarget.autofocus) this.toTarget.focus()
    if (document.activeElement === this.toTarget) this.offer()
  }

  async offer() {
    const mine = ++this.#asked
    const url = new URL(this.peopleValue, location)
    const q = this.toTarget.value.trim()
    url.searchParams.set("q", q)
    const response = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => undefined)
    if (!response?.ok || response.redirected) return
    const html = await response.text()
    if (mine !== this.#asked || document.activeElement !== this.toTarget) return
    const marked = this.#current?.dataset.contact
    this.listTarget.innerHTML = html
    this.listTarget.dataset.q = q
    const first = this.listTarget.firstElementChild
    this.menuTarget.hidden = !first
    this.toTarget.setAttribute("aria-expanded", String(Boolean(first)))
    this.#mark([...this.listTarget.children].find(({ dataset }) => marked && dataset.contact === marked))
  }

  write() {
    this.contactTarget.value = ""
    this.offer()
  }

  press(event) {
    if (isComposing(event)) return
    if (event.key === "Enter" && !(event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      return this.#next()
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

  // Enter completes a partial name to the first match and moves on to the text. It never sends.
  async #next() {
    const typed = this.toTarget.value.trim()
    if (this.#current) return this.#put(this.#current)
    if (/\p{L}/u.test(typed) && this.contactTarget.value === "") {
      if (this.listTarget.dataset.q !== typed) await this.offer()
      const first = this.listTarget.firstElementChild
      if (first && this.listTarget.dataset.q === typed) return this.#put(first)
      return
    }
    this.close()
    this.textTarget.focus()
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
    if (isComposing(event)) return
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return
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

  #put({ dataset: { contact, name } }) {
    this.toTarget.value = name
    this.contactTarget.value = contact
    this.close()
    this.toTarget.dispatchEvent(new Event("change", { bubbles: true }))
    this.textTarget.focus()
  }
}

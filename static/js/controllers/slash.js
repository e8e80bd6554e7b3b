import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"
import { missing, named } from "variables"
import { t } from "i18n"

const CACHE_DURATION = 30_000

// Inserts templates after a slash: typing filters them, arrows and Enter choose. Variables without a value stay in
// braces and must be filled in before the text is sent.
export default class extends Controller {
  static targets = ["text", "menu", "list", "none", "nothing", "fill", "names"]
  static values = { url: String }
  #from
  #current
  #inserted = new Set()
  #fetched = 0
  #all = []
  #isLoading = false
  #fetching

  async write() {
    this.#remind()
    const { value, selectionStart } = this.textTarget
    const typed = /(?:^|\s)\/([^\s/]*)$/.exec(value.slice(0, selectionStart))
    if (!typed) return this.close()
    this.#from = selectionStart - typed[1].length - 1
    this.#isLoading = true
    const fetched = await this.#fetch()
    this.#isLoading = false
    if (!fetched || this.#from === undefined) return
    // A newer input filters the list itself.
    if (this.textTarget.selectionStart !== selectionStart) return
    this.#filter(typed[1].toLowerCase())
  }

  open() {
    if (!this.menuTarget.hidden) return this.close()
    const { value, selectionStart } = this.textTarget
    this.textTarget.focus()
    insert(/(^|\s)$/.test(value.slice(0, selectionStart)) ? "/" : " /")
  }

  press(event) {
    if (isComposing(event)) return
    // While templates load, Enter must not send the slash.
    if (this.#isLoading && event.key === "Enter") {
      event.preventDefault()
      return event.stopImmediatePropagation()
    }
    if (this.menuTarget.hidden) return
    const options = this.#options
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && options.length) this.#mark(options[(options.indexOf(this.#current) + step + options.length) % options.length])
    else if (["Enter", "Tab"].includes(event.key) && this.#current) this.#put(this.#current)
    else if (event.key === "Escape") this.close()
    else if (event.key !== "Enter" || this.nothingTarget.hidden) return
    event.preventDefault()
    event.stopImmediatePropagation()
  }

  // On mousedown, before the field loses the focus.
  pick(event) {
    event.preventDefault()
    const option = event.target.closest("[role=option]")
    if (option) this.#put(option)
  }

  close() {
    this.#from = this.#current = undefined
    this.menuTarget.hidden = true
    this.textTarget.removeAttribute("aria-activedescendant")
  }

  hold(event) {
    const [first] = this.#unfilled
    if (!first || event.submitter?.hasAttribute("formaction")) return
    event.preventDefault()
    event.stopImmediatePropagation()
    this.fillTarget.classList.add("asked")
    this.#select(first)
  }

  goTo({ params: { name } }) {
    this.#select(name)
  }

  get #options() {
    return [...this.listTarget.children].filter(({ hidden }) => !hidden)
  }

  #fetch() {
    if (Date.now() - this.#fetched < CACHE_DURATION) return true
    return (this.#fetching ??= this.#load().finally(() => (this.#fetching = undefined)))
  }

  async #load() {
    const url = new URL(this.urlValue, location)
    const form = new FormData(this.textTarget.form)
    for (const name of ["contact_id", "number_id"]) if (form.get(name)) url.searchParams.set(name, form.get(name))
    const response = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(3000) }).catch(() => undefined)
    if (!response?.ok || response.redirected) return false
    this.listTarget.innerHTML = await response.text()
    this.#all = [...this.listTarget.children]
    this.#fetched = Date.now()
    return true
  }

  #filter(q) {
    const rank = (option) => (option.firstElementChild.textContent.toLowerCase().startsWith(q) ? 0 : 1)
    for (const option of this.#all) option.hidden = !option.textContent.toLowerCase().includes(q)
    this.listTarget.replaceChildren(...[...this.#all].sort((a, b) => rank(a) - rank(b)))
    const options = this.#options
    // Closes the menu for fractions and paths. A slash and one word alone are taken for a template name.
    const misspelt = options.length === 0 && q !== ""
    if (misspelt && this.textTarget.value.trim().toLowerCase() !== `/${q}`) return this.close()
    if (misspelt) this.#current = undefined
    this.noneTarget.hidden = options.length > 0 || misspelt
    this.nothingTarget.hidden = !misspelt
    this.nothingTarget.textContent = misspelt ? t("No templates match “{words}”.", { words: q }) : ""
    this.menuTarget.hidden = false
    if (options.length) this.#mark(options[0])
  }

  #mark(option) {
    this.#current?.setAttribute("aria-selected", "false")
    this.#current = option
    option.setAttribute("aria-selected", "true")
    option.scrollIntoView({ block: "nearest" })
    this.textTarget.setAttribute("aria-activedescendant", option.id)
  }

  #put({ dataset }) {
    const from = this.#from
    this.close()
    this.textTarget.focus()
    this.textTarget.setSelectionRange(from, this.textTarget.selectionStart)
    for (const name of dataset.missing.split(" ").filter(Boolean)) this.#inserted.add(name)
    insert(dataset.text)
    const [first] = this.#unfilled
    if (first) this.#select(first)
  }

  get #unfilled() {
    return missing(this.textTarget.value, {}).filter((name) => this.#inserted.has(name))
  }

  #remind() {
    const names = this.#unfilled
    this.fillTarget.hidden = names.length === 0
    if (names.length === 0) this.fillTarget.classList.remove("asked")
    this.namesTarget.replaceChildren(...names.map((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "chip", textContent: name.replaceAll("_", " ") })
      Object.assign(button.dataset, { action: "slash#goTo", slashNameParam: name })
      return button
    }))
  }

  #select(name) {
    const found = [...this.textTarget.value.matchAll(/\{\{([^{}|]*)\}\}/g)].find(([, inside]) => named(inside) === name)
    if (!found) return
    this.textTarget.focus()
    this.textTarget.setSelectionRange(found.index, found.index + found[0].length)
  }
}

// execCommand keeps the undo history.
function insert(text) {
  const field = document.activeElement
  if (document.execCommand("insertText", false, text)) return
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end")
  field.dispatchEvent(new Event("input", { bubbles: true }))
}

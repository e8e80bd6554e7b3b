import { isComposing } from "keys"
import { t } from "i18n"

// The field that adds a tag, as a combobox: it suggests the workspace's tags, and creates one only by the last entry.
export function enhance(form) {
  if (!form.tagField) form.tagField = new TagField(form)
}

class TagField {
  #options = []
  #current
  #chosen = false

  constructor(form) {
    this.form = form
    this.field = form.elements.tag
    this.known = [...document.getElementById(this.field.getAttribute("list")).options].map(({ value, dataset }) => ({ name: value, color: dataset.color }))
    // The browser's own suggestions.
    this.field.removeAttribute("list")
    this.menu = Object.assign(document.createElement("div"), { className: "offers below", hidden: true })
    this.list = Object.assign(document.createElement("ul"), { id: "tag-offers" })
    this.list.setAttribute("role", "listbox")
    this.list.setAttribute("aria-label", t("Tags"))
    this.menu.append(this.list)
    form.append(this.menu)
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": this.list.id, "aria-expanded": "false" })) this.field.setAttribute(name, value)
    this.field.addEventListener("input", () => this.#offer())
    this.field.addEventListener("keydown", (event) => this.#press(event))
    this.field.addEventListener("blur", () => this.#close())
    // Keeps the focus in the field.
    this.menu.addEventListener("mousedown", (event) => event.preventDefault())
    this.menu.addEventListener("click", ({ target }) => this.#choose(target.closest("[role=option]")))
    form.addEventListener("submit", (event) => this.#submit(event), { capture: true })
    form.addEventListener("submit", () => (this.submitted = this.#typed))
    form.addEventListener("turbo:submit-end", ({ detail: { success } }) => success && this.#learn())
    if (document.activeElement === this.field && this.field.value) this.#offer()
  }

  get #typed() {
    return this.field.value.trim().replace(/\s+/g, " ")
  }

  // As the server compares.
  get #equal() {
    return this.known.find(({ name }) => name.toLowerCase() === this.#typed.toLowerCase())
  }

  #offer() {
    const typed = fold(this.#typed)
    const has = new Set([...this.form.closest(".tagging").querySelectorAll(".tags .tag")].map(({ firstChild }) => firstChild.textContent.trim()))
    const rank = ({ name }) => [fold(name) === typed, fold(name).startsWith(typed), true].indexOf(true)
    const found = this.known.filter(({ name }) => !has.has(name) && fold(name).split(" ").some((_, i, words) => words.slice(i).join(" ").startsWith(typed)))
    const others = this.known.filter((tag) => !has.has(tag.name) && !found.includes(tag) && fold(tag.name).includes(typed))
    const all = [...found.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name)), ...others].slice(0, 8)
    const isNew = this.#typed !== "" && !this.#equal
    this.#options = all.map(({ name, color }) => this.#option(name, tag(name, color)))
    if (isNew) this.#options.push(this.#option(this.#typed, document.createTextNode(t("Create “{name}”", { name: this.#typed }))))
    this.#options.forEach((option, i) => (option.id = `tag-offer-${i}`))
    this.list.replaceChildren(...this.#options)
    this.menu.hidden = this.#options.length === 0
    this.field.setAttribute("aria-expanded", String(!this.menu.hidden))
    this.#mark(this.#typed ? this.#options[0] : undefined)
  }

  #option(name, content) {
    const option = document.createElement("li")
    option.setAttribute("role", "option")
    option.setAttribute("aria-selected", "false")
    option.dataset.name = name
    option.append(content)
    return option
  }

  #press(event) {
    if (isComposing(event)) return
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && this.menu.hidden) this.#offer()
    else if (step) this.#mark(this.#options[(this.#options.indexOf(this.#current) + step + (this.#current || step > 0 ? 0 : 1) + this.#options.length) % this.#options.length])
    else if (event.key === "Enter" && this.#current) this.#choose(this.#current)
    else if (event.key === "Escape" && !this.menu.hidden) this.#close()
    else return
    event.preventDefault()
    // Escape closes nothing else.
    event.stopPropagation()
  }

  #mark(option) {
    this.#current?.setAttribute("aria-selected", "false")
    this.#current = option
    option?.setAttribute("aria-selected", "true")
    option?.scrollIntoView({ block: "nearest" })
    if (option) this.field.setAttribute("aria-activedescendant", option.id)
    else this.field.removeAttribute("aria-activedescendant")
  }

  #choose(option) {
    if (!option) return
    this.field.value = option.dataset.name
    this.#chosen = true
    this.#close()
    this.form.requestSubmit()
    this.#chosen = false
  }

  // By the button: what is like a tag, and none, is not created unasked.
  #submit(event) {
    if (this.#chosen || this.#equal) return
    this.field.focus()
    this.#offer()
    if (this.#options.length === 1) return this.#close()
    event.preventDefault()
    event.stopImmediatePropagation()
  }

  // A tag that was created is offered from now on, in its colour once it is shown.
  #learn() {
    const name = this.submitted
    if (!name || this.known.some((other) => other.name.toLowerCase() === name.toLowerCase())) return
    const created = { name, color: "gray" }
    this.known.push(created)
    setTimeout(() => {
      const shown = [...this.form.closest(".tagging").querySelectorAll(".tags .tag")].find(({ firstChild }) => firstChild.textContent.trim() === name)
      created.color = shown?.classList[1] ?? created.color
    })
  }

  #close() {
    this.menu.hidden = true
    this.field.setAttribute("aria-expanded", "false")
    this.#mark(undefined)
  }
}

function tag(name, color) {
  const tag = Object.assign(document.createElement("span"), { className: `tag ${color}`, textContent: name, translate: false })
  tag.dir = "auto"
  return tag
}

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()

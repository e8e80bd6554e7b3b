import { GROUPS } from "lazy/emoji-data"
import { isComposing } from "keys"
import { t } from "i18n"

// The emoji picker: a search field that moves through a grid with the arrows.
const RECENT = "emoji:recent"
const KEPT = 16

let picker

export async function run(button) {
  await styled(button.dataset.sheet)
  if (picker?.element.matches(":popover-open")) return picker.element.hidePopover()
  picker ??= new Picker()
  picker.open(button)
}

class Picker {
  #current

  constructor() {
    const { documentElement: { lang } } = document
    this.spoken = lang.startsWith("es") ? 1 : 0
    this.element = make("div", { className: "menu above emojis", popover: "auto" })
    this.element.setAttribute("role", "dialog")
    this.element.setAttribute("aria-label", t("Emoji"))
    this.field = make("input", { type: "search", className: "input", autocomplete: "off", spellcheck: false, placeholder: t("Search emoji") })
    this.grid = make("div", { id: "emoji-grid", className: "grid" })
    this.grid.setAttribute("role", "listbox")
    this.grid.setAttribute("aria-label", t("Emoji"))
    this.none = make("p", { className: "menu-hint", hidden: true, textContent: t("No emoji found") })
    this.none.setAttribute("role", "status")
    this.name = make("p", { className: "name sub", ariaHidden: "true" })
    const attributes = { role: "combobox", "aria-label": t("Search emoji"), "aria-autocomplete": "list", "aria-controls": this.grid.id, "aria-expanded": "true" }
    for (const [name, value] of Object.entries(attributes)) this.field.setAttribute(name, value)
    this.element.append(this.field, this.grid, this.none, this.name)
    this.field.addEventListener("input", () => this.#show())
    this.field.addEventListener("keydown", (event) => this.#press(event))
    this.grid.addEventListener("mousedown", (event) => event.preventDefault())
    this.grid.addEventListener("click", ({ target }) => this.#put(target.closest("[role=option]")))
    this.grid.addEventListener("pointermove", ({ target }) => target.matches("[role=option]") && this.#mark(target))
    this.element.addEventListener("toggle", ({ newState }) => newState === "closed" && this.#closed())
  }

  open(button) {
    this.text = button.form.elements.content
    // Beside its button, of which it is the popover.
    button.after(this.element)
    this.field.value = ""
    this.#show()
    this.element.showPopover({ source: button })
    // Not where a keyboard on the screen would cover it.
    if (!matchMedia("(pointer: coarse)").matches) this.field.focus()
    this.grid.scrollTop = 0
  }

  #show() {
    const words = fold(this.field.value).split(/\s+/).filter(Boolean)
    const fits = ({ names }) => words.every((word) => fold(names.join(" ")).includes(word))
    const all = GROUPS.flatMap(({ emojis }) => emojis)
    const recent = recents().map((emoji) => all.find((one) => one.emoji === emoji)).filter(Boolean)
    const groups = words.length ? [{ emojis: all.filter(fits).sort((a, b) => rank(b, words) - rank(a, words)) }] : [{ title: t("Recently used"), emojis: recent }, ...GROUPS.map(({ names, emojis }) => ({ title: names[this.spoken], emojis }))]
    const shown = groups.filter(({ emojis }) => emojis.length)
    let count = 0
    this.grid.replaceChildren(...shown.map(({ title, emojis }) => {
      const group = make("div", { className: "emoji-group" })
      group.setAttribute("role", "group")
      group.setAttribute("aria-label", title ?? t("Emoji"))
      if (title) group.append(make("h2", { className: "menu-title", textContent: title, ariaHidden: "true" }))
      group.append(...emojis.map(({ emoji, names }) => {
        const option = make("span", { id: `emoji-${count++}`, textContent: emoji, title: names[this.spoken], ariaSelected: "false" })
        option.setAttribute("role", "option")
        option.setAttribute("aria-label", names[this.spoken])
        return option
      }))
      return group
    }))
    this.none.hidden = count > 0
    this.#mark(words.length ? this.grid.querySelector("[role=option]") : undefined)
  }

  #press(event) {
    if (isComposing(event)) return
    const options = [...this.grid.querySelectorAll("[role=option]")]
    const at = options.indexOf(this.#current)
    const next = {
      ArrowDown: () => this.#below(options, at, 1), ArrowUp: () => this.#below(options, at, -1),
      ArrowRight: () => at >= 0 && options[Math.min(at + 1, options.length - 1)], ArrowLeft: () => at >= 0 && options[Math.max(at - 1, 0)],
    }[event.key]?.()
    if (next) this.#mark(next)
    else if (event.key === "Enter") this.#put(this.#current)
    // A search field would only be emptied, and the button have the focus.
    else if (event.key === "Escape") {
      this.element.hidePopover()
      this.text.focus()
    } else return
    event.preventDefault()
  }

  // The nearest one of the next row: rows of groups have different lengths.
  #below(options, at, step) {
    if (at < 0) return options[0]
    const { x, y } = options[at].getBoundingClientRect()
    const rows = options.map((option) => [option, option.getBoundingClientRect()]).filter(([, box]) => (box.y - y) * step > 1)
    const edge = step > 0 ? Math.min(...rows.map(([, box]) => box.y)) : Math.max(...rows.map(([, box]) => box.y))
    const row = rows.filter(([, box]) => Math.abs(box.y - edge) < 1)
    return row.sort(([, a], [, b]) => Math.abs(a.x - x) - Math.abs(b.x - x))[0]?.[0] ?? options[at]
  }

  #mark(option) {
    if (this.#current) this.#current.ariaSelected = "false"
    this.#current = option
    this.name.textContent = option?.title ?? ""
    if (!option) return this.field.removeAttribute("aria-activedescendant")
    option.ariaSelected = "true"
    option.scrollIntoView({ block: "nearest" })
    this.field.setAttribute("aria-activedescendant", option.id)
  }

  #put(option) {
    if (!option) return
    const emoji = option.textContent
    remember(emoji)
    this.element.hidePopover()
    this.text.focus()
    // execCommand keeps the undo history.
    if (document.execCommand("insertText", false, emoji)) return
    this.text.setRangeText(emoji, this.text.selectionStart, this.text.selectionEnd, "end")
    this.text.dispatchEvent(new Event("input", { bubbles: true }))
  }

  #closed() {
    if (document.activeElement === document.body || this.element.contains(document.activeElement)) this.text?.focus()
  }
}

let sheet

// The style sheet is loaded with the first picker.
function styled(href) {
  sheet ??= new Promise((done) => {
    const link = make("link", { rel: "stylesheet", href })
    for (const event of ["load", "error"]) link.addEventListener(event, done)
    document.head.append(link)
  })
  return sheet
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties)
}

// Names that begin with what was typed come first.
function rank({ names }, [word]) {
  return Number(names.some((name) => fold(name).startsWith(word))) + Number(names.some((name) => fold(name).split(/[\s,]+/).includes(word)))
}

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()

function recents() {
  try {
    return JSON.parse(localStorage.getItem(RECENT)) ?? []
  } catch {
    return []
  }
}

function remember(emoji) {
  try {
    localStorage.setItem(RECENT, JSON.stringify([emoji, ...recents().filter((other) => other !== emoji)].slice(0, KEPT)))
  } catch { /* storage is blocked */ }
}

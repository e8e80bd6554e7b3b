// The command palette: commands of the page, pages, and search results in one list.
import { visit } from "@hotwired/turbo"
import { isComposing } from "keys"

const RECENT = "palette:recent"
const KEPT = 6
const COMMANDS = "[data-command], [data-hotkey]:not([data-hotkey='?']), main .head .btn"
const FIELD = "input:not([type=hidden]), select, textarea, button"

let palette

export function open(typed) {
  if (!palette?.dialog.isConnected) palette = new Palette(document.importNode(document.getElementById("palette-template").content, true))
  palette.open()
  if (typed) palette.type(typed)
}

// A page that arrives while the palette is open replaces the body. The palette goes on there with what was typed:
// otherwise the next letters would be taken for shortcuts.
addEventListener("turbo:render", () => {
  if (!palette?.dialog.open || palette.dialog.isConnected) return
  const typed = palette.field.value
  palette = undefined
  if (!document.getElementById("palette-template")) return
  open()
  palette.type(typed)
})

class Palette {
  #places
  #options = []
  #at = 0
  #workspaces = []
  #found = []
  #timer
  #asked = 0

  constructor(content) {
    this.dialog = content.querySelector("dialog")
    this.field = content.querySelector("input")
    this.list = content.querySelector("[role=listbox]")
    this.status = content.querySelector("[role=status]")
    this.#places = content.querySelector("nav")
    document.body.append(this.dialog)
    this.field.addEventListener("input", () => this.#typed())
    this.field.addEventListener("keydown", (event) => this.#press(event))
    this.list.addEventListener("click", ({ target }) => this.#choose(this.#optionOf(target)))
    this.list.addEventListener("pointermove", ({ target }) => this.#mark(this.#optionOf(target)))
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close())
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.dialog.close())
  }

  open() {
    if (this.dialog.open) return this.field.select()
    if (document.querySelector("dialog[open]")) return
    this.field.value = ""
    this.#found = []
    this.#asked += 1
    clearTimeout(this.#timer)
    this.dialog.showModal()
    this.field.focus()
    this.#show()
    this.#loadWorkspaces()
  }

  type(text) {
    this.field.value = text
    this.#typed()
  }

  #typed() {
    clearTimeout(this.#timer)
    this.#asked += 1
    this.#found = []
    this.#show()
    if (this.#q.length > 1) this.#timer = setTimeout(() => this.#search(this.#asked), 150)
  }

  #press(event) {
    if (isComposing(event)) return
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key]
    if (step) this.#mark((this.#at + step + this.#options.length) % this.#options.length)
    else if (event.key === "Enter") this.#choose(this.#at)
    else return
    event.preventDefault()
  }

  get #q() {
    return this.field.value.trim()
  }

  // Local options are shown at once; search results are added when they arrive.
  #show() {
    const words = fold(this.#q).split(/\s+/).filter(Boolean)
    // Those where a word begins with what was typed come before those that have it inside.
    const matching = (all) => {
      const known = all.map((one) => [one, ` ${fold(`${one.label} ${one.also ?? ""}`)}`]).filter(([, text]) => words.every((word) => text.includes(word)))
      const rank = ([, text]) => [` ${words.join(" ")}`, ` ${words[0]}`].filter((start) => !text.includes(start)).length + (text.startsWith(` ${words.join(" ")}`) ? 0 : 1)
      return (words.length ? known.sort((a, b) => rank(a) - rank(b)) : known).map(([one]) => one)
    }
    const here = matching([...this.#commands(), ...this.#neighbours()])
    const places = matching(this.#links())
    const more = matching(this.#actions())
    const known = [...here, ...places, ...this.#workspaces, ...more]
    const recent = recents().map((kept) => known.find(({ key }) => key === kept.key) ?? (kept.href && { ...kept, group: "recent" }))
    const groups = {
      recent: this.#q ? [] : recent.filter(Boolean),
      here, pages: places, more, workspaces: matching(this.#workspaces),
      people: this.#found.filter(({ group }) => group === "people"),
      messages: this.#found.filter(({ group }) => group === "messages"),
    }
    this.#render(groups)
  }

  #render(groups) {
    const seen = new Set()
    this.#options = []
    this.list.replaceChildren(...Object.entries(groups).flatMap(([name, items]) => {
      const fresh = items.filter(({ key }) => !seen.has(key) && seen.add(key))
      if (!fresh.length) return []
      const group = element("div", { role: "group" })
      group.setAttribute("aria-label", this.list.dataset[name])
      group.append(element("p", { className: "group", ariaHidden: "true", textContent: this.list.dataset[name] }))
      for (const item of fresh) {
        const isOwn = /^(contact|message):|^\/w\/[^/]+\/inbox$/.test(item.key)
        const option = element("div", { role: "option", id: `palette-${this.#options.length}`, className: "option" })
        option.append(element("span", { className: "label", dir: "auto", translate: !isOwn, textContent: item.label }))
        if (item.hint) option.append(element("span", { className: "hint", dir: "auto", translate: !isOwn, textContent: item.hint }))
        if (item.hotkey && document.body.dataset.shortcuts !== "off") option.append(element("kbd", { textContent: item.hotkey }))
        this.#options.push({ ...item, option })
        group.append(option)
      }
      return [group]
    }))
    this.#showStatus()
    this.#mark(Math.min(this.#at, Math.max(0, this.#options.length - 1)))
  }

  #showStatus(slow = false) {
    const { none, slow: searching } = this.status.dataset
    this.status.textContent = slow ? searching : this.#options.length ? "" : none
  }

  #mark(at) {
    if (at < 0 || !this.#options[at]) return this.field.removeAttribute("aria-activedescendant")
    this.#at = at
    this.#options.forEach(({ option }, i) => option.setAttribute("aria-selected", String(i === at)))
    this.field.setAttribute("aria-activedescendant", this.#options[at].option.id)
    this.#options[at].option.scrollIntoView({ block: "nearest" })
  }

  #optionOf(target) {
    return this.#options.findIndex(({ option }) => option.contains(target))
  }

  #choose(at) {
    const chosen = this.#options[at]
    if (!chosen) return
    remember(chosen)
    this.#at = 0
    this.dialog.close()
    chosen.act ? chosen.act() : chosen.isFullLoad ? location.assign(chosen.href) : visit(chosen.href)
  }

  // Controls with data-command or data-hotkey, and the buttons of the page's head.
  #commands() {
    const controls = [...document.querySelectorAll(COMMANDS)].filter((control) => !control.disabled && !control.hidden && isOffered(control))
    return controls.map((control) => {
      const label = control.dataset.command ?? control.getAttribute("aria-label") ?? control.textContent.trim()
      const key = `here:${label}`
      // The control may have been replaced since the list was rendered.
      const act = () => control.isConnected ? use(control) : this.#commands().find((now) => now.key === key)?.act()
      return { key, label, hotkey: control.dataset.hotkey, act }
    })
  }

  #neighbours() {
    const rows = () => [...document.querySelectorAll(".rows .row")]
    const beside = (step) => rows()[rows().findIndex((row) => row.hasAttribute("aria-current")) + step]
    const { next, previous } = this.list.dataset
    const both = [{ key: "here:next", label: next, step: 1 }, { key: "here:previous", label: previous, step: -1 }]
    return both.filter(({ step }) => beside(step)).map((one) => ({ ...one, act: () => beside(one.step)?.click() }))
  }

  #links() {
    return [...this.#places.querySelectorAll("a")].map((link) => ({
      key: link.pathname + link.search, href: link.href, label: link.textContent, also: link.dataset.also, isFullLoad: link.dataset.turbo === "false",
    }))
  }

  #actions() {
    return [...this.#places.querySelectorAll("button")].map((button) => ({
      key: `${button.dataset.do}:${button.value}`, label: button.textContent, also: button.dataset.also, act: () => actions[button.dataset.do](button.value),
    }))
  }

  async #loadWorkspaces() {
    const { slug } = this.#places.dataset
    const html = await fetch(`/workspaces/menu?at=${slug}`, { headers: { "Turbo-Frame": "workspaces" } }).then((answer) => (answer.ok ? answer.text() : ""), () => "")
    const links = [...new DOMParser().parseFromString(html, "text/html").querySelectorAll("a[href^='/w/']")]
    this.#workspaces = links.map((link) => {
      const name = link.cloneNode(true)
      name.querySelectorAll("[aria-hidden], .mark, svg").forEach((extra) => extra.remove())
      return { key: link.getAttribute("href"), href: link.href, label: name.textContent.trim() }
    })
    this.#show()
  }

  async #search(asked) {
    if (asked !== this.#asked || !this.dialog.open) return
    const { workspace, slug } = this.#places.dataset
    this.#showStatus(true)
    const query = new URLSearchParams({ q: this.#q, limit: 5 })
    const found = await fetch(`/api/workspaces/${workspace}/search?${query}`).then((answer) => (answer.ok ? answer.json() : undefined), () => undefined)
    if (asked !== this.#asked) return
    const inbox = `/w/${slug}/inbox`
    const people = (found?.people.data ?? []).map(({ contact, conversation_id: talk }) => ({
      key: `contact:${contact.id}`, group: "people", label: contact.name ?? shown(contact.phone_number), hint: contact.name ? shown(contact.phone_number) : "",
      href: talk ? `${inbox}/${talk}` : `/w/${slug}/contacts/${contact.id}`,
    }))
    const texts = (found?.messages.data ?? []).map(({ message, conversation, excerpt }) => ({
      key: `message:${message.id}`, group: "messages", label: conversation.contact.name ?? shown(conversation.contact.phone_number),
      hint: excerpt.map(({ text }) => text).join(""), href: `${inbox}/${conversation.id}?at=${message.id}`,
    }))
    this.#found = [...people, ...texts]
    this.#show()
  }
}

const actions = {
  help: () => dispatchEvent(new CustomEvent("help:open", { cancelable: true })),
  signOut: () => document.querySelector("form[action='/logout']")?.requestSubmit(),
  theme: (theme) => {
    if (theme) localStorage.setItem("theme", theme)
    else localStorage.removeItem("theme")
    document.documentElement.dataset.theme = theme
  },
}

// Controls of a menu are offered if a button opens that menu.
function isOffered(control) {
  const menu = control.closest(".menu[popover]")
  return !menu || Boolean(document.querySelector(`[popovertarget="${menu.id}"]`))
}

function use(control) {
  // Menus compute their options when they open; a closed panel must open to show the result.
  if (!control.checkVisibility()) control.closest("[popover]:not(:popover-open)")?.showPopover()
  if (control.hidden) return
  if (control.matches("input, textarea, select")) return control.focus()
  if (control.matches("form")) return [...control.querySelectorAll(FIELD)].find((field) => field.checkVisibility())?.focus()
  control.click()
  // Focusing scrolls to a form in a section that was closed.
  if (control.matches("summary")) {
    control.parentElement.open = true
    control.parentElement.querySelector(FIELD)?.focus()
  }
}

function element(tag, properties) {
  const { role, ...others } = properties
  const made = Object.assign(document.createElement(tag), others)
  if (role) made.setAttribute("role", role)
  return made
}

// As the server shows numbers of North America.
const shown = (number) => number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "($1) $2-$3")

// Folds case and accents like the server's search, as far as names of pages and workspaces need it.
function fold(text) {
  const letters = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d", ı: "i", ς: "σ" }
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[ßæœøłđıς]/g, (letter) => letters[letter])
}

function recents() {
  try {
    return JSON.parse(localStorage.getItem(RECENT)) ?? []
  } catch {
    return []
  }
}

// Recent choices come first. Messages are not remembered.
function remember({ key, label, hint, href, group }) {
  if (group === "messages") return
  const kept = [{ key, label, hint, href }, ...recents().filter((other) => other.key !== key)].slice(0, KEPT)
  try {
    localStorage.setItem(RECENT, JSON.stringify(kept))
  } catch { /* storage is blocked */ }
}

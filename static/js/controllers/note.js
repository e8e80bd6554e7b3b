import { Controller } from "@hotwired/stimulus"
import { isComposing } from "keys"
import { show } from "streams"
import * as store from "unsent"
import { t } from "i18n"

// Writes an internal note: keeps its draft and completes mentions of members who see the number.
export default class extends Controller {
  static targets = ["on", "off", "form", "text", "grow", "names", "mentions", "key"]
  static values = { conversation: String }
  #chosen = new Map()

  connect() {
    if (this.textTarget.value === "") this.textTarget.value = store.note(this.conversationValue)
    this.#grow()
    this.#setMode(this.element.classList.contains("noting"))
  }

  on() {
    this.#setMode(true)
    this.textTarget.focus({ preventScroll: true })
    this.textTarget.selectionStart = this.textTarget.value.length
  }

  off() {
    this.#setMode(false)
    this.element.querySelector(".composer:not(.note-form) textarea")?.focus({ preventScroll: true })
  }

  write() {
    this.#grow()
    store.keepNote(this.conversationValue, this.textTarget.value)
    this.#offer()
  }

  press(event) {
    if (isComposing(event)) return
    const options = this.#options
    if (options.length && ["ArrowDown", "ArrowUp", "Enter", "Tab", "Escape"].includes(event.key)) {
      event.preventDefault()
      const at = options.findIndex((option) => option.ariaSelected === "true")
      if (event.key === "Escape") return this.close()
      if (event.key === "Enter" || event.key === "Tab") return this.#take(options[at])
      return this.#select(options[(at + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length])
    }
    if (event.key === "Escape") return this.off()
    if (event.key !== "Enter" || event.shiftKey || matchMedia("(pointer: coarse)").matches) return
    event.preventDefault()
    this.formTarget.requestSubmit()
  }

  choose(event) {
    event.preventDefault()
    const option = event.target.closest("[role=option]")
    if (option) this.#take(option)
  }

  close() {
    this.namesTarget.replaceChildren()
    this.namesTarget.hidden = true
    this.textTarget.removeAttribute("aria-activedescendant")
  }

  // The field is cleared when the server has stored the note; a retry has the same idempotency key.
  async submit(event) {
    event.preventDefault()
    const content = this.textTarget.value
    if (content.trim() === "") return this.textTarget.focus()
    const chosen = [...this.#chosen].filter(([, name]) => content.includes(`@${name}`)).map(([id]) => id)
    this.mentionsTarget.value = chosen.join()
    const body = new URLSearchParams(new FormData(this.formTarget))
    try {
      const response = await fetch(this.formTarget.action, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" } })
      if (!response.headers.get("content-type")?.startsWith("text/vnd.turbo-stream")) throw new Error(response.status)
      show(await response.text())
      if (!response.ok) return this.textTarget.focus()
      this.keyTarget.value = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-")
      if (this.textTarget.value === content) this.textTarget.value = ""
      this.#chosen.clear()
      this.#showError("")
      this.write()
      this.off()
    } catch {
      this.#showError(t("Not saved: no connection. What you’ve written stays here."))
    }
  }

  get #options() {
    return [...this.namesTarget.children]
  }

  #setMode(noting) {
    this.element.classList.toggle("noting", noting)
    this.onTarget.ariaPressed = String(noting)
    this.offTarget.ariaPressed = String(!noting)
  }

  #grow() {
    this.growTarget.dataset.text = this.textTarget.value
  }

  #showError(text) {
    this.formTarget.querySelector("#note-error").textContent = text
  }

  // The text between the last @ and the caret, if it can begin a name.
  get #prefix() {
    const before = this.textTarget.value.slice(0, this.textTarget.selectionStart)
    return /(?:^|[^\p{L}\p{N}])@([^@\n]{0,60})$/u.exec(before)?.[1]
  }

  #offer() {
    const prefix = this.#prefix?.toLocaleLowerCase()
    if (prefix === undefined) return this.close()
    const colleagues = [...document.querySelectorAll("#assign-menu [data-member]")].filter(({ dataset }) => dataset.member !== document.body.dataset.user)
    const found = colleagues.filter(({ dataset: { name } }) => [name, ...name.split(" ")].some((part) => part.toLocaleLowerCase().startsWith(prefix)))
    if (!found.length || found.some(({ dataset }) => dataset.name.toLocaleLowerCase() === prefix.trimEnd() && prefix.endsWith(" "))) return this.close()
    this.namesTarget.replaceChildren(...found.slice(0, 8).map(({ dataset: { member, name } }) => {
      const option = Object.assign(document.createElement("li"), { id: `name-${member}`, role: "option", textContent: name })
      option.dataset.user = member
      return option
    }))
    this.namesTarget.hidden = false
    this.#select(this.namesTarget.firstElementChild)
  }

  #select(option) {
    for (const other of this.#options) other.ariaSelected = String(other === option)
    this.textTarget.setAttribute("aria-activedescendant", option.id)
    option.scrollIntoView({ block: "nearest" })
  }

  #take(option) {
    const { textTarget: text } = this
    const end = text.selectionStart
    const start = end - this.#prefix.length
    text.setRangeText(`${option.textContent} `, start, end, "end")
    this.#chosen.set(option.dataset.user, option.textContent)
    this.write()
    this.close()
    text.focus()
  }
}

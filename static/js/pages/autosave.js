import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

const SHOWN = 1600

// Saves a change at once, one after the other. A change that cannot be saved is reverted and reported.
export default class extends Controller {
  #saving = Promise.resolve()

  save({ target }) {
    const { autosaveUrlParam: url, autosaveEachParam: each } = target.dataset
    if (!url) return
    const fields = each ? boxesOf(target) : [target]
    const value = valueOf(target)
    if (each) for (const box of fields) box.checked = target.checked
    const body = each ? bodyOf(fields, each) : new URLSearchParams({ value })
    for (const { parentElement } of [target, ...fields]) parentElement.setAttribute("aria-busy", "true")
    this.#saving = this.#saving.then(() => this.#send(url, body, target, fields, value))
  }

  async #send(url, body, target, fields, value) {
    const response = await fetch(url, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (response?.redirected || response?.status === 401) return location.reload()
    for (const field of new Set([target, ...fields])) {
      field.parentElement.removeAttribute("aria-busy")
      field.parentElement.classList.toggle("unsaved", !response?.ok)
    }
    for (const field of fields) {
      if (response?.ok) keep(field, value)
      else if (valueOf(field) === value) restore(field)
    }
    if (response?.ok) note(target.parentElement, t("Saved"))
    document.getElementById("announcer").textContent = response?.ok ? t("Saved") : t("Not saved. Try again")
    this.dispatch("settled")
  }
}

const valueOf = (field) => (field.type === "checkbox" ? String(field.checked) : field.value)

// The boxes of the row or column that `whole` stands for.
function boxesOf(whole) {
  const cell = whole.closest("th")
  const rows = cell.scope === "row" ? [cell.parentElement] : [...cell.closest("table").tBodies[0].rows]
  const boxes = rows.flatMap((row) => [...row.querySelectorAll("td [type=checkbox]")])
  return cell.scope === "row" ? boxes : boxes.filter((box) => box.closest("td").cellIndex === cell.cellIndex)
}

// As the form of a row, or of a number's page, is sent.
function bodyOf(boxes, name) {
  const ids = boxes.map((box) => [name === "user_id" ? box.dataset.user : box.value, box.checked])
  return new URLSearchParams([["shown", ids.map(([id]) => id).join()], ...ids.filter(([, checked]) => checked).map(([id]) => [name, id])])
}

function note(element, text) {
  element.querySelector(".saved")?.remove()
  const saved = Object.assign(document.createElement("span"), { className: "saved", textContent: text })
  saved.setAttribute("aria-hidden", "true") // the announcer says it
  element.append(saved)
  setTimeout(() => saved.remove(), SHOWN)
}

// The default state is the server's state.
function keep(field, value) {
  if (field.type === "checkbox") field.defaultChecked = value === "true"
  else for (const option of field.options) option.defaultSelected = option.value === value
}

function restore(field) {
  if (field.type === "checkbox") field.checked = field.defaultChecked
  else field.value = [...field.options].find((option) => option.defaultSelected)?.value ?? ""
}

import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// Saves a change at once, one after the other. A change that cannot be saved is reverted and reported.
export default class extends Controller {
  #saving = Promise.resolve()

  save({ target }) {
    const url = target.dataset.autosaveUrlParam
    if (!url) return
    const value = valueOf(target)
    target.parentElement.setAttribute("aria-busy", "true")
    this.#saving = this.#saving.then(() => this.#send(url, target, value))
  }

  async #send(url, field, value) {
    const body = new URLSearchParams({ value })
    const response = await fetch(url, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (response?.redirected || response?.status === 401) return location.reload()
    field.parentElement.removeAttribute("aria-busy")
    field.parentElement.classList.toggle("unsaved", !response?.ok)
    if (response?.ok) keep(field, value)
    else if (valueOf(field) === value) restore(field)
    document.getElementById("announcer").textContent = response?.ok ? t("Saved") : t("Not saved. Try again")
  }
}

const valueOf = (field) => (field.type === "checkbox" ? String(field.checked) : field.value)

// The default state is the server's state.
function keep(field, value) {
  if (field.type === "checkbox") field.defaultChecked = value === "true"
  else for (const option of field.options) option.defaultSelected = option.value === value
}

function restore(field) {
  if (field.type === "checkbox") field.checked = field.defaultChecked
  else field.value = [...field.options].find((option) => option.defaultSelected)?.value ?? ""
}

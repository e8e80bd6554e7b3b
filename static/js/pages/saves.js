import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// Saves a change at once, one after the other. A change that cannot be saved is reverted and reported.
export default class extends Controller {
  #saving = Promise.resolve()

  save({ target }) {
    const url = target.dataset.savesUrlParam
    if (!url) return
    const wanted = value(target)
    target.parentElement.setAttribute("aria-busy", "true")
    this.#saving = this.#saving.then(() => this.#send(url, target, wanted))
  }

  async #send(url, field, wanted) {
    const body = new URLSearchParams({ value: wanted })
    const response = await fetch(url, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (response?.redirected || response?.status === 401) return location.reload()
    field.parentElement.removeAttribute("aria-busy")
    field.parentElement.classList.toggle("unsaved", !response?.ok)
    if (response?.ok) keep(field, wanted)
    else if (value(field) === wanted) restore(field)
    document.getElementById("announcer").textContent = response?.ok ? t("Saved") : t("Not saved. Try again")
  }
}

const value = (field) => (field.type === "checkbox" ? String(field.checked) : field.value)

// The default state is the server's state.
function keep(field, wanted) {
  if (field.type === "checkbox") field.defaultChecked = wanted === "true"
  else for (const option of field.options) option.defaultSelected = option.value === wanted
}

function restore(field) {
  if (field.type === "checkbox") field.checked = field.defaultChecked
  else field.value = [...field.options].find((option) => option.defaultSelected)?.value ?? ""
}

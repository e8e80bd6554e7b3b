import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"
import { isComposing } from "keys"

// The simulated handset: remembers the sender's number, sends with Enter, and fetches replies.
export default class extends Controller {
  static targets = ["form", "text", "from"]
  static values = { started: Boolean }

  connect() {
    const remembered = read()
    if (!new URL(location).searchParams.has("from") && remembered && remembered !== this.fromTarget.value) {
      return visit(`?from=${encodeURIComponent(remembered)}`, { action: "replace" })
    }
    remember(this.fromTarget.value)
  }

  press(event) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return
    event.preventDefault()
    this.formTarget.requestSubmit()
  }

  async submit(event) {
    event.preventDefault()
    if (this.textTarget.value.trim() === "") return
    const response = await fetch(this.formTarget.action, { method: "POST", body: new URLSearchParams(new FormData(this.formTarget)) }).catch(() => undefined)
    if (!response?.ok) return this.formTarget.submit()
    this.textTarget.value = ""
    if (this.startedValue) this.dispatch("texted", { target: window })
    else visit(response.url, { action: "replace" })
  }
}

function read() {
  try {
    return localStorage.getItem("handset")
  } catch {
    return null
  }
}

function remember(from) {
  try {
    localStorage.setItem("handset", from)
  } catch { /* storage is blocked */ }
}

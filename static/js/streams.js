// Turbo Stream actions of our own. Each may come twice or late, and then changes nothing.
import { StreamActions } from "@hotwired/turbo"
import { place, settle } from "rows"

// A conversation changed: its row goes where it belongs.
StreamActions.row = function () {
  const rows = document.getElementById("rows")
  const row = this.templateContent.querySelector(".row")
  if (rows && row) place(rows, row)
}

// The first page of the list, fetched again.
StreamActions.rows = function () {
  const rows = document.getElementById("rows")
  if (rows) settle(rows, [...this.templateContent.querySelectorAll(".row")], this.hasAttribute("complete"))
}

// A text was added or changed: ids sort by time, so its place is known.
StreamActions.message = function () {
  const thread = document.getElementById(this.getAttribute("target"))
  if (!thread) return
  for (const message of this.templateContent.querySelectorAll(".message")) {
    const old = document.getElementById(message.id)
    if (old && Number(old.dataset.version) >= Number(message.dataset.version)) continue
    if (old) {
      message.classList.toggle("joined", old.classList.contains("joined"))
      old.replaceWith(message)
    } else {
      const later = [...thread.querySelectorAll(":scope > .message")].find((other) => other.id.startsWith("message-") && other.id > message.id)
      message.classList.add("arriving")
      thread.insertBefore(message, later ?? null)
    }
  }
}

// A text that the server refused: its bubble says why, and keeps what was typed.
StreamActions.refused = function () {
  const detail = { code: this.getAttribute("code"), reason: this.templateContent.textContent.trim() }
  document.getElementById(this.getAttribute("target"))?.dispatchEvent(new CustomEvent("composer:refused", { bubbles: true, detail }))
}

// Someone is writing. It fades by itself.
StreamActions.typing = function () {
  for (const element of this.targetElements) {
    element.replaceChildren(this.templateContent)
    clearTimeout(element.fading)
    element.fading = setTimeout(() => element.replaceChildren(), 5000)
  }
}

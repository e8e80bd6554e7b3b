// Turbo Stream actions of our own. Each may come twice or late, and then changes nothing.
import { t } from "words"
import { StreamActions, visit } from "@hotwired/turbo"
import { place, settle } from "rows"

// Turbo's own way gives the focus back to what had it a moment before, even where the person has moved on meanwhile.
export function show(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  document.documentElement.append(template.content)
}

// In place of what has the same id. Whoever was in there with the keyboard stays in there.
StreamActions.swap = function () {
  for (const element of this.targetElements) {
    const inside = element.contains(document.activeElement)
    const fresh = this.templateContent.firstElementChild
    element.replaceWith(fresh)
    const next = fresh.querySelector("[aria-invalid=true]") ?? fresh.querySelector("button:not([popovertarget]), a, input")
    if (inside) next?.focus({ preventScroll: true })
  }
}

// A conversation changed: its row goes where it belongs.
StreamActions.row = function () {
  const rows = document.getElementById("rows")
  const row = this.templateContent.querySelector(".row")
  if (!rows || !row) return
  const unread = Number(document.getElementById(row.id)?.dataset.unread ?? 0)
  if (Number(row.dataset.unread) > unread) rows.dispatchEvent(new CustomEvent("rows:news", { bubbles: true, detail: { row: row.cloneNode(true) } }))
  place(rows, row)
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
  const gap = thread.querySelector(":scope > .newer")
  if (this.hasAttribute("page") && !gap && gapped(thread, this.templateContent)) return visit(location.href, { action: "replace" })
  for (const message of this.templateContent.querySelectorAll(".message")) {
    const old = document.getElementById(message.id)
    if (old && Number(old.dataset.version) >= Number(message.dataset.version)) continue
    if (old) {
      message.classList.toggle("joined", old.classList.contains("joined"))
      old.replaceWith(message)
    } else if (gap && !document.getElementById(`pending-${message.dataset.ref}`)) {
      // What lies between is not there yet: it is told, and comes when one gets there.
      if (!this.hasAttribute("page")) thread.dispatchEvent(new CustomEvent("thread:beyond", { bubbles: true, detail: { message } }))
    } else {
      const later = [...thread.querySelectorAll(":scope > .message")].find((other) => other.id.startsWith("message-") && other.id > message.id)
      message.classList.add("arriving")
      // Whoever was writing has written.
      document.getElementById(thread.id.replace("thread-", "typing-"))?.replaceChildren()
      thread.insertBefore(message, later ?? null)
    }
  }
}

// A colleague is writing. It fades by itself.
StreamActions.typing = function () {
  const user = this.getAttribute("user")
  if (user === document.body.dataset.user) return
  const name = document.querySelector(`[data-member="${CSS.escape(user)}"]`)?.dataset.name ?? t("Someone")
  for (const element of this.targetElements) {
    element.textContent = t("{name} is writing…", { name })
    clearTimeout(element.fading)
    element.fading = setTimeout(() => element.replaceChildren(), 5000)
  }
}

// So much was missed that the newest page does not reach down to what is shown.
function gapped(thread, page) {
  const shown = [...thread.querySelectorAll(":scope > .message[id^=message-]")].at(-1)
  const first = page.querySelector(".message")
  return Boolean(shown && first && first.id > shown.id)
}

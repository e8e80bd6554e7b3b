// Custom Turbo Stream actions. Each is idempotent and tolerates late delivery.
import { t } from "i18n"
import { StreamActions, visit } from "@hotwired/turbo"
import { place as placeRow, refresh } from "rows"
import { note } from "presence"
import { toast } from "toasts"

// Turbo's renderer restores the focus of a moment before, even if the user has moved it since.
export function show(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  document.documentElement.append(template.content)
}

// Replaces the element of the same id and keeps the focus inside it.
StreamActions.swap = function () {
  for (const element of this.targetElements) {
    const inside = element.contains(document.activeElement)
    const fresh = this.templateContent.firstElementChild
    const consented = element.id.startsWith("consent-") && element.textContent !== fresh.textContent
    // An open menu stays open, unless it was used.
    const open = element.matches(":popover-open") && !document.querySelector(".thread form[aria-busy=true]")
    // One that was opened from the menu closes with it, and is shown again.
    const above = open ? [...document.querySelectorAll(":popover-open")].filter((other) => !element.contains(other)) : []
    element.replaceWith(fresh)
    if (open) fresh.showPopover()
    for (const other of above) if (other.isConnected && !other.matches(":popover-open")) other.showPopover()
    if (consented) refreshConsents(element.id.slice("consent-".length))
    const next = fresh.querySelector("[aria-invalid=true]") ?? fresh.querySelector("button:not([popovertarget]), a, input:not([type=hidden])")
    if (inside) next?.focus({ preventScroll: true })
  }
}

// `news`: a customer's text has arrived.
StreamActions.row = function () {
  const rows = document.getElementById("rows")
  const row = this.templateContent.querySelector(".row")
  if (!row) return
  if (this.hasAttribute("news")) dispatchEvent(new CustomEvent("row:news", { detail: { row: row.cloneNode(true) } }))
  if (rows) placeRow(rows, row)
  else noteCounted(row)
}

// Pages without the list know the state of the conversations that have changed since, and ask for the count if it may differ.
const counted = new Map()
function noteCounted({ id, dataset: { status, unread } }) {
  const state = `${status} ${unread > 0}`
  if (counted.get(id) === state) return
  counted.set(id, state)
  dispatchEvent(new CustomEvent("counts:stale"))
}

StreamActions.rows = function () {
  const rows = document.getElementById("rows")
  if (rows) refresh(rows, [...this.templateContent.querySelectorAll(".row")], this.hasAttribute("complete"))
}

// A message was added or changed.
StreamActions.message = function () {
  const thread = document.getElementById(this.getAttribute("target"))
  if (!thread) return
  const gap = thread.querySelector(":scope > .newer")
  if (this.hasAttribute("page") && !gap && isGapped(thread, this.templateContent)) return visit(location.href, { action: "replace" })
  for (const message of this.templateContent.querySelectorAll(".message, .event")) {
    let old = document.getElementById(message.id)
    const isEvent = message.matches(".event")
    if (old && isEvent) continue
    if (old && Number(old.dataset.version) >= Number(message.dataset.version)) continue
    const scheduled = document.getElementById(thread.id.replace("thread-", "scheduled-"))
    if (message.matches(".scheduled")) {
      old?.remove()
      // The handset of a customer has no place for what is sent later.
      if (!scheduled) continue
      const later = [...scheduled.children].find(({ dataset }) => Number(dataset.due) > Number(message.dataset.due))
      scheduled.insertBefore(message, later ?? null)
      continue
    }
    if (scheduled?.contains(old)) {
      old.remove()
      old = undefined
    }
    if (old) {
      message.classList.toggle("joined", old.classList.contains("joined"))
      old.replaceWith(message)
    } else if (gap && !document.getElementById(`pending-${message.dataset.ref}`)) {
      // The messages between are not loaded: the new one is only counted.
      if (!this.hasAttribute("page") && !isEvent) thread.dispatchEvent(new CustomEvent("thread:beyond", { bubbles: true, detail: { message } }))
    } else {
      const later = [...thread.querySelectorAll(":scope > [id^=message-], :scope > [id^=event-]")].find((other) => place(other) > place(message))
      // An event above the loaded messages is loaded with its page.
      if (isEvent && later && thread.querySelector(":scope > turbo-frame") && !document.getElementById(message.id) && later === first(thread)) continue
      if (!isEvent) {
        message.classList.add("arriving")
        document.getElementById(thread.id.replace("thread-", "typing-"))?.replaceChildren()
      }
      thread.insertBefore(message, later ?? null)
      if (isEvent) refetch(thread.id.slice("thread-".length))
    }
  }
}

StreamActions.presence = function () {
  const who = this.hasAttribute("here") && { name: this.getAttribute("name"), face: this.templateContent.firstElementChild.cloneNode(true) }
  note(this.getAttribute("target"), this.getAttribute("user"), who)
}

// A colleague is writing. The indicator disappears after five seconds.
StreamActions.typing = function () {
  const user = this.getAttribute("user")
  if (user === document.body.dataset.user) return
  const name = document.querySelector(`[data-member="${CSS.escape(user)}"]`)?.dataset.name ?? t("Someone")
  for (const element of this.targetElements) {
    element.textContent = t("{name} is typing…", { name })
    clearTimeout(element.fading)
    element.fading = setTimeout(() => element.replaceChildren(), 5000)
  }
}

// A note mentions the user: updates the counts and notifies, unless the conversation is open.
StreamActions.mentioned = function () {
  const rows = document.getElementById("rows")
  rows?.dispatchEvent(new CustomEvent("counts:stale", { bubbles: true }))
  // Only the server knows which rows belong to the mentions tab.
  if (rows?.dataset.tab === "mentions") rows.closest("turbo-frame").src = new URL(rows.dataset.base + rows.dataset.query, location).href
  const message = this.getAttribute("message")
  if (!message) return
  const id = this.getAttribute("target")
  document.getElementById(`thread-${id}`)?.dispatchEvent(new CustomEvent("thread:mentioned", { bubbles: true }))
  call(this, message)
}

// A colleague has assigned the conversation to the user.
StreamActions.assigned = function () {
  call(this, this.getAttribute("event"))
}

// Each mention or assignment is shown once: a page applies recent streams again after it has loaded a frame.
const called = new Set()
function call(stream, key) {
  if (called.has(key)) return
  called.add(key)
  const conversation = stream.getAttribute("target")
  dispatchEvent(new CustomEvent("member:called", { detail: { key, conversation, text: stream.templateContent.textContent.trim() } }))
  if (!document.getElementById(`thread-${conversation}`)) toast(stream.templateContent, { id: `call-${key}`, href: `${inbox()}/${conversation}` })
}

const inbox = () => document.querySelector("[data-inbox]").dataset.inbox

StreamActions.toast = function () {
  toast(this.templateContent)
}

// The contact was deleted, or merged; then the conversation's URL redirects.
StreamActions.gone = async function () {
  if (!document.getElementById(this.getAttribute("target"))) return
  const { ok } = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => ({ ok: true }))
  if (ok) visit(location.href)
  else leave(t("This conversation was deleted."))
}

// Returns to the list and shows the reason.
export function leave(reason) {
  addEventListener("turbo:load", () => toast(document.createTextNode(reason)), { once: true })
  visit(inbox())
}

async function refreshConsents(conversation) {
  const old = document.getElementById(`consents-${conversation}`)
  if (!old || old.contains(document.activeElement)) return
  const { base } = document.getElementById("rows").dataset
  const html = await fetch(`${base}/${conversation}`, { headers: { "Turbo-Frame": "conversation" } }).then((answer) => (answer.ok ? answer.text() : ""), () => "")
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById(old.id)
  if (fresh) old.replaceWith(fresh)
}

// Reloads the activity list, once for simultaneous events.
let refetching
function refetch(conversation) {
  clearTimeout(refetching)
  refetching = setTimeout(() => {
    const frame = document.getElementById(`activity-${conversation}`)
    if (frame) frame.src = `${document.getElementById("rows").dataset.base}/${conversation}?at=${Date.now()}`
  }, 300)
}

// Messages and events are ordered by the UUID in their element id. A text that was scheduled has the place of its time.
export const place = ({ id, dataset }) => dataset.place ?? id.slice(id.indexOf("-") + 1)
const first = (thread) => thread.querySelector(":scope > [id^=message-], :scope > [id^=event-]")

// Whether the newest page does not reach down to the shown messages.
function isGapped(thread, page) {
  const shown = [...thread.querySelectorAll(":scope > .message[id^=message-]")].map(({ id }) => id).sort().at(-1)
  const first = page.querySelector(".message")
  return Boolean(shown && first && first.id > shown)
}

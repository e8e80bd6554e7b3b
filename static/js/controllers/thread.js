import { Controller } from "@hotwired/stimulus"
import { place } from "streams"
import { day } from "time"
import { count, t } from "i18n"

// The messages of one conversation: grouping, days, reading position, read marks.
export default class extends Controller {
  static targets = ["message", "scroller", "list", "mark", "news", "newsCount", "day", "gap", "newest", "newestCount"]
  static values = { readUrl: String, unread: Number, who: String, at: String }
  #opened = false
  #arranging = false
  #news = 0
  #answered = ""
  #reading
  #savedPosition
  #shown
  #beyond = new Set()

  connect() {
    this.#arrange()
    if (this.hasMarkTarget) this.#show(this.markTarget, "start")
    const target = this.atValue && document.getElementById(this.atValue)
    if (target) {
      target.classList.add("highlighted")
      this.#show(target, "center")
    }
    this.listTarget.dataset.ready = ""
    this.#opened = true
    this.#see()
    this.read()
  }

  disconnect() {
    this.#opened = false
    clearTimeout(this.#reading)
  }

  messageTargetConnected(message) {
    if (message.dataset.ref) document.getElementById(`pending-${message.dataset.ref}`)?.remove()
    if (!this.#opened) return
    this.#arrangeSoon()
    if (message.classList.contains("arriving")) this.#arrived(message)
  }

  messageTargetDisconnected() {
    if (this.#opened) this.#arrangeSoon()
  }

  #show(element, block) {
    this.#shown = () => element.scrollIntoView({ block })
    this.#shown()
  }

  // Images that load later move the message; it is scrolled back until the user scrolls.
  keepInView() {
    this.#shown?.()
  }

  free() {
    this.#shown = undefined
  }

  mentioned() {
    this.unreadValue += 1
    this.read()
  }

  // The gap below is loaded completely: from here on messages can be read.
  gapTargetDisconnected() {
    if (!this.#opened || this.hasGapTarget || !this.hasNewestTarget) return
    this.newestTarget.hidden = true
    this.read()
  }

  beyond({ detail: { message } }) {
    // Messages that existed when the thread was opened are not new, even if they are published again.
    const seen = this.element.querySelector("[name=seen_message_id]")?.value
    if (!this.hasNewestTarget || message.id <= `message-${seen}` || this.#beyond.has(message.id)) return
    this.#beyond.add(message.id)
    this.#count(message)
    this.newestCountTarget.textContent = this.#newsLabel
  }

  // Keeps the reading position while newer messages are loaded below.
  savePosition({ target }) {
    if (!target.matches(".newer")) return
    const last = this.messageTargets.filter((message) => message.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1)
    this.#savedPosition = last && { last, top: last.getBoundingClientRect().top }
  }

  restorePosition() {
    if (!this.#savedPosition) return
    const { last, top } = this.#savedPosition
    this.#savedPosition = undefined
    requestAnimationFrame(() => (this.scrollerTarget.scrollTop += last.getBoundingClientRect().top - top))
  }

  toNewest() {
    this.scrollerTarget.scrollTo({ top: 0, behavior: "smooth" })
  }

  // Opens an image in the lightbox; without scripts it opens in a tab.
  async look(event) {
    const link = event.target.closest(".media a:has(.photo)")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    const { open } = await import("lazy/lightbox")
    open(link, [...this.listTarget.querySelectorAll(".media a:has(.photo)")])
  }

  scrolled() {
    this.#see()
    if (!this.newsTarget.hidden && this.#atBottom) {
      this.#news = 0
      this.#answered = ""
      this.newsTarget.hidden = true
      this.read()
    }
  }

  // Marks the conversation as read while the window is visible.
  read() {
    this.#see()
    if (this.hasGapTarget || !this.unreadValue || document.visibilityState !== "visible" || !this.readUrlValue) return
    clearTimeout(this.#reading)
    this.#reading = setTimeout(async () => {
      this.unreadValue = 0
      await fetch(this.readUrlValue, { method: "POST", keepalive: true, redirect: "manual" }).catch(() => (this.unreadValue = 1))
    }, 300)
  }

  get #atBottom() {
    return Math.abs(this.scrollerTarget.scrollTop) < 60
  }

  // Without the scheduled ones below.
  get #messages() {
    return this.messageTargets.filter((message) => message.parentElement === this.listTarget)
  }

  // Notes the newest message that was in view: a reply is held if a colleague has answered after it.
  #see() {
    if (document.visibilityState !== "visible") return
    const edge = this.scrollerTarget.getBoundingClientRect().bottom
    const messages = this.#messages.filter(({ id }) => id.startsWith("message-"))
    const last = messages.findLastIndex((message) => message.getBoundingClientRect().top < edge)
    // The last one may have been written before those above it, and scheduled.
    const seen = messages.slice(0, last + 1).reduce((newest, { id }) => (id > newest ? id : newest), "").slice("message-".length)
    if (seen > (this.element.dataset.seen ?? "")) this.element.dataset.seen = seen
  }

  #arrived(message) {
    if (this.#atBottom) {
      if (message.dataset.direction === "inbound") this.#announce(message)
      return this.read()
    }
    this.#count(message)
    if (!this.#news && !this.#answered) return
    this.newsCountTarget.textContent = this.#newsLabel
    this.newsTarget.hidden = false
  }

  #count(message) {
    const { direction, user } = message.dataset
    if (direction === "inbound") {
      this.#announce(message)
      this.#news += 1
    } else if (direction === "outbound" && user && user !== document.body.dataset.user) {
      this.#answered = t("{name} replied", { name: message.querySelector(".by")?.textContent ?? t("Someone") })
      announce(this.#answered)
    }
  }

  #announce(message) {
    this.unreadValue += 1
    announce(`${this.whoValue}: ${message.querySelector(".bubble")?.textContent ?? t("Photo")}`)
  }

  get #newsLabel() {
    const news = this.#news ? count(this.#news, "{n} new message", "{n} new messages") : ""
    return [this.#answered, news].filter(Boolean).join(" · ") || t("Jump to latest")
  }

  #arrangeSoon() {
    if (this.#arranging) return
    this.#arranging = true
    queueMicrotask(() => {
      this.#arranging = false
      if (this.#opened) this.#arrange()
    })
  }

  // A text that was scheduled comes with the page of the time when it was written, and stands at the time when it was sent.
  #moveDown(message) {
    const others = [...this.listTarget.querySelectorAll(":scope > [id^=message-], :scope > [id^=event-]")].filter((other) => other !== message)
    const isAbove = (other) => message.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING
    const next = others.find(isAbove)
    if (!next || place(next) > place(message)) return
    const later = others.find((other) => place(other) > place(message))
    // Below a gap are texts that are not loaded.
    if (later) later.before(message)
    else if (!this.hasGapTarget) others.at(-1).after(message)
  }

  // Changes only what differs: the thread may have hundreds of messages.
  #arrange() {
    this.listTarget.querySelectorAll(":scope > [data-place]").forEach((message) => this.#moveDown(message))
    const template = this.listTarget.querySelector("template.day-template")
    const stale = new Set(this.dayTargets)
    let today
    for (const message of this.#messages) {
      const label = day(new Date(Number(message.dataset.at)))
      if (label === today) continue
      today = label
      const above = message.previousElementSibling
      const first = (stale.has(above) ? above.previousElementSibling : above)?.closest(".unread-mark") ?? message
      const there = first.previousElementSibling
      if (stale.has(there) && there.textContent === label) stale.delete(there)
      else {
        const separator = template.content.cloneNode(true)
        separator.firstElementChild.textContent = label
        first.before(separator)
      }
    }
    stale.forEach((separator) => separator.remove())
    this.#messages.forEach((message, i, all) => {
      const by = message.querySelector(".by")
      if (by?.dataset.user === document.body.dataset.user && by.textContent !== t("You")) by.textContent = t("You")
      for (const mention of message.querySelectorAll(".mention")) mention.classList.toggle("me", mention.dataset.user === document.body.dataset.user)
      message.previousElementSibling?.classList.contains("message") && groupWith(all[i - 1], message)
      if (message.nextElementSibling?.classList.contains("message") !== true) message.classList.toggle("joined", false)
    })
  }
}

// Messages of one sender within one minute form a group with one timestamp.
function groupWith(one, next) {
  const { direction, at, user } = one.dataset
  const same = direction !== "note" && direction === next.dataset.direction && user === next.dataset.user
  const minute = (ms) => Math.floor(Number(ms) / 60_000)
  one.classList.toggle("joined", same && minute(at) === minute(next.dataset.at) && !one.matches(".failed"))
}

function announce(text) {
  const region = document.getElementById("announcer")
  if (region) region.textContent = text
}

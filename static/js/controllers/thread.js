import { Controller } from "@hotwired/stimulus"
import { day } from "time"

// One conversation's texts: runs and days, where one reads, and that one has read.
export default class extends Controller {
  static targets = ["message", "scroller", "list", "mark", "news", "newsCount", "day"]
  static values = { readUrl: String, unread: Number, who: String }
  #opened = false
  #arranging = false
  #news = 0
  #reading

  connect() {
    this.#arrange()
    if (this.hasMarkTarget) this.markTarget.scrollIntoView({ block: "start" })
    this.listTarget.dataset.ready = ""
    this.#opened = true
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

  // A note calls whoever looks.
  called() {
    this.unreadValue += 1
    this.read()
  }

  toNewest() {
    this.scrollerTarget.scrollTo({ top: 0, behavior: "smooth" })
  }

  scrolled() {
    if (this.#news && this.#atBottom) {
      this.#news = 0
      this.newsTarget.hidden = true
      this.read()
    }
  }

  // Seen is what stands in a window that someone looks at.
  read() {
    if (!this.unreadValue || document.visibilityState !== "visible" || !this.readUrlValue) return
    clearTimeout(this.#reading)
    this.#reading = setTimeout(async () => {
      this.unreadValue = 0
      await fetch(this.readUrlValue, { method: "POST", keepalive: true, redirect: "manual" }).catch(() => (this.unreadValue = 1))
    }, 300)
  }

  get #atBottom() {
    return Math.abs(this.scrollerTarget.scrollTop) < 60
  }

  #arrived(message) {
    const theirs = message.dataset.direction === "inbound"
    if (theirs) {
      this.unreadValue += 1
      announce(`${this.whoValue}: ${message.querySelector(".bubble")?.textContent ?? "Photo"}`)
    }
    if (this.#atBottom) return this.read()
    if (!theirs) return
    this.#news += 1
    this.newsCountTarget.textContent = this.#news === 1 ? "1 new message" : `${this.#news} new messages`
    this.newsTarget.hidden = false
  }

  #arrangeSoon() {
    if (this.#arranging) return
    this.#arranging = true
    queueMicrotask(() => {
      this.#arranging = false
      if (this.#opened) this.#arrange()
    })
  }

  #arrange() {
    const template = this.listTarget.querySelector("template.day-template")
    this.dayTargets.forEach((separator) => separator.remove())
    let today
    this.messageTargets.forEach((message, i, all) => {
      const label = day(new Date(Number(message.dataset.at)))
      if (label !== today) {
        const separator = template.content.cloneNode(true)
        separator.firstElementChild.textContent = today = label
        const mark = message.previousElementSibling?.closest(".unread-mark")
        ;(mark ?? message).before(separator)
      }
      const by = message.querySelector(".by")
      if (by?.dataset.user === document.body.dataset.user) by.textContent = "You"
      for (const called of message.querySelectorAll(".mention")) called.classList.toggle("me", called.dataset.user === document.body.dataset.user)
      message.previousElementSibling?.classList.contains("message") && joins(all[i - 1], message)
      if (message.nextElementSibling?.classList.contains("message") !== true) message.classList.remove("joined")
    })
  }
}

// The same person within the same minute is one run, and one line below it says when.
function joins(one, next) {
  const { direction, at, user } = one.dataset
  const same = direction !== "note" && direction === next.dataset.direction && user === next.dataset.user
  const minute = (ms) => Math.floor(Number(ms) / 60_000)
  one.classList.toggle("joined", same && minute(at) === minute(next.dataset.at) && !one.matches(".failed"))
}

function announce(text) {
  const region = document.getElementById("announcer")
  if (region) region.textContent = text
}

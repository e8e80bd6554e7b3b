import { Controller } from "@hotwired/stimulus"
import { paintAll } from "presence"

const REPORT_INTERVAL = 30_000

// Reports which conversation this window shows while it is visible.
export default class extends Controller {
  #at
  #timer

  connect() {
    this.#timer = setInterval(() => this.begin(), REPORT_INTERVAL)
  }

  disconnect() {
    clearInterval(this.#timer)
    this.#report(null)
  }

  // After a reconnect the server has no state.
  begin() {
    this.#at = undefined
    this.look()
  }

  look() {
    paintAll()
    const open = document.querySelector(".messages[id^=thread-]")?.id.slice("thread-".length)
    this.#report((document.visibilityState === "visible" && open) || null)
  }

  #report(conversation) {
    if (this.#at === conversation) return
    this.#at = conversation
    this.dispatch("send", { prefix: "live", target: window, detail: { type: "viewing", conversation_id: conversation } })
  }
}

import { Controller } from "@hotwired/stimulus"
import { paintAll } from "presence"

const RENEWED = 30_000

// Reports which conversation this window shows while it is visible.
export default class extends Controller {
  #at
  #timer

  connect() {
    this.#timer = setInterval(() => this.begin(), RENEWED)
  }

  disconnect() {
    clearInterval(this.#timer)
    this.#say(null)
  }

  // After a reconnect the server has no state.
  begin() {
    this.#at = undefined
    this.look()
  }

  look() {
    paintAll()
    const open = document.querySelector(".messages[id^=thread-]")?.id.slice("thread-".length)
    this.#say((document.visibilityState === "visible" && open) || null)
  }

  #say(conversation) {
    if (this.#at === conversation) return
    this.#at = conversation
    this.dispatch("says", { prefix: "composer", target: window, detail: { type: "viewing", conversation_id: conversation } })
  }
}

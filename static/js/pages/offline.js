import { Controller } from "@hotwired/stimulus"
import { count as plural } from "i18n"

const EVERY = 10_000

// What a page without a network can say: what waits here to be sent. It tries again by itself.
export default class extends Controller {
  static targets = ["waiting"]
  #timer

  connect() {
    const count = waiting()
    this.waitingTarget.hidden = !count
    this.waitingTarget.textContent = plural(count, "{n} text waits here to be sent. It is kept in this browser.", "{n} texts wait here to be sent. They are kept in this browser.")
    this.#timer = setInterval(() => navigator.onLine && this.#look(), EVERY)
  }

  disconnect() {
    clearInterval(this.#timer)
  }

  again(event) {
    event.preventDefault()
    this.#look(true)
  }

  // The page itself was never shown: its address is still the one that was wanted.
  async #look(asked) {
    const there = await fetch("/healthz", { cache: "no-store" }).then(({ ok }) => ok, () => false)
    if (there || asked) location.reload()
  }
}

function waiting() {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith("unsent:")).length
  } catch {
    return 0
  }
}

import { Controller } from "@hotwired/stimulus"
import { count as plural } from "i18n"

const RETRY_INTERVAL = 10_000

// The offline page: shows the number of queued texts and retries.
export default class extends Controller {
  static targets = ["waiting"]
  #timer

  connect() {
    const count = waiting()
    this.waitingTarget.hidden = !count
    this.waitingTarget.textContent = plural(count, "{n} text waits here to be sent. It is kept in this browser.", "{n} texts wait here to be sent. They are kept in this browser.")
    this.#timer = setInterval(() => navigator.onLine && this.#look(), RETRY_INTERVAL)
  }

  disconnect() {
    clearInterval(this.#timer)
  }

  again(event) {
    event.preventDefault()
    this.#look(true)
  }

  // The URL is still that of the requested page.
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

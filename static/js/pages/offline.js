import { Controller } from "@hotwired/stimulus"
import { count } from "i18n"

const RETRY_INTERVAL = 10_000

// The offline page: shows the number of queued texts and retries.
export default class extends Controller {
  static targets = ["waiting"]
  #timer

  connect() {
    const texts = waiting()
    this.waitingTarget.hidden = !texts
    this.waitingTarget.textContent = count(texts, "{n} text is waiting to be sent. It’s saved in this browser.", "{n} texts are waiting to be sent. They’re saved in this browser.")
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

import { Controller } from "@hotwired/stimulus"
import { show } from "streams"

const EVERY = 3000

// What the page waits for is asked for again and again. The answer replaces this very element: while it waits, a new one goes on.
export default class extends Controller {
  #timer

  connect() {
    this.#timer = setTimeout(() => this.#ask(), EVERY)
  }

  disconnect() {
    clearTimeout(this.#timer)
  }

  async #ask() {
    const response = await fetch(location.href, { headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (response?.redirected || [401, 403].includes(response?.status)) return location.reload()
    if (response?.ok) show(await response.text())
    else this.connect()
  }
}

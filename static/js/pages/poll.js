import { Controller } from "@hotwired/stimulus"
import { show } from "streams"

const INTERVAL = 3000

// Polls the page. The response replaces this element; a new controller continues while there is something to await.
export default class extends Controller {
  #timer

  connect() {
    this.#timer = setTimeout(() => this.#ask(), INTERVAL)
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

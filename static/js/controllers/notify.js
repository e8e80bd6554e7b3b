import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"

// Tells whoever looks elsewhere that a text came in, as they chose in their settings. Each text once.
export default class extends Controller {
  static values = { desktop: Boolean, sound: Boolean }
  #told = new Map()

  tell({ detail: { row } }) {
    if (document.hasFocus() || this.#told.get(row.id) === row.dataset.version) return
    this.#told.set(row.id, row.dataset.version)
    if (this.soundValue) chime()
    if (this.desktopValue && globalThis.Notification?.permission === "granted") this.#show(row)
  }

  // A note calls whoever looks elsewhere.
  called({ detail: { message, text, conversation } }) {
    if (document.hasFocus() || this.#told.has(message)) return
    this.#told.set(message, "")
    if (this.soundValue) chime()
    if (!this.desktopValue || globalThis.Notification?.permission !== "granted") return
    const notification = new Notification(text, { tag: message })
    notification.onclick = () => {
      focus()
      visit(`${document.getElementById("rows").dataset.base}/${conversation}`)
    }
  }

  #show(row) {
    const href = `${document.getElementById("rows").dataset.base}/${row.id.slice("row-".length)}`
    const body = row.querySelector(".preview").textContent.trim()
    const notification = new Notification(row.querySelector(".name").textContent, { body, tag: row.id })
    notification.onclick = () => {
      focus()
      visit(href)
    }
  }
}

// Two soft notes. A page that was never touched may not sound, and then stays silent.
function chime() {
  const audio = new AudioContext()
  for (const [i, pitch] of [660, 880].entries()) {
    const [tone, gain, at] = [audio.createOscillator(), audio.createGain(), audio.currentTime + i * 0.12]
    tone.frequency.value = pitch
    gain.gain.setValueAtTime(0.06, at)
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.3)
    tone.connect(gain).connect(audio.destination)
    tone.start(at)
    tone.stop(at + 0.3)
  }
  setTimeout(() => audio.close(), 1000)
}

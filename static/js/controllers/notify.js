import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"

const LOOKING = "notify:looking"
const TOLD = "notify:told"

// Tells whoever looks elsewhere that a text came in, as they chose in their settings. Each text once, however many tabs are open,
// and not at all while one of them is looked at.
export default class extends Controller {
  static values = { desktop: Boolean, sound: Boolean }
  #told = new Map()
  #away
  #looking

  connect() {
    this.look()
  }

  disconnect() {
    this.leave()
  }

  // As long as somebody looks here, the other tabs know.
  look() {
    if (this.#away || !document.hasFocus()) return
    const away = new Promise((leave) => (this.#away = leave))
    this.#looking = navigator.locks?.request(LOOKING, { mode: "shared" }, () => away)
  }

  leave() {
    this.#away?.()
    this.#away = undefined
    return this.#looking
  }

  async tell({ detail: { row } }) {
    if (document.hasFocus() || this.#told.get(row.id) === row.dataset.version) return
    this.#told.set(row.id, row.dataset.version)
    await this.leave()
    if (!(await isMine(`${row.id} ${row.dataset.version}`))) return
    if (this.soundValue) chime()
    if (this.desktopValue && globalThis.Notification?.permission === "granted") this.#show(row)
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

// Whether no other tab has told of this, nor is looked at. Without locks (no https) each tab tells for itself.
async function isMine(text) {
  if (!navigator.locks) return true
  const { held } = await navigator.locks.query()
  if (held.some(({ name }) => name === LOOKING)) return false
  return navigator.locks.request(TOLD, () => {
    try {
      const told = JSON.parse(localStorage.getItem(TOLD)) ?? []
      if (told.includes(text)) return false
      localStorage.setItem(TOLD, JSON.stringify([...told, text].slice(-50)))
    } catch { /* told twice rather than never */ }
    return true
  })
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

import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"

const LOOKING = "notify:looking"
const SHOWN = "notify:shown"

// Tells whoever looks elsewhere that a text came in, as they chose in their settings. Each text once, however many tabs are open,
// and not at all while one of them is looked at.
export default class extends Controller {
  static values = { desktop: Boolean, sound: Boolean }
  #shown = new Map()
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

  async arrived({ detail: { row } }) {
    if (document.hasFocus() || this.#shown.get(row.id) === row.dataset.version) return
    this.#shown.set(row.id, row.dataset.version)
    const title = row.querySelector(".name").textContent
    const body = row.querySelector(".preview:not(.own)").textContent.trim()
    await this.#notify(`${row.id} ${row.dataset.version}`, title, { body, tag: row.id }, row.id.slice("row-".length))
  }

  // A note calls whoever looks elsewhere.
  async called({ detail: { message, text, conversation } }) {
    if (document.hasFocus() || this.#shown.has(message)) return
    this.#shown.set(message, "")
    await this.#notify(message, text, { tag: message }, conversation)
  }

  async #notify(key, title, options, conversation) {
    await this.leave()
    const href = `${document.getElementById("rows").dataset.base}/${conversation}`
    await once(key, async () => {
      const wanted = this.desktopValue && globalThis.Notification?.permission === "granted"
      const shown = !wanted || (await show(title, options, href))
      if (this.soundValue) chime()
      return shown
    })
  }
}

// Does `notify` unless another tab has done so or is looked at. The other tabs know of it once it has been shown. Without locks (no
// https) each tab tells for itself.
async function once(key, notify) {
  if (!navigator.locks) return notify()
  const { held } = await navigator.locks.query()
  if (held.some(({ name }) => name === LOOKING)) return
  await navigator.locks.request(SHOWN, async () => {
    if (shownKeys().includes(key) || !(await notify())) return
    try {
      localStorage.setItem(SHOWN, JSON.stringify([...shownKeys(), key].slice(-50)))
    } catch { /* told twice rather than never */ }
  })
}

function shownKeys() {
  try {
    return JSON.parse(localStorage.getItem(SHOWN)) ?? []
  } catch {
    return []
  }
}

// On a phone only the service worker may show one; a click on that opens `href` in a window of its own choice. Whether it was shown.
async function show(title, options, href) {
  try {
    const worker = await navigator.serviceWorker?.getRegistration()
    if (worker?.active) {
      await worker.showNotification(title, { ...options, renotify: true, data: { url: href }, icon: "/icon-192.png", badge: "/icon-192.png" })
      return true
    }
  } catch { /* the page itself may still be allowed to */ }
  try {
    const notification = new Notification(title, options)
    notification.onclick = () => {
      focus()
      visit(href)
    }
    return true
  } catch {
    return false
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

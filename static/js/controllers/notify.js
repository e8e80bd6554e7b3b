import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"

const FOCUS_LOCK = "notify:looking"
const SHOWN = "notify:shown"

// Notifies of new texts, mentions and assignments while no tab shows the inbox to somebody, as set in the member's settings: once
// for all tabs.
export default class extends Controller {
  static values = { desktop: Boolean, sound: Boolean, url: String }
  #shown = new Map()
  #away
  #focusLock

  connect() {
    this.look()
  }

  disconnect() {
    this.leave()
  }

  // A shared lock tells the other tabs that this one shows the inbox and has the focus.
  look() {
    if (this.#away || !isLooking()) return
    const away = new Promise((leave) => (this.#away = leave))
    this.#focusLock = navigator.locks?.request(FOCUS_LOCK, { mode: "shared" }, () => away)
  }

  leave() {
    this.#away?.()
    this.#away = undefined
    return this.#focusLock
  }

  async arrived({ detail: { row } }) {
    if (isLooking() || this.#shown.get(row.id) === row.dataset.version) return
    this.#shown.set(row.id, row.dataset.version)
    const title = row.querySelector(".name").textContent
    const body = row.querySelector(".preview:not(.own)").textContent.trim()
    await this.#notify(`${row.id} ${row.dataset.version}`, title, { body, tag: row.id }, row.id.slice("row-".length))
  }

  // A mention or an assignment.
  async called({ detail: { key, text, conversation } }) {
    if (isLooking() || this.#shown.has(key)) return
    this.#shown.set(key, "")
    await this.#notify(key, text, { tag: key }, conversation)
  }

  async #notify(key, title, options, conversation) {
    await this.leave()
    const href = `${this.urlValue}/${conversation}`
    await once(key, async () => {
      const isEnabled = this.desktopValue && globalThis.Notification?.permission === "granted"
      const shown = !isEnabled || (await show(title, options, href))
      if (this.soundValue) chime()
      return shown
    })
  }
}

const isLooking = () => document.hasFocus() && document.querySelector(".panes") !== null

// Calls `notify` unless another tab has notified or shows the inbox. A key is stored only after a notification was
// shown. Without Web Locks (insecure context) each tab notifies.
async function once(key, notify) {
  if (!navigator.locks) return notify()
  const { held } = await navigator.locks.query()
  if (held.some(({ name }) => name === FOCUS_LOCK)) return
  await navigator.locks.request(SHOWN, async () => {
    if (shownKeys().includes(key) || !(await notify())) return
    try {
      localStorage.setItem(SHOWN, JSON.stringify([...shownKeys(), key].slice(-50)))
    } catch { /* twice rather than never */ }
  })
}

function shownKeys() {
  try {
    return JSON.parse(localStorage.getItem(SHOWN)) ?? []
  } catch {
    return []
  }
}

// Returns whether a notification was shown. On Android only the service worker may show one; its click handler chooses
// the window.
async function show(title, options, href) {
  try {
    const worker = await navigator.serviceWorker?.getRegistration()
    if (worker?.active) {
      await worker.showNotification(title, { ...options, renotify: true, data: { url: href }, icon: "/icon-192.png", badge: "/icon-192.png" })
      return true
    }
  } catch { /* try the page itself */ }
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

// Two short tones. Browsers mute pages without user interaction.
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

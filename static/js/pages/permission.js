import { Controller } from "@hotwired/stimulus"

// Requests the notification permission when notifications are enabled.
export default class extends Controller {
  static targets = ["refused"]

  async ask({ target }) {
    if (!target.checked) return
    const answer = (await globalThis.Notification?.requestPermission()) ?? "denied"
    this.refusedTarget.hidden = answer === "granted"
    target.checked = answer === "granted"
  }
}

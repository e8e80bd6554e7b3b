import { Controller } from "@hotwired/stimulus"

// Asks the browser whether it may show notifications, at the moment when they are switched on.
export default class extends Controller {
  static targets = ["refused"]

  async ask({ target }) {
    if (!target.checked) return
    const answer = (await globalThis.Notification?.requestPermission()) ?? "denied"
    this.refusedTarget.hidden = answer === "granted"
    target.checked = answer === "granted"
  }
}

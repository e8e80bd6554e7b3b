import { Controller } from "@hotwired/stimulus"
import { visit } from "@hotwired/turbo"

// Subscribes this browser to push notifications, on a click only.
export default class extends Controller {
  static targets = ["on", "refused"]
  static values = { key: String, url: String }

  async subscribe() {
    this.refusedTarget.hidden = true
    if (!navigator.serviceWorker || !globalThis.PushManager) return this.#showError("unable")
    this.onTarget.disabled = true
    try {
      if ((await Notification.requestPermission()) !== "granted") return this.#showError("denied")
      const worker = await navigator.serviceWorker.ready
      const asked = { userVisibleOnly: true, applicationServerKey: this.keyValue }
      const subscription = await worker.pushManager.subscribe(asked).catch(async () => {
        // A subscription under an older key must be replaced.
        await (await worker.pushManager.getSubscription())?.unsubscribe()
        return worker.pushManager.subscribe(asked)
      })
      const { endpoint, keys } = subscription.toJSON()
      const answer = await fetch(this.urlValue, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ endpoint, keys, name: name() }),
      })
      if (!answer.ok) return this.#showError("failed")
      visit(location.pathname, { action: "replace" })
    } catch {
      this.#showError("failed")
    } finally {
      this.onTarget.disabled = false
    }
  }

  #showError(why) {
    this.refusedTarget.textContent = this.refusedTarget.dataset[why]
    this.refusedTarget.hidden = false
  }
}

// A device name such as "Chrome on Android", as far as the browser tells.
function name() {
  const { brands, platform } = navigator.userAgentData ?? {}
  const brand = brands?.find(({ brand }) => !/not.?a.?brand|chromium/i.test(brand))?.brand ?? /Firefox|Edg|Chrome|Safari/.exec(navigator.userAgent)?.[0] ?? "Browser"
  const system = platform || /Android|iPhone|iPad|Mac OS|Windows|Linux/.exec(navigator.userAgent)?.[0]
  return system ? `${brand} on ${system}` : brand
}

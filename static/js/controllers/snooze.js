import { Controller } from "@hotwired/stimulus"
import { ahead } from "time"
import { presets } from "snooze-presets"

// Computes the presets in the viewer's zone when the menu opens.
export default class extends Controller {
  static targets = ["preset", "until", "at"]

  fill({ newState }) {
    if (newState !== "open") return
    const times = presets()
    for (const preset of this.presetTargets) {
      const time = times[preset.dataset.preset]
      preset.hidden = !time
      if (!time) continue
      preset.value = time.toISOString()
      preset.querySelector(".check").textContent = ahead(time)
    }
    if (!this.atTarget.value) this.atTarget.value = local(times.tomorrow)
    this.atTarget.min = local(new Date())
  }

  choose({ submitter }) {
    const chosen = submitter?.dataset.preset
    this.untilTarget.disabled = Boolean(chosen)
    if (!chosen) this.untilTarget.value = this.atTarget.value && new Date(this.atTarget.value).toISOString()
  }
}

// The format of <input type=datetime-local>.
function local(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

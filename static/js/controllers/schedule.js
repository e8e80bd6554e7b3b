import { Controller } from "@hotwired/stimulus"
import { stamp } from "time"
import { t } from "i18n"

// A future time in the viewer's zone, submitted in UTC. Without scripts the field is labelled and read as UTC.
export default class extends Controller {
  static targets = ["local", "utc", "zone", "presets", "wrong"]
  static values = { at: String }

  connect() {
    for (const zone of this.zoneTargets) zone.textContent = named(new Date())
    if (this.atValue) this.#take(new Date(this.atValue))
  }

  set() {
    const at = new Date(this.localTarget.value)
    this.utcTarget.value = isNaN(at) ? "" : at.toISOString()
    this.#showStatus("")
  }

  offer({ newState }) {
    if (newState === "closed") return
    const buttons = [...this.presetsTarget.querySelectorAll("button")]
    const all = presets(new Date())
    buttons.forEach((button, i) => {
      button.hidden = !all[i]
      if (!all[i]) return
      button.querySelector(".what").textContent = all[i][0]
      button.querySelector(".sub").textContent = stamp(all[i][1])
      button.value = all[i][1].toISOString()
    })
  }

  choose({ currentTarget }) {
    this.#take(new Date(currentTarget.value))
  }

  hold(event) {
    if (event.submitter?.name !== "later") return
    const at = new Date(this.utcTarget.value)
    if (at > new Date()) return this.element.querySelector("[popover]:popover-open")?.hidePopover()
    event.preventDefault()
    event.stopImmediatePropagation()
    this.#showStatus(t("Choose a date and time in the future."))
    this.localTarget.focus()
  }

  #take(at) {
    const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000)
    this.localTarget.value = shifted.toISOString().slice(0, 16)
    this.utcTarget.value = at.toISOString()
  }

  #showStatus(message) {
    if (this.hasWrongTarget) this.wrongTarget.textContent = message
  }
}

function named(at) {
  const parts = new Intl.DateTimeFormat(undefined, { timeZoneName: "shortGeneric" }).formatToParts(at)
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? t("your time")
}

function presets(now) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour)
  const toMonday = ((8 - now.getDay()) % 7) || 7
  return [
    [t("In 1 hour"), new Date(Math.ceil((now.getTime() + 3_600_000) / 300_000) * 300_000)],
    now.getHours() < 17 ? [t("This evening"), at(0, 18)] : [t("Tomorrow evening"), at(1, 18)],
    [t("Tomorrow morning"), at(1, 9)],
    toMonday > 1 ? [t("Monday morning"), at(toMonday, 9)] : undefined,
  ].filter(Boolean)
}

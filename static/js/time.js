// Formats times in the viewer's zone and region, in the page's language.

import { t } from "i18n"

const page = document.documentElement.lang
const own = (tag) => tag.split("-")[0] === page
// A browser in the page's language keeps its regional format, such as a 24-hour clock.
const locale = own(navigator.language) ? undefined : (navigator.languages.find(own) ?? page)

const clockFormat = new Intl.DateTimeFormat(locale, { timeStyle: "short" })
const weekdayFormat = new Intl.DateTimeFormat(locale, { weekday: "short" })
const dateFormat = new Intl.DateTimeFormat(locale, { dateStyle: "short" })
const longFormat = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" })
const onFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium" })
const stampFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" })
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" })
const DAY = 86_400_000

export const clock = (at) => clockFormat.format(at)
export const long = (at) => longFormat.format(at)
export const on = (at) => onFormat.format(at)
export const stamp = (at) => stampFormat.format(at)

// How long somebody has waited.
export function wait(at, now = new Date()) {
  const minutes = Math.max(0, Math.floor((now - at) / 60_000))
  const [n, unit] = minutes < 60 ? [minutes, "minute"] : minutes < 1440 ? [Math.floor(minutes / 60), "hour"] : [Math.floor(minutes / 1440), "day"]
  const time = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(n)
  return t("waiting {time}", { time })
}

// Past: time today, weekday within a week, else date.
export function list(at, now = new Date()) {
  const days = daysBetween(at, now)
  if (days <= 0) return clock(at)
  return days < 7 ? weekdayFormat.format(at) : dateFormat.format(at)
}

// Future: time today, weekday and time within a week, else date.
export function ahead(at, now = new Date()) {
  const days = -daysBetween(at, now)
  if (days <= 0) return clock(at)
  return days < 7 ? `${weekdayFormat.format(at)} ${clock(at)}` : `${dateFormat.format(at)} ${clock(at)}`
}

export function day(at, now = new Date()) {
  const days = daysBetween(at, now)
  if (days <= 1 && days >= 0) return capitalize(relative.format(-days, "day"))
  const sameYear = at.getFullYear() === now.getFullYear()
  return new Intl.DateTimeFormat(locale, {
    weekday: days < 7 ? "long" : "short", month: "long", day: "numeric", year: sameYear ? undefined : "numeric",
  }).format(at)
}

export const date = (at) => new Intl.DateTimeFormat(locale, { month: "long", year: "numeric" }).format(at)

function daysBetween(at, now) {
  return Math.round((midnight(now) - midnight(at)) / DAY)
}

function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime()
}

function capitalize(text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1)
}

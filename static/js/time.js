// Times as the viewer reads them: in their zone and their language.

const clockFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "short" })
const weekdayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short" })
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "short" })
const longFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" })
const onFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })
const stampFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" })
const DAY = 86_400_000

export const clock = (at) => clockFormat.format(at)
export const long = (at) => longFormat.format(at)
export const on = (at) => onFormat.format(at)
export const stamp = (at) => stampFormat.format(at)

// Today the time, within a week the weekday, else the date.
export function list(at, now = new Date()) {
  const days = daysBetween(at, now)
  if (days <= 0) return clock(at)
  return days < 7 ? weekdayFormat.format(at) : dateFormat.format(at)
}

// What is still to come: today the time, within a week the weekday and the time, else the date.
export function ahead(at, now = new Date()) {
  const days = -daysBetween(at, now)
  if (days <= 0) return clock(at)
  return days < 7 ? `${weekdayFormat.format(at)} ${clock(at)}` : `${dateFormat.format(at)} ${clock(at)}`
}

export function day(at, now = new Date()) {
  const days = daysBetween(at, now)
  if (days <= 1 && days >= 0) return capitalize(relative.format(-days, "day"))
  const sameYear = at.getFullYear() === now.getFullYear()
  return new Intl.DateTimeFormat(undefined, {
    weekday: days < 7 ? "long" : "short", month: "long", day: "numeric", year: sameYear ? undefined : "numeric",
  }).format(at)
}

export const date = (at) => new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" }).format(at)

function daysBetween(at, now) {
  return Math.round((midnight(now) - midnight(at)) / DAY)
}

function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime()
}

function capitalize(text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1)
}

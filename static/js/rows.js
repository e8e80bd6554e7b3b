import { showOwnPreview } from "own-previews"
import { paint } from "presence"

// The rows of the list pane. All state is in the DOM.

// Moves `row` to its position, or removes it if the list's filter excludes it.
export function place(rows, row) {
  const old = document.getElementById(row.id)
  if (old && Number(old.dataset.version) > Number(row.dataset.version)) return
  if (!old || countsDiffer(old, row)) rows.dispatchEvent(new CustomEvent("counts:stale", { bubbles: true }))

  if (rows.dataset.q) return // search results do not change

  const focused = old?.contains(document.activeElement)
  const before = belongs(rows, row, old) ? spot(rows, row, old) : undefined
  if (before === undefined) return leave(old, focused)

  row.href = `${rows.dataset.base}/${row.id.slice("row-".length)}${rows.dataset.query}`
  if (old?.hasAttribute("aria-current") || row.pathname === location.pathname) row.setAttribute("aria-current", "true")
  showOwnPreview(row, old)
  old?.remove()
  rows.insertBefore(row, before)
  paint(row.id.slice("row-".length))
  if (focused) row.focus({ preventScroll: true })
}

// Applies the first page of the list; rows that it should contain and does not are removed.
export function refresh(rows, fresh, complete) {
  if (rows.dataset.q) return
  const named = new Set(fresh.map((row) => row.id))
  const oldest = complete ? -Infinity : Math.min(...fresh.map((row) => Number(row.dataset.at)))
  for (const row of rows.querySelectorAll(".row")) {
    if (!named.has(row.id) && Number(row.dataset.at) >= oldest) leave(row, row.contains(document.activeElement))
  }
  fresh.forEach((row) => place(rows, row))
}

function belongs(rows, { dataset: { status, assignee, number, unread } }, old) {
  const filter = rows.dataset
  const me = document.body.dataset.user
  if (filter.number && number !== filter.number) return false
  if (filter.assignee && assignee !== { me, none: "" }[filter.assignee] && assignee !== filter.assignee) return false
  // The open conversation stays although it has been read.
  if (filter.unread && unread === "0" && !old?.hasAttribute("aria-current")) return false
  switch (filter.tab) {
    case "mine": return status === "open" && assignee === me
    // Rows do not say whether they mention the user.
    case "mentions": return Boolean(old)
    default: return status === filter.tab
  }
}

// The row to insert before, null for the end, undefined if the position is beyond the loaded rows.
function spot(rows, row, old) {
  const at = Number(row.dataset.at)
  const follower = [...rows.querySelectorAll(":scope > .row")].find((other) => other !== old && Number(other.dataset.at) < at)
  const older = rows.querySelector(":scope > turbo-frame")
  // The last loaded row may stay last; any other row moves beyond the loaded ones.
  if (!follower && older) return old?.nextElementSibling === older ? older : undefined
  return follower ?? rows.querySelector(":scope > .empty") ?? null
}

function leave(row, focused) {
  const next = row?.nextElementSibling ?? row?.previousElementSibling
  row?.remove()
  if (focused) next?.focus({ preventScroll: true })
}

function countsDiffer({ dataset: a }, { dataset: b }) {
  return a.status !== b.status || a.assignee !== b.assignee || (a.unread === "0") !== (b.unread === "0")
}

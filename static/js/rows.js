import { mark } from "marks"

// The list pane: where a conversation's row belongs, or that it does not. All state is in the DOM.

// Shows `row` in its place, or takes it away when the list is narrowed to something else.
export function place(rows, row) {
  const old = document.getElementById(row.id)
  if (old && Number(old.dataset.version) > Number(row.dataset.version)) return
  if (!old || countsDiffer(old, row)) rows.dispatchEvent(new CustomEvent("counts:stale", { bubbles: true }))

  if (rows.dataset.q) return // what was found stays as it was

  const focused = old?.contains(document.activeElement)
  const before = belongs(rows, row) ? spot(rows, row, old) : undefined
  if (before === undefined) return leave(old, focused)

  row.href = `${rows.dataset.base}/${row.id.slice("row-".length)}${rows.dataset.query}`
  if (old?.hasAttribute("aria-current") || row.pathname === location.pathname) row.setAttribute("aria-current", "true")
  mark(row, old)
  old?.remove()
  rows.insertBefore(row, before)
  if (focused) row.focus({ preventScroll: true })
}

// The newest page as the server has it now: what it does not name any more has gone elsewhere.
export function settle(rows, fresh, complete) {
  if (rows.dataset.q) return
  const named = new Set(fresh.map((row) => row.id))
  const oldest = complete ? -Infinity : Math.min(...fresh.map((row) => Number(row.dataset.at)))
  for (const row of rows.querySelectorAll(".row")) {
    if (!named.has(row.id) && Number(row.dataset.at) >= oldest) leave(row, row.contains(document.activeElement))
  }
  fresh.forEach((row) => place(rows, row))
}

function belongs(rows, { dataset: { status, assignee } }) {
  switch (rows.dataset.tab) {
    case "mine": return status === "open" && assignee === document.body.dataset.user
    default: return status === rows.dataset.tab
  }
}

// The row to stand before, null for the end, undefined when its place lies beyond what is loaded.
function spot(rows, row, old) {
  const at = Number(row.dataset.at)
  const follower = [...rows.querySelectorAll(":scope > .row")].find((other) => other !== old && Number(other.dataset.at) < at)
  const older = rows.querySelector(":scope > turbo-frame")
  // The last of those loaded may stay the last; any other has sunk below them.
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

import { showOwnPreview } from "own-previews"
import { paint } from "presence"
import { t } from "i18n"

// The rows of the list pane: each is a link (`.row`) in an item with its checkbox. All state is in the DOM.

// Moves `row` to its position, or removes it if the list's filter excludes it.
export function place(rows, row) {
  const old = document.getElementById(row.id)
  if (old && Number(old.dataset.version) > Number(row.dataset.version)) return
  if (!old || countsDiffer(old, row)) rows.dispatchEvent(new CustomEvent("counts:stale", { bubbles: true }))

  if (rows.dataset.q) return // search results do not change

  const [item, oldItem] = [row.closest(".item"), old?.closest(".item")]
  const focused = oldItem?.contains(document.activeElement) && document.activeElement.matches(".tick") ? "tick" : oldItem?.contains(document.activeElement) && "row"
  // In the order of waiting, one that was just answered keeps its place as long as it is shown.
  row.dataset.place = row.dataset.waiting || old?.dataset.place || old?.dataset.waiting || ""
  const before = belongs(rows, row, old) ? spot(rows, row, oldItem) : undefined
  if (before === undefined) return leave(oldItem, focused)

  row.href = `${rows.dataset.base}/${row.id.slice("row-".length)}${rows.dataset.query}`
  if (old?.hasAttribute("aria-current") || row.pathname === location.pathname) row.setAttribute("aria-current", "true")
  showOwnPreview(row, old)
  nameAuthor(row)
  item.querySelector(".tick").checked = oldItem?.querySelector(".tick").checked ?? false
  oldItem?.remove()
  rows.insertBefore(item, before)
  paint(row.id.slice("row-".length))
  if (focused === "tick") item.querySelector(".tick").focus({ preventScroll: true })
  else if (focused) row.focus({ preventScroll: true })
}

// Applies the first page of the list; rows that it should contain and does not are removed.
export function refresh(rows, fresh, complete) {
  if (rows.dataset.q) return
  const named = new Set(fresh.map((row) => row.id))
  const edge = complete ? Infinity : Math.max(...fresh.map((row) => rank(rows, row)))
  for (const row of rows.querySelectorAll(".row")) {
    if (!named.has(row.id) && rank(rows, row) <= edge) leave(row.closest(".item"), row.contains(document.activeElement) && "row")
  }
  fresh.forEach((row) => place(rows, row))
}

// Whether the user or a colleague wrote the last text: live updates are the same for all.
function nameAuthor(row) {
  const by = row.querySelector(".by")
  if (by?.dataset.user === document.body.dataset.user) by.textContent = t("You:")
}

function belongs(rows, { dataset: row }, old) {
  const filter = rows.dataset
  const me = document.body.dataset.user
  const isOpen = old?.hasAttribute("aria-current")
  if (filter.number && row.number !== filter.number) return false
  if (filter.assignee && row.assignee !== { me, none: "" }[filter.assignee] && row.assignee !== filter.assignee) return false
  if (filter.tag && !(row.tags ?? "").split(" ").includes(filter.tag)) return false
  if (filter.failed && !row.failed) return false
  // The open conversation stays although it has been read or answered.
  if (filter.unread && row.unread === "0" && !isOpen) return false
  if ((filter.order === "waiting" || filter.tab === "waiting") && !row.waiting && !isOpen) return false
  switch (filter.tab) {
    case "mine": return row.status === "open" && row.assignee === me
    case "unassigned": return row.status === "open" && row.assignee === ""
    case "waiting": return row.status === "open"
    // Rows do not say whether they mention the user.
    case "mentions": return Boolean(old)
    default: return row.status === filter.tab
  }
}

// The smaller, the higher in the list.
function rank(rows, { dataset }) {
  return rows.dataset.order === "waiting" ? Number(dataset.place || dataset.waiting) : -Number(dataset.at)
}

// The item to insert before, null for the end, undefined if the position is beyond the loaded rows.
function spot(rows, row, old) {
  const mine = rank(rows, row)
  const follower = [...rows.querySelectorAll(":scope > .item")].find((other) => other !== old && rank(rows, other.querySelector(".row")) > mine)
  const older = rows.querySelector(":scope > turbo-frame")
  // The last loaded row may stay last; any other row moves beyond the loaded ones.
  if (!follower && older) return old?.nextElementSibling === older ? older : undefined
  return follower ?? rows.querySelector(":scope > .empty") ?? null
}

function leave(item, focused) {
  const next = [item?.nextElementSibling, item?.previousElementSibling].find((other) => other?.matches(".item"))
  item?.remove()
  if (focused) next?.querySelector(".row").focus({ preventScroll: true })
}

function countsDiffer({ dataset: a }, { dataset: b }) {
  return a.status !== b.status || a.assignee !== b.assignee || (a.unread === "0") !== (b.unread === "0") || (a.waiting === "") !== (b.waiting === "")
}

import { isComposing } from "keys"

// Arrows move from the search field into the results and back. Enter opens the first one of what is in the field.
export function enhance(form) {
  const listening = new AbortController()
  addEventListener("keydown", (event) => form.isConnected ? press(form.elements.q, event) : listening.abort(), { signal: listening.signal })
}

function press(field, event) {
  const { key, target } = event
  const step = { ArrowDown: 1, ArrowUp: -1 }[key]
  if (isComposing(event) || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
  if (target !== field && !(step && target.matches?.("#rows .row"))) return
  const rows = [...document.querySelectorAll("#rows .row")]
  const first = rows[0]
  if (step) (rows[rows.indexOf(target) + step] ?? (step < 0 ? field : undefined))?.focus()
  else if (key === "Enter" && first && field.value.trim() !== "" && document.getElementById("rows").dataset.q === field.value.trim()) {
    first.focus()
    first.click()
  } else return
  event.preventDefault()
}

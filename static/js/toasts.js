import { t } from "i18n"

// Toast. It disappears by itself unless it is hovered or has the focus.
const DURATION = 8000
const UNDO_DURATION = 20_000
let timer
// What can be undone, the last action at the end, as long as the page lives: it outlives the toasts.
const undos = []

export function toast(content, { id = "toast", href, bad = false } = {}) {
  if (id !== "toast" && document.getElementById(id)) return
  for (const old of document.querySelectorAll(".toast")) old.remove()
  let element = content.querySelector?.(".toast")?.cloneNode(true)
  if (!element) {
    element = document.createElement("p")
    element.append(content.cloneNode(true))
    if (href) element.append(Object.assign(document.createElement("a"), { href, textContent: t("Open") }))
  }
  element.className = `toast ${bad || element.classList.contains("bad") ? "bad" : ""}`
  element.id = id
  document.body.append(element)
  // Of this document: the content of a template belongs to one without an address.
  const undo = undoOf(element)
  if (undo) undos.push(undo.cloneNode(true))
  const region = document.getElementById("announcer")
  if (region) region.textContent = element.textContent.replace(/\s+/g, " ").trim()
  dismissLater(element)
}

export function dismissLater(element) {
  clearTimeout(timer)
  const duration = undoOf(element) ? UNDO_DURATION : DURATION
  timer = setTimeout(() => (element.matches(":hover, :focus-within") ? dismissLater(element) : element.remove()), duration)
}

// Undoes the last action of this page, whether or not its toast is still there.
export function undoLast() {
  const form = undos.at(-1)
  if (!form) {
    toast(document.createTextNode(t("Nothing to undo")))
    return true
  }
  const shown = [...document.querySelectorAll(".toast form")].find((other) => isSame(other, form))
  if (shown) shown.requestSubmit()
  else {
    form.hidden = true
    document.body.append(form)
    form.requestSubmit()
  }
  return true
}

addEventListener("turbo:submit-end", ({ detail: { fetchResponse, formSubmission: { formElement } } }) => {
  const at = undos.findLastIndex((form) => isSame(form, formElement))
  // Without an answer it can be tried again.
  if (at < 0 || !fetchResponse) return
  undos.splice(at, 1)
  reopen(formElement)
  if (formElement.parentElement === document.body) formElement.remove()
})

// A conversation that was closed when it was done is shown again, unless another one is.
function reopen({ action }) {
  const conversation = action.match(/\/inbox\/([0-9a-f-]{36})\/undo$/)?.[1]
  const rows = document.getElementById("rows")
  const pane = document.getElementById("conversation")
  if (!conversation || !rows) return
  // The list may still be on its way into the pane.
  const isClosed = pane.src ? new URL(pane.src).pathname === rows.dataset.base : !pane.querySelector(".thread-head")
  if (isClosed) pane.src = new URL(`${rows.dataset.base}/${conversation}${rows.dataset.query}`, location).href
}

const undoOf = (element) => element.querySelector("[data-hotkey=z]")?.form ?? undefined

function isSame(one, other) {
  return one.action === other.action && String(new URLSearchParams(new FormData(one))) === String(new URLSearchParams(new FormData(other)))
}

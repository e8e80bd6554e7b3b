import { t } from "i18n"

// Toast. It disappears by itself unless it is hovered or has the focus.
const DURATION = 8000
let timer

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
  const region = document.getElementById("announcer")
  if (region) region.textContent = element.textContent.replace(/\s+/g, " ").trim()
  dismissLater(element)
}

export function dismissLater(element) {
  clearTimeout(timer)
  timer = setTimeout(() => (element.matches(":hover, :focus-within") ? dismissLater(element) : element.remove()), DURATION)
}

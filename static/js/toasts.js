import { t } from "i18n"

// Toast. It disappears by itself unless it is hovered or has the focus.
const LASTS = 8000
let timer

export function toast(content, { id = "toast", href, bad = false } = {}) {
  if (id !== "toast" && document.getElementById(id)) return
  for (const old of document.querySelectorAll(".toast")) old.remove()
  let said = content.querySelector?.(".toast")?.cloneNode(true)
  if (!said) {
    said = document.createElement("p")
    said.append(content.cloneNode(true))
    if (href) said.append(Object.assign(document.createElement("a"), { href, textContent: t("Open") }))
  }
  said.className = `toast ${bad || said.classList.contains("bad") ? "bad" : ""}`
  said.id = id
  document.body.append(said)
  const region = document.getElementById("announcer")
  if (region) region.textContent = said.textContent.replace(/\s+/g, " ").trim()
  leaveSoon(said)
}

export function leaveSoon(said) {
  clearTimeout(timer)
  timer = setTimeout(() => (said.matches(":hover, :focus-within") ? leaveSoon(said) : said.remove()), LASTS)
}

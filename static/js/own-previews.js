// Shows state of this browser in rows of the list: an unsent text or a draft.
import * as store from "unsent"
import { t } from "i18n"

export function showOwnPreview(row, before) {
  const conversation = row.id.slice("row-".length)
  const last = store.unsent(conversation).at(-1)
  const draft = store.draft(conversation)?.text ?? row.dataset.draft ?? before?.dataset.draft ?? ""
  row.dataset.draft = draft
  row.querySelector(".own")?.remove()
  const parts = last ? [last.code === undefined ? t("Waiting:") : t("Not sent:"), last.content] : draft.trim() ? [t("Draft:"), draft] : undefined
  if (!parts) return
  const own = document.createElement("span")
  own.className = `preview own ${last ? "waits" : "draft"}`
  const [what, text] = parts.map((part) => Object.assign(document.createElement("span"), { textContent: part }))
  text.className = "text truncate"
  text.dir = "auto"
  text.translate = false
  own.append(what, text)
  row.querySelector(".preview").before(own)
}

export function showOwnPreviews() {
  for (const row of document.querySelectorAll(".rows .row")) showOwnPreview(row)
}

export function showOwnPreviewOf(conversation) {
  const row = document.getElementById(`row-${conversation}`)
  if (row) showOwnPreview(row)
}

// Signing out. Retries unsent texts and drafts, names what is still only in this browser, then removes all that this
// browser stores for the user. Entries of other users stay.
import * as drafts from "drafts"
import * as outbox from "outbox"
import * as store from "unsent"
import { count, t } from "i18n"

const TIMEOUT = 3000
const USER_KEYS = ["palette:recent", "emoji:recent", "notify:shown", "handset", "shortcuts"]

let asking = false

export async function signOut(form) {
  if (asking) return
  asking = true
  try {
    if (!(await confirmLoss())) return
  } finally {
    asking = false
  }
  if (document.body.dataset.user) {
    store.forgetAll()
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "removed", value: "true" }))
  }
  try {
    for (const key of USER_KEYS) localStorage.removeItem(key)
  } catch { /* storage is blocked */ }
  navigator.serviceWorker?.controller?.postMessage("signed-out")
  navigator.clearAppBadge?.().catch(() => {})
  form.submit()
}

async function confirmLoss() {
  if (!document.body.dataset.user || isEmpty(store.countUnsaved())) return true
  await Promise.race([Promise.all([drafts.saveAll(), outbox.send()]), new Promise((late) => setTimeout(late, TIMEOUT))])
  const left = store.countUnsaved()
  return isEmpty(left) || ask(left)
}

const isEmpty = ({ texts, drafts }) => texts + drafts === 0

function ask({ texts, drafts }) {
  const sentences = [
    texts && count(texts, "{n} text hasn’t been sent yet.", "{n} texts haven’t been sent yet."),
    drafts && count(drafts, "{n} draft or note is saved in this browser only.", "{n} drafts or notes are saved in this browser only."),
    t("Signing out deletes what you’ve written from this browser."),
  ]
  const title = element("h2", { id: "sign-out-title", textContent: t("Sign out anyway?") })
  const header = element("header", {}, title)
  const stay = element("button", { className: "btn primary", value: "", autofocus: true, textContent: t("Stay signed in") })
  const go = element("button", { className: "btn bad", value: "go", textContent: t("Sign out and delete it") })
  const paragraphs = sentences.filter(Boolean).map((textContent) => element("p", { textContent }))
  const form = element("form", { method: "dialog", className: "prompt" }, ...paragraphs, element("footer", {}, go, stay))
  const dialog = element("dialog", { className: "dialog" }, header, form)
  dialog.setAttribute("aria-labelledby", title.id)
  document.querySelector("[popover]:popover-open")?.hidePopover()
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((done) => dialog.addEventListener("close", () => {
    dialog.remove()
    done(dialog.returnValue === "go")
  }))
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

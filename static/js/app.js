import "@hotwired/turbo"
import { Application } from "@hotwired/stimulus"
import "streams"
import { toast } from "toasts"
import { t } from "i18n"

import Attach from "controllers/attach"
import Composer from "controllers/composer"
import Dialog from "controllers/dialog"
import Hotkeys from "controllers/hotkeys"
import List from "controllers/list"
import Live from "controllers/live"
import LocalTime from "controllers/local-time"
import Note from "controllers/note"
import Notify from "controllers/notify"
import Outbox from "controllers/outbox"
import Presence from "controllers/presence"
import Search from "controllers/search"
import Segments from "controllers/segments"
import Slash from "controllers/slash"
import Snooze from "controllers/snooze"
import Thread from "controllers/thread"
import Title from "controllers/title"
import Unwrap from "controllers/unwrap"
import When from "controllers/when"

export const application = Application.start()
const controllers = {
  attach: Attach, composer: Composer, dialog: Dialog, hotkeys: Hotkeys, list: List, live: Live, "local-time": LocalTime,
  note: Note, notify: Notify, outbox: Outbox, presence: Presence, search: Search, segments: Segments, slash: Slash, snooze: Snooze, thread: Thread, title: Title,
  unwrap: Unwrap, when: When,
}
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

// A form that was taken closes what it was opened in.
addEventListener("turbo:submit-end", ({ target, detail }) => {
  if (!detail.success) return
  const menu = target.closest("[popover]:popover-open")
  menu?.hidePopover()
  // The button that opened it may have been drawn anew meanwhile.
  if (menu && document.activeElement === document.body) document.querySelector(`[popovertarget="${menu.id}"]`)?.focus()
  target.closest("dialog")?.close()
  if (target.matches("[data-clears]")) target.reset()
})

// What could not be asked of the server is not done, and says so; a text that one writes is kept and has its own words.
addEventListener("turbo:fetch-request-error", ({ target }) => {
  if (target.matches("form:not(.new-text)")) toast(document.createTextNode(t("No connection: this was not done.")), { bad: true })
})

// What the browser has finished (a time in the viewer's zone, how the connection is) stays so when a page is shown anew.
addEventListener("turbo:before-morph-element", (event) => {
  const { target, detail: { newElement } } = event
  if (target.matches("[data-live-target=state]") || (target.matches("time") && target.dateTime === newElement?.dateTime)) event.preventDefault()
})

// Files and a page for when there is no network; and whoever is away is told. Where it is not allowed, all else works.
navigator.serviceWorker?.register("/service-worker.js").catch(() => {})

// What was written here and has not been sent is told of before it is removed with the sign-in. Should that fail, the server has
// the browser clear everything.
addEventListener("submit", (event) => {
  if (new URL(event.target.action, location).pathname !== "/logout") return
  event.preventDefault()
  const form = event.target
  import("later/sign-out").then(({ signOut }) => signOut(form)).catch(() => form.submit())
})

// A page without the frame that was asked for (signed out, not found) is shown whole.
addEventListener("turbo:frame-missing", (event) => {
  event.preventDefault()
  event.detail.visit(event.detail.response)
})

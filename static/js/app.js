import "@hotwired/turbo"
import { Application } from "@hotwired/stimulus"
import "streams"
import { toast } from "toasts"
import { t } from "i18n"

import Attach from "controllers/attach"
import Composer from "controllers/composer"
import Dialog from "controllers/dialog"
import Hotkeys from "controllers/hotkeys"
import Lazy from "controllers/lazy"
import List from "controllers/list"
import Live from "controllers/live"
import LocalTime from "controllers/local-time"
import Note from "controllers/note"
import Notify from "controllers/notify"
import Outbox from "controllers/outbox"
import Presence from "controllers/presence"
import Schedule from "controllers/schedule"
import Search from "controllers/search"
import Segments from "controllers/segments"
import Selection from "controllers/selection"
import Slash from "controllers/slash"
import Snooze from "controllers/snooze"
import Thread from "controllers/thread"
import Title from "controllers/title"
import Unwrap from "controllers/unwrap"

export const application = Application.start()
const controllers = {
  attach: Attach, composer: Composer, dialog: Dialog, hotkeys: Hotkeys, lazy: Lazy, list: List, live: Live, "local-time": LocalTime,
  note: Note, notify: Notify, outbox: Outbox, presence: Presence, schedule: Schedule, search: Search, segments: Segments, selection: Selection, slash: Slash, snooze: Snooze, thread: Thread, title: Title,
  unwrap: Unwrap,
}
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

// A successful form closes the menu or dialog that contains it.
addEventListener("turbo:submit-end", ({ target, detail }) => {
  if (!detail.success) return
  const menu = target.closest("[popover]:popover-open")
  menu?.hidePopover()
  // The button that opened the menu may have been replaced meanwhile.
  if (menu && document.activeElement === document.body) document.querySelector(`[popovertarget="${menu.id}"]`)?.focus()
  target.closest("dialog")?.close()
  if (target.matches("[data-clears]")) target.reset()
})

// A failed request is reported. New texts have their own message: the outbox keeps them.
addEventListener("turbo:fetch-request-error", ({ target }) => {
  if (target.matches("form:not(.new-text)")) toast(document.createTextNode(t("No connection. Nothing was changed.")), { bad: true })
})

// A morph keeps what scripts have rendered: local times and the connection state.
addEventListener("turbo:before-morph-element", (event) => {
  const { target, detail: { newElement } } = event
  if (target.matches("[data-live-target=state]") || (target.matches("time") && target.dateTime === newElement?.dateTime)) event.preventDefault()
})

// Serves cached assets, the offline page and push notifications. Optional: pages work without it.
navigator.serviceWorker?.register("/service-worker.js").catch(() => {})

// Asks before unsent texts are removed. If the module fails to load, the form is submitted and the server sends
// Clear-Site-Data.
addEventListener("submit", (event) => {
  if (new URL(event.target.action, location).pathname !== "/logout") return
  event.preventDefault()
  const form = event.target
  import("lazy/sign-out").then(({ signOut }) => signOut(form)).catch(() => form.submit())
})

// A response without the requested frame (signed out, not found) is shown as a whole page.
addEventListener("turbo:frame-missing", (event) => {
  event.preventDefault()
  event.detail.visit(event.detail.response)
})

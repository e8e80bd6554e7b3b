import "@hotwired/turbo"
import { Application } from "@hotwired/stimulus"
import "streams"

import Attach from "controllers/attach"
import Composer from "controllers/composer"
import Dialog from "controllers/dialog"
import Hotkeys from "controllers/hotkeys"
import List from "controllers/list"
import Live from "controllers/live"
import LocalTime from "controllers/local-time"
import Note from "controllers/note"
import Notify from "controllers/notify"
import Presence from "controllers/presence"
import Search from "controllers/search"
import Segments from "controllers/segments"
import Snooze from "controllers/snooze"
import Thread from "controllers/thread"
import Title from "controllers/title"
import Unwrap from "controllers/unwrap"

export const application = Application.start()
const controllers = {
  attach: Attach, composer: Composer, dialog: Dialog, hotkeys: Hotkeys, list: List, live: Live, "local-time": LocalTime,
  note: Note, notify: Notify, presence: Presence, search: Search, segments: Segments, snooze: Snooze, thread: Thread, title: Title, unwrap: Unwrap,
}
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

// A form that was taken closes what it was opened in.
addEventListener("turbo:submit-end", ({ target, detail }) => {
  if (!detail.success) return
  target.closest("[popover]:popover-open")?.hidePopover()
  target.closest("dialog")?.close()
})

// What the browser has finished (a time in the viewer's zone, how the connection is) stays so when a page is shown anew.
addEventListener("turbo:before-morph-element", (event) => {
  const { target, detail: { newElement } } = event
  if (target.matches("[data-live-target=state]") || (target.matches("time") && target.dateTime === newElement?.dateTime)) event.preventDefault()
})

// A page without the frame that was asked for (signed out, not found) is shown whole.
addEventListener("turbo:frame-missing", (event) => {
  event.preventDefault()
  event.detail.visit(event.detail.response)
})

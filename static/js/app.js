import "@hotwired/turbo"
import { Application } from "@hotwired/stimulus"
import "streams"

import Composer from "controllers/composer"
import Copy from "controllers/copy"
import Dialog from "controllers/dialog"
import Filter from "controllers/filter"
import Handset from "controllers/handset"
import Hotkeys from "controllers/hotkeys"
import List from "controllers/list"
import Live from "controllers/live"
import LocalTime from "controllers/local-time"
import Search from "controllers/search"
import Segments from "controllers/segments"
import Thread from "controllers/thread"
import Title from "controllers/title"
import Unwrap from "controllers/unwrap"

const application = Application.start()
const controllers = {
  composer: Composer, copy: Copy, dialog: Dialog, filter: Filter, handset: Handset, hotkeys: Hotkeys, list: List, live: Live,
  "local-time": LocalTime, search: Search, segments: Segments, thread: Thread, title: Title, unwrap: Unwrap,
}
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

// A form that was taken closes what it was opened in.
addEventListener("turbo:submit-end", ({ target, detail }) => {
  if (!detail.success) return
  target.closest("[popover]:popover-open")?.hidePopover()
  target.closest("dialog")?.close()
})

// A page without the frame that was asked for (signed out, not found) is shown whole.
addEventListener("turbo:frame-missing", (event) => {
  event.preventDefault()
  event.detail.visit(event.detail.response)
})

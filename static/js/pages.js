// Controllers of the pages other than the inbox.
import { application } from "app"

import Poll from "pages/poll"
import ContactSelection from "pages/contact-selection"
import Copy from "pages/copy"
import Filter from "pages/filter"
import Grid from "pages/grid"
import Handset from "pages/handset"
import Offline from "pages/offline"
import Permission from "pages/permission"
import Preview from "pages/preview"
import Push from "pages/push"
import Reveal from "pages/reveal"
import Sample from "pages/sample"
import Autosave from "pages/autosave"
import Toast from "pages/toast"

const controllers = { autosave: Autosave, "contact-selection": ContactSelection, copy: Copy, filter: Filter, grid: Grid, handset: Handset, offline: Offline, permission: Permission, poll: Poll, preview: Preview, push: Push, reveal: Reveal, sample: Sample, toast: Toast }
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

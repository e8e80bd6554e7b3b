// What pages beside the inbox do.
import { application } from "app"

import Copy from "pages/copy"
import Filter from "pages/filter"
import Handset from "pages/handset"
import Reveal from "pages/reveal"
import Toast from "pages/toast"

const controllers = { copy: Copy, filter: Filter, handset: Handset, reveal: Reveal, toast: Toast }
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

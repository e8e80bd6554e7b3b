// What pages beside the inbox do.
import { application } from "app"

import Copy from "pages/copy"
import Filter from "pages/filter"
import Handset from "pages/handset"
import Toast from "pages/toast"

const controllers = { copy: Copy, filter: Filter, handset: Handset, toast: Toast }
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

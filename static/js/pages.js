// What pages beside the inbox do.
import { application } from "app"

import Awaits from "pages/awaits"
import Copy from "pages/copy"
import Filter from "pages/filter"
import Grid from "pages/grid"
import Handset from "pages/handset"
import Permission from "pages/permission"
import Preview from "pages/preview"
import Recipient from "pages/recipient"
import Reveal from "pages/reveal"
import Sample from "pages/sample"
import Saves from "pages/saves"
import Toast from "pages/toast"

const controllers = { awaits: Awaits, copy: Copy, filter: Filter, grid: Grid, handset: Handset, permission: Permission, preview: Preview, recipient: Recipient, reveal: Reveal, sample: Sample, saves: Saves, toast: Toast }
for (const [name, controller] of Object.entries(controllers)) application.register(name, controller)

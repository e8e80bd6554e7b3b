// The controllers of the form for a new text.
import { application } from "app"
import NewText from "pages/new-text"
import Recipient from "pages/recipient"

let isRegistered = false

export function enhance() {
  if (isRegistered) return
  isRegistered = true
  application.register("new-text", NewText)
  application.register("recipient", Recipient)
}

import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// Shows the unread count in the document title, as in "(3) Maya Okafor · Harbor Dental", and as a dot in the rail.
export default class extends Controller {
  static values = { unread: Number }

  connect() {
    this.show()
  }

  show() {
    const who = document.querySelector("[data-title]")?.dataset.title
    const place = [who ?? t("Inbox"), document.body.dataset.workspaceName].join(" · ")
    const unread = this.unreadValue > 99 ? "99+" : this.unreadValue
    document.title = unread ? `(${unread}) ${place}` : place
    navigator.setAppBadge?.(this.unreadValue).catch(() => {})
    for (const dot of document.querySelectorAll("[data-unread-dot]")) dot.hidden = !unread
  }
}

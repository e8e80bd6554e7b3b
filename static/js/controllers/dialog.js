import { Controller } from "@hotwired/stimulus"

// Opens the <dialog> beside the control. Without script the control is a link to a page with the same form.
export default class extends Controller {
  static targets = ["dialog"]

  open(event) {
    event.preventDefault()
    this.dialogTarget.showModal()
  }

  close() {
    this.dialogTarget.close()
  }

  // A click beside the dialog lands on its backdrop, which is the dialog itself.
  closeBeside({ target }) {
    if (target === this.dialogTarget) this.close()
  }
}

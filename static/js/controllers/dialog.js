import { Controller } from "@hotwired/stimulus"

// Opens the <dialog> next to the control. Without scripts the control links to a page with the same form.
export default class extends Controller {
  static targets = ["dialog"]

  open(event) {
    event.preventDefault()
    this.dialogTarget.showModal()
  }

  close() {
    this.dialogTarget.close()
  }

  // A click on the backdrop targets the dialog itself.
  closeBeside({ target }) {
    if (target === this.dialogTarget) this.close()
  }
}

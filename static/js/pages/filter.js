import { Controller } from "@hotwired/stimulus"

// Shows the items that contain every typed word.
export default class extends Controller {
  static targets = ["item", "group", "none"]

  apply({ target: { value } }) {
    const words = value.toLowerCase().split(/\s+/).filter(Boolean)
    let found = 0
    for (const item of this.itemTargets) {
      const text = (item.dataset.filterText ?? item.textContent).toLowerCase()
      item.hidden = !words.every((word) => text.includes(word))
      if (!item.hidden) found++
    }
    for (const group of this.groupTargets) {
      group.hidden = !group.querySelector('[data-filter-target~="item"]:not([hidden])')
    }
    for (const none of this.noneTargets) none.hidden = found > 0
  }
}

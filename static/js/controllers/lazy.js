import { Controller } from "@hotwired/stimulus"

// Loads a module of `lazy/` when its element is used for the first time: `enhance` of a field that gets the focus or of an
// element that says `now`, `run` of a button.
export default class extends Controller {
  static values = { module: String, now: Boolean }
  #enhanced

  connect() {
    if (this.nowValue) this.enhance()
  }

  async enhance() {
    if (this.#enhanced) return
    this.#enhanced = true
    const module = await this.#module.catch(() => (this.#enhanced = false))
    if (module && this.element.isConnected) module.enhance(this.element)
  }

  async run() {
    const module = await this.#module
    module.run(this.element)
  }

  get #module() {
    return import(`lazy/${this.moduleValue}`)
  }
}

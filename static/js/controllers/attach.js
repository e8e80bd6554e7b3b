import { Controller } from "@hotwired/stimulus"
import { t } from "i18n"

// Attachments: chosen, pasted or dropped. Photos are reduced to what the number's provider takes. Each is uploaded at once and
// can be removed.
export default class extends Controller {
  static targets = ["input", "list", "item", "text"]
  static values = { url: String, limit: Number }
  #queue = Promise.resolve()

  choose() {
    this.#take(this.inputTarget.files)
    // Otherwise the form would upload the files again.
    this.inputTarget.value = ""
  }

  paste(event) {
    if (event.clipboardData.files.length === 0) return
    event.preventDefault()
    this.#take(event.clipboardData.files)
  }

  // Prevents the browser from opening the file.
  over(event) {
    if (!event.dataTransfer.types.includes("Files")) return
    event.preventDefault()
    this.#zone.classList.add("dropping")
  }

  // Moving between child elements does not leave the zone.
  leave({ relatedTarget }) {
    if (!relatedTarget) this.#zone.classList.remove("dropping")
  }

  drop(event) {
    this.#zone.classList.remove("dropping")
    if (event.dataTransfer.files.length === 0) return
    event.preventDefault()
    this.#take(event.dataTransfer.files)
  }

  remove({ target }) {
    const item = target.closest(".attachment")
    item.request?.abort()
    item.remove()
    this.#changed()
    this.textTarget.focus()
  }

  retry({ target }) {
    const item = target.closest(".attachment")
    item.classList.remove("bad")
    item.querySelector(".why").textContent = ""
    item.querySelector(".retry").hidden = true
    this.#upload(item, item.file)
    this.textTarget.focus()
  }

  get #zone() {
    return this.element.closest("[data-drop]") ?? this.element
  }

  // Attachments are part of the draft.
  #changed() {
    this.textTarget.dispatchEvent(new Event("input", { bubbles: true }))
  }

  // Restores the attachments of a draft or an unsent text.
  restore({ detail }) {
    for (const file of detail) this.#uploaded(this.#add(file.name), file)
  }

  #take(files) {
    for (const file of files) {
      if (this.listTarget.children.length >= 10) return this.#refuse(this.#add(file.name), t("A text can carry up to 10 files."))
      const item = this.#add(file.name)
      if (isPhoto(file)) this.#reduce(item, file)
      else this.#send(item, file)
    }
    this.textTarget.focus()
  }

  // One after the other: a decoded photo takes some 50 MB.
  #reduce(item, file) {
    item.classList.add("uploading")
    this.#queue = this.#queue.then(async () => {
      const { reduced } = await import("lazy/photo")
      const others = [...this.listTarget.children].reduce((sum, { dataset }) => sum + Number(dataset.size ?? 0), 0)
      const [photo, sentence] = await reduced(file, this.#limit, others)
      if (!item.isConnected) return
      this.#name(item, photo.name)
      item.querySelector(".reduced").textContent = sentence
      this.#send(item, photo)
    }).catch(() => item.isConnected && this.#send(item, file))
  }

  #send(item, file) {
    item.dataset.size = file.size
    if (file.size > this.#limit) this.#refuse(item, t("Too large: a text can carry up to {n} MB.", { n: Math.floor(this.#limit / 1e6) }))
    else this.#upload(item, file)
  }

  // In the form for a new text, that of the chosen number.
  get #limit() {
    return Number(this.element.elements.number_id?.selectedOptions?.[0]?.dataset.limit ?? this.limitValue)
  }

  #add(name) {
    const item = this.itemTarget.content.cloneNode(true).firstElementChild
    this.#name(item, name)
    this.listTarget.append(item)
    return item
  }

  #name(item, name) {
    item.querySelector(".name").textContent = name
    item.querySelector(".remove .visually-hidden").textContent = t("Remove {name}", { name })
  }

  // fetch reports no upload progress.
  #upload(item, file) {
    const request = (item.request = new XMLHttpRequest())
    item.file = file
    const body = new FormData()
    body.set("file", file)
    item.classList.add("uploading")
    request.upload.addEventListener("progress", ({ loaded, total }) => (item.querySelector("progress").value = loaded / total))
    request.addEventListener("load", () => this.#answered(item, file.name, request))
    request.addEventListener("error", () => this.#refuse(item, t("No connection."), true))
    request.open("POST", this.urlValue)
    request.setRequestHeader("Accept", "application/json")
    request.send(body)
  }

  #answered(item, name, { status, responseText }) {
    let answer
    try {
      answer = JSON.parse(responseText)
    } catch {
      answer = {}
    }
    if (status === 201) this.#uploaded(item, { ...answer, name })
    else this.#refuse(item, sentence(answer.errors?.[0]?.message ?? answer.detail ?? t("Upload failed")), status >= 500 || status === 429 || status === 401)
  }

  #uploaded(item, { id, content_type, url, name }) {
    item.classList.remove("uploading")
    Object.assign(item.dataset, { id, kind: content_type, url, name })
    item.querySelector("input").disabled = false
    item.querySelector("input").value = id
    this.#changed()
    if (!content_type.startsWith("image/")) return
    const picture = new Image()
    picture.src = `${url}?size=thumb`
    picture.alt = ""
    item.querySelector(".icon").replaceWith(picture)
  }

  #refuse(item, reason, again = false) {
    item.classList.remove("uploading")
    item.classList.add("bad")
    item.querySelector(".why").textContent = reason
    item.querySelector(".retry").hidden = !again
    item.querySelector("input").disabled = true
  }
}

// Some systems do not name the type of HEIC.
const isPhoto = ({ type, name }) => (type.startsWith("image/") && !/gif|svg/.test(type)) || /\.hei[cf]$/i.test(name)

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`
}

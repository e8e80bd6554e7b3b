import { t } from "i18n"

// Shows the images of a thread in a dialog. Arrow keys move, Escape closes.

export function open(link, links) {
  const dialog = document.getElementById("lightbox").content.cloneNode(true).firstElementChild
  const part = (name) => dialog.querySelector(`[data-part=${name}]`)
  let at = links.indexOf(link)

  function show(next) {
    at = (next + links.length) % links.length
    const photo = links[at].querySelector(".photo")
    const picture = new Image()
    picture.alt = photo.alt
    picture.src = links[at].href
    part("picture").replaceChildren(picture)
    part("place").textContent = links.length > 1 ? t("{n} of {all}", { n: at + 1, all: links.length }) : ""
    part("download").href = links[at].href
  }

  for (const [name, step] of [["back", -1], ["on", 1]]) {
    part(name).hidden = links.length < 2
    part(name).addEventListener("click", () => show(at + step))
  }
  part("close").addEventListener("click", () => dialog.close())
  dialog.addEventListener("click", ({ target }) => target.matches("dialog, [data-part=picture]") && dialog.close())
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!step || links.length < 2) return
    event.preventDefault()
    show(at + step)
  })
  dialog.addEventListener("close", () => {
    dialog.remove()
    links[at].focus()
  })
  document.body.append(dialog)
  show(at)
  dialog.showModal()
}

// Who views which conversation: shown beside its name and on its row.

import { count, t } from "i18n"

const here = new Map()

export function note(conversation, user, who) {
  if (user === document.body.dataset.user) return
  const there = here.get(conversation) ?? new Map()
  if (who) there.set(user, who)
  else there.delete(user)
  here.set(conversation, there)
  paint(conversation)
}

// The server sends presence again after each join.
export function forget() {
  const all = [...here.keys()]
  here.clear()
  all.forEach(paint)
}

export function paintAll() {
  for (const conversation of here.keys()) paint(conversation)
}

export function paint(conversation) {
  const people = [...(here.get(conversation)?.values() ?? [])]
  const text = sentence(people.map(({ name }) => name))
  const head = document.getElementById(`presence-${conversation}`)
  if (head && head.textContent !== text) head.textContent = text
  const faces = document.querySelector(`#row-${CSS.escape(conversation)} .faces`)
  if (!faces) return
  faces.replaceChildren(...people.slice(0, 2).map(({ face }) => face.cloneNode(true)))
  faces.title = text
  if (text) faces.append(Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: text }))
}

function sentence(names) {
  if (names.length === 0) return ""
  if (names.length === 1) return t("{name} is viewing this", { name: names[0] })
  if (names.length === 2) return t("{name} and {other} are viewing this", { name: names[0], other: names[1] })
  return count(names.length - 1, "{name} and {n} other are viewing this", "{name} and {n} others are viewing this", { name: names[0] })
}

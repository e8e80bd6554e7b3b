// What was typed and not yet taken by the server, and what is being typed: kept per conversation, also through a reload.

const key = (kind, conversation) => `${kind}:${conversation}`

export function draft(conversation) {
  return read(key("draft", conversation)) ?? ""
}

export function keepDraft(conversation, text) {
  write(key("draft", conversation), text.trim() === "" ? null : text)
}

export function unsent(conversation) {
  return read(key("unsent", conversation)) ?? []
}

export function keep(conversation, entry) {
  const others = unsent(conversation).filter(({ ref }) => ref !== entry.ref)
  write(key("unsent", conversation), [...others, entry])
}

export function forget(conversation, ref) {
  const others = unsent(conversation).filter((entry) => entry.ref !== ref)
  write(key("unsent", conversation), others.length ? others : null)
}

// Storage may be full or forbidden: then it lasts as long as the page.
const memory = new Map()

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? memory.get(name)
  } catch {
    return memory.get(name)
  }
}

function write(name, value) {
  memory.set(name, value ?? undefined)
  try {
    if (value === null) localStorage.removeItem(name)
    else localStorage.setItem(name, JSON.stringify(value))
  } catch { /* kept in memory */ }
}

// What was typed and not yet taken by the server, and what is being typed: kept for each writer and conversation, also
// through a reload. Each in a place of its own, so that two tabs do not write over each other.

const KINDS = ["draft", "note", "unsent"]
const KEPT_FOR_OTHERS = 7 * 86_400_000

const name = (...parts) => [parts[0], document.body.dataset.user, ...parts.slice(1)].join(":")

// { text, media, at, base, dirty, url }: `base` is what the server had when this was begun, `dirty` what it has not seen,
// `sent` what it was told and has not answered. Of a text to somebody new also to whom, from which number, and the key of its
// form.
export function draft(conversation) {
  return read(draftKey(conversation)) ?? undefined
}

export const draftKey = (conversation) => name("draft", conversation)

export function keepDraft(conversation, entry) {
  write(draftKey(conversation), entry)
}

export function dirtyDrafts() {
  return all("draft").filter(([, { dirty }]) => dirty).map(([key, entry]) => ({ conversation: key, ...entry }))
}

// A note for colleagues that is being written.
export function note(conversation) {
  return read(name("note", conversation))?.text ?? ""
}

export function keepNote(conversation, text) {
  write(name("note", conversation), text.trim() === "" ? undefined : { text, at: Date.now() })
}

// Texts on their way, in the order in which they were written.
export function unsent(conversation) {
  return everyUnsent().filter((entry) => entry.conversation === conversation)
}

export function everyUnsent() {
  return all("unsent").map(([, entry]) => entry).sort((a, b) => a.at - b.at)
}

export function find(ref) {
  return read(name("unsent", ref)) ?? undefined
}

export function keep(entry) {
  write(name("unsent", entry.ref), entry)
}

export function forget(ref) {
  write(name("unsent", ref), undefined)
}

// How much of it is nowhere else: texts that the server has not taken, and drafts and notes that it does not have.
export function onlyHere() {
  const says = ({ text = "", media = [], to = "" }) => Boolean(text.trim() || media.length || to.trim())
  const drafts = all("draft").filter(([, draft]) => (draft.dirty || !draft.url) ? says(draft) : draft.other && says(draft.other))
  return { texts: everyUnsent().length, drafts: drafts.length + all("note").length }
}

// All of this writer's.
export function forgetAll() {
  for (const kind of KINDS) for (const [key] of all(kind)) write(name(kind, key), undefined)
}

// What somebody else has left on a computer that several use waits for them, but not for ever.
export function forgetStrangers(now = Date.now()) {
  try {
    for (const key of Object.keys(localStorage)) {
      const [kind, user] = key.split(":")
      if (!KINDS.includes(kind) || user === document.body.dataset.user) continue
      if (!(read(key)?.at > now - KEPT_FOR_OTHERS)) localStorage.removeItem(key)
    }
  } catch { /* nothing is kept */ }
}

// Outside https and localhost a browser has no randomUUID.
export function newRef() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

// Storage may be full or forbidden: then it lasts as long as the page.
const memory = new Map()

function all(kind) {
  const start = name(kind, "")
  const keys = new Set(memory.keys())
  try {
    for (const key of Object.keys(localStorage)) keys.add(key)
  } catch { /* what is remembered must do */ }
  return [...keys].filter((key) => key.startsWith(start)).map((key) => [key.slice(start.length), read(key)]).filter(([, value]) => value)
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? memory.get(key)
  } catch {
    return memory.get(key)
  }
}

function write(key, value) {
  try {
    if (value === undefined) localStorage.removeItem(key)
    else localStorage.setItem(key, JSON.stringify(value))
    memory.delete(key)
  } catch {
    if (value === undefined) memory.delete(key)
    else memory.set(key, value)
  }
}

// Unsent texts, drafts and notes in localStorage, by user and conversation. Each entry has its own key, so that tabs
// do not overwrite each other's.

const KINDS = ["draft", "note", "unsent"]
const RETENTION_FOR_OTHERS = 7 * 86_400_000

const name = (...parts) => [parts[0], document.body.dataset.user, ...parts.slice(1)].join(":")

// { text, media, at, base, dirty, url, sent }: `base` is the server's version that this draft began with, `dirty`
// whether it differs from the server's, `sent` the versions saved without a response. The draft of a new text also has
// recipient, number and idempotency key.
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

export function note(conversation) {
  return read(name("note", conversation))?.text ?? ""
}

export function keepNote(conversation, text) {
  write(name("note", conversation), text.trim() === "" ? undefined : { text, at: Date.now() })
}

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

// Counts what the server does not have: unsent texts, unsaved drafts, notes.
export function countUnsaved() {
  const hasContent = ({ text = "", media = [], to = "" }) => Boolean(text.trim() || media.length || to.trim())
  const drafts = all("draft").filter(([, draft]) => (draft.dirty || !draft.url) ? hasContent(draft) : draft.other && hasContent(draft.other))
  return { texts: everyUnsent().length, drafts: drafts.length + all("note").length }
}

export function forgetAll() {
  for (const kind of KINDS) for (const [key] of all(kind)) write(name(kind, key), undefined)
}

// On a shared computer, entries of other users are kept for a week.
export function expireOthers(now = Date.now()) {
  try {
    for (const key of Object.keys(localStorage)) {
      const [kind, user] = key.split(":")
      if (!KINDS.includes(kind) || user === document.body.dataset.user) continue
      if (!(read(key)?.at > now - RETENTION_FOR_OTHERS)) localStorage.removeItem(key)
    }
  } catch { /* storage is blocked */ }
}

// randomUUID needs a secure context.
export function newRef() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

// Fallback for full or blocked storage: lives as long as the page.
const memory = new Map()

function all(kind) {
  const start = name(kind, "")
  const keys = new Set(memory.keys())
  try {
    for (const key of Object.keys(localStorage)) keys.add(key)
  } catch { /* only `memory` */ }
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

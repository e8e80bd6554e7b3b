// Saves drafts on the server after a pause in typing, and restores them in any browser of their author.
import { composed } from "segments"
import * as store from "unsent"

const SAVE_DELAY = 800

let saving = Promise.resolve()
const timers = new Map()

// Without `url` the draft stays in this browser.
export function write(conversation, url, typed) {
  // NFC, as on the server.
  const written = { ...typed, text: composed(typed.text) }
  const before = store.draft(conversation)
  if (same(before ?? {}, written)) return
  store.keepDraft(conversation, { url, ...written, at: Date.now(), base: before?.base ?? "", dirty: Boolean(url), other: before?.other, sent: before?.sent })
  soon(conversation)
}

export function soon(conversation, wait = SAVE_DELAY) {
  clearTimeout(timers.get(conversation))
  timers.set(conversation, setTimeout(() => save(conversation), wait))
}

// Saves run one after the other, so that an older one cannot arrive last. `keepalive` lets a save outlive the page.
export function save(conversation) {
  clearTimeout(timers.get(conversation))
  saving = saving.then(() => put(conversation))
  return saving
}

export function saveAll() {
  return Promise.all(store.dirtyDrafts().map(({ conversation }) => save(conversation)))
}

async function put(conversation) {
  const entry = store.draft(conversation)
  if (!entry?.dirty) return
  const { text, media, base: seen, to, number, sent = [] } = entry
  // If the response is lost, a later 409 may come from this very save: see `ours`.
  store.keepDraft(conversation, { ...entry, sent: [...sent, { text, media }].slice(-5) })
  // The draft of a new text has no base: the last write wins.
  const rest = to === undefined ? { seen_at: seen || null } : { to: to.slice(0, 200), number_id: number || null }
  const body = JSON.stringify({ content: text.slice(0, 5000), media_ids: media.map(({ id }) => id), ...rest })
  const headers = { "Content-Type": "application/json", Accept: "application/json" }
  const response = await fetch(entry.url, { method: "PUT", body, headers, keepalive: true }).catch(() => undefined)
  if (response?.status === 409) {
    const base = sent.length > 0 && (await ours(entry.url, sent))
    const now = store.draft(conversation)
    if (now) store.keepDraft(conversation, { ...now, base: base || now.base, sent: base ? undefined : sent })
    if (base) return soon(conversation, 0)
    // Changed in another browser: both versions are kept until the composer has shown both.
    return dispatchEvent(new CustomEvent("drafts:moved", { detail: { conversation } }))
  }
  if (!response?.ok && ![404, 422].includes(response?.status)) return
  const base = response.ok ? ((await response.json().catch(() => ({}))).updated_at ?? "") : entry.base
  const now = store.draft(conversation)
  if (!now) return
  const more = !same(now, entry)
  store.keepDraft(conversation, more || base || now.other ? { ...now, base, dirty: more, sent: undefined } : undefined)
  if (more) soon(conversation)
}

// Returns `updated_at` of the server's draft if it equals one of `sent`, whose responses were lost.
async function ours(url, sent) {
  const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => undefined)
  const { content: text, media, updated_at } = response?.ok ? await response.json() : {}
  return sent.some((one) => same(one, { text, media })) ? updated_at : undefined
}

// Decides between the server's and the local draft. Returns the one to show, and the other one if its text would be
// lost; that one is kept until it is used or a text is sent.
export function reconcile(conversation, url, server) {
  const local = store.draft(conversation)
  let { other } = local ?? {}
  const fresh = () => ({ url, text: server.text, media: server.media, base: server.base, at: Date.now(), dirty: false, other })
  if (local?.dirty && local.base !== server.base && !same(local, server) && server.base !== "") {
    // The local draft continues the server's, or the server's was saved from here.
    if ((server.text !== "" && local.text.startsWith(server.text)) || local.sent?.some((one) => same(one, server))) {
      store.keepDraft(conversation, { ...local, base: server.base })
      soon(conversation)
      return [local, other]
    }
    const newer = local.at > Date.parse(server.base)
    const { text, media } = newer ? server : local
    if (text.trim() !== "") other = { text, media }
    store.keepDraft(conversation, newer ? { ...local, base: server.base, other } : fresh())
    if (newer) soon(conversation)
    return [newer ? local : server, other]
  }
  if (local?.dirty) {
    soon(conversation)
    return [local, other]
  }
  store.keepDraft(conversation, server.base === "" && !other ? undefined : fresh())
  return [server, other]
}

export function offer(conversation, other) {
  const entry = store.draft(conversation)
  if (entry) store.keepDraft(conversation, { ...entry, other })
}

function same(a, b) {
  const ids = ({ media = [] }) => media.map(({ id }) => id).join()
  return ["text", "to", "number"].every((field) => (a[field] ?? "") === (b[field] ?? "")) && ids(a) === ids(b)
}

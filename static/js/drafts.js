// What is being written goes to the server a moment after the last key, and comes from there wherever one goes on writing.
import * as store from "unsent"

const PAUSE = 800

let saving = Promise.resolve()
const timers = new Map()

export function write(conversation, url, { text, media }) {
  const before = store.draft(conversation)
  if (same(before ?? {}, { text, media })) return
  store.keepDraft(conversation, { url, text, media, at: Date.now(), base: before?.base ?? "", dirty: true })
  soon(conversation)
}

export function soon(conversation, wait = PAUSE) {
  clearTimeout(timers.get(conversation))
  timers.set(conversation, setTimeout(() => save(conversation), wait))
}

// One after the other, or an older one might come in last. `keepalive` lets it outlive the page.
export function save(conversation) {
  clearTimeout(timers.get(conversation))
  saving = saving.then(() => put(conversation))
  return saving
}

// What an earlier page, or an hour without a line, has left.
export function saveAll() {
  for (const { conversation } of store.dirtyDrafts()) save(conversation)
}

async function put(conversation) {
  const entry = store.draft(conversation)
  if (!entry?.dirty) return
  const body = JSON.stringify({ content: entry.text.slice(0, 5000), media_ids: entry.media.map(({ id }) => id), seen_at: entry.base || null })
  const headers = { "Content-Type": "application/json", Accept: "application/json" }
  const response = await fetch(entry.url, { method: "PUT", body, headers, keepalive: true }).catch(() => undefined)
  // Written on elsewhere: both are kept, until whoever opens it has seen both.
  if (response?.status === 409) return dispatchEvent(new CustomEvent("drafts:moved", { detail: { conversation } }))
  if (!response?.ok && ![404, 422].includes(response?.status)) return
  const base = response.ok ? ((await response.json().catch(() => ({}))).updated_at ?? "") : entry.base
  const now = store.draft(conversation)
  if (!now) return
  // What was typed meanwhile is saved next.
  const more = !same(now, entry)
  store.keepDraft(conversation, more || base ? { ...now, base, dirty: more } : undefined)
  if (more) soon(conversation)
}

// Of what the server has and what this browser has: which one stands in the field, and which other one was lost to it.
export function settle(conversation, url, server) {
  const local = store.draft(conversation)
  if (local?.dirty && local.base !== server.base && !same(local, server) && server.base !== "") {
    const newer = local.at > Date.parse(server.base)
    const [kept, other] = newer ? [local, server] : [server, local]
    store.keepDraft(conversation, newer ? { ...local, base: server.base } : { url, ...server, at: Date.now(), dirty: false })
    if (newer) soon(conversation)
    return [kept, other.text.trim() === "" ? undefined : other]
  }
  if (local?.dirty) {
    soon(conversation)
    return [local, undefined]
  }
  store.keepDraft(conversation, server.base === "" ? undefined : { url, ...server, at: Date.now(), dirty: false })
  return [server, undefined]
}

function same(a, b) {
  const ids = ({ media = [] }) => media.map(({ id }) => id).join()
  return (a.text ?? "") === (b.text ?? "") && ids(a) === ids(b)
}

// Sends queued texts in order, from whatever page is open. A text is retried under the same idempotency key until the
// server accepts or refuses it, so it is sent once. A lock lets one tab send at a time.
import { show } from "streams"
import * as store from "unsent"

const TIMEOUT = 30_000

let running
let again = false

export function send() {
  again = true
  running ??= run().finally(() => (running = undefined))
  return running
}

// Runs `work` while no tab is sending.
export function withLock(work) {
  // The Web Locks API needs a secure context; without it idempotency keys alone prevent duplicates.
  return navigator.locks ? navigator.locks.request(`outbox:${document.body.dataset.user}`, work) : work()
}

export const waiting = () => store.everyUnsent().filter(({ code }) => code === undefined)

async function run() {
  while (again) {
    again = false
    await withLock(sendAll)
  }
}

async function sendAll() {
  const deferred = new Set()
  for (let entry; (entry = waiting().find(({ conversation, ref }) => !deferred.has(conversation) && !deferred.has(ref))); ) {
    publish(entry, "sending")
    const outcome = await sendOne(entry)
    if (outcome === "offline") return waiting().forEach((other) => publish(other, "waiting"))
    if (outcome === "deferred") deferred.add(entry.conversation)
  }
  for (const entry of waiting()) publish(entry, "waiting")
}

async function sendOne(entry) {
  const { ref, url, content, media = [], seen = "", scheduled, then, who } = entry
  const body = new URLSearchParams({ ...who, content, idempotency_key: ref, seen_message_id: seen, media_ids: media.map(({ id }) => id).join() })
  if (scheduled) body.set("scheduled_at", scheduled)
  if (then) body.set("then", then)
  let response, html
  try {
    response = await fetch(url, { method: "POST", body, headers: { Accept: "text/vnd.turbo-stream.html" }, signal: AbortSignal.timeout(TIMEOUT) })
    html = await response.text()
  } catch {
    return "offline"
  }
  const streams = response.headers.get("content-type")?.startsWith("text/vnd.turbo-stream")
  if (response.ok && streams) {
    store.forget(ref)
    show(html)
    publish(entry, "accepted", response.headers.get("location"))
    return "finished"
  }
  // Signed out, rate limited or a server error: the text stays queued.
  if (response.ok || response.status >= 500 || [401, 408, 429].includes(response.status)) return response.status === 401 || response.ok ? "offline" : "deferred"
  refuse(entry, streams ? refusalOf(html) : problemOf(html))
  return "finished"
}

// The new-text page may have handled the refusal and removed the entry.
function refuse(entry, { code, reason }) {
  if (store.find(entry.ref)) store.keep({ ...entry, code, reason })
  publish(entry, "refused")
}

function refusalOf(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  const stream = template.content.querySelector("turbo-stream[action=refused]")
  return { code: stream?.getAttribute("code") ?? "refused", reason: stream?.firstElementChild.content.textContent.trim() }
}

function problemOf(json) {
  try {
    const { code, detail } = JSON.parse(json)
    return { code, reason: detail }
  } catch {
    return { code: "refused" }
  }
}

// `href`: the conversation that a new text has created.
function publish({ ref, then, conversation }, state, href) {
  dispatchEvent(new CustomEvent("outbox:changed", { detail: { ref, state, href, then, conversation } }))
}

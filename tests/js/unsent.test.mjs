import assert from "node:assert/strict"
import test, { beforeEach } from "node:test"

// Web Storage: keys are own properties.
globalThis.localStorage = Object.create({
  getItem(key) { return Object.hasOwn(this, key) ? this[key] : null },
  setItem(key, value) { this[key] = String(value) },
  removeItem(key) { delete this[key] },
})
const store = await import("unsent")
const DAY = 86_400_000

beforeEach(() => {
  for (const key of Object.keys(localStorage)) localStorage.removeItem(key)
  document.body.dataset.user = "jo"
})

test("only entries that the server does not have are counted", () => {
  store.keep({ ref: "1", content: "On its way", at: 1 })
  store.keep({ ref: "2", content: "Refused", at: 2, code: "contact_opted_out" })
  store.keepDraft("a", { text: "The server has it", url: "/draft", dirty: false })
  store.keepDraft("b", { text: "Not saved yet", url: "/draft", dirty: true })
  store.keepDraft("c", { text: " ", url: "/draft", dirty: true })
  store.keepDraft("d", { text: "To a number in the address", dirty: false })
  store.keepNote("a", "A note")
  assert.deepEqual(store.countUnsaved(), { texts: 2, drafts: 3 })
  document.body.dataset.user = "sam"
  assert.deepEqual(store.countUnsaved(), { texts: 0, drafts: 0 })
})

test("signing out removes the entries of the user and keeps those of others", () => {
  for (const user of ["jo", "sam"]) {
    document.body.dataset.user = user
    store.keep({ ref: user, content: "Hi", at: 1 })
    store.keepDraft("a", { text: "Draft", dirty: true })
    store.keepNote("a", "Note")
  }
  localStorage.setItem("theme", "dark")
  store.forgetAll()
  assert.deepEqual(Object.keys(localStorage).sort(), ["draft:jo:a", "note:jo:a", "theme", "unsent:jo:jo"])
})

test("entries of other users expire after a week", () => {
  const now = 100 * DAY
  const leave = (user, at) => localStorage.setItem(`unsent:${user}:1`, JSON.stringify({ ref: "1", at }))
  leave("jo", now - 30 * DAY)
  leave("sam", now - 6 * DAY)
  leave("lin", now - 8 * DAY)
  localStorage.setItem("note:lin:a", JSON.stringify({ text: "Of old", at: now - 8 * DAY }))
  localStorage.setItem("theme", "dark")
  store.expireOthers(now)
  assert.deepEqual(Object.keys(localStorage).sort(), ["theme", "unsent:jo:1", "unsent:sam:1"])
})

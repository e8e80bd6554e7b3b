import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import test from "node:test"
import { hedgedFetch } from "hedged-fetch"

// A server that never answers the first `unanswered` requests and reports their abort.
async function server(unanswered) {
  const seen = { requests: 0 }
  const http = createServer((request, response) => {
    if (++seen.requests > unanswered) return response.end("here")
    seen.aborted = once(request.socket, "close")
  })
  await new Promise((done) => http.listen(0, "127.0.0.1", done))
  return { url: `http://127.0.0.1:${http.address().port}/`, seen, stop: () => (http.closeAllConnections(), http.close()) }
}

test("an unanswered request is repeated on another connection", { timeout: 10_000 }, async () => {
  const { url, seen, stop } = await server(1)
  const response = await hedgedFetch(url, {})
  assert.equal(await response.text(), "here")
  assert.equal(seen.requests, 2)
  await seen.aborted
  stop()
})

test("an answered request is not repeated, and a refused connection fails at once", async () => {
  const { url, seen, stop } = await server(0)
  assert.equal(await (await hedgedFetch(url, {})).text(), "here")
  assert.equal(seen.requests, 1)
  stop()
  await assert.rejects(hedgedFetch(url, {}))
})

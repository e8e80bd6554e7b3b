import assert from "node:assert/strict"
import { createServer } from "node:http"
import test from "node:test"
import { ask } from "patience"

// A server that never answers the first `deaf` requests and counts aborted ones.
async function server(deaf) {
  const seen = { asked: 0, givenUp: 0 }
  const http = createServer((request, response) => {
    if (++seen.asked > deaf) return response.end("here")
    request.socket.on("close", () => seen.givenUp++)
  })
  await new Promise((done) => http.listen(0, "127.0.0.1", done))
  return { url: `http://127.0.0.1:${http.address().port}/`, seen, stop: () => (http.closeAllConnections(), http.close()) }
}

test("an unanswered request is repeated on another connection", async () => {
  const { url, seen, stop } = await server(1)
  const response = await ask(url, {})
  assert.equal(await response.text(), "here")
  assert.equal(seen.asked, 2)
  stop()
})

test("an answered request is not repeated, and a refused connection fails at once", async () => {
  const { url, seen, stop } = await server(0)
  assert.equal(await (await ask(url, {})).text(), "here")
  assert.equal(seen.asked, 1)
  stop()
  await assert.rejects(ask(url, {}))
})

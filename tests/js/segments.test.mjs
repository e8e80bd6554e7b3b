// node --test tests/js
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"

// The module is served to browsers as a plain .js file, which node would take for CommonJS.
const source = readFileSync(new URL("../../static/js/segments.js", import.meta.url), "utf8")
const { segments } = await import(`data:text/javascript,${encodeURIComponent(source)}`)
const vectors = JSON.parse(readFileSync(new URL("../vectors/segments.json", import.meta.url), "utf8"))

for (const { text: pieces, encoding, units, segments: count, culprit } of vectors) {
  const text = pieces.map(([piece, times]) => piece.repeat(times)).join("")
  test(`${units} units of ${encoding} in ${count}: ${text.slice(0, 20)}`, () => {
    const counted = segments(text)
    assert.deepEqual(
      [counted.encoding, counted.units, counted.segments, counted.culprit],
      [encoding, units, count, culprit],
    )
  })
}

test("what is left, and why, in words", () => {
  assert.equal(segments("").summary, "160 left")
  assert.equal(segments("a".repeat(161)).summary, "2 parts · 145 left")
  assert.equal(segments("it’s").summary, "66 left · “’” makes parts shorter")
  assert.equal(segments("a\tb").summary, "67 left · a tab makes parts shorter")
})

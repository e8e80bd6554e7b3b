import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import { composed, simplified, segments } from "segments"

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

test("the summary names remaining characters and segments", () => {
  assert.equal(segments("").summary, "160 characters left")
  assert.equal(segments("a".repeat(161)).summary, "145 characters left · 2 segments")
  assert.equal(segments("it’s").summary, "66 characters left")
})

test("decomposed accents are composed before counting", () => {
  const decomposed = "e\u0301".repeat(70)
  assert.equal(segments(decomposed).segments, 3)
  const { encoding, segments: count, culprit } = segments(composed(decomposed))
  assert.deepEqual([encoding, count, culprit], ["GSM-7", 1, null])
  assert.equal(composed("x\u0301"), "x\u0301", "no composed form exists")
})

test("typographic characters are replaced, letters are not", () => {
  assert.equal(simplified(composed("“José” – ok…")), "\"José\" - ok...")
  assert.equal(segments(simplified(composed("Jose\u0301’s"))).culprit, null)
  assert.equal(segments(simplified(composed("Marti\u0301n"))).culprit, "í", "not in GSM-7")
})

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import { filled, missing } from "variables"

const vectors = JSON.parse(readFileSync(new URL("../vectors/variables.json", import.meta.url), "utf8"))

for (const { text, values, filled: expected, missing: names } of vectors) {
  test(`${text} with ${Object.keys(values).join(", ") || "nothing"}`, () => {
    assert.equal(filled(text, values), expected)
    assert.deepEqual(missing(text, values), names)
  })
}

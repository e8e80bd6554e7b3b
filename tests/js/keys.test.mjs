import assert from "node:assert/strict"
import test from "node:test"
import { isComposing } from "keys"

test("keys of an input method are recognized", () => {
  assert.equal(isComposing({ key: "Enter", keyCode: 13, isComposing: true }), true)
  assert.equal(isComposing({ key: "Enter", keyCode: 229, isComposing: false }), true, "Safari, after the composition has ended")
  assert.equal(isComposing({ key: "Enter", keyCode: 13, isComposing: false }), false)
})

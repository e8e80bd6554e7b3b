// What stands between {{ and }} in a text.
// src/domain/templates/variables.rs is the same rule on the server; tests/vectors/variables.json holds both.

// " First name " is first_name; undefined where it is no name at all.
export function named(text) {
  const name = text.trim().toLowerCase().replace(/[ -]/g, "_")
  return /^[\p{Alphabetic}\p{N}_]{1,40}$/u.test(name) ? name : undefined
}

function pieces(text) {
  const found = []
  for (let begin; (begin = text.indexOf("{{")) >= 0; ) {
    // Of more braces the innermost count.
    while (text[begin + 2] === "{") begin++
    const end = text.indexOf("}}", begin + 2)
    if (end < 0) break
    const inside = text.slice(begin + 2, end)
    const bar = inside.indexOf("|")
    const name = named(bar < 0 ? inside : inside.slice(0, bar))
    const otherwise = bar < 0 ? undefined : inside.slice(bar + 1).trim()
    const stands = name !== undefined && !/[{}]/.test(otherwise ?? "")
    const stop = stands ? end + 2 : begin + 2
    found.push({ words: text.slice(0, stands ? begin : stop) })
    if (stands) found.push({ name, otherwise, whole: text.slice(begin, stop) })
    text = text.slice(stop)
  }
  return [...found, { words: text }]
}

// With those values in their places that there are.
export function filled(text, values) {
  return pieces(text).map(({ words, name, otherwise, whole }) => words ?? (Object.hasOwn(values, name) ? values[name] : (otherwise ?? whole))).join("")
}

// Names without a value, each once, in order.
export function missing(text, values) {
  const names = pieces(text).filter(({ name, otherwise }) => name !== undefined && otherwise === undefined && !Object.hasOwn(values, name))
  return [...new Set(names.map(({ name }) => name))]
}

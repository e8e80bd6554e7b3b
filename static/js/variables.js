// Template variables: {{name}} or {{name|default}}. Same rule as src/domain/templates/variables.rs; both are tested
// against tests/vectors/variables.json.

// " First name " becomes first_name; undefined if the text is not a valid name.
export function named(text) {
  const name = text.trim().toLowerCase().replace(/[ -]/g, "_")
  return /^[\p{Alphabetic}\p{N}_]{1,40}$/u.test(name) ? name : undefined
}

function pieces(text) {
  const found = []
  for (let begin; (begin = text.indexOf("{{")) >= 0; ) {
    // Of more than two braces the innermost pair counts.
    while (text[begin + 2] === "{") begin++
    const end = text.indexOf("}}", begin + 2)
    if (end < 0) break
    const inside = text.slice(begin + 2, end)
    const bar = inside.indexOf("|")
    const name = named(bar < 0 ? inside : inside.slice(0, bar))
    const fallback = bar < 0 ? undefined : inside.slice(bar + 1).trim()
    const isVariable = name !== undefined && !/[{}]/.test(fallback ?? "")
    const stop = isVariable ? end + 2 : begin + 2
    found.push({ literal: text.slice(0, isVariable ? begin : stop) })
    if (isVariable) found.push({ name, fallback, source: text.slice(begin, stop) })
    text = text.slice(stop)
  }
  return [...found, { literal: text }]
}

// Inserts values and defaults; variables with neither stay.
export function filled(text, values) {
  return pieces(text).map(({ literal, name, fallback, source }) => literal ?? (Object.hasOwn(values, name) ? values[name] : (fallback ?? source))).join("")
}

export function missing(text, values) {
  const names = pieces(text).filter(({ name, fallback }) => name !== undefined && fallback === undefined && !Object.hasOwn(values, name))
  return [...new Set(names.map(({ name }) => name))]
}

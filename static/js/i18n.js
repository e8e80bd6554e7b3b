// Texts of scripts in the page's language. English is in the scripts; for other languages the server inserts the
// catalogue's messages and plural rule here.

const WORDS = { /* words */ }
const form = (n) => Number(n !== 1 /* rule */)
const figures = new Intl.NumberFormat(document.documentElement.lang)

// t("{name} is typing…", { name })
export function t(text, values = {}) {
  return fill(WORDS[text] ?? text, values)
}

// count(3, "{n} new message", "{n} new messages")
export function count(n, one, many, values = {}) {
  const forms = WORDS[one] ?? [one, many]
  return fill(forms[form(n)] ?? forms.at(-1), { n: figures.format(n), ...values })
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place)
}

// Lets Node load the scripts of the pages: `node --import ./tests/js/modules.mjs --test tests/js/*.test.mjs`.
//
// Resolves bare names as the page's import map does, and loads the .js files as ES modules.
import { register } from "node:module"

globalThis.document = { documentElement: { lang: "en" }, body: { dataset: { user: "jo" } } }

const hooks = `
  import { existsSync } from "node:fs"
  const scripts = ${JSON.stringify(new URL("../../static/js/", import.meta.url))}

  export function resolve(name, context, next) {
    const url = new URL(name + ".js", scripts)
    return context.parentURL?.startsWith("file:") && /^[a-z]/.test(name) && !name.includes(":") && existsSync(url)
      ? { url: url.href, format: "module", shortCircuit: true } : next(name, context)
  }
`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

// Hedged fetch. After a connection dies, the browser's other connections to the server may be dead too, and requests
// on them get no response. So the request is repeated on another connection and the first response wins. The oldest
// pending request is aborted beyond AT_ONCE, because a browser has six connections per host.
const AGAIN = 2000
const AT_ONCE = 3
const TRIES = 10

export function ask(url, options) {
  const asked = []
  let timer
  return new Promise((answer, fail) => {
    const next = () => {
      const one = new AbortController()
      asked.push(one)
      if (asked.length > AT_ONCE) asked.at(-1 - AT_ONCE).abort()
      // The HTTP cache would serialize the repeats.
      fetch(url, { ...options, cache: "no-store", signal: one.signal }).then(
        (response) => answer({ response, one }),
        (error) => {
          one.abort()
          if (asked.every(({ signal }) => signal.aborted)) fail(error)
        },
      )
      timer = setTimeout(asked.length < TRIES ? next : () => fail(new Error("no answer")), asked.length < TRIES ? AGAIN : 30_000)
    }
    next()
  }).then(
    ({ response, one }) => (stop(one), response),
    (error) => {
      stop()
      throw error
    },
  )

  function stop(chosen) {
    clearTimeout(timer)
    for (const one of asked) if (one !== chosen) one.abort()
  }
}

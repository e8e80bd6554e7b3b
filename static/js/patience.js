// After a line has died, the browser's other connections to the server may be as dead: what is asked on one of them is
// never answered. So it is asked again on another one, and whichever answers first counts. Of those that are not answered the
// oldest is given up, which frees its connection: a browser has six.
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
      // Past the browser's cache, which would have it wait for the one before.
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

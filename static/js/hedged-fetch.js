// Hedged fetch. After a connection dies, the browser's other connections to the server may be dead too, and requests
// on them get no response. So the request is repeated on another connection and the first response wins. The oldest
// pending request is aborted beyond MAX_CONCURRENT, because a browser has six connections per host.
const HEDGE_DELAY = 2000
const MAX_CONCURRENT = 3
const MAX_REQUESTS = 10

export function hedgedFetch(url, options) {
  const requests = []
  let timer
  return new Promise((resolve, reject) => {
    const next = () => {
      const request = new AbortController()
      requests.push(request)
      if (requests.length > MAX_CONCURRENT) requests.at(-1 - MAX_CONCURRENT).abort()
      // The HTTP cache would serialize the repeats.
      fetch(url, { ...options, cache: "no-store", signal: request.signal }).then(
        (response) => resolve({ response, request }),
        (error) => {
          request.abort()
          if (requests.every(({ signal }) => signal.aborted)) reject(error)
        },
      )
      timer = setTimeout(requests.length < MAX_REQUESTS ? next : () => reject(new Error("no answer")), requests.length < MAX_REQUESTS ? HEDGE_DELAY : 30_000)
    }
    next()
  }).then(
    ({ response, request }) => (stop(request), response),
    (error) => {
      stop()
      throw error
    },
  )

  function stop(chosen) {
    clearTimeout(timer)
    for (const request of requests) if (request !== chosen) request.abort()
  }
}

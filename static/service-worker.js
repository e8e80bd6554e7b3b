// Between the pages and the network. It keeps the files that pages are made of, which everybody may have, and a page for when
// there is no network; never a page with anybody's data, nor an answer of the API. `VERSION` and `FILES` come before this.

const KEPT = "messagehub-"
const NAME = KEPT + VERSION
const OFFLINE = "/offline"

addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll([OFFLINE, ...FILES])).then(() => skipWaiting()))
})

// Pages that are open keep the files that they were made with: those of one version before stay. Every address carries the
// hash of its content, so none is ever answered with another one's.
addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys().then(async (names) => {
      const ours = names.filter((name) => name.startsWith(KEPT) && name !== NAME)
      await Promise.all(ours.slice(0, -1).map((name) => caches.delete(name)))
      await clients.claim()
    }),
  )
})

addEventListener("fetch", (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== "GET" || url.origin !== location.origin) return
  if (url.pathname.startsWith("/assets/")) event.respondWith(file(request))
  else if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => offline()))
})

async function file(request) {
  return (await caches.match(request)) ?? fetch(request)
}

async function offline() {
  return (await caches.match(OFFLINE, { cacheName: NAME })) ?? (await caches.match(OFFLINE)) ?? Response.error()
}

addEventListener("push", (event) => {
  let payload = {}
  try {
    payload = event.data?.json() ?? {}
  } catch { /* shown as what it is: something came */ }
  const { title = "MessageHub", body = "", tag, url = "/" } = payload
  event.waitUntil(registration.showNotification(title, { body, tag, renotify: Boolean(tag), data: { url }, icon: "/icon-192.png", badge: "/icon-192.png" }))
})

addEventListener("notificationclick", (event) => {
  event.notification.close()
  const url = new URL(event.notification.data?.url ?? "/", location.origin)
  if (url.origin === location.origin) event.waitUntil(show(url.href))
})

// In a window that is open, if there is one.
async function show(url) {
  const windows = await clients.matchAll({ type: "window" })
  const open = windows.find((window) => window.url === url) ?? windows[0]
  if (!open) return clients.openWindow(url)
  await open.focus()
  if (open.url === url) return
  return open.navigate(url).catch(() => clients.openWindow(url))
}

// Whoever signs out leaves nothing on the screen.
addEventListener("message", (event) => {
  if (event.data !== "signed-out") return
  event.waitUntil(registration.getNotifications().then((all) => all.forEach((notification) => notification.close())))
})

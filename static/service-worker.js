// Caches the static assets and the offline page, never user data or API responses. The server prepends `VERSION` and
// `FILES`.

const KEPT = "messagehub-"
const NAME = KEPT + VERSION
const OFFLINE = "/offline"

addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll([OFFLINE, ...FILES])).then(() => skipWaiting()))
})

// Keeps the previous version for open pages. Asset URLs contain the hash of the content, so versions do not collide.
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
  } catch { /* shown without details */ }
  const { title = "MessageHub", body = "", tag, url = "/" } = payload
  event.waitUntil(registration.showNotification(title, { body, tag, renotify: Boolean(tag), data: { url }, icon: "/icon-192.png", badge: "/icon-192.png" }))
})

addEventListener("notificationclick", (event) => {
  event.notification.close()
  const url = new URL(event.notification.data?.url ?? "/", location.origin)
  if (url.origin === location.origin) event.waitUntil(show(url.href))
})

async function show(url) {
  const windows = await clients.matchAll({ type: "window" })
  const open = windows.find((window) => window.url === url) ?? windows[0]
  if (!open) return clients.openWindow(url)
  await open.focus()
  if (open.url === url) return
  return open.navigate(url).catch(() => clients.openWindow(url))
}

addEventListener("message", (event) => {
  if (event.data !== "signed-out") return
  event.waitUntil(registration.getNotifications().then((all) => all.forEach((notification) => notification.close())))
})

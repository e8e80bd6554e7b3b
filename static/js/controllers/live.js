import { Controller } from "@hotwired/stimulus"
import { hedgedFetch } from "hedged-fetch"
import { forget } from "presence"
import { leave, show } from "streams"
import { t } from "i18n"

const LABELS = { connecting: t("Connecting…"), live: t("Live"), reconnecting: t("Reconnecting"), offline: t("Offline") }
const SENTENCES = {
  reconnecting: t("New texts appear as soon as you’re back online."),
  offline: t("What you send is saved here and goes out once you’re back online."),
}
const REPLAY_WINDOW = 10_000
const WATCHING_INTERVAL = 30_000
// Timers this late mean that the computer slept or the browser suspended the page.
const SLEEP_THRESHOLD = 15_000
const RETRY_DELAY = 3000

// The WebSocket that delivers the page's partials as they change. After each join, missed changes are fetched.
//
// The browser does not notice a connection that died silently (sleep, network change, NAT timeout), and scripts do not
// see protocol pings. So the page sends its own ping and treats silence as a closed connection.
export default class extends Controller {
  static targets = ["state"]
  // `silence`: milliseconds without a frame after which the connection counts as dead.
  static values = { workspace: String, silence: { type: Number, default: 45_000 } }
  #socket
  #tries = 0
  #timer
  #silenceTimer
  #catchUpTimer
  #renewal
  #clock
  #ticked = Date.now()
  #recent = []
  #state = "connecting"

  connect() {
    this.#open()
    this.#renewal = setInterval(() => document.visibilityState === "visible" && this.look(), WATCHING_INTERVAL)
    this.#ticked = Date.now()
    this.#clock = setInterval(() => this.#tick(), SLEEP_THRESHOLD / 3)
  }

  disconnect() {
    clearInterval(this.#renewal)
    clearInterval(this.#clock)
    clearTimeout(this.#timer)
    clearTimeout(this.#catchUpTimer)
    this.#detach()
  }

  stateTargetConnected(element) {
    this.#render(element)
  }

  online() {
    this.#tries = 0
    this.wake()
  }

  offline() {
    this.#reopen(true)
  }

  // The page is visible or the network is back: checks the connection at once, or opens one.
  wake() {
    if (document.visibilityState === "hidden") return
    if (this.#state === "live") this.#ping(this.silenceValue / 9)
    else if (!this.#socket) this.#open()
  }

  // Sends a client frame such as { type: "typing", conversation_id }.
  send({ detail }) {
    if (this.#state === "live") this.#socket.send(JSON.stringify({ workspace_id: this.workspaceValue, ...detail }))
  }

  // A member without a visible window receives push notifications.
  look() {
    this.send({ detail: { type: "watching", watching: document.visibilityState === "visible" } })
  }

  // Reapplies recent fragments, which a frame fetched meanwhile may not contain.
  replay() {
    const since = Date.now() - REPLAY_WINDOW
    this.#recent = this.#recent.filter(({ at }) => at > since)
    for (const { html } of this.#recent) show(html)
  }

  async catchUp() {
    clearTimeout(this.#catchUpTimer)
    const response = await hedgedFetch(location.href, { headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (!response && this.#state === "live") this.#catchUpTimer = setTimeout(() => this.#state === "live" && this.catchUp(), RETRY_DELAY)
    // Signed out or removed: the page shows why. A conversation that is gone or not visible any more: back to the
    // list.
    const isLost = response?.status === 404
    if (isLost && document.getElementById("rows")) return leave(t("You can no longer see this conversation."))
    if (isLost || response?.redirected || [401, 403].includes(response?.status)) return location.reload()
    if (response?.ok && response.headers.get("content-type")?.startsWith("text/vnd.turbo-stream")) {
      return show(await response.text())
    }
    // A page that is not updated by streams still shows the unread count.
    const unread = response?.ok && (await response.text()).match(/data-title-unread-value="(\d+)"/)?.[1]
    if (unread) this.dispatch("unread", { target: window, detail: { unread: Number(unread) } })
  }

  #open() {
    clearTimeout(this.#timer)
    this.#detach()
    const url = new URL("/ws", location)
    url.protocol = url.protocol.replace("http", "ws")
    const socket = new WebSocket(url, "messagehub.fragments")
    let opened = false
    this.#socket = socket
    this.#awaitFrame(this.silenceValue / 2)
    socket.onopen = () => {
      opened = true
      socket.send(JSON.stringify({ type: "join_workspace", workspace_id: this.workspaceValue }))
    }
    socket.onmessage = ({ data }) => {
      this.#resetSilence()
      if (data.startsWith("{")) this.#handle(JSON.parse(data))
      else this.#show(data)
    }
    socket.onclose = () => this.#reopen(opened)
  }

  // Ignores the socket from here on. Its close event would need a response, which a dead connection never delivers.
  #detach() {
    clearTimeout(this.#silenceTimer)
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  // The connection is alive. Sends a ping after half of the silence.
  #resetSilence() {
    clearTimeout(this.#silenceTimer)
    this.#silenceTimer = setTimeout(() => this.#ping(this.silenceValue / 2), this.silenceValue / 2)
  }

  #ping(timeout) {
    this.#socket.send(JSON.stringify({ type: "ping" }))
    this.#awaitFrame(timeout)
  }

  // Any frame counts as a response.
  #awaitFrame(timeout) {
    clearTimeout(this.#silenceTimer)
    this.#silenceTimer = setTimeout(() => this.#reopen(true), timeout)
  }

  #tick() {
    const late = Date.now() - this.#ticked
    this.#ticked = Date.now()
    if (late > SLEEP_THRESHOLD) this.wake()
  }

  // Exponential backoff up to 30 seconds, with jitter.
  #reopen(opened) {
    clearTimeout(this.#timer)
    this.#detach()
    // The handshake failed: fetching the page renews an expired session or redirects to the sign-in.
    if (!opened && navigator.onLine) this.catchUp()
    this.#setState(navigator.onLine ? (this.#tries > 3 ? "offline" : "reconnecting") : "offline")
    const wait = Math.min(30_000, 500 * 2 ** this.#tries++)
    this.#timer = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2))
  }

  #handle({ type }) {
    if (type === "workspace_joined" || type === "resync") forget()
    if (type === "workspace_joined") {
      this.#tries = 0
      this.#setState("live")
      this.look()
      this.dispatch("joined", { target: window })
    }
    if (type === "workspace_joined" || type === "resync") this.catchUp()
  }

  #show(html) {
    this.#recent.push({ at: Date.now(), html })
    if (this.#recent.length > 500) this.#recent.shift()
    show(html)
  }

  #setState(state) {
    this.#state = state
    this.stateTargets.forEach((element) => this.#render(element))
  }

  // The thread's bar also explains the state.
  #render(element) {
    element.dataset.state = this.#state
    const word = LABELS[this.#state]
    if (!element.matches(".live-bar")) element.textContent = word
    else if (!SENTENCES[this.#state]) element.replaceChildren()
    else element.replaceChildren(Object.assign(document.createElement("b"), { textContent: word }), SENTENCES[this.#state])
  }
}

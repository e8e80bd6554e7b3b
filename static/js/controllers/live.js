import { Controller } from "@hotwired/stimulus"
import { ask } from "patience"
import { forget } from "presence"
import { leave, show } from "streams"
import { t } from "i18n"

const WORDS = { connecting: t("Connecting…"), live: t("Live"), reconnecting: t("Reconnecting"), offline: t("Offline") }
const SENTENCES = {
  reconnecting: t("New texts show up as soon as the connection is back."),
  offline: t("What you send is kept here, and goes out once you are back."),
}
const REMEMBERED = 10_000
const RENEWED = 30_000
// Timers this late mean that the computer slept or the browser suspended the page.
const SLEPT = 15_000
const AGAIN = 3000

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
  #silent
  #missed
  #renewal
  #clock
  #ticked = Date.now()
  #recent = []
  #state = "connecting"

  connect() {
    this.#open()
    this.#renewal = setInterval(() => document.visibilityState === "visible" && this.look(), RENEWED)
    this.#ticked = Date.now()
    this.#clock = setInterval(() => this.#tick(), SLEPT / 3)
  }

  disconnect() {
    clearInterval(this.#renewal)
    clearInterval(this.#clock)
    clearTimeout(this.#timer)
    clearTimeout(this.#missed)
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
    if (this.#state === "live") this.#ask(this.silenceValue / 9)
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
    const since = Date.now() - REMEMBERED
    this.#recent = this.#recent.filter(({ at }) => at > since)
    for (const { html } of this.#recent) show(html)
  }

  async catchUp() {
    clearTimeout(this.#missed)
    const response = await ask(location.href, { headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (!response && this.#state === "live") this.#missed = setTimeout(() => this.#state === "live" && this.catchUp(), AGAIN)
    // Signed out or removed: the page shows why. A conversation that is gone or not visible any more: back to the
    // list.
    const isLost = response?.status === 404
    if (isLost && document.getElementById("rows")) return leave(t("You can no longer see this conversation."))
    if (isLost || response?.redirected || [401, 403].includes(response?.status)) return location.reload()
    if (response?.ok && response.headers.get("content-type")?.startsWith("text/vnd.turbo-stream")) {
      show(await response.text())
    }
  }

  #open() {
    clearTimeout(this.#timer)
    this.#detach()
    const url = new URL("/ws", location)
    url.protocol = url.protocol.replace("http", "ws")
    const socket = new WebSocket(url, "messagehub.fragments")
    let opened = false
    this.#socket = socket
    this.#expect(this.silenceValue / 2)
    socket.onopen = () => {
      opened = true
      socket.send(JSON.stringify({ type: "join_workspace", workspace_id: this.workspaceValue }))
    }
    socket.onmessage = ({ data }) => {
      this.#resetSilence()
      if (data.startsWith("{")) this.#obey(JSON.parse(data))
      else this.#show(data)
    }
    socket.onclose = () => this.#reopen(opened)
  }

  // Ignores the socket from here on. Its close event would need a response, which a dead connection never delivers.
  #detach() {
    clearTimeout(this.#silent)
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  // The connection is alive. Sends a ping after half of the silence.
  #resetSilence() {
    clearTimeout(this.#silent)
    this.#silent = setTimeout(() => this.#ask(this.silenceValue / 2), this.silenceValue / 2)
  }

  #ask(patience) {
    this.#socket.send(JSON.stringify({ type: "ping" }))
    this.#expect(patience)
  }

  // Any frame counts as a response.
  #expect(patience) {
    clearTimeout(this.#silent)
    this.#silent = setTimeout(() => this.#reopen(true), patience)
  }

  #tick() {
    const late = Date.now() - this.#ticked
    this.#ticked = Date.now()
    if (late > SLEPT) this.wake()
  }

  // Exponential backoff up to 30 seconds, with jitter.
  #reopen(opened) {
    clearTimeout(this.#timer)
    this.#detach()
    // The handshake failed: fetching the page renews an expired session or redirects to the sign-in.
    if (!opened && navigator.onLine) this.catchUp()
    this.#become(navigator.onLine ? (this.#tries > 3 ? "offline" : "reconnecting") : "offline")
    const wait = Math.min(30_000, 500 * 2 ** this.#tries++)
    this.#timer = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2))
  }

  #obey({ type }) {
    if (type === "workspace_joined" || type === "resync") forget()
    if (type === "workspace_joined") {
      this.#tries = 0
      this.#become("live")
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

  #become(state) {
    this.#state = state
    this.stateTargets.forEach((element) => this.#render(element))
  }

  // The thread's bar also explains the state.
  #render(element) {
    element.dataset.state = this.#state
    const word = WORDS[this.#state]
    if (!element.matches(".live-bar")) element.textContent = word
    else if (!SENTENCES[this.#state]) element.replaceChildren()
    else element.replaceChildren(Object.assign(document.createElement("b"), { textContent: word }), SENTENCES[this.#state])
  }
}

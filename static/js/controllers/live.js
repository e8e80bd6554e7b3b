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
// Timers that are this late say that the computer slept, or the browser held the page.
const SLEPT = 15_000
const AGAIN = 3000

// The socket that brings the page's own partials as they change. After every join it fetches what may have been missed.
//
// A socket whose connection has died without a word (sleep, another network, a router that forgot it) stays open for the
// browser, and the protocol's pings are hidden from scripts. So the page asks, and takes silence for an end.
export default class extends Controller {
  static targets = ["state"]
  // `silence`: how long nothing may be heard, in milliseconds.
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

  // Somebody is back, or the network is: whether the line is alive is asked at once. Where none is open, one is opened.
  wake() {
    if (document.visibilityState === "hidden") return
    if (this.#state === "live") this.#ask(this.silenceValue / 9)
    else if (!this.#socket) this.#open()
  }

  // { type: "typing", conversation_id } and the like, from whoever has something to say.
  send({ detail }) {
    if (this.#state === "live") this.#socket.send(JSON.stringify({ workspace_id: this.workspaceValue, ...detail }))
  }

  // Whoever looks at no window of theirs is told elsewhere.
  look() {
    this.send({ detail: { type: "watching", watching: document.visibilityState === "visible" } })
  }

  // A frame was fetched while texts came in: those it cannot know yet are shown again.
  replay() {
    const since = Date.now() - REMEMBERED
    this.#recent = this.#recent.filter(({ at }) => at > since)
    for (const { html } of this.#recent) show(html)
  }

  async catchUp() {
    clearTimeout(this.#missed)
    const response = await ask(location.href, { headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
    if (!response && this.#state === "live") this.#missed = setTimeout(() => this.#state === "live" && this.catchUp(), AGAIN)
    // Signed out, or no member any more: the page itself says so. A conversation that one may not see any more, or that is gone, is
    // left for the list.
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

  // Nothing it says counts any more. Closing it takes an answer, which a dead line never brings.
  #detach() {
    clearTimeout(this.#silent)
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  // The line is alive: it is asked once it has been silent for a while.
  #resetSilence() {
    clearTimeout(this.#silent)
    this.#silent = setTimeout(() => this.#ask(this.silenceValue / 2), this.silenceValue / 2)
  }

  #ask(patience) {
    this.#socket.send(JSON.stringify({ type: "ping" }))
    this.#expect(patience)
  }

  // Whatever is heard until then will do.
  #expect(patience) {
    clearTimeout(this.#silent)
    this.#silent = setTimeout(() => this.#reopen(true), patience)
  }

  #tick() {
    const late = Date.now() - this.#ticked
    this.#ticked = Date.now()
    if (late > SLEPT) this.wake()
  }

  // Ever longer, up to half a minute, and never all browsers at once.
  #reopen(opened) {
    clearTimeout(this.#timer)
    this.#detach()
    // Turned away: a sign-in that ran out is renewed by asking for the page, or leads to the sign-in.
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

  // The state stands on a line of its own, and in the thread what it means below it.
  #render(element) {
    element.dataset.state = this.#state
    const word = WORDS[this.#state]
    if (!element.matches(".live-bar")) element.textContent = word
    else if (!SENTENCES[this.#state]) element.replaceChildren()
    else element.replaceChildren(Object.assign(document.createElement("b"), { textContent: word }), SENTENCES[this.#state])
  }
}

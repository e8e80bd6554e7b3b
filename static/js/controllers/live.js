import { Controller } from "@hotwired/stimulus"
import { forget } from "presence"
import { leave, show } from "streams"
import { t } from "words"

const WORDS = { connecting: t("Connecting…"), live: t("Live"), reconnecting: t("Reconnecting…"), offline: t("Offline") }
const SENTENCES = {
  connecting: "", live: "", reconnecting: t("Reconnecting… New texts show up as soon as that is done."),
  offline: t("Offline. What you send is kept here, and goes out once you are back."),
}
const REMEMBERED = 10_000
const RENEWED = 30_000

// The socket that brings the page's own partials as they change. After every join it fetches what may have been missed.
export default class extends Controller {
  static targets = ["state"]
  static values = { workspace: String }
  #socket
  #tries = 0
  #timer
  #renewal
  #recent = []
  #state = "connecting"

  connect() {
    this.#open()
    this.#renewal = setInterval(() => document.visibilityState === "visible" && this.look(), RENEWED)
  }

  disconnect() {
    clearInterval(this.#renewal)
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
  }

  stateTargetConnected(element) {
    this.#tell(element)
  }

  online() {
    if (this.#state === "live") return
    this.#tries = 0
    this.#open()
  }

  offline() {
    this.#socket?.close()
    this.#become("offline")
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
    const response = await fetch(location.href, { headers: { Accept: "text/vnd.turbo-stream.html" } }).catch(() => undefined)
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
    this.#socket?.close()
    const url = new URL("/ws", location)
    url.protocol = url.protocol.replace("http", "ws")
    const socket = new WebSocket(url, "messagehub.fragments")
    let opened = false
    this.#socket = socket
    socket.onopen = () => {
      opened = true
      socket.send(JSON.stringify({ type: "join_workspace", workspace_id: this.workspaceValue }))
    }
    socket.onmessage = ({ data }) => (data.startsWith("{") ? this.#obey(JSON.parse(data)) : this.#show(data))
    socket.onclose = () => socket === this.#socket && this.#reopen(opened)
  }

  // Ever longer, up to half a minute, and never all browsers at once.
  #reopen(opened) {
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
    this.stateTargets.forEach((element) => this.#tell(element))
  }

  #tell(element) {
    element.dataset.state = this.#state
    element.textContent = (element.matches(".live-bar") ? SENTENCES : WORDS)[this.#state]
  }
}

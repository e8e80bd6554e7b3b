import { t } from "i18n"

// How far a finger moves until it is a gesture, and until letting go does something.
const SLOP = 12
const SWIPE = 88
const PULL = 64

// Gestures of the list: a swipe marks a row as done or as unread, pulling down refreshes. Each has a button as well.
export function attach(list, refresh) {
  const still = matchMedia("(prefers-reduced-motion: reduce)")
  let gesture

  list.addEventListener("touchstart", ({ touches: [touch], target, touches }) => {
    end()
    const rows = target.closest?.(".rows")
    if (touches.length > 1 || !rows || list.classList.contains("selecting")) return
    gesture = { rows, item: target.closest(".item"), x: touch.clientX, y: touch.clientY, top: rows.scrollTop }
  }, { passive: true })

  list.addEventListener("touchmove", (event) => {
    if (!gesture) return
    if (event.touches.length > 1) return end()
    const [{ clientX, clientY }] = event.touches
    const across = (clientX - gesture.x) * (getComputedStyle(list).direction === "rtl" ? -1 : 1)
    const down = clientY - gesture.y
    gesture.kind ??= kindOf(gesture, across, down)
    if (gesture.kind === "scroll") gesture = undefined
    if (!gesture?.kind) return
    if (event.cancelable) event.preventDefault()
    if (gesture.kind === "swipe") swipe(across, clientX - gesture.x)
    else pull(down)
  }, { passive: false })

  list.addEventListener("touchend", () => {
    const { kind, item, does } = gesture ?? {}
    end()
    if (!does) return
    if (kind === "pull") return refresh()
    act(item, does)
  })
  list.addEventListener("touchcancel", end)

  function kindOf({ item, top }, across, down) {
    if (Math.abs(across) > SLOP && Math.abs(across) > Math.abs(down) * 1.5) return item ? "swipe" : "scroll"
    if (down > SLOP && top <= 0) return "pull"
    return Math.abs(down) > SLOP ? "scroll" : undefined
  }

  function swipe(across, moved) {
    const { item } = gesture
    const way = across > 0 ? "done" : "unread"
    gesture.does = Math.abs(across) > SWIPE ? way : undefined
    item.dataset.swipe = way
    item.dataset.swipeWord = way === "done" ? t("Done") : t("Mark as unread")
    item.classList.toggle("reached", Boolean(gesture.does))
    if (!still.matches) item.querySelector(".row").style.translate = `${moved}px`
  }

  function pull(down) {
    const { rows } = gesture
    gesture.does = down > PULL ? "refresh" : undefined
    rows.dataset.pull = gesture.does ? t("Release to refresh") : t("Pull to refresh")
    if (!still.matches) rows.style.paddingBlockStart = `${Math.min(down / 2, PULL)}px`
  }

  function end() {
    const { rows, item } = gesture ?? {}
    gesture = undefined
    if (rows) {
      delete rows.dataset.pull
      rows.style.paddingBlockStart = ""
    }
    if (!item) return
    delete item.dataset.swipe
    item.classList.remove("reached")
    item.querySelector(".row").style.translate = ""
  }

  // The form of the buttons of a row, so that it can be undone in the same way.
  function act(item, way) {
    const button = Object.assign(document.createElement("button"), { hidden: true, name: way === "done" ? "status" : "unread", value: way === "done" ? "done" : "true" })
    button.setAttribute("form", "bulk")
    item.append(button)
    button.click()
    button.remove()
  }
}

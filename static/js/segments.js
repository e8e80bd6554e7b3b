// How many pieces a text travels in, and the character that made them so many.
// src/domain/messages/segments.rs is the same rule on the server; tests/vectors/segments.json holds both.
import { t } from "words"

const GSM_BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
// Sent as an escape and a second character.
const GSM_EXTENSION = new Set("\f^{}\\[~]|€")
// The room in a text of one segment, and in each of several, where a header takes its part.
const ROOM = { "GSM-7": [160, 153], "UCS-2": [70, 67] }

const segmenter = globalThis.Intl?.Segmenter && new Intl.Segmenter(undefined, { granularity: "grapheme" })

export function segments(text) {
  const pieces = graphemes(text)
  const culprit = pieces.find((piece) => !isGsm(piece)) ?? null
  const encoding = culprit === null ? "GSM-7" : "UCS-2"
  const widths = culprit === null ? [...text].map(septets) : pieces.flatMap(ucs2Widths)
  const units = widths.reduce((sum, width) => sum + width, 0)
  const [single, each] = ROOM[encoding]
  const { count, remaining } = units <= single ? { count: 1, remaining: single - units } : packed(widths, each)
  return { encoding, units, segments: count, culprit, remaining, summary: summary(count, remaining, culprit) }
}

// Nothing is cut by a border, so the end of a segment may stay empty.
function packed(widths, each) {
  let count = 1
  let used = 0
  for (const width of widths) {
    if (used + width > each) {
      count += 1
      used = 0
    }
    used += width
  }
  return { count, remaining: each - used }
}

function graphemes(text) {
  if (!segmenter) return [...text]
  return Array.from(segmenter.segment(text), (part) => part.segment).flatMap((piece) =>
    piece === "\r\n" ? ["\r", "\n"] : [piece],
  )
}

function isGsm(piece) {
  return [...piece].every((character) => GSM_BASIC.has(character) || GSM_EXTENSION.has(character))
}

function septets(character) {
  return GSM_EXTENSION.has(character) ? 2 : 1
}

// A letter under a heap of accents fits nowhere in one piece.
function ucs2Widths(piece) {
  return piece.length <= ROOM["UCS-2"][1] ? [piece.length] : [...piece].map((character) => character.length)
}

function summary(count, remaining, culprit) {
  const parts = [t("{n} left", { n: remaining })]
  if (count > 1) parts.unshift(t("{n} parts", { n: count }))
  if (culprit !== null) parts.push(t("{character} makes parts shorter", { character: visible(culprit) }))
  return parts.join(" · ")
}

const NAMES = { "\t": t("a tab"), "\u00a0": t("a no-break space"), "\u200b": t("an invisible space") }

function visible(culprit) {
  return NAMES[culprit] ?? `“${culprit}”`
}

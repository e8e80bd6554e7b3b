// Segment count of a text, and the character that forces UCS-2. Same rule as src/domain/messages/segments.rs; both are
// tested against tests/vectors/segments.json.
import { count, t } from "i18n"

const GSM_BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
// Two septets each: an escape and a second character.
const GSM_EXTENSION = new Set("\f^{}\\[~]|€")
// Units in a single segment, and in each of several, which have a header.
const ROOM = { "GSM-7": [160, 153], "UCS-2": [70, 67] }

const segmenter = globalThis.Intl?.Segmenter && new Intl.Segmenter(undefined, { granularity: "grapheme" })

// NFC, as on the server: é in two characters is not in GSM-7.
export const composed = (text) => text.normalize("NFC")

export function segments(text) {
  const pieces = graphemes(text)
  const culprit = pieces.find((piece) => !isGsm(piece)) ?? null
  const encoding = culprit === null ? "GSM-7" : "UCS-2"
  const widths = culprit === null ? [...text].map(septets) : pieces.flatMap(ucs2Widths)
  const units = widths.reduce((sum, width) => sum + width, 0)
  const [single, each] = ROOM[encoding]
  const { parts, remaining } = units <= single ? { parts: 1, remaining: single - units } : packed(widths, each)
  return { encoding, units, segments: parts, culprit, remaining, summary: summary(parts, remaining) }
}

// The maximum length at providers, in UTF-16 units.
export const LONGEST = 1600

const PLAIN = Object.entries({
  "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022", "'": "\u2018\u2019\u201a\u2039\u203a\u2032`\u00b4", '"': "\u201c\u201d\u201e\u00ab\u00bb\u2033", "...": "\u2026",
  " ": "\t\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", "": "\u200b\u200c\u2060\ufeff", "x": "\u00d7",
}).flatMap(([plain, all]) => [...all].map((character) => [character, plain]))
const REPLACEMENTS = new Map(PLAIN)

// Replaces typographic characters, which word processors and phones insert, by GSM-7 ones.
export function simplified(text) {
  return [...text].map((character) => REPLACEMENTS.get(character) ?? character).join("")
}

// No character is split, so the end of a segment may stay empty.
function packed(widths, each) {
  let parts = 1
  let used = 0
  for (const width of widths) {
    if (used + width > each) {
      parts += 1
      used = 0
    }
    used += width
  }
  return { parts, remaining: each - used }
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

// A grapheme that is longer than a segment is split into code points.
function ucs2Widths(piece) {
  return piece.length <= ROOM["UCS-2"][1] ? [piece.length] : [...piece].map((character) => character.length)
}

function summary(parts, remaining) {
  const left = count(remaining, "{n} character left", "{n} characters left")
  return parts > 1 ? `${left} · ${t("{n} segments", { n: parts })}` : left
}

//! Counts the segments of a text, and finds the character that requires UCS-2.
//!
//! Texts are counted, stored and sent in Unicode's composed form: an `é` made of a letter and an accent looks the same,
//! but is not in GSM-7 and needs three times the segments.
//!
//! `static/js/segments.js` does the same in the browser; `tests/vectors/segments.json` tests both.

use unicode_segmentation::UnicodeSegmentation;

/// The longest text that providers accept, in UTF-16 units (the stricter way to count).
pub const LENGTH_LIMIT: usize = 1600;

const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                         ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Sent as an escape and a second character.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// Septets, or UTF-16 units.
    pub units: usize,
    pub segments: usize,
    /// The first character outside GSM-7; it requires UCS-2 for the whole text.
    pub culprit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

impl Encoding {
    /// Units of a single segment, and of each of several, where a header takes space.
    fn room(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

pub fn fits(text: &str) -> bool {
    text.encode_utf16().count() <= LENGTH_LIMIT
}

pub fn segments(text: &str) -> Segments {
    let culprit = graphemes(text)
        .find(|grapheme| septets(grapheme).is_none())
        .map(str::to_owned);
    let (encoding, widths): (_, Vec<usize>) = match culprit {
        None => (Encoding::Gsm7, text.chars().filter_map(gsm_width).collect()),
        Some(_) => (Encoding::Ucs2, ucs2_widths(text)),
    };
    let units = widths.iter().sum();
    let (single, each) = encoding.room();
    Segments {
        encoding,
        units,
        segments: if units <= single {
            1
        } else {
            count_segments(&widths, each)
        },
        culprit,
    }
}

/// Characters are never split, so the end of a segment may stay empty.
fn count_segments(widths: &[usize], each: usize) -> usize {
    let mut segments = 1;
    let mut used = 0;
    for width in widths {
        if used + width > each {
            segments += 1;
            used = 0;
        }
        used += width;
    }
    segments
}

fn graphemes(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\r')
        .flat_map(|line| line.graphemes(true))
}

fn septets(grapheme: &str) -> Option<usize> {
    grapheme.chars().map(gsm_width).sum()
}

fn gsm_width(character: char) -> Option<usize> {
    if GSM_BASIC.contains(character) {
        return Some(1);
    }
    GSM_EXTENSION.contains(character).then_some(2)
}

fn ucs2_widths(text: &str) -> Vec<usize> {
    let (_, each) = Encoding::Ucs2.room();
    graphemes(text)
        .flat_map(|grapheme| {
            let width = grapheme.encode_utf16().count();
            if width <= each {
                return vec![width];
            }
            // A character with many combining marks may not fit into one segment.
            grapheme.chars().map(char::len_utf16).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::unicode::composed;

    #[derive(Deserialize)]
    struct Vector {
        text: Vec<(String, usize)>,
        encoding: String,
        units: usize,
        segments: usize,
        culprit: Option<String>,
    }

    #[test]
    fn every_vector_of_twilios_calculator_holds() {
        let json = include_str!("../../../tests/vectors/segments.json");
        for vector in serde_json::from_str::<Vec<Vector>>(json).unwrap() {
            let text: String = vector
                .text
                .iter()
                .map(|(piece, times)| piece.repeat(*times))
                .collect();
            let expected = Segments {
                encoding: match vector.encoding.as_str() {
                    "GSM-7" => Encoding::Gsm7,
                    _ => Encoding::Ucs2,
                },
                units: vector.units,
                segments: vector.segments,
                culprit: vector.culprit,
            };
            assert_eq!(segments(&text), expected, "{text}");
        }
    }

    #[test]
    fn accents_are_joined_to_their_letters_before_anything_is_counted() {
        let decomposed = "e\u{301}".repeat(70);
        assert_eq!(segments(&decomposed).segments, 3);
        let text = composed(&decomposed);
        assert_eq!(text, "é".repeat(70));
        assert_eq!(segments(&text).encoding, Encoding::Gsm7);
        assert_eq!(segments(&text).segments, 1);
    }

    #[test]
    fn the_alphabet_is_complete() {
        assert_eq!(GSM_BASIC.chars().count(), 127);
        assert_eq!(GSM_EXTENSION.chars().count(), 10);
    }

    #[test]
    fn the_limit_counts_an_emoji_twice() {
        assert!(fits(&"a".repeat(LENGTH_LIMIT)));
        assert!(!fits(&"a".repeat(LENGTH_LIMIT + 1)));
        assert!(fits(&"👋".repeat(LENGTH_LIMIT / 2)));
        assert!(!fits(&"👋".repeat(LENGTH_LIMIT / 2 + 1)));
    }

    proptest! {
        #[test]
        fn any_text_has_segments_enough(text in any::<String>()) {
            let counted = segments(&text);
            let (single, each) = counted.encoding.room();
            prop_assert!(counted.segments >= 1);
            prop_assert!(counted.units <= counted.segments * each.max(single));
            prop_assert_eq!(counted.culprit.is_some(), counted.encoding == Encoding::Ucs2);
        }
    }
}

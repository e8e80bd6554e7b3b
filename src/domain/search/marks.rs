//! Where in a text stands what was looked for: by the rules that `words_of` in the database has.

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a result shows before what was found, and altogether.
const BEFORE: usize = 40;
const SHOWN: usize = 180;

/// A part of a text: found, or around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SearchPiece)]
pub struct Piece {
    pub text: String,
    /// Whether this is what was looked for.
    pub hit: bool,
}

/// The text around the first word that begins as one that was asked for.
pub fn excerpt(text: &str, sought: &str) -> Vec<Piece> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hits = hits(&line, &terms(sought), true);
    let first = hits.first().map_or(0, |hit| hit.0);
    let before = line[..first].char_indices().rev().nth(BEFORE);
    // Whole words, as far as there are any.
    let start = before.map_or(0, |(at, _)| {
        line[at..first].find(' ').map_or(at, |space| at + space + 1)
    });
    let end = line[start..]
        .char_indices()
        .nth(SHOWN)
        .map_or(line.len(), |(at, _)| start + at);
    let within = hits
        .into_iter()
        .filter(|(from, to)| *from >= start && *to <= end)
        .map(|(from, to)| (from - start, to - start))
        .collect::<Vec<_>>();
    let mut pieces = cut(&line[start..end], &within);
    if start > 0 {
        pieces.insert(0, around("… "));
    }
    if end < line.len() {
        pieces.push(around("…"));
    }
    pieces
}

/// Any part of a name.
pub fn anywhere(text: &str, sought: &str) -> Vec<Piece> {
    cut(text, &hits(text, &terms(sought), false))
}

/// Any part of a number, however it is written.
pub fn digits(number: &str, sought: &str) -> Vec<Piece> {
    let digits: Vec<(usize, char)> = number
        .char_indices()
        .filter(|(_, c)| c.is_ascii_digit())
        .collect();
    let plain: String = digits.iter().map(|(_, c)| c).collect();
    let mut found = Vec::new();
    for term in sought.split_whitespace() {
        let is_number = !term.is_empty() && term.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(at) = plain.find(term).filter(|_| is_number) {
            found.push((digits[at].0, digits[at + term.len() - 1].0 + 1));
        }
    }
    found.sort_unstable();
    cut(number, &merged(found))
}

fn around(text: &str) -> Piece {
    Piece {
        text: text.into(),
        hit: false,
    }
}

fn cut(text: &str, hits: &[(usize, usize)]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut push = |text: &str, hit| {
        if !text.is_empty() {
            pieces.push(Piece {
                text: text.into(),
                hit,
            });
        }
    };
    let mut done = 0;
    for (from, to) in hits {
        push(&text[done..*from], false);
        push(&text[*from..*to], true);
        done = *to;
    }
    push(&text[done..], false);
    pieces
}

/// What is compared: without case and accents, and where in the text each character comes from.
fn folded(text: &str) -> Vec<(char, usize)> {
    let mut folded = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_ascii() {
            folded.push((c.to_ascii_lowercase(), at));
            continue;
        }
        for plain in c.nfkd().filter(|c| !is_combining_mark(*c)) {
            for lower in plain.to_lowercase() {
                match lower {
                    'ß' => folded.extend([('s', at), ('s', at)]),
                    'ø' => folded.push(('o', at)),
                    'ł' => folded.push(('l', at)),
                    'đ' => folded.push(('d', at)),
                    'ı' => folded.push(('i', at)),
                    other => folded.push((other, at)),
                }
            }
        }
    }
    folded
}

/// Scripts that write no spaces, and emoji: found inside of what stands together.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{323af}')
}

fn terms(sought: &str) -> Vec<Vec<char>> {
    let mut terms: Vec<Vec<char>> = vec![Vec::new()];
    for (c, _) in folded(sought) {
        let last = terms.last_mut().expect("there is one from the start");
        let same = last
            .last()
            .is_none_or(|before| is_unspaced(*before) == is_unspaced(c));
        if !c.is_alphanumeric() && !is_unspaced(c) {
            terms.push(Vec::new());
        } else if same {
            last.push(c);
        } else {
            terms.push(vec![c]);
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

/// The parts of `text` that are one of `terms`: at the beginning of a word, or anywhere.
fn hits(text: &str, terms: &[Vec<char>], at_beginnings: bool) -> Vec<(usize, usize)> {
    let folded = folded(text);
    let mut found = Vec::new();
    for at in 0..folded.len() {
        let begins = at == 0 || {
            let before = folded[at - 1].0;
            !before.is_alphanumeric() || is_unspaced(before)
        };
        for term in terms {
            let anywhere = !at_beginnings || is_unspaced(term[0]);
            let is_it = (anywhere || begins)
                && folded[at..].len() >= term.len()
                && folded[at..]
                    .iter()
                    .zip(term)
                    .all(|((c, _), wanted)| c == wanted);
            if is_it {
                // Up to the next character of the text, whatever stands folded into this one.
                let last = folded[at + term.len() - 1].1;
                let end = text[last..].chars().next().map_or(0, char::len_utf8);
                found.push((folded[at].1, last + end));
            }
        }
    }
    found.sort_unstable();
    merged(found)
}

/// None inside of another.
fn merged(hits: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(hits.len());
    for (from, to) in hits {
        match merged.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece.hit {
                true => format!("[{}]", piece.text),
                false => piece.text.clone(),
            })
            .collect()
    }

    #[test]
    fn words_are_found_by_their_beginnings_whatever_their_case_and_accents() {
        let shown = |text, sought| shown(&excerpt(text, sought));
        assert_eq!(
            shown("Your Invoice, please", "INV"),
            "Your [Inv]oice, please"
        );
        assert_eq!(
            shown("Grüße an Müller", "gruss mull"),
            "[Grüß]e an [Müll]er"
        );
        assert_eq!(shown("reinvoice", "inv"), "reinvoice");
        assert_eq!(shown("今天你好吗", "你好"), "今天[你好]吗");
        assert_eq!(shown("ok👍👍", "👍"), "ok[👍][👍]");
        assert_eq!(shown("a <b> & c", "b"), "a <[b]> & c");
    }

    #[test]
    fn a_long_text_is_shown_around_what_was_found() {
        let text = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let shown = shown(&excerpt(&text, "needle"));
        assert!(shown.starts_with("… hay"), "{shown}");
        assert!(shown.contains("hay [needle] straw"), "{shown}");
        assert!(
            shown.ends_with('…') && shown.chars().count() < 200,
            "{shown}"
        );
    }

    #[test]
    fn any_part_of_a_name_or_number_is_shown() {
        assert_eq!(shown(&anywhere("Maya Okafor", "kaf")), "Maya O[kaf]or");
        assert_eq!(
            shown(&digits("(415) 555-0192", "15555")),
            "(4[15) 555]-0192"
        );
        assert_eq!(shown(&digits("(415) 555-0192", "maya")), "(415) 555-0192");
    }

    proptest! {
        #[test]
        fn nothing_of_a_text_is_lost(text in ".{0,80}", sought in ".{0,20}") {
            let all = |pieces: Vec<Piece>| pieces.into_iter().map(|piece| piece.text).collect::<String>();
            prop_assert_eq!(all(anywhere(&text, &sought)), text.clone());
            prop_assert_eq!(all(digits(&text, &sought)), text.clone());
            let _ = excerpt(&text, &sought);
        }
    }
}

//! Highlights matches in a text, by the rules of the search functions in the database.

use serde::Serialize;

use crate::fold::{JOINER, SPACE, folded, is_unspaced};

/// Characters of an excerpt before the first match, and in all.
const CONTEXT_LENGTH: usize = 40;
const MAX_LENGTH: usize = 180;

/// A part of a text, either a match or its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SearchPiece)]
pub struct Piece {
    pub text: String,
    /// Whether this is a match.
    pub hit: bool,
}

/// The text around the first match of a word prefix.
pub fn excerpt(text: &str, query: &str) -> Vec<Piece> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hits = hits(&line, &terms(query), Within::Text);
    let first = hits.first().map_or(0, |hit| hit.0);
    let before = line[..first].char_indices().rev().nth(CONTEXT_LENGTH);
    let start = before.map_or(0, |(at, _)| {
        line[at..first].find(' ').map_or(at, |space| at + space + 1)
    });
    let end = line[start..]
        .char_indices()
        .nth(MAX_LENGTH)
        .map_or(line.len(), |(at, _)| start + at);
    let within = hits
        .into_iter()
        .filter(|(from, to)| *from >= start && *to <= end)
        .map(|(from, to)| (from - start, to - start))
        .collect::<Vec<_>>();
    let mut pieces = split_at_hits(&line[start..end], &within);
    if start > 0 {
        pieces.insert(0, plain_piece("… "));
    }
    if end < line.len() {
        pieces.push(plain_piece("…"));
    }
    pieces
}

/// Highlights any part of a name. A match that starts at a word may span the gaps between words.
pub fn name(text: &str, query: &str) -> Vec<Piece> {
    split_at_hits(text, &hits(text, &terms(query), Within::Name))
}

/// Highlights the digits of `shown` that match one reading of each of `numbers`. `shown` is `stored` formatted, perhaps
/// without its country code.
pub fn digits(shown: &str, stored: &str, numbers: &[Vec<String>]) -> Vec<Piece> {
    let places: Vec<usize> = shown
        .char_indices()
        .filter(|(_, c)| c.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    let stored = stored.trim_start_matches('+');
    let Some(hidden) = stored.len().checked_sub(places.len()) else {
        return split_at_hits(shown, &[]);
    };
    let mut found = Vec::new();
    for readings in numbers {
        let range = readings
            .iter()
            .find_map(|reading| match reading.strip_prefix('+') {
                Some(digits) => stored.starts_with(digits).then_some((0, digits.len())),
                None => stored.find(reading).map(|at| (at, at + reading.len())),
            });
        if let Some((from, to)) = range
            && to > hidden
        {
            found.push((
                places[from.saturating_sub(hidden)],
                places[to - hidden - 1] + 1,
            ));
        }
    }
    found.sort_unstable();
    split_at_hits(shown, &merged(found))
}

fn plain_piece(text: &str) -> Piece {
    Piece {
        text: text.into(),
        hit: false,
    }
}

fn split_at_hits(text: &str, hits: &[(usize, usize)]) -> Vec<Piece> {
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

/// A search term: words joined by a joiner match one by one and as one word.
type Term = Vec<Vec<char>>;

fn terms(query: &str) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut before = SPACE;
    for (c, _) in folded(query) {
        let continues_word = before != SPACE && is_unspaced(before) == is_unspaced(c);
        match (terms.last_mut(), c) {
            (_, SPACE | JOINER) => {}
            (Some(term), _) if before == JOINER && !is_unspaced(c) => term.push(vec![c]),
            (Some(term), _) if continues_word => match term.last_mut() {
                Some(word) => word.push(c),
                None => term.push(vec![c]),
            },
            _ => terms.push(vec![vec![c]]),
        }
        before = c;
    }
    terms
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// A word matches by prefix, and across joiners.
    Text,
    /// A word matches by any part; from a word start, across everything between words.
    Name,
}

fn hits(text: &str, terms: &[Term], within: Within) -> Vec<(usize, usize)> {
    let folded = folded(text);
    let mut found = Vec::new();
    for at in 0..folded.len() {
        for term in terms {
            let joined = term.concat();
            let mut last = matched(&folded, at, &joined, within);
            if last.is_none() && term.len() > 1 {
                last = term
                    .iter()
                    .filter_map(|word| matched(&folded, at, word, within))
                    .max();
            }
            if let Some(last) = last {
                // The match ends where the next folded character starts: it includes combining marks and whatever folds
                // into its last character.
                let from = folded[at].1;
                let last_at = folded[last].1;
                let end = folded[last..].iter().find(|(_, at)| *at > last_at);
                found.push((from, end.map_or(text.len(), |(_, at)| *at)));
            }
        }
    }
    found.sort_unstable();
    merged(found)
}

/// The last position of `word` if it matches at `at`.
fn matched(folded: &[(char, usize)], at: usize, word: &[char], within: Within) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| folded[before].0);
    let unspaced = is_unspaced(*word.first()?);
    let begins =
        before.is_none_or(|before| matches!(before, SPACE | JOINER) || is_unspaced(before));
    if !begins && !unspaced && within == Within::Text {
        return None;
    }
    let may_skip = |c: char| match within {
        Within::Text => c == JOINER && begins,
        Within::Name => matches!(c, SPACE | JOINER) && (begins || unspaced),
    };
    let mut place = at;
    for (nth, expected) in word.iter().enumerate() {
        while nth > 0 && folded.get(place)?.0 != *expected && may_skip(folded[place].0) {
            place += 1;
        }
        if folded.get(place)?.0 != *expected {
            return None;
        }
        place += 1;
    }
    place.checked_sub(1)
}

/// Merges overlapping ranges.
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
    fn words_match_by_prefix_ignoring_case_and_accents() {
        let shown = |text, query| shown(&excerpt(text, query));
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
    fn excerpt_surrounds_the_match() {
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
    fn any_part_of_name_or_number_is_highlighted() {
        assert_eq!(shown(&name("Maya Okafor", "kaf")), "Maya O[kaf]or");
        let number = |readings: &[&str]| {
            let readings = vec![readings.iter().map(|it| (*it).to_owned()).collect()];
            shown(&digits("(415) 555-0192", "+14155550192", &readings))
        };
        assert_eq!(number(&["15555"]), "(4[15) 555]-0192");
        assert_eq!(number(&["+1415", "1415"]), "([415]) 555-0192");
        assert_eq!(number(&["+447", "0192"]), "(415) 555-[0192]");
        assert_eq!(number(&["+1"]), "(415) 555-0192");
        assert_eq!(shown(&digits("ACME", "ACME", &[])), "ACME");
    }

    #[test]
    fn names_are_highlighted_like_they_are_found() {
        let shown = |text, query| shown(&name(text, query));
        for query in ["oneill", "o'neill", "O’NEILL"] {
            assert_eq!(shown("Sean O’Neill", query), "Sean [O’Neill]", "{query}");
        }
        assert_eq!(shown("Anne-Marie Lee", "annemarie"), "[Anne-Marie] Lee");
        assert_eq!(shown("Anne-Marie Lee", "marielee"), "Anne-[Marie Lee]");
        assert_eq!(shown("Maya Okafor", "yaok"), "Maya Okafor");
        assert_eq!(shown("山田 花子", "山田花子"), "[山田 花子]");
        assert_eq!(shown("مُحَمَّد علي", "محمد"), "[مُحَمَّد] علي");
        assert_eq!(shown("Jose\u{301} Núñez", "jose"), "[Jose\u{301}] Núñez");
        assert_eq!(shown("Γιώργος Β.", "ΓΙΩΡΓΟΣ"), "[Γιώργος] Β.");
    }

    #[test]
    fn word_match_spans_joiners_only() {
        let shown = |text, query| shown(&excerpt(text, query));
        assert_eq!(shown("I don't know", "dont"), "I [don't] know");
        assert_eq!(shown("a well known word", "wellknown"), "a well known word");
        assert_eq!(shown("Oneill called", "o'neill"), "[Oneill] called");
    }

    proptest! {
        #[test]
        fn marking_loses_no_text(text in ".{0,80}", query in ".{0,20}") {
            let all = |pieces: Vec<Piece>| pieces.into_iter().map(|piece| piece.text).collect::<String>();
            prop_assert_eq!(all(name(&text, &query)), text.clone());
            prop_assert_eq!(all(digits(&text, &text, &[vec![query.clone()]])), text.clone());
            let _ = excerpt(&text, &query);
        }
    }
}

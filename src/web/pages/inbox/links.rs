//! Finds web addresses in texts.
//!
//! `linkify` does not fit: it includes Chinese and Japanese text that follows an address without a space. With IRIs
//! disabled (`url_can_be_iri`), it truncates hosts and paths in all other scripts.

/// A part of a text. The parts in order are the whole text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// `scheme` precedes `shown` in the link's target; it is empty if the text has one.
    Address {
        shown: &'a str,
        scheme: &'static str,
    },
}

pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut text_start, mut at) = (0, 0);
    while let Some(found) = next_start(text, at) {
        let length = length_of_address(&text[found.at..], found.host);
        if length == 0 {
            at = found.at + found.host.max(1);
            continue;
        }
        if text_start < found.at {
            pieces.push(Piece::Text(&text[text_start..found.at]));
        }
        let end = found.at + length;
        pieces.push(Piece::Address {
            shown: &text[found.at..end],
            scheme: found.scheme,
        });
        (text_start, at) = (end, end);
    }
    if text_start < text.len() {
        pieces.push(Piece::Text(&text[text_start..]));
    }
    pieces
}

struct Start {
    at: usize,
    /// Offset of the host from `at`.
    host: usize,
    scheme: &'static str,
}

fn next_start(text: &str, from: usize) -> Option<Start> {
    let candidates = text[from..]
        .char_indices()
        .filter(|(_, c)| matches!(c, 'h' | 'H' | 'w' | 'W'));
    for (offset, _) in candidates {
        let at = from + offset;
        let begins = |start: &str| {
            text.get(at..at + start.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(start))
        };
        if let Some(scheme) = ["https://", "http://"].iter().find(|scheme| begins(scheme)) {
            return Some(Start {
                at,
                host: scheme.len(),
                scheme: "",
            });
        }
        if begins("www.") && stands_alone(&text[..at]) {
            return Some(Start {
                at,
                host: 0,
                scheme: "https://",
            });
        }
    }
    None
}

/// Whether `www.` after this begins an address: not within a word, an email address or another host. Scripts
/// without spaces between words have none before an address either.
fn stands_alone(before: &str) -> bool {
    before
        .chars()
        .next_back()
        .is_none_or(|c| is_unspaced(c) || !(c.is_alphanumeric() || "-_.@/:".contains(c)))
}

/// The length in bytes of the address at the start of `text`, whose host begins at `host`; 0 if there is none.
fn length_of_address(text: &str, host: usize) -> usize {
    let host_end = host + length_of_host(&text[host..]);
    if host_end == host || (host == 0 && host_end <= "www.".len()) {
        return 0;
    }
    let mut end = host_end;
    let mut open = Vec::new();
    // Only a port, path, query, fragment or user information can follow a host.
    if text[host_end..].starts_with(['/', ':', '?', '#', '@']) {
        for (offset, c) in text[host_end..].char_indices() {
            match c {
                '(' | '[' | '{' => open.push((offset, c)),
                // A bracket opened before the address ends it.
                ')' | ']' | '}' if open.pop().map(|(_, c)| c) != Some(opening(c)) => break,
                ')' | ']' | '}' => {}
                c if is_unspaced(c) || is_border(c) => break,
                _ => {}
            }
            end = host_end + offset + c.len_utf8();
        }
    }
    // An unclosed bracket and trailing punctuation belong to the sentence.
    if let Some((offset, _)) = open.first() {
        end = host_end + offset;
    }
    text[..end]
        .trim_end_matches(ends_a_sentence)
        .len()
        .max(host_end)
}

fn ends_a_sentence(c: char) -> bool {
    // The escapes: middle dot, then Arabic, Hindi and Armenian punctuation.
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '…')
        || matches!(
            c,
            '\u{b7}'
                | '\u{60c}'
                | '\u{61b}'
                | '\u{61f}'
                | '\u{6d4}'
                | '\u{964}'
                | '\u{965}'
                | '\u{589}'
        )
}

/// The length of a host of letters and digits in any script. A label in a script without spaces counts only if all
/// labels before it are in such a script, or if another label follows; otherwise it is the rest of a sentence.
fn length_of_host(text: &str) -> usize {
    let mut end = 0;
    let mut all_unspaced = true;
    loop {
        let rest = &text[end..];
        let label: &str = match rest.find(|c: char| !is_of_label(c)) {
            Some(length) => &rest[..length],
            None => rest,
        };
        let next = &rest[label.len()..];
        let goes_on = next
            .strip_prefix('.')
            .is_some_and(|next| next.starts_with(is_of_label));
        let taken = match label.find(is_unspaced) {
            None => label.len(),
            Some(0) if all_unspaced => label.len(),
            Some(_) if goes_on => label.len(),
            Some(spaced) => spaced,
        };
        if taken == 0 {
            return end.saturating_sub(1);
        }
        end += taken;
        all_unspaced &= label.starts_with(is_unspaced);
        if taken < label.len() || !goes_on {
            return end;
        }
        end += 1;
    }
}

fn is_of_label(c: char) -> bool {
    (c.is_alphanumeric() || c == '-' || c == '_' || is_mark(c)) && !is_border(c)
}

/// A combining vowel sign or accent, as in Thai, Hindi or a decomposed `é`.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

fn opening(closing: char) -> char {
    match closing {
        ')' => '(',
        ']' => '[',
        _ => '{',
    }
}

/// A letter of a script without spaces, or with endings joined to the previous word: after an address it continues
/// the sentence. Browsers copy addresses with such letters percent-encoded.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'                            // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' // Burmese, Khmer
        | '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' | '\u{3130}'..='\u{318f}' // Korean
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' // Japanese
        | '\u{2e80}'..='\u{2fdf}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Chinese
        | '\u{20000}'..='\u{3ffff}'
        | '\u{ff66}'..='\u{ff9f}') // half-width kana
}

/// Characters that end an address: spaces, quotation marks, Chinese and Japanese punctuation.
fn is_border(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '<' | '>' | '"' | '`' | '|' | '\\' | '^' | '«' | '»' | '‹' | '›'
        )
        || matches!(c, '\u{2018}'..='\u{201f}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{303f}' | '\u{ff00}'..='\u{ff65}')
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text with its addresses in ⟦ ⟧.
    fn shown(text: &str) -> String {
        pieces(text)
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Address { shown, .. } => format!("⟦{shown}⟧"),
            })
            .collect()
    }

    #[test]
    fn an_address_is_found_wherever_it_stands_and_nothing_else_with_it() {
        let lines = [
            "⟦https://a.test⟧",
            "See ⟦https://a.test/b?c=1⟧.",
            "See ⟦HTTPS://A.test/B⟧!",
            "⟦http://localhost:3000/x⟧, ⟦http://10.0.0.1⟧; and ⟦www.a.test⟧?",
            "one\n⟦https://a.test/x⟧\ntwo",
            // In brackets and quotation marks.
            "(⟦https://a.test/x⟧)",
            "(see ⟦https://a.test/x⟧).",
            "(⟦www.a.test⟧)\nok",
            "[⟦https://a.test/x⟧] {⟦https://a.test/x⟧}",
            "[our page](⟦https://a.test/x⟧)",
            "<⟦https://a.test/x⟧>",
            "\"⟦https://a.test/x⟧\" '⟦https://a.test/x⟧'",
            "“⟦https://a.test/x⟧” ‘⟦https://a.test/x⟧’ «⟦https://a.test/x⟧» „⟦https://a.test/x⟧“",
            "*⟦https://a.test/x⟧*",
            "「⟦https://a.test⟧」『⟦https://a.test/x⟧』（⟦https://a.test/x⟧）【⟦https://a.test/x⟧】《⟦https://a.test/x⟧》",
            // Brackets of its own.
            "⟦https://en.wikipedia.org/wiki/Rust_(video_game)⟧",
            "(⟦https://en.wikipedia.org/wiki/Rust_(video_game)⟧)",
            "⟦https://en.wikipedia.org/wiki/Rust_(video_game)⟧, then",
            "⟦https://a.test/x⟧(our shop)",
            "⟦https://a.test/?ids[]=1&ids[]=2⟧ ⟦http://a.test/{id}⟧",
            // At the end of a sentence.
            "⟦https://a.test/x⟧... ⟦https://a.test/x⟧… ⟦https://a.test/x/⟧. ⟦https://a.test⟧:",
            "هل رأيت ⟦https://a.test/x⟧؟ देखें ⟦https://a.test/x⟧।",
            // Within a sentence that has no spaces.
            "予約は⟦https://a.test/r⟧から",
            "予約は⟦https://a.test/r⟧、お電話は",
            "予約は⟦https://a.test/r⟧。",
            "予約は⟦https://a.test⟧から",
            "详情请见⟦https://a.test/r?id=1⟧谢谢",
            "详情⟦www.a.test⟧谢谢",
            "จองที่⟦https://a.test/r⟧ได้เลย",
            "예약은 ⟦https://a.test/r⟧에서",
            "a:⟦https://a.test/x⟧，b：⟦https://a.test/y⟧！",
            // Hosts and paths of other scripts.
            "⟦https://müller.test/straße⟧ ⟦https://пример.рф/путь⟧",
            "⟦https://例え.テスト/x⟧ ⟦https://日本語.jp⟧です",
            "予約は⟦https://shop.日本語.jp/x⟧から",
            "⟦https://xn--r8jz45g.test⟧",
            "⟦https://user:word@a.test/x⟧ ⟦https://a.test:8443/x#y⟧",
            // None at all.
            "https:// http://. www. www.. https://、 www.。",
            "javascript:alert(1) ftp://a.test data:text/html,x a.test",
            "awww.a.test me@www.a.test xwww.a.test",
            "http s://a.test",
        ];
        for line in lines {
            let text = line.replace(['⟦', '⟧'], "");
            assert_eq!(shown(&text), line);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_link_leads_to_the_web(words in r#"(https?://|www\.|[a-z.\-/:?#()\[\]<>"'” 予約、é\u{301}]){0,40}"#) {
            let all: String = pieces(&words).iter().map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Address { shown, scheme } => {
                    let link = format!("{scheme}{shown}").to_ascii_lowercase();
                    assert!(link.starts_with("https://") || link.starts_with("http://"), "{link}");
                    assert!(!shown.contains(['<', '>', '"', ' ', '、']), "{shown}");
                    (*shown).to_owned()
                }
            }).collect();
            prop_assert_eq!(all, words);
        }
    }
}

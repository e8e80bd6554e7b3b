//! Text folding for search: removes case, accents, vowel points and invisible characters.
//!
//! The same rules as the SQL function `fold_text`, which the search indexes use; a test compares the two. This one
//! serves highlighting and in-memory lists.

use unicode_normalization::UnicodeNormalization;

pub const SPACE: char = ' ';
/// An apostrophe or a hyphen within a word.
pub const JOINER: char = '-';

/// The folded characters, each with the byte offset in `text` that it comes from.
pub fn folded(text: &str) -> Vec<(char, usize)> {
    let mut folded = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let mut push = |c| folded.push((c, at));
        if c.is_ascii() {
            push(fold_char(c.to_ascii_lowercase()));
            continue;
        }
        let c = if c == '´' { '\'' } else { c };
        for plain in std::iter::once(c).nfkd().filter(|c| !is_ignored(*c)) {
            for lower in plain.to_lowercase().filter(|c| !is_ignored(*c)) {
                match lower {
                    'ß' => "ss".chars().for_each(&mut push),
                    'æ' => "ae".chars().for_each(&mut push),
                    'œ' => "oe".chars().for_each(&mut push),
                    'þ' => "th".chars().for_each(&mut push),
                    other => push(fold_char(other)),
                }
            }
        }
    }
    folded
}

pub fn plain(text: &str) -> String {
    folded(text).into_iter().map(|(c, _)| c).collect()
}

/// The folded text without separators: equal for `Anne-Marie`, `anne marie` and `ANNEMARIE`.
pub fn key(text: &str) -> String {
    plain(text).replace([SPACE, JOINER], "")
}

/// The words of a text, split at joiners too.
pub fn tokens(text: &str) -> Vec<String> {
    plain(text)
        .split([SPACE, JOINER])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Scripts written without spaces, and emoji: these match inside of a word.
pub fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{323af}')
}

/// Combining accents and vowel points, the Arabic tatweel, soft hyphens, direction marks, variation selectors, emoji
/// tags.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}'
        | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{ad}'
        | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0020}'..='\u{e007f}')
}

fn fold_char(c: char) -> char {
    match c {
        'a'..='z' | '0'..='9' => c,
        '\'' | '`' | '-' | '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2b9}' | '\u{2bb}'
        | '\u{2bc}' | '\u{2be}' | '\u{2bf}' | '\u{2032}' | '\u{5f3}' | '\u{5f4}' | '\u{5be}'
        | '\u{2010}' | '\u{2012}' | '\u{2013}' | '\u{2212}' | '\u{2027}' | '\u{b7}'
        | '\u{30fb}' | '\u{58a}' => JOINER,
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' => 'd',
        'ı' => 'i',
        'ħ' => 'h',
        'ŧ' => 't',
        'ŋ' => 'n',
        'ς' => 'σ',
        'ґ' => 'г',
        'ک' => 'ك',
        'ی' | 'ى' => 'ي',
        'ة' | 'ہ' | 'ھ' | 'ە' => 'ه',
        'ٱ' => 'ا',
        '\u{660}'..='\u{669}' => digit(c, '\u{660}'),
        '\u{6f0}'..='\u{6f9}' => digit(c, '\u{6f0}'),
        '\u{966}'..='\u{96f}' => digit(c, '\u{966}'),
        '\u{9e6}'..='\u{9ef}' => digit(c, '\u{9e6}'),
        '\u{e50}'..='\u{e59}' => digit(c, '\u{e50}'),
        '\0'..='\u{bf}'
        | '\u{d7}'
        | '\u{f7}'
        | '\u{55a}'..='\u{55f}'
        | '\u{589}'
        | '\u{5c0}'
        | '\u{5c3}'
        | '\u{5c6}'
        | '\u{60c}'
        | '\u{60d}'
        | '\u{61b}'..='\u{61f}'
        | '\u{66a}'..='\u{66d}'
        | '\u{6d4}'
        | '\u{964}'
        | '\u{965}'
        | '\u{2000}'..='\u{25ff}'
        | '\u{27c0}'..='\u{2bff}'
        | '\u{3000}'..='\u{3004}'
        | '\u{3008}'..='\u{303f}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffef}' => SPACE,
        _ => c,
    }
}

fn digit(c: char, zero: char) -> char {
    u8::try_from(u32::from(c) - u32::from(zero)).map_or(c, |nth| char::from(b'0' + nth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_spellings_fold_alike() {
        for (a, b) in [
            ("José Núñez", "JOSE\u{a0}NUNEZ"),
            ("Jose\u{301}", "josé"),
            ("أحمد", "احمد"),
            ("مُحَمَّد", "محـمد"),
            ("آمال مصطفى", "امال مصطفي"),
            ("فاطمة", "فاطمه"),
            ("שָׁלוֹם", "שלום"),
            ("ΓΙΩΡΓΟΣ", "Γιώργος"),
            ("İstanbul ışık", "istanbul isik"),
            ("Straße", "STRASSE"),
            ("Łódź", "lodz"),
            ("Nguyễn Đặng", "nguyen dang"),
            ("ＡＢＣ　１２", "abc 12"),
            ("Ёлкин", "елкин"),
            ("O’Neill", "o'neill"),
            ("Gal·la", "GAL-LA"),
            ("Æsop Þór Œuvre", "aesop thor oeuvre"),
            ("٤٧١١", "۴۷۱۱"),
        ] {
            assert_eq!(plain(a), plain(b), "{a} {b}");
        }
        assert_ne!(plain("か"), plain("さ"));
    }

    #[test]
    fn key_has_no_spaces_or_joiners() {
        assert_eq!(key("Anne-Marie O’Neill "), "annemarieoneill");
        assert_eq!(
            tokens("Anne-Marie  O’Neill"),
            ["anne", "marie", "o", "neill"]
        );
    }
}

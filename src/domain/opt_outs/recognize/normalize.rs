//! Normalizes a text into tokens: lower case, without accents and emoji, one form of every letter, with clause
//! boundaries.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::pattern::{FirstWord, FirstWords};

/// Characters that are read. A request is short, and an SMS has at most 1,600.
const LENGTH_LIMIT: usize = 3_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Without accents, and with runs of three or more equal letters reduced to one.
    pub folded: String,
    /// In lower case with accents: some words differ only by an accent.
    pub exact: String,
    /// Follows a full stop, a comma or another clause boundary.
    pub begins_clause: bool,
    /// With which patterns may begin.
    pub first_words: Vec<FirstWord>,
}

impl Token {
    fn new(exact: String, begins_clause: bool) -> Self {
        Self {
            folded: fold(&exact),
            exact,
            begins_clause,
            first_words: Vec::new(),
        }
    }

    pub fn is_figure(&self) -> bool {
        self.exact.chars().all(char::is_numeric)
    }

    pub fn is_laughter(&self) -> bool {
        const LAUGHTER: &[&str] = &[
            "haha", "jaja", "hehe", "jeje", "hihi", "jiji", "lol", "lmao", "rofl", "ahah", "rsrs",
            "kkk", "хаха", "ㅋㅋ", "哈",
        ];
        LAUGHTER
            .iter()
            .any(|laughter| self.folded.starts_with(laughter) || self.exact.starts_with(laughter))
    }
}

pub fn tokens(text: &str, first_words: &FirstWords) -> Vec<Token> {
    let text = text.chars().take(LENGTH_LIMIT);
    let text: Vec<char> = match text.clone().all(|c| c.is_ascii()) {
        true => text.map(|c| c.to_ascii_lowercase()).collect(),
        false => {
            // NFKC would turn it into a space and a combining accent.
            let text = text.map(|c| if c == '\u{b4}' { '\'' } else { c });
            let text: String = text.nfkc().collect();
            text.to_lowercase().chars().collect()
        }
    };
    let mut found = Tokens::default();
    for (at, c) in text.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| text[at]);
        match c {
            c if is_invisible(c) => {}
            c if is_ideograph(c) => {
                found.end_word();
                found.word.push(c);
                found.end_word();
            }
            c if c.is_alphanumeric() || is_combining_mark(c) => found.word.push(c),
            '\'' | '\u{2019}' | '\u{2018}' | '`' => {
                if !is_english_ending(&text[at + 1..]) {
                    found.end_word();
                }
            }
            '#' if !text.get(at + 1).is_some_and(|next| next.is_alphanumeric()) => {
                found.push_word("number");
            }
            '🛑' => found.push_word("stop"),
            '😂' | '🤣' | '😆' | '😹' | '😄' => found.push_word("haha"),
            '-' if before.is_none_or(char::is_whitespace)
                || text.get(at + 1).is_none_or(|next| next.is_whitespace()) =>
            {
                found.end_clause();
            }
            // Separates words, such as `no.more.texts`.
            '.' if before.is_some_and(char::is_alphabetic)
                && text.get(at + 1).is_some_and(|next| next.is_alphabetic()) =>
            {
                found.end_word();
            }
            '.' | ',' | '!' | '?' | ';' | ':' | '\n' | '\r' | '(' | ')' | '|' | '。' | '、'
            | '¡' | '¿' | '\u{2014}' | '\u{2013}' | '،' | '؟' | '؛' => found.end_clause(),
            _ => found.end_word(),
        }
    }
    found.end_word();
    let mut tokens = join_spelled_letters(found.all);
    for token in &mut tokens {
        token.first_words = first_words.of(&token.folded);
    }
    tokens
}

#[derive(Default)]
struct Tokens {
    all: Vec<Token>,
    word: String,
    begins_clause: bool,
}

impl Tokens {
    fn end_word(&mut self) {
        if !self.word.is_empty() {
            let word = std::mem::take(&mut self.word);
            let begins_clause = std::mem::take(&mut self.begins_clause);
            self.all.push(Token::new(word, begins_clause));
        }
    }

    fn end_clause(&mut self) {
        self.end_word();
        self.begins_clause = true;
    }

    fn push_word(&mut self, word: &str) {
        self.end_word();
        self.word.push_str(word);
        self.end_word();
    }
}

/// An English ending (`don't`) belongs to its word; elsewhere an apostrophe separates two (`m'envoyer`).
fn is_english_ending(after: &[char]) -> bool {
    let letters = after.iter().take_while(|c| c.is_alphanumeric()).count();
    matches!(
        after[..letters.min(3)],
        ['t' | 's' | 'm' | 'd'] | ['r', 'e'] | ['l', 'l'] | ['v', 'e']
    )
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Scripts without spaces: each character is a token, and patterns list them one after the other.
pub fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

/// Joins words that are spelled letter by letter: `S T O P`, `S.T.O.P.`.
fn join_spelled_letters(tokens: Vec<Token>) -> Vec<Token> {
    if !tokens.windows(4).any(|run| run.iter().all(is_letter)) {
        return tokens;
    }
    let mut joined = Vec::with_capacity(tokens.len());
    for run in tokens.chunk_by(|one, next| is_letter(one) && is_letter(next)) {
        if run.len() >= 4 && is_letter(&run[0]) {
            let word = run.iter().map(|token| token.exact.as_str()).collect();
            joined.push(Token::new(word, run[0].begins_clause));
        } else {
            joined.extend_from_slice(run);
        }
    }
    joined
}

fn is_letter(token: &Token) -> bool {
    let mut chars = token.exact.chars();
    matches!((chars.next(), chars.next()), (Some(c), None) if c.is_alphabetic() && !is_ideograph(c))
}

/// Removes accents, simplifies Chinese characters, maps letters to one form and shortens repeats (`stoooop`).
pub fn fold(word: &str) -> String {
    let plain: Cow<'_, str> = match word.is_ascii() {
        true => word.into(),
        false => {
            let plain = word.nfkd().filter(|c| !is_combining_mark(*c));
            plain.nfc().collect()
        }
    };
    let has_letters = plain.chars().any(char::is_alphabetic);
    let mut folded: Vec<char> = Vec::with_capacity(plain.len());
    for c in plain.chars().flat_map(char::to_lowercase) {
        match c {
            'ß' => folded.extend(['s', 's']),
            'đ' => folded.push('d'),
            'ł' => folded.push('l'),
            'ø' => folded.push('o'),
            'æ' => folded.extend(['a', 'e']),
            'œ' => folded.extend(['o', 'e']),
            'ı' => folded.push('i'),
            '0' if has_letters => folded.push('o'),
            c if c.is_ascii() => folded.push(c),
            c => folded.push(to_simplified(c)),
        }
    }
    let mut short = String::with_capacity(folded.len());
    for run in folded.chunk_by(|one, next| one == next) {
        let length = if run.len() > 2 && run[0].is_alphabetic() {
            1
        } else {
            run.len()
        };
        short.extend(&run[..length]);
    }
    correct_spelling(short)
}

/// Covers the characters that the phrases use.
fn to_simplified(c: char) -> char {
    const TRADITIONAL: &str = "訂發別請資訊號碼刪單電話給個這們煩擾關閉傳報舉詐騙廣錯誤從後繼續無興時間線說過應該隱與絡聯繫";
    const SIMPLIFIED: &str = "订发别请资讯号码删单电话给个这们烦扰关闭传报举诈骗广错误从后继续无兴时间线说过应该隐与络联系";
    let index = TRADITIONAL.chars().position(|known| known == c);
    index
        .and_then(|index| SIMPLIFIED.chars().nth(index))
        .unwrap_or(c)
}

/// Corrects misspellings of the two most important words, unless they are words of their own.
fn correct_spelling(word: String) -> String {
    const STOP: &[&str] = &[
        "stpo", "sotp", "tsop", "sttop", "sstop", "stopo", "stiop", "stoip", "stpop", "dtop",
        "srop", "syop", "stip", "stpp", "stob", "stio", "stoppp", "stopt", "stopl", "atsop",
        "stop3", "sto0p", "stahp", "stawp",
    ];
    if STOP.contains(&word.as_str()) {
        return "stop".into();
    }
    let is_near =
        |correct: &str| word.len().abs_diff(correct.len()) <= 2 && distance(&word, correct) <= 2;
    if word.len() >= 8 && word.len() <= 14 && word.is_ascii() && word.starts_with("un") {
        for correct in ["unsubscribe", "unsubscribed", "unsubscribing"] {
            if is_near(correct) {
                return correct.into();
            }
        }
    }
    word
}

/// The edit distance, with swaps of neighbours.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.bytes().collect(), other.bytes().collect());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[one.len()][other.len()]
}

//! The syntax of phrases, and their matcher.
//!
//! A pattern is a list of items separated by spaces:
//!
//! | item | matches |
//! | --- | --- |
//! | `stop` | this word, ignoring accents and case |
//! | `=đừng` | this word with exactly these accents |
//! | `messag*` | a word with this prefix |
//! | `opt_out` | these words in sequence (ideographs need no `_`) |
//! | `text\|sms\|<message>` | one of these; `<message>` is a class of the language |
//! | `please?` | the word or nothing |
//! | `!again` | none of these words at this position; consumes nothing |
//! | `*3` | up to three words of any kind |
//! | `^`, `$` | the start and end of the clause, ignoring politeness; `$` as an alternative (`me\|$`) allows no gap before it |

use std::collections::HashMap;

use super::normalize::{Token, fold, is_ideograph};

/// Named alternatives for patterns: (name, `one|another`).
pub type Classes = &'static [(&'static str, &'static str)];

#[derive(Debug)]
enum Item {
    Start,
    End,
    Gap(usize),
    None(Vec<Vec<Word>>),
    Words {
        alternatives: Vec<Vec<Word>>,
        optional: bool,
        /// The end of the clause matches as well.
        or_end: bool,
    },
}

#[derive(Debug)]
enum Word {
    Folded(String),
    Exact(String),
    Beginning(String),
}

impl Word {
    fn read(word: &str) -> Self {
        if let Some(word) = word.strip_prefix('=') {
            Self::Exact(word.to_owned())
        } else if let Some(beginning) = word.strip_suffix('*') {
            Self::Beginning(fold(beginning))
        } else {
            Self::Folded(fold(word))
        }
    }

    fn is(&self, token: &Token) -> bool {
        match self {
            Self::Folded(word) => *word == token.folded,
            Self::Exact(word) => *word == token.exact,
            Self::Beginning(beginning) => token.folded.starts_with(beginning.as_str()),
        }
    }
}

/// A set of patterns, indexed by first word.
#[derive(Default)]
pub struct Phrases {
    patterns: Vec<Vec<Item>>,
    by_word: HashMap<String, Vec<usize>>,
    by_beginning: HashMap<String, Vec<usize>>,
    at_start: Vec<usize>,
}

impl Phrases {
    pub fn add(&mut self, pattern: &str, classes: Classes) {
        let items: Vec<_> = pattern.split(' ').map(|item| read(item, classes)).collect();
        let place = self.patterns.len();
        match &items[0] {
            Item::Start => self.at_start.push(place),
            Item::Words {
                alternatives,
                optional: false,
                or_end: false,
            } => {
                for words in alternatives {
                    let (index, key) = match &words[0] {
                        Word::Folded(word) => (&mut self.by_word, word.clone()),
                        Word::Exact(word) => (&mut self.by_word, fold(word)),
                        Word::Beginning(beginning) => (&mut self.by_beginning, beginning.clone()),
                    };
                    let places = index.entry(key).or_default();
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
            _ => panic!("a pattern begins with a word or the clause: {pattern}"),
        }
        self.patterns.push(items);
    }

    fn beginning_with<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a [Item]> {
        let word = token.folded.as_str();
        let beginnings = word
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take(16)
            .filter_map(|end| self.by_beginning.get(&word[..end]));
        let places = self
            .by_word
            .get(word)
            .into_iter()
            .chain(beginnings)
            .flatten();
        places.map(|place| self.patterns[*place].as_slice())
    }

    pub fn are_in(&self, clause: &Clause) -> bool {
        let start = clause.behind_politeness[0];
        let at_start = self
            .at_start
            .iter()
            .map(|place| &self.patterns[*place][1..]);
        at_start
            .into_iter()
            .any(|items| matches(items, clause, start))
            || (0..clause.tokens.len()).any(|at| {
                self.beginning_with(&clause.tokens[at])
                    .any(|items| matches(items, clause, at))
            })
    }

    /// The length in words of the longest pattern at `at`; only for patterns of fixed words.
    pub fn longest_at(&self, tokens: &[Token], at: usize) -> Option<usize> {
        let found = self.beginning_with(&tokens[at]).filter_map(|items| {
            let mut end = at;
            for item in items {
                let Item::Words { alternatives, .. } = item else {
                    return None;
                };
                end = alternatives
                    .iter()
                    .filter_map(|words| behind(words, tokens, end))
                    .max()?;
            }
            Some(end - at)
        });
        found.max()
    }
}

/// The position after `words`, if they are at `at`.
fn behind(words: &[Word], tokens: &[Token], at: usize) -> Option<usize> {
    let there = tokens.get(at..at + words.len())?;
    words
        .iter()
        .zip(there)
        .all(|(word, token)| word.is(token))
        .then_some(at + words.len())
}

/// The tokens between two clause boundaries.
pub struct Clause<'a> {
    tokens: &'a [Token],
    /// For each position, the next one that is not politeness.
    behind_politeness: Vec<usize>,
}

impl<'a> Clause<'a> {
    pub fn new(tokens: &'a [Token], fillers: &Phrases) -> Self {
        let mut behind_politeness: Vec<_> = (0..=tokens.len()).collect();
        for at in (0..tokens.len()).rev() {
            if let Some(length) = fillers.longest_at(tokens, at) {
                behind_politeness[at] = behind_politeness[at + length];
            }
        }
        Self {
            tokens,
            behind_politeness,
        }
    }

    pub fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    fn ends_at(&self, at: usize) -> bool {
        self.behind_politeness[at] == self.tokens.len()
    }
}

fn matches(items: &[Item], clause: &Clause, at: usize) -> bool {
    match_behind(items, clause, at, false)
}

/// `skipped`: the gap just before consumed words.
fn match_behind(items: &[Item], clause: &Clause, at: usize, skipped: bool) -> bool {
    let Some((item, rest)) = items.split_first() else {
        return true;
    };
    let tokens = clause.tokens;
    match item {
        Item::Start => at == 0 && matches(rest, clause, at),
        Item::End => clause.ends_at(at),
        Item::Gap(most) => {
            let mut ends = at..=(at + most).min(tokens.len());
            ends.any(|end| match_behind(rest, clause, end, end > at))
        }
        Item::None(alternatives) => {
            let is_there = |words: &Vec<Word>| behind(words, tokens, at).is_some();
            !alternatives.iter().any(is_there) && matches(rest, clause, at)
        }
        Item::Words {
            alternatives,
            optional,
            or_end,
        } => {
            alternatives
                .iter()
                .any(|words| behind(words, tokens, at).is_some_and(|at| matches(rest, clause, at)))
                || (*optional && matches(rest, clause, at))
                || (*or_end
                    && !skipped
                    && clause.ends_at(at)
                    && matches(rest, clause, tokens.len()))
        }
    }
}

fn read(item: &str, classes: Classes) -> Item {
    if item == "^" {
        return Item::Start;
    }
    if item == "$" {
        return Item::End;
    }
    if let Some(most) = item.strip_prefix('*')
        && let Ok(most) = most.parse()
    {
        return Item::Gap(most);
    }
    if let Some(item) = item.strip_prefix('!') {
        return Item::None(alternatives_of(item, classes));
    }
    let (item, optional) = match item.strip_suffix('?') {
        Some(item) => (item, true),
        None => (item, false),
    };
    let (item, or_end) = match item.strip_suffix("|$") {
        Some(item) => (item, true),
        None => (item, false),
    };
    Item::Words {
        alternatives: alternatives_of(item, classes),
        optional,
        or_end,
    }
}

fn alternatives_of(item: &str, classes: Classes) -> Vec<Vec<Word>> {
    assert!(!item.contains('$'), "`$` is the last alternative: {item}");
    let mut alternatives = Vec::new();
    for alternative in item.split('|') {
        let class = alternative
            .strip_prefix('<')
            .and_then(|name| name.strip_suffix('>'));
        match class {
            Some(name) => {
                let words = classes.iter().find(|(known, _)| *known == name);
                let (_, words) = words.expect("a class that the language has");
                alternatives.extend(words.split('|').map(words_of));
            }
            None => alternatives.push(words_of(alternative)),
        }
    }
    alternatives
}

/// Ideographs are separate words, as in texts.
fn words_of(alternative: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for word in alternative.split('_') {
        if word.chars().any(is_ideograph) {
            words.extend(word.chars().map(|c| Word::read(c.encode_utf8(&mut [0; 4]))));
        } else {
            words.push(Word::read(word));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tokens;
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let mut phrases = Phrases::default();
        phrases.add(pattern, &[]);
        phrases.are_in(&Clause::new(&tokens(text), &Phrases::default()))
    }

    #[test]
    fn an_item_may_exclude_what_follows() {
        assert!(finds("text me !again", "text me"));
        assert!(finds("text me !again", "text me later"));
        assert!(!finds("text me !again", "text me again"));
    }

    #[test]
    fn the_end_as_an_alternative_stands_directly_behind() {
        for found in ["stop", "please stop", "stop all these texts"] {
            assert!(finds("stop *2 texts|$", found), "{found}");
        }
        assert!(!finds("stop *2 texts|$", "stop the leak"));
        assert!(finds("stop *2 $", "stop the leak"));
    }
}

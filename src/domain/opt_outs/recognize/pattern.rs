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
//! | `^`, `$` | start and end of the clause, ignoring politeness; as an alternative (`me\|$`), `$` allows no gap before it |

use std::collections::{BTreeSet, HashMap};

use super::normalize::{Token, fold, is_ideograph};

/// Named alternatives for patterns: (name, `one|another`).
pub type Classes = &'static [(&'static str, &'static str)];

#[derive(Debug)]
enum Item {
    Start,
    End,
    Gap(usize),
    Not(Vec<Vec<Word>>),
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
    Prefix(String),
}

impl Word {
    fn parse(word: &str) -> Self {
        if let Some(word) = word.strip_prefix('=') {
            Self::Exact(word.to_owned())
        } else if let Some(prefix) = word.strip_suffix('*') {
            Self::Prefix(fold(prefix))
        } else {
            Self::Folded(fold(word))
        }
    }

    fn matches(&self, token: &Token) -> bool {
        match self {
            Self::Folded(word) => *word == token.folded,
            Self::Exact(word) => *word == token.exact,
            Self::Prefix(prefix) => token.folded.starts_with(prefix.as_str()),
        }
    }
}

/// The words and prefixes with which any pattern begins, numbered. Most words of a text begin none: they are looked up
/// once, not in each set of patterns.
#[derive(Default)]
pub struct FirstWords {
    words: HashMap<String, FirstWord>,
    prefixes: HashMap<String, FirstWord>,
    /// In bytes.
    prefix_lengths: BTreeSet<usize>,
}

/// The number of a word or prefix in `FirstWords`.
pub type FirstWord = usize;

impl FirstWords {
    fn number_of(&mut self, word: &Word) -> FirstWord {
        let next = self.words.len() + self.prefixes.len();
        let (known, word) = match word {
            Word::Folded(word) => (&mut self.words, word.clone()),
            Word::Exact(word) => (&mut self.words, fold(word)),
            Word::Prefix(prefix) => {
                self.prefix_lengths.insert(prefix.len());
                (&mut self.prefixes, prefix.clone())
            }
        };
        *known.entry(word).or_insert(next)
    }

    /// Those that `word` matches.
    pub fn of(&self, word: &str) -> Vec<FirstWord> {
        let lengths = self.prefix_lengths.range(..=word.len());
        let prefixes = lengths.filter_map(|length| self.prefixes.get(word.get(..*length)?));
        self.words
            .get(word)
            .into_iter()
            .chain(prefixes)
            .copied()
            .collect()
    }
}

/// A set of patterns, indexed by first word.
#[derive(Default)]
pub struct Phrases {
    patterns: Vec<Vec<Item>>,
    by_first_word: HashMap<FirstWord, Vec<usize>>,
    /// Those that begin with `^`, by the word after it, and those in which any word may follow.
    at_start: HashMap<FirstWord, Vec<usize>>,
    at_any_start: Vec<usize>,
}

impl Phrases {
    pub fn add(&mut self, pattern: &str, classes: Classes, first_words: &mut FirstWords) {
        let items: Vec<_> = pattern
            .split(' ')
            .map(|item| parse(item, classes))
            .collect();
        let position = self.patterns.len();
        let (index, first) = match &items[..] {
            [Item::Start, first, ..] => (&mut self.at_start, first),
            [first, ..] => (&mut self.by_first_word, first),
            [] => panic!("a pattern has items"),
        };
        match (first, &items[0]) {
            (
                Item::Words {
                    alternatives,
                    optional: false,
                    or_end: false,
                },
                _,
            ) => {
                for words in alternatives {
                    let first = first_words.number_of(&words[0]);
                    let positions = index.entry(first).or_default();
                    if positions.last() != Some(&position) {
                        positions.push(position);
                    }
                }
            }
            (_, Item::Start) => self.at_any_start.push(position),
            _ => panic!("a pattern must start with a word or `^`: {pattern}"),
        }
        self.patterns.push(items);
    }

    fn starting_with<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a [Item]> {
        let firsts = token.first_words.iter();
        let positions = firsts.filter_map(|first| self.by_first_word.get(first));
        positions
            .flatten()
            .map(|position| self.patterns[*position].as_slice())
    }

    pub fn are_found_in(&self, clause: &Clause) -> bool {
        let start = clause.after_politeness[0];
        let first_words = clause.tokens.get(start).map(|token| &token.first_words);
        let at_start = first_words
            .into_iter()
            .flatten()
            .filter_map(|first| self.at_start.get(first))
            .flatten();
        at_start
            .chain(&self.at_any_start)
            .any(|position| matches(&self.patterns[*position][1..], clause, start))
            || (0..clause.tokens.len()).any(|at| {
                self.starting_with(&clause.tokens[at])
                    .any(|items| matches(items, clause, at))
            })
    }

    /// The length in words of the longest pattern at `at`; only for patterns of fixed words.
    pub fn longest_at(&self, tokens: &[Token], at: usize) -> Option<usize> {
        let found = self.starting_with(&tokens[at]).filter_map(|items| {
            let mut end = at;
            for item in items {
                let Item::Words { alternatives, .. } = item else {
                    return None;
                };
                end = alternatives
                    .iter()
                    .filter_map(|words| end_of(words, tokens, end))
                    .max()?;
            }
            Some(end - at)
        });
        found.max()
    }
}

/// The position after `words`, if they are at `at`.
fn end_of(words: &[Word], tokens: &[Token], at: usize) -> Option<usize> {
    let candidates = tokens.get(at..at + words.len())?;
    words
        .iter()
        .zip(candidates)
        .all(|(word, token)| word.matches(token))
        .then_some(at + words.len())
}

/// The tokens between two clause boundaries.
pub struct Clause<'a> {
    tokens: &'a [Token],
    /// For each position, the next one that is not politeness.
    after_politeness: Vec<usize>,
}

impl<'a> Clause<'a> {
    pub fn new(tokens: &'a [Token], fillers: &Phrases) -> Self {
        let mut after_politeness: Vec<_> = (0..=tokens.len()).collect();
        for at in (0..tokens.len()).rev() {
            if let Some(length) = fillers.longest_at(tokens, at) {
                after_politeness[at] = after_politeness[at + length];
            }
        }
        Self {
            tokens,
            after_politeness,
        }
    }

    pub fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    fn ends_at(&self, at: usize) -> bool {
        self.after_politeness[at] == self.tokens.len()
    }
}

fn matches(items: &[Item], clause: &Clause, at: usize) -> bool {
    match_from(items, clause, at, false)
}

/// `skipped`: the gap just before consumed words.
fn match_from(items: &[Item], clause: &Clause, at: usize, skipped: bool) -> bool {
    let Some((item, rest)) = items.split_first() else {
        return true;
    };
    let tokens = clause.tokens;
    match item {
        Item::Start => at == 0 && matches(rest, clause, at),
        Item::End => clause.ends_at(at),
        Item::Gap(most) => {
            let mut ends = at..=(at + most).min(tokens.len());
            ends.any(|end| match_from(rest, clause, end, end > at))
        }
        Item::Not(alternatives) => {
            let is_present = |words: &Vec<Word>| end_of(words, tokens, at).is_some();
            !alternatives.iter().any(is_present) && matches(rest, clause, at)
        }
        Item::Words {
            alternatives,
            optional,
            or_end,
        } => {
            alternatives
                .iter()
                .any(|words| end_of(words, tokens, at).is_some_and(|at| matches(rest, clause, at)))
                || (*optional && matches(rest, clause, at))
                || (*or_end
                    && !skipped
                    && clause.ends_at(at)
                    && matches(rest, clause, tokens.len()))
        }
    }
}

fn parse(item: &str, classes: Classes) -> Item {
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
        return Item::Not(alternatives_of(item, classes));
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
    assert!(
        !item.contains('$'),
        "`$` must be the last alternative: {item}"
    );
    let mut alternatives = Vec::new();
    for alternative in item.split('|') {
        let class = alternative
            .strip_prefix('<')
            .and_then(|name| name.strip_suffix('>'));
        match class {
            Some(name) => {
                let words = classes.iter().find(|(known, _)| *known == name);
                let (_, words) = words.expect("the language defines this class");
                alternatives.extend(words.split('|').map(tokens_of));
            }
            None => alternatives.push(tokens_of(alternative)),
        }
    }
    alternatives
}

/// Ideographs are separate words, as in texts.
fn tokens_of(alternative: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for word in alternative.split('_') {
        if word.chars().any(is_ideograph) {
            words.extend(
                word.chars()
                    .map(|c| Word::parse(c.encode_utf8(&mut [0; 4]))),
            );
        } else {
            words.push(Word::parse(word));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tokens;
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let (mut phrases, mut first_words) = (Phrases::default(), FirstWords::default());
        phrases.add(pattern, &[], &mut first_words);
        let tokens = tokens(text, &first_words);
        phrases.are_found_in(&Clause::new(&tokens, &Phrases::default()))
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

//! How phrases are written and found.
//!
//! A pattern is a row of items, parted by blanks:
//!
//! | item | means |
//! | --- | --- |
//! | `stop` | this word; accents and case do not matter |
//! | `=đừng` | this word with exactly these accents |
//! | `messag*` | a word that begins like this |
//! | `opt_out` | these words one after the other (ideographs need no `_`) |
//! | `text\|sms\|<message>` | one of these; `<message>` is a class of the language |
//! | `please?` | may be missing |
//! | `*3` | up to three words, whatever they are |
//! | `^`, `$` | the clause begins or ends here; politeness does not count |

use std::collections::HashMap;

use super::normalize::{Token, fold, is_ideograph};

/// Named alternatives, for patterns: (name, `one|another`).
pub type Classes = &'static [(&'static str, &'static str)];

#[derive(Debug)]
enum Item {
    Start,
    End,
    Gap(usize),
    Words {
        alternatives: Vec<Vec<Word>>,
        optional: bool,
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

/// Many patterns, found by their first word.
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

    /// The patterns that may begin with this word.
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

    /// Whether any of these is found in `clause`.
    pub fn are_in(&self, clause: &[Token], fillers: &Phrases) -> bool {
        let start = skip(clause, 0, fillers);
        let at_start = self
            .at_start
            .iter()
            .map(|place| &self.patterns[*place][1..]);
        at_start
            .into_iter()
            .any(|items| matches(items, clause, start, fillers))
            || (0..clause.len()).any(|at| {
                self.beginning_with(&clause[at])
                    .any(|items| matches(items, clause, at, fillers))
            })
    }

    /// How many words the longest of these takes that stands at `at`. For phrases of fixed words.
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

/// Where `words` end, if they stand at `at`.
fn behind(words: &[Word], tokens: &[Token], at: usize) -> Option<usize> {
    let there = tokens.get(at..at + words.len())?;
    words
        .iter()
        .zip(there)
        .all(|(word, token)| word.is(token))
        .then_some(at + words.len())
}

/// Behind the politeness that stands at `at`.
fn skip(clause: &[Token], mut at: usize, fillers: &Phrases) -> usize {
    while at < clause.len() {
        match fillers.longest_at(clause, at) {
            Some(length) => at += length,
            None => break,
        }
    }
    at
}

fn matches(items: &[Item], clause: &[Token], at: usize, fillers: &Phrases) -> bool {
    let Some((item, rest)) = items.split_first() else {
        return true;
    };
    match item {
        Item::Start => at == 0 && matches(rest, clause, at, fillers),
        Item::End => skip(clause, at, fillers) == clause.len(),
        Item::Gap(most) => {
            (at..=(at + most).min(clause.len())).any(|at| matches(rest, clause, at, fillers))
        }
        Item::Words {
            alternatives,
            optional,
        } => {
            alternatives.iter().any(|words| {
                behind(words, clause, at).is_some_and(|at| matches(rest, clause, at, fillers))
            }) || (*optional && matches(rest, clause, at, fillers))
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
    let (item, optional) = match item.strip_suffix('?') {
        Some(item) => (item, true),
        None => (item, false),
    };
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
    Item::Words {
        alternatives,
        optional,
    }
}

/// Ideographs are words of their own, here as in texts.
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

//! Recognizes texts that probably ask for no more texts, in other words than the keywords. The result only leads to a
//! question for the agent, so a false positive is better than a miss.
//!
//! The text becomes tokens (`normalize.rs`), which are matched with phrases (`pattern.rs`) of all languages
//! (`languages/`): users mix them, and a short text does not show its language. The time is bounded: only the start of
//! a text is read, and phrases are indexed by their first word.

mod languages;
mod normalize;
mod pattern;

use std::sync::LazyLock;

use languages::LANGUAGES;
use normalize::Token;
use pattern::{Clause, Phrases};

struct Recognizer {
    /// Requests, anywhere in a clause.
    asks: Phrases,
    /// Cancel a request in the same clause.
    unless: Phrases,
    /// Show that texts are welcome, anywhere in the text: only their kind, time or channel is in question.
    keeps: Phrases,
    /// Requests that count in spite of `keeps`.
    surely: Phrases,
    /// Requests that must fill their clause.
    alone: Phrases,
    /// Requests that must fill the whole text.
    whole: Phrases,
    /// Politeness, which is ignored.
    fillers: Phrases,
    /// A line that a phone appends; the text ends before it.
    signatures: Phrases,
}

static RECOGNIZER: LazyLock<Recognizer> = LazyLock::new(|| {
    let mut all = Recognizer {
        asks: Phrases::default(),
        unless: Phrases::default(),
        keeps: Phrases::default(),
        surely: Phrases::default(),
        alone: Phrases::default(),
        whole: Phrases::default(),
        fillers: Phrases::default(),
        signatures: Phrases::default(),
    };
    for language in LANGUAGES {
        let sets = [
            (&mut all.asks, language.asks),
            (&mut all.unless, language.unless),
            (&mut all.keeps, language.keeps),
            (&mut all.surely, language.surely),
            (&mut all.alone, language.alone),
            (&mut all.whole, language.whole),
            (&mut all.fillers, language.fillers),
            (&mut all.signatures, language.signatures),
        ];
        for (phrases, patterns) in sets {
            for pattern in patterns {
                phrases.add(pattern, language.classes);
            }
        }
    }
    all
});

/// Whether `text` probably asks for no more texts. The caller excludes reactions, which quote our own words.
pub fn asks_for_no_more(text: &str) -> bool {
    RECOGNIZER.is_opt_out_request(&normalize::tokens(text))
}

impl Recognizer {
    fn is_opt_out_request(&self, tokens: &[Token]) -> bool {
        let tokens = self.without_signature(tokens);
        let laughs = tokens.iter().any(Token::is_laughter);
        if !laughs && (self.is_alone(&self.whole, tokens) || in_pieces(tokens)) {
            return true;
        }
        let clauses: Vec<_> = tokens
            .chunk_by(|_, next| !next.begins_clause)
            .map(|tokens| Clause::new(tokens, &self.fillers))
            .collect();
        let keeps = clauses.iter().any(|clause| self.keeps.are_in(clause));
        clauses.iter().any(|clause| {
            let asks = if keeps {
                self.surely.are_in(clause)
            } else {
                (!laughs && self.is_alone(&self.alone, clause.tokens())) || self.asks.are_in(clause)
            };
            asks && !self.unless.are_in(clause)
        })
    }

    fn without_signature<'a>(&self, tokens: &'a [Token]) -> &'a [Token] {
        let end = (1..tokens.len()).find(|at| self.signatures.longest_at(tokens, *at).is_some());
        &tokens[..end.unwrap_or(tokens.len())]
    }

    /// Whether the tokens are keywords, politeness and figures only, with at least one keyword (`STOP 12345`).
    fn is_alone(&self, keywords: &Phrases, tokens: &[Token]) -> bool {
        let (mut at, mut found) = (0, false);
        while at < tokens.len() {
            if let Some(length) = keywords.longest_at(tokens, at) {
                found = true;
                at += length;
            } else if let Some(length) = self.fillers.longest_at(tokens, at) {
                at += length;
            } else if tokens[at].is_figure() {
                at += 1;
            } else {
                return false;
            }
        }
        found
    }
}

/// Keywords with spaces inside: `ST OP`, `un subscribe`.
fn in_pieces(tokens: &[Token]) -> bool {
    (2..=4).contains(&tokens.len())
        && ["stop", "stopall", "unsubscribe", "optout"].contains(
            &tokens
                .iter()
                .map(|token| token.folded.as_str())
                .collect::<String>()
                .as_str(),
        )
}

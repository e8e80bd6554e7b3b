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
use pattern::{Clause, FirstWords, Phrases};

struct Recognizer {
    first_words: FirstWords,
    /// Requests, anywhere in a clause.
    requests: Phrases,
    /// Cancel a request in the same clause.
    exceptions: Phrases,
    /// Show that texts are welcome, anywhere in the text: only their kind, time or channel is in question.
    acceptances: Phrases,
    /// Requests that count in spite of `acceptances`.
    overriding_requests: Phrases,
    /// Requests that must fill their clause.
    clause_requests: Phrases,
    /// Requests that must fill the whole text.
    text_requests: Phrases,
    /// Politeness, which is ignored.
    fillers: Phrases,
    /// A line that a phone appends; the text ends before it.
    signatures: Phrases,
}

static RECOGNIZER: LazyLock<Recognizer> = LazyLock::new(|| {
    let mut all = Recognizer {
        first_words: FirstWords::default(),
        requests: Phrases::default(),
        exceptions: Phrases::default(),
        acceptances: Phrases::default(),
        overriding_requests: Phrases::default(),
        clause_requests: Phrases::default(),
        text_requests: Phrases::default(),
        fillers: Phrases::default(),
        signatures: Phrases::default(),
    };
    for language in LANGUAGES {
        let sets = [
            (&mut all.requests, language.requests),
            (&mut all.exceptions, language.exceptions),
            (&mut all.acceptances, language.acceptances),
            (&mut all.overriding_requests, language.overriding_requests),
            (&mut all.clause_requests, language.clause_requests),
            (&mut all.text_requests, language.text_requests),
            (&mut all.fillers, language.fillers),
            (&mut all.signatures, language.signatures),
        ];
        for (phrases, patterns) in sets {
            for pattern in patterns {
                phrases.add(pattern, language.classes, &mut all.first_words);
            }
        }
    }
    all
});

/// Whether `text` probably asks for no more texts. The caller excludes reactions, which quote our own words.
pub fn resembles_opt_out(text: &str) -> bool {
    let tokens = normalize::tokens(text, &RECOGNIZER.first_words);
    RECOGNIZER.is_opt_out_request(&tokens)
}

impl Recognizer {
    fn is_opt_out_request(&self, tokens: &[Token]) -> bool {
        let tokens = self.without_signature(tokens);
        let has_laughter = tokens.iter().any(Token::is_laughter);
        if !has_laughter
            && (self.is_alone(&self.text_requests, tokens) || is_spaced_keyword(tokens))
        {
            return true;
        }
        let clauses: Vec<_> = tokens
            .chunk_by(|_, next| !next.begins_clause)
            .map(|tokens| Clause::new(tokens, &self.fillers))
            .collect();
        let is_welcome = clauses
            .iter()
            .any(|clause| self.acceptances.are_found_in(clause));
        clauses.iter().any(|clause| {
            let is_request = if is_welcome {
                self.overriding_requests.are_found_in(clause)
            } else {
                (!has_laughter && self.is_alone(&self.clause_requests, clause.tokens()))
                    || self.requests.are_found_in(clause)
            };
            is_request && !self.exceptions.are_found_in(clause)
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
fn is_spaced_keyword(tokens: &[Token]) -> bool {
    (2..=4).contains(&tokens.len())
        && ["stop", "stopall", "unsubscribe", "optout"].contains(
            &tokens
                .iter()
                .map(|token| token.folded.as_str())
                .collect::<String>()
                .as_str(),
        )
}

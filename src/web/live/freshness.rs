//! Whether a row that travelled with its event may be shown. Its statement began before its commit, and events of other
//! statements may overtake its own: whatever was shown since the statement began may be newer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::conversations::Conversation;
use crate::domain::messages::written::Statement;

/// Longer than any statement that stores texts.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// From this size, old entries are dropped.
const SWEEP_FROM: usize = 1_024;

/// When each conversation, contact and number was last shown, and by which statement's row, if by one.
pub struct Shown {
    by_id: HashMap<Uuid, (Instant, Option<u64>)>,
    sweep_from: usize,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            sweep_from: SWEEP_FROM,
        }
    }
}

impl Shown {
    /// Whether nothing that was shown may be newer than a row of this statement that shows `ids`.
    pub fn allows(&self, statement: Statement, ids: &[Uuid]) -> bool {
        let Statement { nth, began } = statement;
        let is_older = |id: Uuid| match self.by_id.get(&id) {
            Some((at, by)) => *at < began || *by == Some(nth),
            None => true,
        };
        began.elapsed() < KEPT_FOR && ids.iter().copied().all(is_older)
    }

    /// `by`: the statement whose row was shown; `None` if it was read.
    pub fn note(&mut self, id: Uuid, by: Option<u64>) {
        if self.by_id.len() >= self.sweep_from {
            self.by_id.retain(|_, (at, _)| at.elapsed() < KEPT_FOR);
            self.sweep_from = SWEEP_FROM.max(2 * self.by_id.len());
        }
        self.by_id.insert(id, (Instant::now(), by));
    }
}

/// What the row of a conversation shows.
pub fn ids(conversation: &Conversation) -> [Uuid; 3] {
    [
        conversation.id.0,
        conversation.contact_id.0,
        conversation.number_id.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_gives_way_to_what_was_shown_since_its_statement_began() {
        let (conversation, contact) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ids = [conversation, contact];
        let mut shown = Shown::default();
        let (first, second) = (Statement::begin(), Statement::begin());
        assert!(shown.allows(first, &ids));
        // Its event was overtaken by that of a statement which may have committed later.
        shown.note(conversation, Some(second.nth));
        assert!(!shown.allows(first, &ids));
        assert!(shown.allows(second, &ids), "several texts of one statement");
        shown.note(contact, None);
        assert!(!shown.allows(second, &ids));
        assert!(shown.allows(second, &[Uuid::from_u128(3)]));
        assert!(shown.allows(Statement::begin(), &ids), "what begins later");
    }

    #[test]
    fn old_entries_are_dropped() {
        let mut shown = Shown::default();
        let Some(long_ago) = Instant::now().checked_sub(2 * KEPT_FOR) else {
            return;
        };
        for id in 0..2_000 {
            shown.by_id.insert(Uuid::from_u128(id), (long_ago, None));
        }
        shown.note(Uuid::from_u128(5_000), None);
        assert_eq!(shown.by_id.len(), 1);
        let forgotten = Statement {
            nth: 0,
            began: long_ago,
        };
        assert!(!shown.allows(forgotten, &[Uuid::from_u128(0)]));
    }
}

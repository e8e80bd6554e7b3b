//! Rows that deserve a look before the import starts: duplicates and rows without a usable number.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::WorkspaceTx;
use crate::domain::string_enum;
use crate::error::Result;
use crate::language::Message;
use crate::phone;

string_enum!(#[schema(as = ContactImportRowKind)]
Kind {
    /// A contact has this number already.
    Known = "known",
    /// A row above has this number.
    Repeated = "repeated",
    /// The row has no usable phone number.
    Invalid = "invalid",
});

/// A row that does not simply add a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ContactImportRow)]
pub struct FlaggedRow {
    pub line: i64,
    pub kind: Kind,
    /// The phone number; for an invalid row what the file has instead.
    pub number: String,
    /// Of a repeated number: the line above. Of a known one: 0.
    #[serde(default)]
    pub first_line: i64,
    /// Why an invalid row is skipped.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Message>,
}

impl FlaggedRow {
    pub fn is_kind(&self, word: &str) -> bool {
        self.kind.as_str() == word
    }

    pub fn shown_number(&self) -> String {
        phone::display(&self.number)
    }

    pub fn shown_reason(&self) -> Message {
        self.reason.clone().unwrap_or_else(|| Message::verbatim(""))
    }
}

/// A row as it was read.
pub(super) struct CheckedRow {
    pub line: u64,
    /// The number, or what is there instead and why it is refused.
    pub number: Result<String, (String, Message)>,
}

pub(super) struct RowCounts {
    pub new_rows: i32,
    pub duplicate_rows: i32,
    pub invalid_rows: i32,
    pub flagged: Vec<FlaggedRow>,
}

impl RowCounts {
    /// As they are kept with the import.
    pub fn stored(&self) -> serde_json::Value {
        let stored = |row: &FlaggedRow| {
            let mut json = json!(row);
            json["reason"] = json!(row.reason.as_ref().map(Message::stored));
            json
        };
        self.flagged.iter().map(stored).collect()
    }
}

/// Of each kind.
const MOST_FLAGGED: usize = 50;

/// Compares the rows with each other and with the contacts. One round trip for 5,000 numbers.
pub(super) async fn count_rows(tx: &mut WorkspaceTx, rows: &[CheckedRow]) -> Result<RowCounts> {
    let mut numbers: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.number.as_deref().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut known: HashSet<String> = HashSet::new();
    for numbers in numbers.chunks(5_000) {
        known.extend(
            sqlx::query_scalar!(
                r#"select t.number as "number!" from unnest($1::text[]) as t (number) where contact_at(t.number) is not null"#,
                numbers as _,
            )
            .fetch_all(tx.conn())
            .await?,
        );
    }
    Ok(sort_out(rows, &known))
}

fn sort_out(rows: &[CheckedRow], known: &HashSet<String>) -> RowCounts {
    let mut counts = RowCounts {
        new_rows: 0,
        duplicate_rows: 0,
        invalid_rows: 0,
        flagged: Vec::new(),
    };
    let mut lines: HashMap<&str, u64> = HashMap::new();
    let (mut duplicates, mut invalid) = (Vec::new(), Vec::new());
    for row in rows {
        let flagged = |kind, number: &str, first_line: u64, reason| FlaggedRow {
            line: row.line as i64,
            kind,
            number: number.to_owned(),
            first_line: first_line as i64,
            reason,
        };
        match &row.number {
            Err((text, reason)) => {
                counts.invalid_rows += 1;
                invalid.push(flagged(Kind::Invalid, text, 0, Some(reason.clone())));
            }
            Ok(number) => match (lines.get(number.as_str()), known.contains(number)) {
                (Some(first), _) => {
                    counts.duplicate_rows += 1;
                    duplicates.push(flagged(Kind::Repeated, number, *first, None));
                }
                (None, is_known) => {
                    lines.insert(number, row.line);
                    if is_known {
                        counts.duplicate_rows += 1;
                        duplicates.push(flagged(Kind::Known, number, 0, None));
                    } else {
                        counts.new_rows += 1;
                    }
                }
            },
        }
        duplicates.truncate(MOST_FLAGGED);
        invalid.truncate(MOST_FLAGGED);
    }
    counts.flagged = [invalid, duplicates].concat();
    counts.flagged.sort_by_key(|row| row.line);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_new_or_a_duplicate_or_invalid() {
        let row = |line, number: &str| CheckedRow {
            line,
            number: match number.starts_with('+') {
                true => Ok(number.to_owned()),
                false => Err((number.to_owned(), Message::new("no number"))),
            },
        };
        let rows = [
            row(2, "+14155550192"),
            row(3, "call me"),
            row(4, "+14155550193"),
            row(5, "+14155550192"),
        ];
        let counts = sort_out(&rows, &HashSet::from(["+14155550193".to_owned()]));
        assert_eq!(
            (counts.new_rows, counts.duplicate_rows, counts.invalid_rows),
            (1, 2, 1)
        );
        let kinds: Vec<_> = counts
            .flagged
            .iter()
            .map(|row| (row.line, row.kind, row.first_line))
            .collect();
        assert_eq!(
            kinds,
            [
                (3, Kind::Invalid, 0),
                (4, Kind::Known, 0),
                (5, Kind::Repeated, 2)
            ]
        );
    }
}

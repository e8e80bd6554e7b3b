//! What an import skips or changes. It is counted before the import starts and reported after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::string_enum;
use crate::language::Message;
use crate::sheet::Sheet;

string_enum!(#[schema(as = ContactImportProblemKind)]
Kind {
    /// A quotation mark that is never closed. The lines that it would have swallowed are read one by one; `count` is
    /// their number.
    UnclosedQuote = "unclosed_quote",
    /// Bytes that are not valid in the file's encoding.
    UnreadableBytes = "unreadable_bytes",
    /// The first line contains no known column name and looks like a contact.
    NoHead = "no_head",
    /// Lines above the column names.
    LinesAbove = "lines_above",
    /// Lines below the table, such as the name of the exporter.
    LinesBelow = "lines_below",
    /// Lines that repeat the column names.
    RepeatedHead = "repeated_head",
    /// Cells that could not be read; the contact is imported without them.
    CellsLeftOut = "cells_left_out",
    /// Rows without a valid phone number.
    RowsRefused = "rows_refused",
    /// Further phone numbers of a row; they are added to the contact's notes.
    NumbersKept = "numbers_kept",
});

/// A difference between the file and what is imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ContactImportProblem)]
pub struct Problem {
    pub kind: Kind,
    /// The number of lines, cells, rows or characters, depending on `kind`.
    pub count: i64,
    /// The first line concerned, counted from 1.
    pub line: Option<i64>,
    /// The name of the column.
    pub column: Option<String>,
    /// How to correct it.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Message>,
    /// Up to three values as they are in the file.
    #[serde(default)]
    pub examples: Vec<String>,
    /// The problem as an English sentence.
    #[serde(default, skip_deserializing)]
    pub message: String,
}

const MAX_QUOTE_PROBLEMS: usize = 20;
const COUNT_LIMIT: usize = 200;
const MAX_EXAMPLES: usize = 3;

impl Problem {
    fn new(kind: Kind, count: impl TryInto<i64>) -> Self {
        Self {
            kind,
            count: count.try_into().unwrap_or(i64::MAX),
            line: None,
            column: None,
            reason: None,
            examples: Vec::new(),
            message: String::new(),
        }
    }

    pub fn in_line(self, line: impl TryInto<i64>) -> Self {
        Self {
            line: line.try_into().ok(),
            ..self
        }
    }

    pub fn is_kind(&self, word: &str) -> bool {
        self.kind.as_str() == word
    }

    pub fn shown_column(&self) -> &str {
        self.column.as_deref().unwrap_or_default()
    }

    pub fn shown_reason(&self) -> Message {
        let none = || Message::verbatim("");
        self.reason.clone().unwrap_or_else(none)
    }

    pub fn shown_line(&self) -> i64 {
        self.line.unwrap_or_default()
    }

    pub fn shown_examples(&self) -> String {
        self.examples.join(", ")
    }

    pub fn with_message(mut self) -> Self {
        let (n, line, reason, column) = (
            self.count,
            self.shown_line(),
            self.shown_reason().english(),
            self.shown_column(),
        );
        let counted = |one: &str, many: &str| match n {
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        self.message = match self.kind {
            Kind::UnclosedQuote if line == 0 => {
                format!(
                    "{} an unclosed quotation mark",
                    counted("more line has", "more lines have")
                )
            }
            Kind::UnclosedQuote if n > 1 => format!(
                "Line {line} has an unclosed quotation mark that would take in {n} lines. They’re read one by one."
            ),
            Kind::UnclosedQuote => format!("Line {line} has an unclosed quotation mark"),
            Kind::UnreadableBytes => format!(
                "{} can’t be read, first in line {line}. Choose another encoding, or fix the file.",
                counted("character", "characters")
            ),
            Kind::NoHead => {
                "The first line doesn’t contain column names and won’t be imported".into()
            }
            Kind::LinesAbove => format!(
                "{} above the column names skipped",
                counted("line", "lines")
            ),
            Kind::LinesBelow => format!("{} below the table skipped", counted("line", "lines")),
            Kind::RepeatedHead => format!(
                "{} the column names, skipped",
                counted("line repeats", "lines repeat")
            ),
            Kind::CellsLeftOut => {
                format!(
                    "{column}: {} left empty ({}): {reason}",
                    counted("cell", "cells"),
                    self.shown_examples()
                )
            }
            Kind::RowsRefused => format!(
                "{} skipped, first in line {line}: {reason}",
                counted("row", "rows")
            ),
            Kind::NumbersKept => format!(
                "{} added to the notes",
                counted("additional phone number", "additional phone numbers")
            ),
        };
        self
    }
}

/// As they are kept with the import.
pub fn stored(problems: &[Problem]) -> serde_json::Value {
    let stored = |problem: &Problem| {
        let mut json = json!(problem);
        json["reason"] = json!(problem.reason.as_ref().map(Message::stored));
        json
    };
    problems.iter().map(stored).collect()
}

pub fn of_sheet(sheet: &Sheet) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (first, more) = sheet
        .broken
        .split_at(sheet.broken.len().min(MAX_QUOTE_PROBLEMS));
    problems.extend(
        first
            .iter()
            .map(|broken| Problem::new(Kind::UnclosedQuote, broken.lines).in_line(broken.line)),
    );
    if !more.is_empty() {
        problems.push(Problem::new(Kind::UnclosedQuote, more.len()));
    }
    if let Some(line) = sheet.bad.first() {
        problems.push(Problem::new(Kind::UnreadableBytes, sheet.bad_places).in_line(*line));
    }
    for (kind, count) in [
        (Kind::LinesAbove, sheet.above),
        (Kind::LinesBelow, sheet.below),
        (Kind::RepeatedHead, sheet.repeated),
    ] {
        if count > 0 {
            problems.push(Problem::new(kind, count));
        }
    }
    if sheet.has_no_head {
        problems.push(Problem::new(Kind::NoHead, 1));
    }
    problems
}

#[derive(Debug, Default)]
pub struct Tally {
    cells: BTreeMap<(usize, Message), Count>,
    rows: BTreeMap<Message, Count>,
    pub numbers: usize,
}

#[derive(Debug, Default)]
struct Count {
    count: usize,
    line: u64,
    examples: Vec<String>,
}

impl Count {
    fn add(&mut self, line: u64, example: &str) {
        self.count += 1;
        if self.count == 1 {
            self.line = line;
        }
        let example = shortened(example);
        if self.examples.len() < MAX_EXAMPLES && !self.examples.contains(&example) {
            self.examples.push(example);
        }
    }
}

fn shortened(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(41)
        .collect();
    match line.chars().count() {
        41 => format!("{}…", line.chars().take(40).collect::<String>()),
        _ => line,
    }
}

impl Tally {
    pub fn cell(&mut self, index: usize, line: u64, text: &str, reason: Message) {
        self.cells
            .entry((index, reason))
            .or_default()
            .add(line, text);
    }

    pub fn row(&mut self, line: u64, reason: Message) {
        self.rows.entry(reason).or_default().add(line, "");
    }

    pub fn left_out(&self) -> i32 {
        let count: usize = self.cells.values().map(|count| count.count).sum();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    pub fn problems(self, columns: &[String]) -> Vec<Problem> {
        let rows = self.rows.into_iter().map(|(reason, count)| Problem {
            reason: Some(reason),
            ..Problem::new(Kind::RowsRefused, count.count).in_line(count.line)
        });
        let cells = self
            .cells
            .into_iter()
            .map(|((index, reason), count)| Problem {
                column: columns.get(index).cloned(),
                reason: Some(reason),
                examples: count.examples,
                ..Problem::new(Kind::CellsLeftOut, count.count).in_line(count.line)
            });
        let numbers = (self.numbers > 0).then(|| Problem::new(Kind::NumbersKept, self.numbers));
        rows.chain(cells).chain(numbers).take(COUNT_LIMIT).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_by_column_and_reason() {
        let mut tally = Tally::default();
        for (line, text) in [(2, "none"), (3, "n/a"), (4, "none")] {
            tally.cell(1, line, text, Message::new("not an email address"));
        }
        tally.row(9, Message::new("Phone number: not one"));
        assert_eq!(tally.left_out(), 3);
        let problems = tally.problems(&["Name".into(), "E-mail".into()]);
        let messages: Vec<_> = problems
            .into_iter()
            .map(|problem| problem.with_message().message)
            .collect();
        assert_eq!(
            messages,
            [
                "1 row skipped, first in line 9: Phone number: not one",
                "E-mail: 3 cells left empty (none, n/a): not an email address"
            ]
        );
    }
}

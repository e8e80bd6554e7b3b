//! Tables from spreadsheets and address books: any encoding and delimiter, with lines above and below; and export of
//! cells that spreadsheets do not take for formulas.

pub mod dates;
pub mod decode;
mod headings;
pub mod heads;
pub mod records;
mod vcard;

use encoding_rs::Encoding;
use phonenumber::Mode;

use crate::language::{Message, impl_error, t};
use records::{Broken, Record, Records};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub encoding: &'static str,
    /// `None` for a vCard file.
    pub delimiter: Option<char>,
    pub columns: Vec<String>,
    pub rows: Vec<SheetRow>,
    /// Unclosed quotation marks, whose lines were parsed one by one.
    pub broken: Vec<Broken>,
    /// Lines with undecodable bytes, and the number of such places.
    pub bad: Vec<u64>,
    pub bad_places: usize,
    /// Lines that are no data: above the header, below the table, repeated headers.
    pub above: usize,
    pub below: usize,
    pub repeated: usize,
    /// The first line looks like data.
    pub has_no_head: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRow {
    /// First line in the file, counted from 1; unique per row.
    pub line: u64,
    pub cells: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// Maximum number of rows.
    pub most: usize,
    pub encoding: Option<&'static Encoding>,
    /// Two-letter country code, which helps to detect the encoding.
    pub region: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetError {
    NoTable,
    Workbook,
    Empty,
    TooLong(String),
    TooWide,
}

impl SheetError {
    /// What is wrong and how to correct it.
    pub fn message(&self) -> Message {
        match self {
            Self::NoTable => {
                t!("This isn’t a CSV file. Export the table as CSV and choose that file.")
            }
            Self::Workbook => t!(
                "This is a spreadsheet. Save it as CSV (in Excel, “CSV UTF-8”) and choose that file."
            ),
            Self::Empty => t!("This file is empty. Its first line must contain the column names."),
            Self::TooLong(most) => t!(
                "Use at most {most} lines per file. Split the file.",
                most = most
            ),
            Self::TooWide => t!("Use at most 300 columns"),
        }
    }
}

impl_error!(SheetError);

const MAX_COLUMNS: usize = 300;
const MAX_LINES_ABOVE: usize = 15;

/// Parses a file. Empty lines are skipped.
pub fn read(file: &[u8], options: Reading) -> Result<Sheet, SheetError> {
    let decoded = decode::decode(file, options.encoding, options.region)?;
    let sheet = match vcard::is_vcard(&decoded.text) {
        true => vcard::read(&decoded.text, decoded.encoding, options.most)?,
        false => table(&decoded.text, decoded.encoding, options.most)?,
    };
    Ok(Sheet {
        bad: decoded.bad,
        bad_places: decoded.bad_places,
        ..sheet
    })
}

fn table(text: &str, encoding: &'static str, most: usize) -> Result<Sheet, SheetError> {
    let mut reader = Records::of(text);
    let mut records: Vec<Record> = Vec::new();
    for mut record in &mut reader {
        if record.cells.len() > MAX_COLUMNS && records.is_empty() {
            return Err(SheetError::TooWide);
        }
        record.cells.truncate(MAX_COLUMNS);
        if record.cells.iter().all(String::is_empty) {
            continue;
        }
        records.push(record);
        if records.len() > most.saturating_add(MAX_LINES_ABOVE + 1) {
            return Err(SheetError::TooLong(grouped(most)));
        }
    }
    let width = reader.layout().width;
    let above = header_index(&records, width).ok_or(SheetError::Empty)?;
    let mut rows = records.split_off(above + 1);
    let columns = records.pop().map(|record| record.cells).unwrap_or_default();
    let footer = rows_before_footer(&rows, width);
    let below = rows.len() - footer;
    rows.truncate(footer);
    let before = rows.len();
    rows.retain(|row| row.cells != columns);
    if rows.len() > most {
        return Err(SheetError::TooLong(grouped(most)));
    }
    Ok(Sheet {
        encoding,
        delimiter: Some(reader.layout().delimiter.into()),
        above,
        below,
        repeated: before - rows.len(),
        has_no_head: !heads::is_head(&columns)
            && columns.iter().any(|cell| records::is_phone_like(cell)),
        columns,
        rows: rows
            .into_iter()
            .map(|record| SheetRow {
                line: record.line,
                cells: record.cells,
            })
            .collect(),
        broken: reader.broken,
        bad: Vec::new(),
        bad_places: 0,
    })
}

/// The index of the header: the first record with known column names, else the first with more than a title.
fn header_index(records: &[Record], width: usize) -> Option<usize> {
    let first = &records[..records.len().min(MAX_LINES_ABOVE)];
    let has_more = |record: &Record| {
        width < 2 || record.cells.iter().filter(|cell| !cell.is_empty()).count() > 1
    };
    first
        .iter()
        .position(|record| heads::is_head(&record.cells) && has_more(record))
        .or_else(|| first.iter().position(has_more))
        .or(match records.is_empty() {
            true => None,
            false => Some(0),
        })
}

/// The number of rows before the footer. Exports append summaries: single cells that are long, or follow an empty line.
fn rows_before_footer(rows: &[Record], width: usize) -> usize {
    let is_text = |row: &Record| row.cells.len() == 1 && !records::is_phone_like(&row.cells[0]);
    let run = rows.iter().rev().take_while(|row| is_text(row)).count();
    let start = rows.len() - run;
    let is_footer = rows[start..]
        .iter()
        .any(|row| row.is_after_gap || row.cells[0].chars().count() > 25);
    match width > 2 && is_footer {
        true => start,
        false => rows.len(),
    }
}

fn grouped(number: usize) -> String {
    match number {
        thousands @ 1_000.. if thousands % 1_000 == 0 => format!("{},000", thousands / 1_000),
        other => other.to_string(),
    }
}

/// The base name without control characters, at most 60 characters.
pub fn short_name(file_name: &str) -> String {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = base.chars().filter(|c| !c.is_control()).take(60).collect();
    match name.trim() {
        "" => "a file".into(),
        name => name.into(),
    }
}

/// The UTF-8 byte-order mark, without which Excel reads another encoding.
pub const MARK: &[u8] = "\u{feff}".as_bytes();

/// Prefixes an apostrophe to cells that a spreadsheet would take for a formula: those that begin with `=`, `+`, `-`,
/// `@`, a tab or a return, also after spaces or invisible characters. Phone numbers are exempt.
pub fn guarded(cell: &str) -> String {
    let is_number = cell
        .strip_prefix('+')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match is_formula(cell) && !is_number {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

fn is_formula(cell: &str) -> bool {
    cell.starts_with(['\t', '\r'])
        || cell
            .trim_start_matches(is_invisible)
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Removes guards against formulas and numbers: `'+1 415…`, `'=1+1`, `="0415"`. Names such as `'t Hart` are unchanged.
pub fn unguarded(cell: &str) -> &str {
    if let Some(text) = cell
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'))
    {
        return text;
    }
    match cell.strip_prefix('\'') {
        Some(text)
            if is_formula(text)
                || text.starts_with(|c: char| c.is_ascii_digit() || c == '(' || c == '\'') =>
        {
            text
        }
        _ => cell,
    }
}

/// Formats a phone number so that spreadsheets keep it as text: `+44 7911 123456`; `+447911123456` would become a
/// number.
pub fn phone_text(phone: &str) -> String {
    let digits = match phone.strip_prefix('+') {
        Some(digits)
            if (5..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            digits
        }
        _ => return phone.to_owned(),
    };
    let written = phonenumber::parse(None, phone)
        .map(|number| number.format().mode(Mode::International).to_string())
        .unwrap_or_default();
    let parts: Vec<&str> = written
        .split([' ', '-'])
        .filter(|part| !part.is_empty())
        .collect();
    let is_same = written
        .chars()
        .filter(char::is_ascii_digit)
        .eq(digits.chars());
    match parts.split_first() {
        // Groups of three are a number where spaces separate thousands.
        Some((code, rest))
            if is_same && rest.len() > 1 && rest.iter().all(|part| part.len() == 3) =>
        {
            format!("{code} {}", rest.join("-"))
        }
        Some((code, rest)) if is_same && rest.iter().any(|part| part.len() != 3) => {
            format!("{code} {}", rest.join(" "))
        }
        _ => format!("+{} {}", &digits[..2], &digits[2..]),
    }
}

/// Separates digits so that spreadsheets keep them as text: a number would lose leading zeros and its last digits.
pub fn dialled_text(cell: &str) -> String {
    let is_digits = cell.bytes().all(|byte| byte.is_ascii_digit());
    match is_digits && cell.len() > 5 && (cell.starts_with('0') || cell.len() > 11) {
        true => format!("{} {}", &cell[..4], &cell[4..]),
        false => phone_text(cell),
    }
}

/// CSV lines with guarded cells and formatted phone numbers.
pub fn lines<'a>(rows: impl IntoIterator<Item = &'a [String]>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    let written = |cell: &String| match phone_text(cell) {
        phone if phone != *cell => phone,
        _ if is_formatted_phone(cell) => cell.clone(),
        _ => guarded(cell),
    };
    for row in rows {
        let written = writer.write_record(row.iter().map(written));
        written.expect("writing to memory does not fail");
    }
    writer
        .into_inner()
        .expect("writing to memory does not fail")
}

/// Whether the cell is one or several numbers in the format of [`phone_text`].
fn is_formatted_phone(cell: &str) -> bool {
    cell.split(", ").all(|phone| {
        let is_shaped = phone.strip_prefix('+').is_some_and(|rest| {
            let is_code = |code: &str| {
                (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit())
            };
            rest.split_once(' ').is_some_and(|(code, rest)| {
                is_code(code)
                    && rest
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'))
            })
        });
        is_shaped && phone.bytes().filter(u8::is_ascii_digit).count() > 6
    })
}

#[cfg(test)]
mod tests;

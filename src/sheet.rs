//! Tables as spreadsheets write them: CSV in whatever encoding and with whatever separator, and cells that are no formulas.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A table with a head. What is in it is text as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub encoding: &'static str,
    pub delimiter: char,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counted from 1, the head.
    pub line: u64,
    pub cells: Vec<String>,
}

/// Why a file is no table, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("this is no CSV: export the table as CSV and choose that file")]
    NoTable,
    #[error("the file is empty: its first line must name the columns")]
    Empty,
    #[error("at most {0} lines at once: split the file")]
    TooLong(String),
    #[error("at most 100 columns")]
    TooWide,
}

const MOST_COLUMNS: usize = 100;
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Reads a file of at most `most` lines beside its head. Empty lines are passed over.
pub fn read(file: &[u8], most: usize) -> Result<Sheet, Wrong> {
    let (text, encoding) = decode(file)?;
    let delimiter = sniff(&text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| Wrong::NoTable)?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        if columns.is_none() {
            if cells.len() > MOST_COLUMNS {
                return Err(Wrong::TooWide);
            }
            columns = Some(cells);
            continue;
        }
        if rows.len() == most {
            return Err(Wrong::TooLong(grouped(most)));
        }
        let line = record.position().map_or(0, |at| line_at(&text, at));
        rows.push(Row {
            line,
            cells: cells.into_iter().take(MOST_COLUMNS).collect(),
        });
    }
    Ok(Sheet {
        encoding,
        delimiter: delimiter.into(),
        columns: columns.ok_or(Wrong::Empty)?,
        rows,
    })
}

/// A mark at the beginning says it; without one, zeros between the letters tell UTF-16, and what is no UTF-8 is from Windows.
fn decode(file: &[u8]) -> Result<(String, &'static str), Wrong> {
    let encoding = match Encoding::for_bom(file) {
        Some((encoding, _)) => encoding,
        None => guess(file),
    };
    let (text, _, is_broken) = encoding.decode(file);
    // No table has these: it is a picture, or a spreadsheet's own format.
    if text.contains('\0') || (is_broken && encoding != WINDOWS_1252) {
        return Err(Wrong::NoTable);
    }
    Ok((text.into_owned(), encoding.name()))
}

fn guess(file: &[u8]) -> &'static Encoding {
    let sample = &file[..file.len().min(4096)];
    let zeros = |from: usize| {
        let every_other = sample.iter().skip(from).step_by(2);
        every_other.filter(|byte| **byte == 0).count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    let most = sample.len() / 4;
    if sample.len() >= 4 && odd > most && even == 0 {
        UTF_16LE
    } else if sample.len() >= 4 && even > most && odd == 0 {
        UTF_16BE
    } else if std::str::from_utf8(file).is_ok() {
        UTF_8
    } else {
        WINDOWS_1252
    }
}

/// The separator that gives the first lines as many cells as the head has; of several, the one that gives more.
fn sniff(text: &str) -> u8 {
    let fit = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let widths: Vec<usize> = reader
            .records()
            .take(20)
            .map_while(Result::ok)
            .map(|record| record.len())
            .collect();
        let head = widths.first().copied().unwrap_or_default();
        if head < 2 {
            return (0, 0);
        }
        let alike = widths.iter().filter(|width| **width == head).count();
        (alike * 100 / widths.len(), head)
    };
    DELIMITERS
        .into_iter()
        .rev() // of two that fit alike, the last one is taken: the comma
        .max_by_key(|delimiter| fit(*delimiter))
        .unwrap_or(b',')
}

/// Where a record begins: the reader counts the empty lines before it as a part of it.
fn line_at(text: &str, position: &csv::Position) -> u64 {
    let begin = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(begin..).unwrap_or_default();
    let empty = rest
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|byte| **byte == b'\n');
    position.line() + empty.count() as u64
}

fn grouped(number: usize) -> String {
    match number {
        thousands @ 1_000.. if thousands % 1_000 == 0 => format!("{},000", thousands / 1_000),
        other => other.to_string(),
    }
}

/// As people call a file, and no longer than others' words can be.
pub fn short_name(file_name: &str) -> String {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = base.chars().filter(|c| !c.is_control()).take(60).collect();
    match name.trim() {
        "" => "a file".into(),
        name => name.into(),
    }
}

/// What a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a return) gets an apostrophe before
/// it. A phone number is none, whatever it begins with.
pub fn guarded(cell: &str) -> String {
    let is_formula = cell.starts_with(['\t', '\r'])
        || cell
            .trim_start()
            .starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell
        .strip_prefix('+')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match is_formula && !is_number {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

/// An apostrophe that keeps a spreadsheet from reading a cell as a formula, as our own lists have it.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// Lines of a table, each cell guarded.
pub fn lines<'a>(rows: impl IntoIterator<Item = &'a [String]>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    for row in rows {
        let written = writer.write_record(row.iter().map(|cell| guarded(cell)));
        written.expect("memory takes every line");
    }
    writer.into_inner().expect("memory takes every line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, big: bool, marked: bool) -> Vec<u8> {
        let mark = marked.then_some(0xfeff);
        mark.into_iter()
            .chain(text.encode_utf16())
            .flat_map(|unit| match big {
                true => unit.to_be_bytes(),
                false => unit.to_le_bytes(),
            })
            .collect()
    }

    #[test]
    fn a_table_is_read_in_whatever_encoding_it_comes() {
        let text = "Name;Phone\r\nJosé Núñez;+1 415 555 0192\r\n";
        let windows = WINDOWS_1252.encode(text).0.into_owned();
        for (file, encoding) in [
            (text.as_bytes().to_vec(), "UTF-8"),
            ([b"\xef\xbb\xbf", text.as_bytes()].concat(), "UTF-8"),
            (windows, "windows-1252"),
            (utf16(text, false, true), "UTF-16LE"),
            (utf16(text, true, true), "UTF-16BE"),
            (utf16(text, false, false), "UTF-16LE"),
            (utf16(text, true, false), "UTF-16BE"),
        ] {
            let sheet = read(&file, 10).unwrap();
            assert_eq!(
                (sheet.encoding, sheet.delimiter),
                (encoding, ';'),
                "{encoding}"
            );
            assert_eq!(sheet.columns, ["Name", "Phone"]);
            assert_eq!(sheet.rows[0].cells, ["José Núñez", "+1 415 555 0192"]);
        }
    }

    #[test]
    fn the_separator_is_the_one_that_fits() {
        for (file, delimiter) in [
            ("name,phone\n\"Okafor; Maya\",1\n", ','),
            ("name;phone\nOkafor, Maya;1\n", ';'),
            ("name\tphone\nOkafor, Maya\t1\n", '\t'),
            ("name|phone\nOkafor, Maya|1\n", '|'),
            ("phone\n1\n", ','),
        ] {
            assert_eq!(
                read(file.as_bytes(), 10).unwrap().delimiter,
                delimiter,
                "{file}"
            );
        }
    }

    #[test]
    fn a_row_knows_its_line_and_what_is_no_table_is_refused() {
        let sheet = read(b"a,b\n\n1,\"two\nlines\"\n\n\n3,4,5\n", 10).unwrap();
        assert_eq!((sheet.rows[0].line, sheet.rows[1].line), (3, 7));
        assert_eq!(sheet.rows[1].cells.len(), 3);
        assert_eq!(read(b"", 10), Err(Wrong::Empty));
        assert_eq!(read(b"\n ,, \n", 10), Err(Wrong::Empty));
        assert_eq!(read(b"PK\x03\x04\0\0\x08\xff", 10), Err(Wrong::NoTable));
        assert_eq!(read(b"a\n1\n2\n3\n", 2), Err(Wrong::TooLong("2".into())));
        assert_eq!(grouped(100_000), "100,000");
    }

    #[test]
    fn a_formula_is_none_any_more_and_a_number_stays_one() {
        for formula in [
            "=1+1", "+SUM(A1)", "-2+3", "@cmd", " =1", "\t=1", "\r=1", "\tx", "+1|cmd",
        ] {
            assert!(guarded(formula).starts_with('\''), "{formula}");
        }
        for plain in ["+14155550192", "STOP", "", "22333", "it's"] {
            assert_eq!(guarded(plain), plain);
        }
    }

    #[test]
    fn a_file_is_called_by_its_last_name() {
        assert_eq!(short_name("C:\\lists\\stop.csv"), "stop.csv");
        assert_eq!(short_name("\0/"), "a file");
        assert_eq!(short_name(&"x".repeat(900)).len(), 60);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_none(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
            let _ = read(&bytes, 20);
            let _ = read(&[b"name,phone\n", bytes.as_slice()].concat(), 20);
        }

        #[test]
        fn what_is_written_is_read_again(rows in prop::collection::vec(prop::collection::vec("[^\\x00]{0,12}", 3), 1..20)) {
            let head = ["name".to_owned(), "phone".into(), "notes".into()];
            // A cell that says something, so that no line is empty.
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|row| vec![format!("x{}", row[0].trim_end()), row[1].trim().into(), format!("{}x", row[2].trim_start())])
                .collect();
            let file = lines(std::iter::once(&head[..]).chain(rows.iter().map(Vec::as_slice)));
            let sheet = read(&file, 100).unwrap();
            prop_assert_eq!(sheet.rows.len(), rows.len());
            for (read, row) in sheet.rows.iter().zip(&rows) {
                for (cell, written) in read.cells.iter().zip(row) {
                    let written = guarded(written);
                    prop_assert_eq!(unguarded(cell).trim(), unguarded(written.trim()).trim());
                }
            }
        }
    }
}

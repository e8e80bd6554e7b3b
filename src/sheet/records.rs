//! Splits text into records of cells, some of them quoted and multi-line.
//!
//! An unclosed quotation mark would swallow the rows below. If a multi-line cell is unclosed or contains what looks
//! like rows, its lines are parsed one by one instead, and reported as [`Broken`].

/// Maximum characters of a spreadsheet cell, at up to four bytes each.
const LARGEST_CELL: usize = 4 * 32_767;
const MAX_LINES_PER_CELL: u64 = 1_000;
/// After this many unclosed marks, multi-line cells are not searched for any more: each search costs time.
const MAX_BROKEN: usize = 1_000;
const DELIMITERS: [u8; 4] = *b",;\t|";

/// A record, possibly of several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first line, counted from 1.
    pub line: u64,
    pub cells: Vec<String>,
    /// It follows an empty line.
    pub is_after_gap: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub line: u64,
    /// Lines that the cell would have taken, including its own.
    pub lines: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub delimiter: u8,
    /// The number of cells of most records.
    pub width: usize,
    phones: Vec<usize>,
}

pub struct Records<'t> {
    text: &'t str,
    at: usize,
    line: u64,
    layout: Layout,
    pub broken: Vec<Broken>,
    /// The line whose mark would have closed the last broken cell: it opens no cell.
    closed_by: u64,
    /// Unsuccessful searches for a multi-line cell.
    failed_searches: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Quoted cells may span lines.
    Cell,
    /// Stops at the end of the line.
    Line,
}

struct Scan {
    cells: Vec<String>,
    /// Indexes of the multi-line cells.
    multiline: Vec<usize>,
    /// Start of the next line.
    end: usize,
    lines: u64,
    is_closed: bool,
}

impl<'t> Records<'t> {
    /// Parses `text`. A first line `sep=;` sets the delimiter and is no record.
    pub fn of(text: &'t str) -> Self {
        let first = text.split(['\r', '\n']).next().unwrap_or_default();
        let hint = separator_line(first);
        let at = match hint {
            Some(_) => after_line_end(text, first.len()),
            None => 0,
        };
        Self {
            text,
            at,
            line: 1 + u64::from(hint.is_some()),
            layout: Layout::of(&text[at..], hint),
            broken: Vec::new(),
            closed_by: 0,
            failed_searches: 0,
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether multi-line cells are closed and contain no rows.
    fn is_plausible(&self, scan: &Scan) -> bool {
        let has_width = scan.cells.len() == self.layout.width;
        let inside = scan
            .multiline
            .iter()
            .flat_map(|place| lines(&scan.cells[*place]).skip(1));
        scan.is_closed
            && !inside
                .into_iter()
                .any(|line| self.layout.is_row(line, has_width))
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let mut is_after_gap = false;
        while matches!(self.text.as_bytes().get(self.at), Some(b'\r' | b'\n')) {
            self.at = after_line_end(self.text, self.at);
            self.line += 1;
            is_after_gap = true;
        }
        if self.at >= self.text.len() {
            return None;
        }
        let delimiter = self.layout.delimiter;
        let reach = match self.failed_searches < MAX_BROKEN {
            true => Reach::Cell,
            false => Reach::Line,
        };
        let mut scan = scan(self.text, self.at, delimiter, reach);
        let line = self.line;
        let is_one_line = scan.is_closed && scan.lines == 1;
        if !is_one_line && !self.is_plausible(&scan) {
            let lines = scan.lines;
            if self.closed_by != line {
                self.broken.push(Broken { line, lines });
            }
            self.failed_searches += 1;
            self.closed_by = match scan.is_closed {
                true => line + lines - 1,
                false => 0,
            };
            scan = self::scan(self.text, self.at, delimiter, Reach::Line);
        }
        self.at = scan.end;
        self.line += scan.lines;
        Some(Record {
            line,
            cells: scan.cells,
            is_after_gap,
        })
    }
}

impl Layout {
    /// The delimiter that gives most records the same number of cells; in a tie, the larger number.
    fn of(text: &str, hint: Option<u8>) -> Self {
        let widths = |delimiter: u8| -> Vec<usize> {
            let (mut at, mut widths) = (0, Vec::new());
            while at < text.len() && widths.len() < 50 {
                if matches!(text.as_bytes()[at], b'\r' | b'\n') {
                    at += 1;
                    continue;
                }
                let mut record = scan(text, at, delimiter, Reach::Cell);
                if !record.is_closed {
                    record = scan(text, at, delimiter, Reach::Line);
                }
                at = record.end;
                if record.cells.iter().any(|cell| !cell.is_empty()) {
                    widths.push(record.cells.len());
                }
            }
            widths
        };
        let fit = |delimiter: u8| {
            let widths = widths(delimiter);
            let count = |width: usize| widths.iter().filter(|other| **other == width).count();
            let usual = widths.iter().copied().filter(|width| *width > 1);
            let best = usual.max_by_key(|width| (count(*width), *width));
            best.map_or((0, 1), |width| (count(width) * 100 / widths.len(), width))
        };
        let delimiter = hint.unwrap_or_else(|| {
            DELIMITERS
                .into_iter()
                .rev() // `max_by_key` takes the last of equals: the comma
                .max_by_key(|delimiter| fit(*delimiter))
                .unwrap_or(b',')
        });
        let width = fit(delimiter).1;
        Self {
            delimiter,
            width,
            phones: phone_columns(text, delimiter, width),
        }
    }

    /// Whether a line inside of a cell is a row. If the record has the usual width, only a line of the same width
    /// counts. Empty cells alone are no row.
    fn is_row(&self, line: &str, has_width: bool) -> bool {
        let cells = scan(line, 0, self.delimiter, Reach::Line).cells;
        let is_whole = cells.len() == self.width;
        let has_phone = self
            .phones
            .iter()
            .any(|place| cells.get(*place).is_some_and(|cell| is_phone_like(cell)));
        match self.phones.is_empty() {
            true => is_whole && self.width > 2 && cells.iter().any(|cell| !cell.is_empty()),
            false => has_phone && (is_whole || (!has_width && cells.len() > 1)),
        }
    }
}

fn phone_columns(text: &str, delimiter: u8, width: usize) -> Vec<usize> {
    let mut seen = vec![(0_usize, 0_usize); width];
    for line in lines(text).filter(|line| !line.is_empty()).take(200) {
        let cells = scan(line, 0, delimiter, Reach::Line).cells;
        if cells.len() == width {
            for (seen, cell) in seen.iter_mut().zip(&cells) {
                seen.0 += usize::from(!cell.is_empty());
                seen.1 += usize::from(is_phone_like(cell));
            }
        }
    }
    let is_it = |seen: &(usize, usize)| seen.1 > 0 && seen.1 * 2 + 1 >= seen.0;
    (0..width).filter(|place| is_it(&seen[*place])).collect()
}

/// Seven to fifteen digits with separators, and no date.
pub fn is_phone_like(cell: &str) -> bool {
    let cell = cell
        .trim()
        .trim_start_matches(['\'', '"'])
        .trim_end_matches('"');
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let is_day = cell.len() == 10 && digits == 8 && !cell.starts_with('+');
    (7..=15).contains(&digits)
        && !is_day
        && cell
            .chars()
            .all(|c| c.is_ascii_digit() || " +-().[]/\u{a0}\u{202f}".contains(c))
}

fn separator_line(line: &str) -> Option<u8> {
    let line = line.trim().trim_matches('"');
    let (key, value) = line.split_at_checked(4)?;
    // `sep=` alone, or followed by a trimmed tab, means tab.
    match (key.eq_ignore_ascii_case("sep="), value.as_bytes()) {
        (true, [one]) if one.is_ascii() && !one.is_ascii_alphanumeric() => Some(*one),
        (true, []) => Some(b'\t'),
        (true, b"\\t") => Some(b'\t'),
        _ => None,
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn after_line_end(text: &str, at: usize) -> usize {
    match &text.as_bytes()[at..] {
        [b'\r', b'\n', ..] => at + 2,
        [_, ..] => at + 1,
        [] => at,
    }
}

fn scan(text: &str, start: usize, delimiter: u8, reach: Reach) -> Scan {
    let bytes = text.as_bytes();
    let is_blank = |byte: u8| byte == b' ' || (byte == b'\t' && delimiter != b'\t');
    let mut scan = Scan {
        cells: Vec::new(),
        multiline: Vec::new(),
        end: start,
        lines: 1,
        is_closed: true,
    };
    let mut at = start;
    loop {
        let blanks = bytes[at..]
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        let mut begin = at;
        let mut quoted = None;
        if bytes.get(at + blanks) == Some(&b'"') {
            begin = at + blanks + 1;
            match quoted_cell(text, begin, delimiter, reach) {
                Ok(cell) => quoted = Some(cell),
                Err(lines) if reach == Reach::Cell => {
                    scan.lines += lines;
                    scan.is_closed = false;
                    return scan;
                }
                Err(_) => {} // the mark is dropped, and the cell is parsed as unquoted
            }
        }
        let (cell, after) = match quoted {
            Some(Quoted { cell, after, lines }) => {
                if lines > 0 {
                    scan.multiline.push(scan.cells.len());
                    scan.lines += lines;
                }
                (cell, after)
            }
            None => unquoted_cell(text, begin, delimiter),
        };
        scan.cells.push(cell.trim().to_owned());
        match bytes.get(after) {
            Some(byte) if *byte == delimiter => at = after + 1,
            Some(_) => {
                scan.end = after_line_end(text, after);
                return scan;
            }
            None => {
                scan.end = after;
                return scan;
            }
        }
    }
}

/// The cell, and the position after it.
fn unquoted_cell(text: &str, begin: usize, delimiter: u8) -> (String, usize) {
    let rest = &text.as_bytes()[begin..];
    let length = rest
        .iter()
        .position(|byte| *byte == delimiter || matches!(byte, b'\r' | b'\n'))
        .unwrap_or(rest.len());
    (text[begin..begin + length].to_owned(), begin + length)
}

struct Quoted {
    cell: String,
    /// Position after the closing mark and blanks.
    after: usize,
    lines: u64,
}

/// Parses a quoted cell. It ends at a mark before a delimiter or a line end; other marks belong to it, for programs
/// that do not double them. `Err` if unclosed, with the number of line ends it would have taken.
fn quoted_cell(text: &str, begin: usize, delimiter: u8, reach: Reach) -> Result<Quoted, u64> {
    let bytes = text.as_bytes();
    let is_blank = |byte: u8| byte == b' ' || (byte == b'\t' && delimiter != b'\t');
    let (mut cell, mut from, mut at, mut lines) = (String::new(), begin, begin, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => {
                cell.push_str(&text[from..=at]);
                at += 2;
                from = at;
            }
            b'"' => {
                let blanks = bytes[at + 1..]
                    .iter()
                    .take_while(|byte| is_blank(**byte))
                    .count();
                let after = at + 1 + blanks;
                let is_end = match bytes.get(after) {
                    None | Some(b'\r' | b'\n') => true,
                    Some(byte) => *byte == delimiter,
                };
                if is_end {
                    cell.push_str(&text[from..at]);
                    return Ok(Quoted { cell, after, lines });
                }
                at = after;
            }
            b'\r' | b'\n' => {
                if reach == Reach::Line || lines >= MAX_LINES_PER_CELL || at - begin > LARGEST_CELL
                {
                    return Err(lines + u64::from(reach == Reach::Cell));
                }
                at = after_line_end(text, at);
                // The final line end of the file starts no line.
                lines += u64::from(at < bytes.len());
            }
            _ if at - begin > LARGEST_CELL => return Err(lines),
            _ => at += 1,
        }
    }
    Err(lines)
}

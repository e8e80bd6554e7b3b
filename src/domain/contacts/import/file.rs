//! Reads the file.

use encoding_rs::Encoding;

use crate::error::{Check, Error, Result};
use crate::language::t;
use crate::sheet::{self, Reading, Sheet, decode};

pub const MAX_LINES: usize = 100_000;
pub const MAX_FILE_BYTES: usize = 10 * 1024 * 1024;

pub(super) fn read(
    file: &[u8],
    encoding: Option<&'static Encoding>,
    region: &str,
) -> Result<Sheet> {
    let reading = Reading {
        most: MAX_LINES,
        encoding,
        region: Some(region),
    };
    let sheet =
        sheet::read(file, reading).map_err(|wrong| Error::field("file", wrong.message()))?;
    Check::default()
        .require(
            !sheet.rows.is_empty(),
            "file",
            t!("There are no rows below the column names"),
        )
        .finish()?;
    Ok(sheet)
}

/// The encoding of this name; `None`: it is detected.
pub fn parse_encoding(name: Option<&str>) -> Result<Option<&'static Encoding>> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    name.map(|name| {
        decode::named(name).ok_or_else(|| {
            Error::field(
                "encoding",
                t!(
                    "Unknown encoding. Use one such as UTF-8, windows-1252, macintosh or Shift_JIS."
                ),
            )
        })
    })
    .transpose()
}

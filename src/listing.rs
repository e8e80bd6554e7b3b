//! Lists are paginated by key, never by offset, so every page is one index scan.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::language::t;

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Sets the cursor of a page that ended early because the request reached its row limit.
    pub fn resume_at(&mut self, id: Option<Uuid>) {
        if let (None, Some(id)) = (&self.next_cursor, id) {
            let at = DateTime::UNIX_EPOCH;
            self.next_cursor = Some(Cursor { at, id }.to_string());
        }
    }
}

/// `?limit=` (default 50, at most 200) and `?cursor=`.
#[derive(Debug, Default, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// Maximum number of entries: 1 to 200, default 50.
    pub limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

impl Span {
    pub fn limit(&self) -> Result<i64> {
        match self.limit {
            None => Ok(50),
            Some(limit @ 1..=200) => Ok(limit),
            Some(_) => Err(Error::field("limit", t!("Use a limit from 1 to 200"))),
        }
    }

    pub fn cursor(&self) -> Result<Option<Cursor>> {
        self.read(Cursor::parse)
    }

    pub fn bookmark(&self) -> Result<Option<Bookmark>> {
        self.read(Bookmark::parse)
    }

    fn read<C>(&self, parse: impl Fn(&str) -> Option<C>) -> Result<Option<C>> {
        self.cursor
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| {
                parse(text).ok_or_else(|| {
                    Error::field(
                        "cursor",
                        t!("Invalid cursor. Leave it out to start from the beginning."),
                    )
                })
            })
            .transpose()
    }
}

/// An empty form value means that the filter is not set.
pub fn unless_empty<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// The end of a page: time and id of its last row. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl Cursor {
    /// A cursor whose page begins with `id` itself.
    pub fn just_after(id: Uuid) -> Self {
        Self {
            at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(id.as_u128().saturating_add(1)),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            at: DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))
                // Outside of PostgreSQL's range, so not issued by this server.
                .filter(|at| (1970..=9999).contains(&chrono::Datelike::year(at)))?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.at.timestamp_micros().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The end of a page sorted by text: sort key and id of its last row. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    pub key: String,
    pub id: Uuid,
}

impl Bookmark {
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, key) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            key: String::from_utf8(key.to_vec())
                .ok()
                .filter(|key| !key.contains('\0'))?,
            id: Uuid::from_bytes(*id),
        })
    }
}

impl Display for Bookmark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [self.id.as_bytes(), self.key.as_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// `rows` holds one row more than the page if another page follows.
pub fn page<T, C: Display>(mut rows: Vec<T>, limit: i64, end: impl Fn(&T) -> C) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next_cursor = (rows.len() > limit).then(|| {
        rows.truncate(limit);
        rows.last().map(|last| end(last).to_string())
    });
    Page {
        data: rows,
        next_cursor: next_cursor.flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_cursor_or_is_not(text in ".{0,60}") {
            let _ = Cursor::parse(&text);
            let _ = Bookmark::parse(&text);
        }

        #[test]
        fn a_bookmark_comes_back_as_it_went(key in "[^\\x00]{0,40}", id: u128) {
            let bookmark = Bookmark { key, id: Uuid::from_u128(id) };
            prop_assert_eq!(Bookmark::parse(&bookmark.to_string()), Some(bookmark));
        }

        #[test]
        fn a_cursor_comes_back_as_it_went(micros in 0_i64..4_000_000_000_000_000, id: u128) {
            let cursor = Cursor {
                at: DateTime::from_timestamp_micros(micros).expect("in range"),
                id: Uuid::from_u128(id),
            };
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
    }

    #[test]
    fn a_page_knows_whether_another_follows() {
        let end = |n: &u32| Cursor {
            at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(u128::from(*n)),
        };
        assert!(page(vec![1, 2], 2, end).next_cursor.is_none());
        let first = page(vec![1, 2, 3], 2, end);
        assert_eq!(
            (first.data, first.next_cursor),
            (vec![1, 2], Some(end(&2).to_string()))
        );
    }
}

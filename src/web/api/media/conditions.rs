//! Range and conditional requests (RFC 9110, 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, Method, header};

#[derive(Debug, PartialEq, Eq)]
pub enum RangeResponse {
    Whole,
    Part(Range<usize>),
    /// No range lies within the file.
    Beyond,
    NotModified,
    /// `If-Match` names another entity tag.
    PreconditionFailed,
}

/// Evaluates the headers for a file of `size` bytes with the strong entity tag `tag`.
pub fn range_response(
    method: &Method,
    headers: &HeaderMap,
    size: usize,
    tag: &str,
) -> RangeResponse {
    if headers.contains_key(header::IF_MATCH) && !names(headers, header::IF_MATCH, tag, false) {
        return RangeResponse::PreconditionFailed;
    }
    if names(headers, header::IF_NONE_MATCH, tag, true) {
        return RangeResponse::NotModified;
    }
    // `Range` is defined for GET only.
    if method != Method::GET || !is_of_this(headers, tag) {
        return RangeResponse::Whole;
    }
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (
        ranges.next().and_then(|range| range.to_str().ok()),
        ranges.next(),
    ) {
        (Some(range), None) => part(range, size).unwrap_or(RangeResponse::Whole),
        _ => RangeResponse::Whole,
    }
}

/// Whether a list of entity tags contains `tag` or `*`.
fn names(headers: &HeaderMap, list: header::HeaderName, tag: &str, weakly: bool) -> bool {
    let values = headers.get_all(list).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|named| {
            let named = match named.strip_prefix("W/") {
                Some(named) if weakly => named,
                _ => named,
            };
            named == "*" || named == tag
        })
}

/// `If-Range` matches. Dates never match, because no `Last-Modified` is sent.
fn is_of_this(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|named| named.as_bytes() == tag.as_bytes())
}

/// `None` for an invalid header or several ranges; it may be ignored.
fn part(range: &str, size: usize) -> Option<RangeResponse> {
    let (unit, list) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let mut is_any = false;
    for one in list.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        is_any = true;
        let (first, last) = one.split_once('-')?;
        parts.extend(within(number(first)?, number(last)?, size)?);
    }
    match parts.as_slice() {
        [] if is_any && size > 0 => Some(RangeResponse::Beyond),
        [one] => Some(RangeResponse::Part(one.clone())),
        _ => None,
    }
}

/// An optional position. Overflow becomes the maximum.
fn number(text: &str) -> Option<Option<usize>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| Some(text.parse().unwrap_or(usize::MAX)))
}

/// `None`: not a range; `Some(None)`: a range outside the file.
#[allow(
    clippy::option_option,
    reason = "a wrong range is not one that lies outside"
)]
fn within(first: Option<usize>, last: Option<usize>, size: usize) -> Option<Option<Range<usize>>> {
    let range = match (first, last) {
        (Some(first), Some(last)) if first > last => return None,
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1)).min(size),
        // A suffix range; one longer than the file is the whole file.
        (None, Some(last)) => size.saturating_sub(last)..size,
        (None, None) => return None,
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const TAG: &str = "\"abc\"";

    fn ask(method: &Method, size: usize, asked: &[(HeaderName, &str)]) -> RangeResponse {
        let mut headers = HeaderMap::new();
        for (name, value) in asked {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        range_response(method, &headers, size, TAG)
    }

    #[test]
    fn a_part_is_what_the_range_has_in_common_with_the_file() {
        use RangeResponse::{Beyond, Part, Whole};
        for (range, expected) in [
            ("bytes=0-9", Part(0..10)),
            ("bytes=0-0", Part(0..1)),
            ("bytes=10-", Part(10..70)),
            ("bytes=69-", Part(69..70)),
            ("bytes=60-1000", Part(60..70)),
            ("bytes=0-99999999999999999999999999", Part(0..70)),
            ("bytes=-1", Part(69..70)),
            ("bytes=-70", Part(0..70)),
            ("bytes=-1000", Part(0..70)),
            ("bytes=-99999999999999999999999999", Part(0..70)),
            ("BYTES=0-9", Part(0..10)),
            ("bytes= 0-9 ", Part(0..10)),
            ("bytes=,0-9,", Part(0..10)),
            ("bytes=0-9,100-200", Part(0..10)),
            ("bytes=70-", Beyond),
            ("bytes=70-80", Beyond),
            ("bytes=99999999999999999999999999-", Beyond),
            ("bytes=-0", Beyond),
            ("bytes=100-200,300-", Beyond),
            ("bytes=0-9,20-29", Whole),
            ("bytes=9-0", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0--1", Whole),
            ("bytes 0-9", Whole),
            ("items=0-9", Whole),
            ("bytes=0-9,x", Whole),
        ] {
            let asked = [(header::RANGE, range)];
            assert_eq!(ask(&Method::GET, 70, &asked), expected, "{range}");
            assert_eq!(ask(&Method::HEAD, 70, &asked), Whole, "HEAD {range}");
        }
        for range in ["bytes=0-", "bytes=-5", "bytes=0-0"] {
            assert_eq!(ask(&Method::GET, 0, &[(header::RANGE, range)]), Whole);
        }
        let twice = [(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=0-1")];
        assert_eq!(ask(&Method::GET, 70, &twice), Whole);
    }

    #[test]
    fn conditions_come_before_the_range() {
        use RangeResponse::{NotModified, Part, PreconditionFailed, Whole};
        let range = (header::RANGE, "bytes=0-9");
        for (name, value, expected) in [
            (header::IF_RANGE, TAG, Part(0..10)),
            (header::IF_RANGE, "\"other\"", Whole),
            (header::IF_RANGE, "W/\"abc\"", Whole),
            (header::IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT", Whole),
            (header::IF_NONE_MATCH, TAG, NotModified),
            (header::IF_NONE_MATCH, "W/\"abc\"", NotModified),
            (header::IF_NONE_MATCH, "\"x\", \"abc\"", NotModified),
            (header::IF_NONE_MATCH, "*", NotModified),
            (header::IF_NONE_MATCH, "\"x\"", Part(0..10)),
            (header::IF_NONE_MATCH, "abc", Part(0..10)),
            (header::IF_MATCH, TAG, Part(0..10)),
            (header::IF_MATCH, "*", Part(0..10)),
            (header::IF_MATCH, "\"x\"", PreconditionFailed),
            (header::IF_MATCH, "W/\"abc\"", PreconditionFailed),
        ] {
            let asked = [range.clone(), (name.clone(), value)];
            assert_eq!(ask(&Method::GET, 70, &asked), expected, "{name}: {value}");
        }
        let head = ask(&Method::HEAD, 70, &[(header::IF_NONE_MATCH, TAG)]);
        assert_eq!(head, NotModified);
    }
}

//! Fields of a form or a query as bytes, because signatures cover bytes that may be invalid UTF-8.

use std::borrow::Cow;

use percent_encoding::percent_decode;

pub type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

pub fn fields(raw: &[u8]) -> impl Iterator<Item = Field<'_>> {
    raw.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
                Some(equals) => (&pair[..equals], &pair[equals + 1..]),
                None => (pair, &[][..]),
            };
            (decoded(name), decoded(value))
        })
}

/// The first value of `name`, as text that PostgreSQL accepts: invalid UTF-8 replaced, NULs removed.
pub fn text(raw: &[u8], name: &str) -> Option<String> {
    let (_, value) = fields(raw).find(|(field, _)| field.as_ref() == name.as_bytes())?;
    let text = String::from_utf8_lossy(&value);
    Some(text.replace('\0', ""))
}

fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'+') {
        return percent_decode(raw).into();
    }
    let spaced: Vec<u8> = raw
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_space_and_escapes_are_bytes() {
        let all: Vec<_> = fields(b"a=1+2&&b&%63=%FF%2B").collect();
        let bytes = |bytes: &'static [u8]| Cow::Borrowed(bytes);
        assert_eq!(all[0], (bytes(b"a"), bytes(b"1 2")));
        assert_eq!(all[1], (bytes(b"b"), bytes(b"")));
        assert_eq!(all[2], (bytes(b"c"), bytes(b"\xff+")));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn text_is_mended() {
        let raw = b"Body=a%00b%FFc&Body=second";
        assert_eq!(text(raw, "Body").unwrap(), "ab\u{fffd}c");
        assert_eq!(text(raw, "body"), None);
    }
}

//! Fields of a form or a query as bytes, because signatures cover bytes that may be invalid UTF-8.

use std::borrow::Cow;

use percent_encoding::percent_decode;

pub type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Decoded once: a webhook is asked for some fourteen of its twenty fields.
pub struct Form<'a>(Vec<Field<'a>>);

impl<'a> Form<'a> {
    pub fn parse(raw: &'a [u8]) -> Self {
        let pairs = raw
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
                Some(equals) => (&pair[..equals], &pair[equals + 1..]),
                None => (pair, &[][..]),
            };
            (decoded(name), decoded(value))
        });
        Self(fields.collect())
    }

    /// The first value of `name`, as text that PostgreSQL accepts: invalid UTF-8 replaced, NULs removed.
    pub fn text(&self, name: &str) -> Option<String> {
        let named = |(field, _): &&Field<'_>| field.as_ref() == name.as_bytes();
        let (_, value) = self.0.iter().find(named)?;
        let text = String::from_utf8_lossy(value);
        Some(match text.contains('\0') {
            true => text.replace('\0', ""),
            false => text.into_owned(),
        })
    }

    pub fn into_fields(self) -> Vec<Field<'a>> {
        self.0
    }
}

fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    match (raw.contains(&b'+'), raw.contains(&b'%')) {
        (false, false) => raw.into(),
        (false, true) => percent_decode(raw).into(),
        (true, _) => {
            let plus_is_space = |&byte: &u8| if byte == b'+' { b' ' } else { byte };
            let spaced: Vec<u8> = raw.iter().map(plus_is_space).collect();
            Cow::Owned(percent_decode(&spaced).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_space_and_escapes_are_bytes() {
        let all = Form::parse(b"a=1+2&&b&%63=%FF%2B").into_fields();
        let bytes = |bytes: &'static [u8]| Cow::Borrowed(bytes);
        assert_eq!(all[0], (bytes(b"a"), bytes(b"1 2")));
        assert_eq!(all[1], (bytes(b"b"), bytes(b"")));
        assert_eq!(all[2], (bytes(b"c"), bytes(b"\xff+")));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn text_is_mended() {
        let form = Form::parse(b"Body=a%00b%FFc&Body=second");
        assert_eq!(form.text("Body").unwrap(), "ab\u{fffd}c");
        assert_eq!(form.text("body"), None);
    }
}

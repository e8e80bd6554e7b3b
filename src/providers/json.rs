//! Lenient JSON parsing: an invalid field must not lose a whole text.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// `None` for an invalid value.
#[derive(Debug)]
pub struct Lenient<T>(pub Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// Text that PostgreSQL accepts: unpaired surrogates are replaced, NULs removed.
#[derive(Debug, Default)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).replace('\0', ""))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.replace('\0', ""))
    }
}

impl Lenient<Text> {
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |text| text.0.as_str())
    }

    pub fn some(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }

    pub fn into_some(self) -> Option<String> {
        self.0.map(|text| text.0).filter(|text| !text.is_empty())
    }
}

/// A decimal that providers send as a string or as a number: `"0.0075"`, `0.0075`.
#[derive(Debug)]
pub struct Figure(pub String);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum TextOrNumber {
            Text(String),
            Number(serde_json::Number),
        }
        Ok(Self(match TextOrNumber::deserialize(deserializer)? {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        }))
    }
}

impl Lenient<Figure> {
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |figure| figure.0.as_str())
    }

    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.as_str().parse().ok()
    }
}

pub fn readable<T>(list: Vec<Lenient<T>>) -> impl DoubleEndedIterator<Item = T> {
    list.into_iter().filter_map(|one| one.0)
}

/// Parses `raw`, which may be invalid UTF-8.
pub fn read<T: DeserializeOwned>(raw: &[u8]) -> serde_json::Result<T> {
    serde_json::from_str(&String::from_utf8_lossy(raw))
}

/// For tests: variants of `answer`, each with one field or element `null` or absent, except for `lists`.
#[cfg(test)]
pub fn without_each(
    answer: &serde_json::Value,
    lists: &[&str],
) -> Vec<(String, serde_json::Value)> {
    fn paths(at: String, value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    found.push(format!("{at}/{name}"));
                    paths(format!("{at}/{name}"), value, found);
                }
            }
            serde_json::Value::Array(values) => {
                for (nth, value) in values.iter().enumerate() {
                    found.push(format!("{at}/{nth}"));
                    paths(format!("{at}/{nth}"), value, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    paths(String::new(), answer, &mut found);
    found.retain(|path| !lists.iter().any(|list| path == &format!("/{list}")));
    assert!(found.len() > 2, "the answer has fields to omit");
    let mut answers = Vec::new();
    for path in found {
        let mut null = answer.clone();
        if let Some(value) = null.pointer_mut(&path) {
            *value = serde_json::Value::Null;
        }
        answers.push(([path.as_str(), "null"].join(" "), null));
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let mut absent = answer.clone();
        if let Some(serde_json::Value::Object(fields)) = absent.pointer_mut(above) {
            fields.remove(name);
            answers.push(([path.as_str(), "absent"].join(" "), absent));
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_mended() {
        let text = |raw: &[u8]| read::<Lenient<Text>>(raw).unwrap().as_str().to_owned();
        assert_eq!(text(br#""Gr\u00fc\u00dfe \ud83d\udc4b""#), "Grüße 👋");
        assert_eq!(text(br#""a\u0000b""#), "ab");
        assert_eq!(text(b"\"a\xffb\""), "a\u{fffd}b");
        assert!(text(br#""cut \ud83d""#).starts_with("cut \u{fffd}"));
        assert_eq!(text(b"7"), "");
        assert_eq!(text(b"null"), "");
    }

    #[test]
    fn an_odd_field_is_missing_and_the_others_are_there() {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Two {
            parts: Lenient<u32>,
            text: Lenient<Text>,
        }
        for parts in ["-1", "\"two\"", "null", "[]", "1e99"] {
            let json = format!(r#"{{"parts": {parts}, "text": "Hi", "new": {{}}}}"#);
            let two: Two = read(json.as_bytes()).unwrap();
            assert_eq!((two.parts.0, two.text.as_str()), (None, "Hi"), "{parts}");
        }
    }
}

//! Parses variables between {{ and }} and fills them in.
//!
//! `static/js/variables.js` does the same in the browser; `tests/vectors/variables.json` tests both.

use std::collections::BTreeMap;

enum Piece<'a> {
    Text(&'a str),
    Variable {
        placeholder: &'a str,
        name: String,
        /// The text after a bar, used if there is no value.
        default: Option<&'a str>,
    },
}

/// Normalizes a name: ` First name ` becomes `first_name`. `None` if it is not a valid name.
pub fn named(text: &str) -> Option<String> {
    let name = text.trim().to_lowercase().replace([' ', '-'], "_");
    let fits = (1..=40).contains(&name.chars().count());
    (fits && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(begin) = text.find("{{") {
        // Of more than two braces, the innermost count.
        let begin = begin
            + text[begin..]
                .bytes()
                .take_while(|byte| *byte == b'{')
                .count()
            - 2;
        let Some(end) = text[begin + 2..].find("}}").map(|end| begin + 2 + end) else {
            break;
        };
        let (name, default) = match text[begin + 2..end].split_once('|') {
            Some((name, default)) => (name, Some(default.trim())),
            None => (&text[begin + 2..end], None),
        };
        let next =
            match named(name).filter(|_| default.is_none_or(|text| !text.contains(['{', '}']))) {
                Some(name) => {
                    pieces.push(Piece::Text(&text[..begin]));
                    let placeholder = &text[begin..end + 2];
                    pieces.push(Piece::Variable {
                        placeholder,
                        name,
                        default,
                    });
                    end + 2
                }
                // Not a variable: the braces are plain text.
                None => {
                    pieces.push(Piece::Text(&text[..begin + 2]));
                    begin + 2
                }
            };
        text = &text[next..];
    }
    pieces.push(Piece::Text(text));
    pieces
}

pub fn variables(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for piece in pieces(text) {
        if let Piece::Variable { name, .. } = piece
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// Fills in the values; if some are missing, the error lists their names.
pub fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, Vec<String>> {
    let missing: Vec<_> = missing(text, values);
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(fill_partially(text, values))
}

/// Names without a value, each once, in order.
pub fn missing(text: &str, values: &BTreeMap<String, String>) -> Vec<String> {
    let mut names = Vec::new();
    for piece in pieces(text) {
        if let Piece::Variable {
            name,
            default: None,
            ..
        } = piece
            && !values.contains_key(&name)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

pub fn fill_partially(text: &str, values: &BTreeMap<String, String>) -> String {
    let filled_piece = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Variable {
            placeholder,
            name,
            default,
        } => values
            .get(&name)
            .map(String::as_str)
            .or(default)
            .unwrap_or(placeholder)
            .to_owned(),
    };
    pieces(text).into_iter().map(filled_piece).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        text: String,
        values: BTreeMap<String, String>,
        filled: String,
        missing: Vec<String>,
    }

    #[test]
    fn every_vector_holds() {
        let json = include_str!("../../../tests/vectors/variables.json");
        for vector in serde_json::from_str::<Vec<Vector>>(json).expect("the vectors are JSON") {
            let Vector { text, values, .. } = &vector;
            assert_eq!(fill_partially(text, values), vector.filled, "{text}");
            assert_eq!(missing(text, values), vector.missing, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_as_it_is_where_there_are_no_values(text in "[a-z{}| ]{0,40}") {
            let nothing = BTreeMap::new();
            let names = missing(&text, &nothing);
            if variables(&text).is_empty() {
                prop_assert_eq!(fill_partially(&text, &nothing), text);
            } else {
                prop_assert_eq!(fill(&text, &nothing).is_err(), !names.is_empty());
            }
        }
    }
}

//! Tables with sortable columns.

use std::fmt::Display;

use askama::Template;
use askama::filters::HtmlSafeOutput;

use crate::language;
use crate::web::assets;

/// The order of a table: `name`, or `-name` for descending.
pub struct Sort {
    path: String,
    query: Vec<(&'static str, String)>,
    column: &'static str,
    descending: bool,
}

impl Sort {
    /// `asked` is the query parameter. An unknown column becomes the first of `columns`.
    pub fn new(
        path: &str,
        query: &[(&'static str, &str)],
        asked: &str,
        columns: &[&'static str],
    ) -> Self {
        let name = asked.trim_start_matches('-');
        let known = columns.iter().find(|column| **column == name);
        Self {
            path: path.into(),
            query: query
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
            column: known.unwrap_or(&columns[0]),
            descending: known.is_some() && asked.starts_with('-'),
        }
    }

    pub fn column(&self) -> &'static str {
        self.column
    }

    /// Reverses `rows`, sorted ascending, if the order is descending.
    pub fn direct<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.descending {
            rows.reverse();
        }
        rows
    }

    pub fn query_value(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column)
    }

    pub fn heading(&self, column: &str, label: impl Display) -> HtmlSafeOutput<Heading> {
        HtmlSafeOutput(self.cell(column, label))
    }

    /// The heading of a right-aligned numeric column.
    pub fn figures(&self, column: &str, label: impl Display) -> HtmlSafeOutput<Heading> {
        HtmlSafeOutput(Heading {
            figures: true,
            ..self.cell(column, label)
        })
    }

    fn cell(&self, column: &str, label: impl Display) -> Heading {
        let is_current = column == self.column;
        let turned = if is_current && !self.descending {
            "-"
        } else {
            ""
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.query)
            .append_pair("sort", &format!("{turned}{column}"))
            .finish();
        Heading::new(
            label.to_string(),
            format!("{}?{query}", self.path),
            is_current.then_some(!self.descending),
        )
    }
}

#[derive(Template)]
#[template(path = "_heading.html")]
pub struct Heading {
    label: String,
    figures: bool,
    href: String,
    state: Option<&'static str>,
}

impl Heading {
    /// `upwards`: whether the column is sorted in ascending order; `None` if the table is sorted by another.
    pub fn new(label: String, href: String, upwards: Option<bool>) -> Self {
        Self {
            label,
            figures: false,
            href,
            state: upwards.map(|upwards| match upwards {
                true => "ascending",
                false => "descending",
            }),
        }
    }
}

/// `1,234`
pub fn format_number(number: &i64) -> String {
    language::format_number(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["name", "balance"];

    #[test]
    fn heading_sorts_and_reverses() {
        let sort = Sort::new(
            "/credits",
            &[("q", "a & b"), ("role", "")],
            "balance",
            &COLUMNS,
        );
        let html = sort.figures("balance", "Balance").to_string();
        assert!(
            html.contains(r#"aria-sort="ascending""#)
                && html.contains("/credits?q=a+%26+b&#38;sort=-balance"),
            "{html}"
        );
        assert!(
            !sort
                .heading("name", "Name")
                .to_string()
                .contains("aria-sort")
        );
        assert_eq!(sort.direct(vec![1, 2]), [1, 2]);
    }

    #[test]
    fn unknown_order_is_the_default() {
        let sort = Sort::new("/credits", &[], "-password", &COLUMNS);
        assert_eq!(
            (sort.column(), sort.query_value().as_str()),
            ("name", "name")
        );
    }
}

//! Forms that are shown again with the submitted values and an error beside each field.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use crate::error::{Error, Field, Result};
use crate::web::assets;

#[derive(Default)]
pub struct Form {
    values: BTreeMap<&'static str, String>,
    errors: Vec<Field>,
    pub notice: Option<String>,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

impl Form {
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// Keeps an error that the user can correct; returns any other.
    pub fn refused(mut self, error: Error) -> Result<Self> {
        (self.status, self.retry_after) = match &error {
            Error::TooMany { wait } => (Some(StatusCode::TOO_MANY_REQUESTS), Some(*wait)),
            Error::Busy { wait } => (Some(StatusCode::SERVICE_UNAVAILABLE), Some(*wait)),
            _ => (None, None),
        };
        match error {
            Error::Invalid(fields) => self.errors = fields,
            Error::WrongPassword
            | Error::InvalidCredentials(_)
            | Error::ProviderUnavailable(_)
            | Error::ProviderRefused(_)
            | Error::SignupsClosed
            | Error::TooMany { .. }
            | Error::Busy { .. }
            | Error::EmailNotVerified
            | Error::WorkspacesClosed
            | Error::TooManyWorkspaces(_)
            | Error::WrongCode
            | Error::LastAdmin
            | Error::ContactChanged { .. }
            | Error::IntegrationOff
            | Error::IntegrationNotConfigured => {
                self.notice = Some(capitalized(&error.message().translated()))
            }
            other => return Err(other),
        }
        Ok(self)
    }

    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// The request was throttled; the submitted values may be correct.
    pub fn must_wait(&self) -> bool {
        self.retry_after.is_some()
    }

    pub fn response(&self) -> FormResponse {
        FormResponse {
            status: self.status(),
            retry_after: self.retry_after,
        }
    }

    /// Moves errors of fields that the page does not have above the form.
    pub fn gather(mut self, known: &[&str]) -> Self {
        let (beside, above): (Vec<_>, Vec<_>) = std::mem::take(&mut self.errors)
            .into_iter()
            .partition(|error| known.contains(&error.field));
        self.errors = beside;
        if let Some(error) = above.into_iter().next() {
            self.notice
                .get_or_insert(capitalized(&error.message.translated()));
        }
        self
    }

    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub fn error(&self, name: &str) -> Option<String> {
        self.errors
            .iter()
            .find(|error| error.field == name)
            .map(|error| capitalized(&error.message.translated()))
    }

    pub fn field<'a>(
        &'a self,
        name: &'a str,
        label: impl Display,
        kind: &'a str,
        autocomplete: &'a str,
        hint: impl Display,
    ) -> HtmlSafeOutput<Input<'a>> {
        HtmlSafeOutput(Input {
            name,
            label: label.to_string(),
            kind,
            autocomplete,
            hint: hint.to_string(),
            value: self.value(name),
            error: self.error(name),
            required: true,
            is_wide: false,
            is_numeric: false,
        })
    }

    pub fn wide<'a>(
        &'a self,
        name: &'a str,
        label: impl Display,
        kind: &'a str,
        autocomplete: &'a str,
    ) -> HtmlSafeOutput<Input<'a>> {
        let HtmlSafeOutput(input) = self.field(name, label, kind, autocomplete, "");
        HtmlSafeOutput(Input {
            is_wide: true,
            ..input
        })
    }

    pub fn wide_optional<'a>(
        &'a self,
        name: &'a str,
        label: impl Display,
        kind: &'a str,
        autocomplete: &'a str,
    ) -> HtmlSafeOutput<Input<'a>> {
        let HtmlSafeOutput(input) = self.optional(name, label, kind, autocomplete, "");
        HtmlSafeOutput(Input {
            is_wide: true,
            ..input
        })
    }

    /// A whole number, with a numeric keyboard.
    pub fn figure<'a>(
        &'a self,
        name: &'a str,
        label: impl Display,
        hint: impl Display,
    ) -> HtmlSafeOutput<Input<'a>> {
        let HtmlSafeOutput(input) = self.field(name, label, "text", "off", hint);
        HtmlSafeOutput(Input {
            is_numeric: true,
            ..input
        })
    }

    pub fn optional<'a>(
        &'a self,
        name: &'a str,
        label: impl Display,
        kind: &'a str,
        autocomplete: &'a str,
        hint: impl Display,
    ) -> HtmlSafeOutput<Input<'a>> {
        let HtmlSafeOutput(input) = self.field(name, label, kind, autocomplete, hint);
        HtmlSafeOutput(Input {
            required: false,
            ..input
        })
    }
}

/// The status and headers of a form shown again.
pub struct FormResponse {
    status: StatusCode,
    retry_after: Option<Duration>,
}

impl FormResponse {
    pub fn with(self, page: impl IntoResponse) -> Response {
        let seconds = self
            .retry_after
            .map(|wait| wait.as_secs_f64().ceil().max(1.0));
        let wait = seconds.map(|seconds| (header::RETRY_AFTER, format!("{seconds:.0}")));
        (self.status, AppendHeaders(wait), page).into_response()
    }
}

#[derive(Template)]
#[template(path = "_field.html")]
pub struct Input<'a> {
    name: &'a str,
    label: String,
    kind: &'a str,
    autocomplete: &'a str,
    hint: String,
    value: &'a str,
    error: Option<String>,
    required: bool,
    is_wide: bool,
    is_numeric: bool,
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Message;

    #[test]
    fn form_keeps_input_and_shows_errors_beside_fields() {
        let form = Form::default()
            .with("email", "maya@")
            .refused(Error::field("email", Message::new("an address")))
            .expect("can be corrected");
        let html = form
            .field("email", "E-mail", "email", "username", "")
            .to_string();
        assert!(
            html.contains(r#"value="maya@""#)
                && html.contains("An address")
                && html.contains(r#"aria-invalid="true""#),
            "{html}"
        );
        assert!(Form::default().refused(Error::NotAMember).is_err());
    }

    #[test]
    fn error_without_field_is_shown_above() {
        let form = Form::default()
            .refused(Error::field(
                "credentials",
                Message::new("connected already"),
            ))
            .expect("can be corrected")
            .gather(&["name"]);
        assert_eq!(form.notice.as_deref(), Some("Connected already"));
    }
}

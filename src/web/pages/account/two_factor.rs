//! The second factor: enrol by QR code, confirm, show the recovery codes; or disable.

use askama::Template;
use axum::extract::{Form as Posted, State};
use axum::response::{IntoResponse, Response};
use qrcode::{Color, EcLevel, QrCode};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Answer, account_page};
use crate::app::App;
use crate::domain::accounts::two_factor::{self, Enrolment};
use crate::domain::accounts::{self, Caller};
use crate::error::{Error, Result};
use crate::language::t;
use crate::web::assets;
use crate::web::auth::Claimed;
use crate::web::language::filters;
use crate::web::pages::{Form, Notice, page};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "account/two_factor.html")]
struct Page {
    enrolment: Enrolment,
    qr: Qr,
    form: Form,
    notice: Option<Notice>,
}

impl Page {
    /// In groups of four characters, for typing.
    fn secret(&self) -> String {
        let letters: Vec<char> = self.enrolment.secret.chars().collect();
        let groups: Vec<String> = letters
            .chunks(4)
            .map(|four| four.iter().collect())
            .collect();
        groups.join(" ")
    }
}

#[derive(Template)]
#[template(path = "account/recovery_codes.html")]
struct Codes {
    codes: Vec<String>,
    notice: Option<Notice>,
}

impl Codes {
    /// As a `data:` URL for the download link.
    fn file(&self) -> String {
        let text = format!(
            "{}\n\n{}\n",
            t!("Recovery codes for MessageHub. Each one works once.").translated(),
            self.codes.join("\n")
        );
        let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        format!("data:text/plain;charset=utf-8,{text}")
    }
}

/// The QR code as one SVG path.
struct Qr {
    size: usize,
    path: String,
}

impl Qr {
    fn of(text: &str) -> Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let size = code.width();
        let dark = |(i, color): (usize, &Color)| {
            (*color == Color::Dark).then(|| format!("M{} {}h1v1h-1z", i % size, i / size))
        };
        let path = code
            .to_colors()
            .iter()
            .enumerate()
            .filter_map(dark)
            .collect();
        Ok(Self { size, path })
    }
}

/// `POST /account/two-factor`: a new secret to scan.
pub async fn begin(State(app): State<App>, Claimed(session): Claimed) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match two_factor::begin(&app, &user).await {
        Ok(enrolment) => Ok(page(&shown(enrolment, Form::default())?)?.into_response()),
        Err(error) => {
            let form = Form::default().refused(error)?.gather(&[]);
            let response = form.response();
            let answer = Answer {
                refusal: form.notice,
                ..Answer::default()
            };
            let shown = account_page(&app, session, user, answer).await?;
            Ok(response.with(shown))
        }
    }
}

fn shown(enrolment: Enrolment, form: Form) -> Result<Page> {
    Ok(Page {
        qr: Qr::of(&enrolment.otpauth_url)?,
        enrolment,
        form,
        notice: None,
    })
}

#[derive(Deserialize)]
pub struct First {
    code: String,
    password: SecretString,
    /// The enrolment shown on the form, to show it again after a wrong code.
    secret: String,
    otpauth_url: String,
}

/// `POST /account/two-factor/confirm`
pub async fn confirm(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Posted(typed): Posted<First>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match two_factor::confirm(&app, &user, session, typed.password, &typed.code, &caller).await {
        Ok(codes) => Ok(page(&Codes {
            codes,
            notice: None,
        })?
        .into_response()),
        Err(error) => {
            let form = Form::default().refused(error)?;
            let response = form.response();
            let enrolment = Enrolment {
                secret: typed.secret,
                otpauth_url: typed.otpauth_url,
            };
            Ok(response.with(page(&shown(enrolment, form)?)?))
        }
    }
}

#[derive(Deserialize)]
pub struct Password {
    password: SecretString,
}

/// `POST /account/two-factor/off`
pub async fn disable(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Posted(Password { password }): Posted<Password>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match two_factor::disable(&app, &user, session, password, &caller).await {
        Ok(()) => Ok(Notice::TwoFactorOff.at("/account")),
        Err(error) => {
            let off = Form::default().refused(error)?;
            let response = off.response();
            let answer = Answer {
                off,
                ..Answer::default()
            };
            let shown = account_page(&app, session, user, answer).await?;
            Ok(response.with(shown))
        }
    }
}

//! The domain's errors. Knows no HTTP: `web/problem.rs` maps each to a status.

use std::time::Duration;

use thiserror::Error;

use crate::language::english;
use crate::passwords::Busy;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Error)]
pub enum Error {
    #[error("sign in first: the token is missing, expired or revoked")]
    Unauthenticated,
    #[error("the e-mail address or the password is wrong")]
    WrongPassword,
    #[error("you are not a member of this workspace")]
    NotAMember,
    #[error("only an admin of this workspace can do this")]
    AdminOnly,
    #[error("it is shared: only who made it and admins can change it")]
    NotTheMaker,
    #[error("this number is not assigned to you: an admin can assign it")]
    NumberNotAssigned,
    #[error("{0} was not found in this workspace")]
    NotFound(&'static str),
    #[error("some fields are not right: see `errors`")]
    Invalid(Vec<Field>),
    #[error("{0}")]
    InvalidCredentials(String),
    #[error("{0}")]
    ProviderUnavailable(String),
    #[error("this file is larger than 5 MB, which is the most that one text carries")]
    TooLarge,
    #[error("{0}")]
    ProviderRefused(String),
    #[error("pictures and files cannot be reached at the moment: try again shortly")]
    StorageUnavailable,
    #[error("this contact opted out: nothing can be sent until they text START")]
    ContactOptedOut,
    #[error("{by} answered {}: read it, then send again", ago(*since))]
    ConversationMoved { by: String, since: Duration },
    #[error("{0}: nothing was changed")]
    ConversationTaken(String),
    #[error("somebody has changed this conversation since: nothing was changed")]
    ConversationChanged,
    #[error("this was written on elsewhere: read what is kept now, then keep yours")]
    DraftMoved,
    #[error(
        "this sender cannot be answered: it is a short code, a name, or an address without a country code"
    )]
    ContactUnreachable,
    #[error("there is no active number to send from: connect an integration or activate a number")]
    IntegrationNotConfigured,
    #[error("this integration is switched off: switch it on first")]
    IntegrationOff,
    #[error("this Idempotency-Key was used for another request: use a new key for a new message")]
    IdempotencyKeyReused,
    #[error("sign-up is closed here: ask an admin for an invitation")]
    SignupsClosed,
    #[error("further workspaces are made by admins here: ask one of yours")]
    WorkspacesClosed,
    #[error("you have made {0} workspaces, which is the most here: delete one that nobody needs")]
    TooManyWorkspaces(u32),
    #[error(
        "verify your e-mail address first: open the link in the mail that we sent you, or have it sent again in your account"
    )]
    EmailNotVerified,
    #[error("too many tries: wait {} and try again", as_text(*wait))]
    TooMany { wait: Duration },
    #[error("many people sign in at this moment: try again in {}", as_text(*wait))]
    Busy { wait: Duration },
    #[error("enter the code of your authenticator app, or one of your recovery codes")]
    CodeRequired { ticket: String },
    #[error("this code is wrong or was used already")]
    WrongCode,
    #[error(
        "this workspace asks for a second factor: switch it on in your account, then come back"
    )]
    TwoFactorRequired,
    #[error("you are out of credits: an admin can top them up")]
    InsufficientCredits,
    #[error("a workspace keeps at least one admin: make somebody else an admin first")]
    LastAdmin,
    #[error("what you may do here was changed a moment ago: look again, then try again")]
    RightLost,
    #[error("{by} changed this contact meanwhile: look at it, then save what you still want")]
    ContactChanged { by: String },
    #[error("this contact has conversations that you do not see: an admin can do this")]
    ContactShared,
    #[error("it is too late: this text is on its way or was sent already")]
    TooLate,
    #[error("this server is busy with what your workspace asked for: try again shortly")]
    WorkspaceBusy,
    #[error("this took too long and was stopped: ask for less at once, or try again shortly")]
    TookTooLong,
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    #[error("{0}")]
    Internal(String),
}

impl From<Busy> for Error {
    fn from(Busy { wait }: Busy) -> Self {
        Self::Busy { wait }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // PostgreSQL cannot store NUL characters.
            sqlx::Error::Database(refused) if refused.code().as_deref() == Some("22021") => {
                Self::field("request", "leave out the NUL character")
            }
            // The right was revoked between the check and the statement.
            sqlx::Error::Database(refused)
                if refused.code().as_deref() == Some("42501")
                    && refused.message().contains("row-level security") =>
            {
                Self::RightLost
            }
            // Statement timeout.
            sqlx::Error::Database(stopped) if stopped.code().as_deref() == Some("57014") => {
                Self::TookTooLong
            }
            _ => Self::Database(error),
        }
    }
}

/// `wait` in words, rounded up.
fn as_text(wait: Duration) -> String {
    match wait.as_secs_f64().ceil() {
        seconds if seconds <= 1.0 => english("a second").into(),
        seconds if seconds < 120.0 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", (seconds / 60.0).ceil()),
    }
}

pub fn ago(since: Duration) -> String {
    match since.as_secs() {
        0 => english("just now").into(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// One invalid field and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Field {
    pub field: &'static str,
    pub message: String,
}

impl Error {
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Field {
            field,
            message: message.into(),
        }])
    }

    /// Whether the database ended this transaction as a deadlock victim.
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01"))
    }

    /// Whether the database was unavailable, so that the same request may succeed later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_outage(error),
            _ => false,
        }
    }
}

fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => true,
        // Classes: 57P shutdown or start-up, 53 out of resources, 08 connection lost; 25006: a standby.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["57P", "53", "08"]
                .iter()
                .any(|class| code.starts_with(class))
                || code == "25006"
        }),
        _ => false,
    }
}

/// Collects the invalid fields of a request, so that the response lists all of them.
#[derive(Default)]
pub struct Check(Vec<Field>);

impl Check {
    pub fn require(
        &mut self,
        right: bool,
        field: &'static str,
        message: impl Into<String>,
    ) -> &mut Self {
        if !right {
            self.0.push(Field {
                field,
                message: message.into(),
            });
        }
        self
    }

    pub fn finish(&mut self) -> Result<()> {
        match std::mem::take(&mut self.0) {
            wrong if wrong.is_empty() => Ok(()),
            wrong => Err(Error::Invalid(wrong)),
        }
    }
}

pub trait OnConstraint<T> {
    /// Maps a violation of the constraint `name` to `refusal`.
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|error| match &error {
            sqlx::Error::Database(broken) if broken.constraint() == Some(name) => refusal(),
            _ => error.into(),
        })
    }
}

//! The domain's errors. Knows no HTTP: `web/problem.rs` maps each to a status.

use std::fmt;
use std::time::Duration;

use crate::language::{Message, t};
use crate::passwords::Busy;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    Unauthenticated,
    WrongPassword,
    NotAMember,
    AdminOnly,
    NotTheMaker,
    NumberNotAssigned,
    NotFound(Message),
    Invalid(Vec<Field>),
    InvalidCredentials(Message),
    ProviderUnavailable(Message),
    TooLarge,
    ProviderRefused(Message),
    StorageUnavailable,
    ContactOptedOut,
    ConversationMoved { by: String, since: Duration },
    ConversationTaken(Message),
    ConversationChanged,
    DraftMoved,
    ContactUnreachable,
    IntegrationNotConfigured,
    IntegrationOff,
    IdempotencyKeyReused,
    SignupsClosed,
    WorkspacesClosed,
    TooManyWorkspaces(u32),
    EmailNotVerified,
    TooMany { wait: Duration },
    Busy { wait: Duration },
    CodeRequired { ticket: String },
    WrongCode,
    TwoFactorRequired,
    InsufficientCredits,
    LastAdmin,
    RightLost,
    ContactChanged { by: String },
    ContactShared,
    TooLate,
    WorkspaceBusy,
    TookTooLong,
    Database(sqlx::Error),
    Internal(String),
}

impl Error {
    /// What is wrong and how to correct it, as a sentence for users.
    pub fn message(&self) -> Message {
        match self {
            Self::Unauthenticated => t!("sign in first: the token is missing, expired or revoked"),
            Self::WrongPassword => t!("the e-mail address or the password is wrong"),
            Self::NotAMember => t!("you are not a member of this workspace"),
            Self::AdminOnly => t!("only an admin of this workspace can do this"),
            Self::NotTheMaker => t!("it is shared: only who made it and admins can change it"),
            Self::NumberNotAssigned => {
                t!("this number is not assigned to you: an admin can assign it")
            }
            Self::NotFound(what) => t!("{what} was not found in this workspace", what = what),
            Self::Invalid(_) => t!("some fields are not right: see `errors`"),
            Self::InvalidCredentials(why)
            | Self::ProviderUnavailable(why)
            | Self::ProviderRefused(why) => why.clone(),
            Self::TooLarge => {
                t!("this file is larger than 5 MB, which is the most that one text carries")
            }
            Self::StorageUnavailable => {
                t!("pictures and files cannot be reached at the moment: try again shortly")
            }
            Self::ContactOptedOut => {
                t!("this contact opted out: nothing can be sent until they text START")
            }
            Self::ConversationMoved { by, since } => t!(
                "{by} answered {ago}: read it, then send again",
                by = by,
                ago = ago(*since),
            ),
            Self::ConversationTaken(why) => t!("{why}: nothing was changed", why = why),
            Self::ConversationChanged => {
                t!("somebody has changed this conversation since: nothing was changed")
            }
            Self::DraftMoved => {
                t!("this was written on elsewhere: read what is kept now, then keep yours")
            }
            Self::ContactUnreachable => t!(
                "this sender cannot be answered: it is a short code, a name, or an address without a country code"
            ),
            Self::IntegrationNotConfigured => t!(
                "there is no active number to send from: connect an integration or activate a number"
            ),
            Self::IntegrationOff => t!("this integration is switched off: switch it on first"),
            Self::IdempotencyKeyReused => t!(
                "this Idempotency-Key was used for another request: use a new key for a new message"
            ),
            Self::SignupsClosed => t!("sign-up is closed here: ask an admin for an invitation"),
            Self::WorkspacesClosed => {
                t!("further workspaces are made by admins here: ask one of yours")
            }
            Self::TooManyWorkspaces(most) => t!(
                "you have made {most} workspaces, which is the most here: delete one that nobody needs",
                most = *most,
            ),
            Self::EmailNotVerified => t!(
                "verify your e-mail address first: open the link in the mail that we sent you, or have it sent again in your account"
            ),
            Self::TooMany { wait } => t!(
                "too many tries: wait {wait} and try again",
                wait = as_text(*wait)
            ),
            Self::Busy { wait } => t!(
                "many people sign in at this moment: try again in {wait}",
                wait = as_text(*wait),
            ),
            Self::CodeRequired { .. } => {
                t!("enter the code of your authenticator app, or one of your recovery codes")
            }
            Self::WrongCode => t!("this code is wrong or was used already"),
            Self::TwoFactorRequired => t!(
                "this workspace asks for a second factor: switch it on in your account, then come back"
            ),
            Self::InsufficientCredits => t!("you are out of credits: an admin can top them up"),
            Self::LastAdmin => {
                t!("a workspace keeps at least one admin: make somebody else an admin first")
            }
            Self::RightLost => {
                t!("what you may do here was changed a moment ago: look again, then try again")
            }
            Self::ContactChanged { by } => t!(
                "{by} changed this contact meanwhile: look at it, then save what you still want",
                by = by,
            ),
            Self::ContactShared => {
                t!("this contact has conversations that you do not see: an admin can do this")
            }
            Self::TooLate => t!("it is too late: this text is on its way or was sent already"),
            Self::WorkspaceBusy => {
                t!("this server is busy with what your workspace asked for: try again shortly")
            }
            Self::TookTooLong => {
                t!("this took too long and was stopped: ask for less at once, or try again shortly")
            }
            Self::Database(_) => t!("the database failed"),
            Self::Internal(text) => Message::verbatim(text),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().english())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
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
                Self::field("request", t!("leave out the NUL character"))
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
fn as_text(wait: Duration) -> Message {
    match wait.as_secs() + u64::from(wait.subsec_nanos() > 0) {
        0..=1 => t!("a second"),
        seconds @ 2..120 => t!("{seconds} seconds", seconds = seconds),
        seconds => t!("{minutes} minutes", minutes = seconds.div_ceil(60)),
    }
}

pub fn ago(since: Duration) -> Message {
    match since.as_secs() {
        0 => t!("just now"),
        seconds @ 1..60 => t!("{seconds} s ago", seconds = seconds),
        seconds @ 60..3_600 => t!("{minutes} min ago", minutes = seconds / 60),
        seconds @ 3_600..86_400 => t!("{hours} h ago", hours = seconds / 3_600),
        seconds => t!("{days} d ago", days = seconds / 86_400),
    }
}

/// One invalid field and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Field {
    pub field: &'static str,
    #[schema(value_type = String)]
    pub message: Message,
}

impl Error {
    pub fn field(field: &'static str, message: Message) -> Self {
        Self::Invalid(vec![Field { field, message }])
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
    pub fn require(&mut self, right: bool, field: &'static str, message: Message) -> &mut Self {
        if !right {
            self.0.push(Field { field, message });
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

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
            Self::Unauthenticated => t!("Sign in first. The token is missing, expired or revoked."),
            Self::WrongPassword => t!("Wrong email or password"),
            Self::NotAMember => t!("You’re not a member of this workspace"),
            Self::AdminOnly => t!("Only admins of this workspace can do this"),
            Self::NotTheMaker => {
                t!("This template is shared. Only its creator and admins can change it.")
            }
            Self::NumberNotAssigned => {
                t!("You don’t have access to this number. Ask an admin for access.")
            }
            Self::NotFound(what) => t!("Couldn’t find {what} in this workspace", what = what),
            Self::Invalid(_) => t!("Some fields are invalid. See `errors`."),
            Self::InvalidCredentials(why)
            | Self::ProviderUnavailable(why)
            | Self::ProviderRefused(why) => why.clone(),
            Self::TooLarge => {
                t!("This file is too large. A text can carry up to 5 MB.")
            }
            Self::StorageUnavailable => {
                t!("Files are unavailable right now. Try again in a moment.")
            }
            Self::ContactOptedOut => {
                t!("This contact opted out. You can’t text them until they text START.")
            }
            Self::ConversationMoved { by, since } => t!(
                "{by} replied {ago}. Read their reply, then send again.",
                by = by,
                ago = ago(*since),
            ),
            Self::ConversationTaken(why) => t!("{why}. Nothing was changed.", why = why),
            Self::ConversationChanged => {
                t!("Someone changed this conversation in the meantime. Nothing was changed.")
            }
            Self::DraftMoved => {
                t!("This was edited somewhere else. Read the saved version, then save yours.")
            }
            Self::ContactUnreachable => t!(
                "You can’t reply to this sender. It’s a short code, a name, or an address without a country code."
            ),
            Self::IntegrationNotConfigured => t!(
                "There’s no active number to send from. Connect an integration or activate a number."
            ),
            Self::IntegrationOff => t!("This integration is turned off. Turn it on first."),
            Self::IdempotencyKeyReused => t!(
                "This Idempotency-Key was used for a different request. Use a new key for a new message."
            ),
            Self::SignupsClosed => t!("Sign-up is closed. Ask an admin for an invitation."),
            Self::WorkspacesClosed => {
                t!("Only admins can create more workspaces here. Ask one of yours.")
            }
            Self::TooManyWorkspaces(most) => t!(
                "You’ve reached the limit of {most} workspaces. Delete one you don’t need.",
                most = *most,
            ),
            Self::EmailNotVerified => t!(
                "Verify your email address first. Open the link we emailed you, or have it sent again from your account."
            ),
            Self::TooMany { wait } => t!(
                "Too many attempts. Wait {wait} and try again.",
                wait = as_text(*wait)
            ),
            Self::Busy { wait } => t!(
                "Too many people are signing in right now. Try again in {wait}.",
                wait = as_text(*wait),
            ),
            Self::CodeRequired { .. } => {
                t!("Enter the code from your authenticator app, or one of your recovery codes")
            }
            Self::WrongCode => t!("This code is wrong or was already used"),
            Self::TwoFactorRequired => t!(
                "This workspace requires two-factor authentication. Turn it on in your account, then come back."
            ),
            Self::InsufficientCredits => t!("You’re out of credits. Ask an admin to add more."),
            Self::LastAdmin => {
                t!("A workspace needs at least one admin. Make someone else an admin first.")
            }
            Self::RightLost => {
                t!("Your permissions just changed. Check them, then try again.")
            }
            Self::ContactChanged { by } => t!(
                "{by} changed this contact in the meantime. Review it, then save what you still want to change.",
                by = by,
            ),
            Self::ContactShared => {
                t!("This contact has conversations you can’t see. Ask an admin to do this.")
            }
            Self::TooLate => t!("Too late: this text is being sent or was already sent"),
            Self::WorkspaceBusy => {
                t!(
                    "This server is busy with other requests from your workspace. Try again in a moment."
                )
            }
            Self::TookTooLong => {
                t!(
                    "This took too long and was stopped. Request less at once, or try again in a moment."
                )
            }
            Self::Database(_) => t!("Database error"),
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
                Self::field("request", t!("Remove the NUL character"))
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

//! Success messages shown after a redirect. The URL carries a code; the sentence comes from here.

use crate::language::{Message, t};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Deserializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Saved,
    Invited,
    InvitationWithdrawn,
    RoleChanged,
    MemberRemoved,
    Left,
    CreditsChanged,
    AccessChanged,
    WorkspaceDeleted,
    Disconnected,
    Checked,
    StillUnhealthy,
    NumberBought,
    NumberOrdered,
    NumberReleased,
    WebhookSet,
    WebhookNotSet,
    PasswordChanged,
    PasswordReset,
    TwoFactorOff,
    SessionEnded,
    MailSent,
    EmailVerified,
    Released,
    Discarded,
    TemplateRemoved,
    Rescheduled,
    SentNow,
    Canceled,
    Merged,
    ContactDeleted,
    TagDeleted,
    FieldDeleted,
    OptOutLifted,
}

impl Notice {
    const ALL: [Self; 34] = [
        Self::Saved,
        Self::Invited,
        Self::InvitationWithdrawn,
        Self::RoleChanged,
        Self::MemberRemoved,
        Self::Left,
        Self::CreditsChanged,
        Self::AccessChanged,
        Self::WorkspaceDeleted,
        Self::Disconnected,
        Self::Checked,
        Self::StillUnhealthy,
        Self::NumberBought,
        Self::NumberOrdered,
        Self::NumberReleased,
        Self::WebhookSet,
        Self::WebhookNotSet,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::TwoFactorOff,
        Self::SessionEnded,
        Self::MailSent,
        Self::EmailVerified,
        Self::Released,
        Self::Discarded,
        Self::TemplateRemoved,
        Self::Rescheduled,
        Self::SentNow,
        Self::Canceled,
        Self::Merged,
        Self::ContactDeleted,
        Self::TagDeleted,
        Self::FieldDeleted,
        Self::OptOutLifted,
    ];

    fn code_and_text(self) -> (&'static str, Message) {
        match self {
            Self::Saved => ("saved", t!("Saved")),
            Self::Invited => ("invited", t!("Invited. The link was also sent by email.")),
            Self::InvitationWithdrawn => (
                "withdrawn",
                t!("Invitation revoked. Its link no longer works."),
            ),
            Self::RoleChanged => ("role", t!("Role updated")),
            Self::MemberRemoved => (
                "removed",
                t!("Removed. They no longer have access to this workspace."),
            ),
            Self::Left => ("left", t!("You left the workspace")),
            Self::CreditsChanged => ("credits", t!("Credits updated")),
            Self::AccessChanged => ("access", t!("Saved. Changes apply immediately.")),
            Self::WorkspaceDeleted => ("deleted", t!("Workspace deleted")),
            Self::Disconnected => (
                "disconnected",
                t!("Disconnected. Its credentials were deleted, and its conversations were kept."),
            ),
            Self::Checked => (
                "checked",
                t!("Checked. The provider accepts our texts, and waiting texts are being sent."),
            ),
            Self::StillUnhealthy => (
                "unhealthy",
                t!("Checked. The provider rejects our requests; see the reason below."),
            ),
            Self::NumberBought => ("bought", t!("Number bought")),
            Self::NumberOrdered => (
                "ordered",
                t!("Ordered. The provider is setting it up. Sync in a few minutes."),
            ),
            Self::NumberReleased => ("released", t!("Released. Its conversations were kept.")),
            Self::WebhookSet => ("webhook", t!("Incoming texts are now sent here")),
            Self::WebhookNotSet => (
                "no-webhook",
                t!("Nothing was changed because it would have no effect"),
            ),
            Self::PasswordChanged => (
                "password",
                t!("Password changed. Your other sessions were signed out."),
            ),
            Self::PasswordReset => ("reset", t!("Your new password is set. Sign in with it.")),
            Self::TwoFactorOff => ("two_factor_off", t!("Two-factor authentication is off")),
            Self::SessionEnded => ("session_ended", t!("That session was signed out")),
            Self::MailSent => ("mail", t!("We sent you the link. Check your email.")),
            Self::EmailVerified => ("verified", t!("Your email address is verified")),
            Self::Released => ("let-in", t!("Released and processed")),
            Self::Discarded => ("discarded", t!("Discarded")),
            Self::TemplateRemoved => ("template-removed", t!("Template deleted")),
            Self::Rescheduled => (
                "rescheduled",
                t!("Saved. It will be sent at the scheduled time."),
            ),
            Self::SentNow => ("sent-now", t!("Sending now")),
            Self::Canceled => ("canceled", t!("Canceled, not sent")),
            Self::Merged => (
                "merged",
                t!("Merged. Texts from the other number now arrive here too."),
            ),
            Self::ContactDeleted => ("contact-deleted", t!("Contact and conversations deleted")),
            Self::TagDeleted => ("tag-deleted", t!("Tag deleted")),
            Self::FieldDeleted => ("field-deleted", t!("Field and its values deleted")),
            Self::OptOutLifted => (
                "opt-out-lifted",
                t!("Removed. This number can be texted again."),
            ),
        }
    }

    pub fn sentence(self) -> Message {
        self.code_and_text().1
    }

    pub fn at(self, path: &str) -> Response {
        let joint = if path.contains('?') { '&' } else { '?' };
        Redirect::to(&format!("{path}{joint}done={}", self.code_and_text().0)).into_response()
    }
}

/// `?done=…`. Unknown codes are ignored.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct NoticeQuery {
    #[serde(default, deserialize_with = "known")]
    pub done: Option<Notice>,
}

fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Notice>, D::Error> {
    let code = String::deserialize(from)?;
    Ok(Notice::ALL
        .into_iter()
        .find(|notice| notice.code_and_text().0 == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_notice_in_the_url_is_ignored() {
        let parsed =
            |query| serde_json::from_value::<NoticeQuery>(serde_json::json!({"done": query}));
        for notice in Notice::ALL {
            let found = parsed(notice.code_and_text().0)
                .expect("any code parses")
                .done;
            assert_eq!(found, Some(notice));
        }
        assert_eq!(parsed("<b>send money").expect("any code parses").done, None);
    }
}

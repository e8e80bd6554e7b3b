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
    CalledOff,
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
        Self::CalledOff,
        Self::Merged,
        Self::ContactDeleted,
        Self::TagDeleted,
        Self::FieldDeleted,
        Self::OptOutLifted,
    ];

    fn code_and_text(self) -> (&'static str, Message) {
        match self {
            Self::Saved => ("saved", t!("Saved")),
            Self::Invited => ("invited", t!("Invited. The link also went out by mail")),
            Self::InvitationWithdrawn => (
                "withdrawn",
                t!("The invitation is withdrawn: its link is dead"),
            ),
            Self::RoleChanged => ("role", t!("The role is changed, and holds at once")),
            Self::MemberRemoved => (
                "removed",
                t!("Removed. They see nothing of this workspace any more"),
            ),
            Self::Left => ("left", t!("You have left the workspace")),
            Self::CreditsChanged => ("credits", t!("The credits are changed")),
            Self::AccessChanged => ("access", t!("Saved, and in force at once")),
            Self::WorkspaceDeleted => (
                "deleted",
                t!("The workspace is gone, with everything in it"),
            ),
            Self::Disconnected => (
                "disconnected",
                t!("Disconnected. Its credentials are destroyed, its conversations stay"),
            ),
            Self::Checked => (
                "checked",
                t!("Checked: the provider takes our texts. What waited goes out"),
            ),
            Self::StillUnhealthy => (
                "unhealthy",
                t!("Checked: the provider refuses. It says why below"),
            ),
            Self::NumberBought => ("bought", t!("The number is yours")),
            Self::NumberOrdered => (
                "ordered",
                t!("Ordered. The provider sets it up: sync in a few minutes"),
            ),
            Self::NumberReleased => ("released", t!("Released. Its conversations stay")),
            Self::WebhookSet => ("webhook", t!("Its texts come here now")),
            Self::WebhookNotSet => (
                "no-webhook",
                t!("Nothing was changed, because it would have no effect"),
            ),
            Self::PasswordChanged => (
                "password",
                t!("Your password is changed. Other sessions are signed out"),
            ),
            Self::PasswordReset => ("reset", t!("Your new password is set. Sign in with it")),
            Self::TwoFactorOff => ("two_factor_off", t!("Two-factor sign-in is off")),
            Self::SessionEnded => ("session_ended", t!("Signed out there")),
            Self::MailSent => ("mail", t!("The link is on its way to your inbox")),
            Self::EmailVerified => ("verified", t!("Your address is verified")),
            Self::Released => ("let-in", t!("Released: it is where it belongs now")),
            Self::Discarded => ("discarded", t!("Discarded")),
            Self::TemplateRemoved => ("template-removed", t!("The template is deleted")),
            Self::Rescheduled => ("rescheduled", t!("Saved. It goes at its time")),
            Self::SentNow => ("sent-now", t!("It is on its way")),
            Self::CalledOff => ("called-off", t!("Called off: it is not sent")),
            Self::Merged => ("merged", t!("Merged. The other number leads here, too")),
            Self::ContactDeleted => (
                "contact-deleted",
                t!("The contact is gone, with what was said"),
            ),
            Self::TagDeleted => ("tag-deleted", t!("The tag is gone")),
            Self::FieldDeleted => (
                "field-deleted",
                t!("The field is gone, with what was in it"),
            ),
            Self::OptOutLifted => (
                "opt-out-lifted",
                t!("Lifted. Whoever has this number may be texted again"),
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

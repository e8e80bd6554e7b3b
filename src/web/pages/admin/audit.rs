//! The audit log, as sentences.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::shell;
use crate::app::App;
use crate::db::Load;
use crate::domain::audit::{self, AuditAction, Entry, Filter};
use crate::domain::members::{self, Admin, Colleague};
use crate::error::Result;
use crate::ids::UserId;
use crate::language::{Message, t};
use crate::listing::Span;
use crate::phone;
use crate::web::language::filters;
use crate::web::pages::form::capitalized;
use crate::web::pages::{Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    people: Vec<Colleague>,
    entries: Vec<Line>,
    older: Option<String>,
    is_first: bool,
}

impl Page {
    fn is_actor(&self, user: &UserId) -> bool {
        self.filter.actor == Some(*user)
    }

    fn is_action(&self, action: &AuditAction) -> bool {
        self.filter.action == Some(*action)
    }

    fn from(&self) -> String {
        self.filter
            .from
            .map_or_else(String::new, |day| day.to_string())
    }

    fn to(&self) -> String {
        self.filter
            .to
            .map_or_else(String::new, |day| day.to_string())
    }

    fn is_filtered(&self) -> bool {
        !query(&self.filter).is_empty()
    }
}

const ACTIONS: &[(Message, &[(AuditAction, Message)])] = &[
    (
        t!("Sign-in"),
        &[
            (AuditAction::SignedIn, t!("Signed in")),
            (AuditAction::SignInFailed, t!("Sign-in failed")),
            (AuditAction::SessionsEnded, t!("Signed out everywhere")),
            (AuditAction::PasswordChanged, t!("Password changed")),
            (AuditAction::PasswordReset, t!("Password reset")),
            (
                AuditAction::PasswordLinkMade,
                t!("Link for a new password made"),
            ),
            (
                AuditAction::TwoFactorEnabled,
                t!("Two-factor authentication turned on"),
            ),
            (
                AuditAction::TwoFactorDisabled,
                t!("Two-factor authentication turned off"),
            ),
        ],
    ),
    (
        t!("People"),
        &[
            (AuditAction::MemberInvited, t!("Invited")),
            (AuditAction::InvitationWithdrawn, t!("Invitation revoked")),
            (AuditAction::MemberJoined, t!("Joined")),
            (AuditAction::MemberRoleChanged, t!("Role changed")),
            (AuditAction::MemberRemoved, t!("Removed")),
            (AuditAction::MemberLeft, t!("Left")),
        ],
    ),
    (
        t!("Access and credits"),
        &[
            (AuditAction::NumberAssigned, t!("Access granted")),
            (AuditAction::NumberUnassigned, t!("Access removed")),
            (
                AuditAction::DefaultNumberChanged,
                t!("Default number changed"),
            ),
            (AuditAction::CreditsChanged, t!("Credits changed")),
        ],
    ),
    (
        t!("Workspace"),
        &[
            (AuditAction::WorkspaceCreated, t!("Workspace created")),
            (AuditAction::WorkspaceChanged, t!("Workspace changed")),
            (AuditAction::NumberChanged, t!("Number changed")),
            (AuditAction::NumberBought, t!("Number bought")),
            (AuditAction::NumberReleased, t!("Number released")),
            (
                AuditAction::IntegrationConnected,
                t!("Integration connected"),
            ),
            (AuditAction::IntegrationChecked, t!("Credentials checked")),
            (AuditAction::IntegrationChanged, t!("Integration changed")),
            (
                AuditAction::IntegrationDisconnected,
                t!("Integration disconnected"),
            ),
            (AuditAction::IntegrationSynced, t!("Numbers synced")),
            (AuditAction::CredentialsOpened, t!("Credentials used")),
            (AuditAction::TextHandedOver, t!("Another number used")),
            (
                AuditAction::QuarantineReleased,
                t!("Released from quarantine"),
            ),
            (
                AuditAction::QuarantineDiscarded,
                t!("Discarded from quarantine"),
            ),
        ],
    ),
    (
        t!("Contacts"),
        &[
            (
                AuditAction::ContactNumberChanged,
                t!("Phone number changed"),
            ),
            (AuditAction::ContactsMerged, t!("Contacts merged")),
            (AuditAction::ContactDeleted, t!("Contact deleted")),
            (AuditAction::ContactsDeleted, t!("Contacts deleted")),
            (AuditAction::ContactsTagged, t!("Contacts tagged")),
            (
                AuditAction::ContactsUntagged,
                t!("Tag removed from contacts"),
            ),
            (AuditAction::ContactsImported, t!("Contacts imported")),
            (AuditAction::ContactImportUndone, t!("Import undone")),
            (AuditAction::ContactsExported, t!("Contacts exported")),
            (
                AuditAction::ConversationsExported,
                t!("Conversations exported"),
            ),
            (AuditAction::TagChanged, t!("Tag changed")),
            (
                AuditAction::ContactFieldChanged,
                t!("Contact field changed"),
            ),
            (AuditAction::OptOutsImported, t!("Opt-outs imported")),
            (AuditAction::OptOutLifted, t!("Opt-out removed")),
            (AuditAction::TemplateShared, t!("Template shared")),
            (AuditAction::TemplateChanged, t!("Template changed")),
            (AuditAction::TemplateRemoved, t!("Template removed")),
            (AuditAction::OptOutsExported, t!("Opt-outs exported")),
        ],
    ),
];

struct Line {
    entry: Entry,
    changes: Vec<Changed>,
}

#[derive(Debug, PartialEq)]
struct Changed {
    what: Message,
    before: Option<String>,
    after: Option<String>,
}

impl Line {
    fn new(entry: Entry) -> Self {
        Self {
            changes: changes(entry.before.as_ref(), entry.after.as_ref()),
            entry,
        }
    }

    /// Without an actor the sentence is complete by itself.
    fn has_actor(&self) -> bool {
        !self.entry.actor_name.is_empty()
    }

    fn is_warning(&self) -> bool {
        matches!(
            self.entry.action,
            AuditAction::SignInFailed | AuditAction::TwoFactorDisabled | AuditAction::MemberRemoved
        )
    }
}

/// The properties that differ, without ids.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Changed> {
    let keys = |value: Option<&Value>| -> BTreeSet<String> {
        let object = value.and_then(Value::as_object);
        object
            .map(|object| object.keys().cloned().collect())
            .unwrap_or_default()
    };
    let all: BTreeSet<String> = keys(before).union(&keys(after)).cloned().collect();
    let value_of = |side: Option<&Value>, key: &str| {
        side.and_then(|value| value.get(key)).and_then(shown_value)
    };
    all.into_iter()
        .filter(|key| !key.ends_with("_id"))
        .map(|key| Changed {
            before: value_of(before, &key),
            after: value_of(after, &key),
            what: key_label(&key),
        })
        .filter(|changed| changed.before != changed.after)
        .collect()
}

fn key_label(key: &str) -> Message {
    match key {
        "account" => t!("Account"),
        "added" => t!("Added"),
        "already" => t!("Already opted out"),
        "auth_token" => t!("Auth token"),
        "balance" => t!("Balance"),
        "brought_in" => t!("Recovered"),
        "calls" => t!("Calls"),
        "choices" => t!("Options"),
        "color" => t!("Color"),
        "content" => t!("Text"),
        "contacts" => t!("Contacts"),
        "conversations" => t!("Conversations"),
        "default_number" => t!("Default number"),
        "default_region" => t!("Default region"),
        "email" => t!("Email"),
        "failover" => t!("Failover"),
        "friendly_name" => t!("Name"),
        "imported" => t!("Imported"),
        "is_active" => t!("Active"),
        "is_default" => t!("Default"),
        "kind" => t!("Type"),
        "low_credits_at" => t!("Low-credit alert at"),
        "messages" => t!("Messages"),
        "messages_per_second" => t!("Sending speed"),
        "name" => t!("Name"),
        "number" => t!("Number"),
        "numbers" => t!("Numbers"),
        "opt_out_for_all" => t!("STOP applies to all numbers"),
        "phone_number" => t!("Phone number"),
        "provider" => t!("Provider"),
        "reason" => t!("Reason"),
        "refused" => t!("Skipped"),
        "removed" => t!("Removed"),
        "require_two_factor" => t!("Require two-factor authentication"),
        "role" => t!("Role"),
        "sender" => t!("Sender"),
        "starting_credits" => t!("Starting credits"),
        "status" => t!("Status"),
        "text_validity_minutes" => t!("Give up sending after (minutes)"),
        "updated" => t!("Updated"),
        "webhook" => t!("Webhook"),
        other => Message::verbatim(capitalized(&other.replace('_', " "))),
    }
}

fn shown_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => t!("yes").translated(),
        Value::Bool(false) => t!("no").translated(),
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) if text.starts_with('+') => phone::display(text),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => return None,
        Value::Array(values) => {
            let shown: Vec<_> = values.iter().filter_map(shown_value).collect();
            shown.join(", ")
        }
        other => other.to_string(),
    })
}

/// `GET /w/{slug}/admin/audit`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace_for(admin.tenant(), Load::Heavy).await?;
    let found = audit::list(&mut tx, &filter, &span).await?;
    let older = |cursor| {
        let query = query(&filter);
        format!("/w/{}/admin/audit?{query}cursor={cursor}", admin.slug)
    };
    Ok(page(&Page {
        people: members::list(&mut tx).await?,
        shell: shell(&mut tx, &admin, "audit", None).await?,
        older: found.next_cursor.map(older),
        entries: found.data.into_iter().map(Line::new).collect(),
        is_first: span.cursor.is_none(),
        filter,
    })?
    .into_response())
}

/// `actor=…&from=…&`, or empty. No value contains a character that needs escaping.
fn query(filter: &Filter) -> String {
    let mut query = String::new();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            query.push_str(&format!("{key}={value}&"));
        }
    };
    add("actor", filter.actor.map(|id| id.to_string()));
    add("action", filter.action.map(|action| action.to_string()));
    add("from", filter.from.map(|day| day.to_string()));
    add("to", filter.to.map(|day| day.to_string()));
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_differences_are_shown() {
        let before = json!({"low_credits_at": 10, "name": "Harbor", "require_two_factor": false});
        let after = json!({"low_credits_at": 20, "name": "Harbor", "require_two_factor": true, "number_id": "x"});
        let changed = |what: Message, before: &str, after: &str| Changed {
            what,
            before: Some(before.into()),
            after: Some(after.into()),
        };
        assert_eq!(
            changes(Some(&before), Some(&after)),
            [
                changed(t!("Low-credit alert at"), "10", "20"),
                changed(t!("Require two-factor authentication"), "no", "yes"),
            ]
        );
        assert_eq!(
            changes(None, Some(&json!({"reason": "", "choices": []}))),
            []
        );
        let added = changes(None, Some(&json!({"choices": ["Cash", "Card"]})));
        assert_eq!(added[0].after.as_deref(), Some("Cash, Card"));
    }
}

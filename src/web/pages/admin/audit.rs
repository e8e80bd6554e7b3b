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
use crate::language::t;
use crate::listing::Span;
use crate::phone;
use crate::web::language::filters;
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

const ACTIONS: &[(&str, &[(AuditAction, &str)])] = &[
    (
        "Signing in",
        &[
            (AuditAction::SignedIn, "Signed in"),
            (AuditAction::SignInFailed, "Sign-in failed"),
            (AuditAction::SessionsEnded, "Signed out everywhere"),
            (AuditAction::PasswordChanged, "Password changed"),
            (AuditAction::PasswordReset, "Password reset"),
            (AuditAction::TwoFactorEnabled, "Second factor on"),
            (AuditAction::TwoFactorDisabled, "Second factor off"),
        ],
    ),
    (
        "People",
        &[
            (AuditAction::MemberInvited, "Invited"),
            (AuditAction::InvitationWithdrawn, "Invitation withdrawn"),
            (AuditAction::MemberJoined, "Joined"),
            (AuditAction::MemberRoleChanged, "Role changed"),
            (AuditAction::MemberRemoved, "Removed"),
            (AuditAction::MemberLeft, "Left"),
        ],
    ),
    (
        "Access and credits",
        &[
            (AuditAction::NumberAssigned, "Access given"),
            (AuditAction::NumberUnassigned, "Access taken"),
            (AuditAction::DefaultNumberChanged, "Default number changed"),
            (AuditAction::CreditsChanged, "Credits changed"),
        ],
    ),
    (
        "Workspace",
        &[
            (AuditAction::WorkspaceCreated, "Workspace created"),
            (AuditAction::WorkspaceChanged, "Workspace changed"),
            (AuditAction::NumberChanged, "Number changed"),
            (AuditAction::NumberBought, "Number bought"),
            (AuditAction::NumberReleased, "Number released"),
            (AuditAction::IntegrationConnected, "Integration connected"),
            (AuditAction::IntegrationChecked, "Credentials checked"),
            (AuditAction::IntegrationChanged, "Integration changed"),
            (
                AuditAction::IntegrationDisconnected,
                "Integration disconnected",
            ),
            (AuditAction::IntegrationSynced, "Numbers synced"),
            (AuditAction::CredentialsOpened, "Credentials used"),
            (AuditAction::TextHandedOver, "Another number used"),
            (AuditAction::QuarantineReleased, "Released from quarantine"),
            (
                AuditAction::QuarantineDiscarded,
                "Discarded from quarantine",
            ),
        ],
    ),
    (
        "Contacts",
        &[
            (AuditAction::ContactNumberChanged, "Phone number changed"),
            (AuditAction::ContactsMerged, "Contacts merged"),
            (AuditAction::ContactDeleted, "Contact deleted"),
            (AuditAction::ContactsImported, "Contacts imported"),
            (AuditAction::ContactsExported, "Contacts exported"),
            (AuditAction::TagChanged, "Tag changed"),
            (AuditAction::ContactFieldChanged, "Contact field changed"),
            (AuditAction::OptOutsImported, "Opt-outs imported"),
            (AuditAction::OptOutLifted, "Opt-outs lifted"),
            (AuditAction::TemplateShared, "Template shared"),
            (AuditAction::TemplateChanged, "Template changed"),
            (AuditAction::TemplateRemoved, "Template taken away"),
            (AuditAction::OptOutsExported, "Opt-outs exported"),
        ],
    ),
];

struct Line {
    entry: Entry,
    changes: Vec<Changed>,
}

#[derive(Debug, PartialEq)]
struct Changed {
    what: String,
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

/// The results of `key_label` for all keys in audit entries, as messages to translate.
const _: &[&str] = &[
    "Account",
    "Added",
    "Already",
    "Auth token",
    "Balance",
    "Brought in",
    "Calls",
    "Default number",
    "Default region",
    "Failover",
    "Friendly name",
    "Imported",
    "Is active",
    "Is default",
    "Low credits at",
    "Messages per second",
    "Name",
    "Number",
    "Numbers",
    "Opt out for all",
    "Phone number",
    "Provider",
    "Reason",
    "Refused",
    "Removed",
    "Require two factor",
    "Role",
    "Starting credits",
    "Status",
    "Text validity minutes",
    "Updated",
    "Webhook",
];

/// `low_credits_at` → `Low credits at`
fn key_label(key: &str) -> String {
    let mut text = key.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn shown_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => t("yes").into(),
        Value::Bool(false) => t("no").into(),
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) if text.starts_with('+') => phone::display(text),
        Value::String(text) => text.clone(),
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
        let changed = |what: &str, before: &str, after: &str| Changed {
            what: what.into(),
            before: Some(before.into()),
            after: Some(after.into()),
        };
        assert_eq!(
            changes(Some(&before), Some(&after)),
            [
                changed("Low credits at", "10", "20"),
                changed("Require two factor", "no", "yes"),
            ]
        );
        assert_eq!(changes(None, Some(&json!({"reason": ""}))), []);
    }
}

//! Who did what, when, from where, in sentences.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::shell;
use crate::app::App;
use crate::db::Load;
use crate::domain::audit::{self, Action, Entry, Filter};
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

    fn is_action(&self, action: &Action) -> bool {
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

    fn is_narrowed(&self) -> bool {
        !query(&self.filter).is_empty()
    }
}

/// What one may look for, in groups.
const ACTIONS: &[(&str, &[(Action, &str)])] = &[
    (
        "Signing in",
        &[
            (Action::SignedIn, "Signed in"),
            (Action::SignInFailed, "Sign-in failed"),
            (Action::SessionsEnded, "Signed out everywhere"),
            (Action::PasswordChanged, "Password changed"),
            (Action::PasswordReset, "Password reset"),
            (Action::TwoFactorEnabled, "Second factor on"),
            (Action::TwoFactorDisabled, "Second factor off"),
        ],
    ),
    (
        "People",
        &[
            (Action::MemberInvited, "Invited"),
            (Action::InvitationWithdrawn, "Invitation withdrawn"),
            (Action::MemberJoined, "Joined"),
            (Action::MemberRoleChanged, "Role changed"),
            (Action::MemberRemoved, "Removed"),
            (Action::MemberLeft, "Left"),
        ],
    ),
    (
        "Access and credits",
        &[
            (Action::NumberAssigned, "Access given"),
            (Action::NumberUnassigned, "Access taken"),
            (Action::DefaultNumberChanged, "Default number changed"),
            (Action::CreditsChanged, "Credits changed"),
        ],
    ),
    (
        "Workspace",
        &[
            (Action::WorkspaceCreated, "Workspace created"),
            (Action::WorkspaceChanged, "Workspace changed"),
            (Action::NumberChanged, "Number changed"),
            (Action::NumberBought, "Number bought"),
            (Action::NumberReleased, "Number released"),
            (Action::IntegrationConnected, "Integration connected"),
            (Action::IntegrationChecked, "Credentials checked"),
            (Action::IntegrationChanged, "Integration changed"),
            (Action::IntegrationDisconnected, "Integration disconnected"),
            (Action::IntegrationSynced, "Numbers synced"),
            (Action::CredentialsOpened, "Credentials used"),
            (Action::TextHandedOver, "Another number used"),
            (Action::QuarantineReleased, "Released from quarantine"),
            (Action::QuarantineDiscarded, "Discarded from quarantine"),
        ],
    ),
    (
        "Contacts",
        &[
            (Action::ContactNumberChanged, "Phone number changed"),
            (Action::ContactsMerged, "Contacts merged"),
            (Action::ContactDeleted, "Contact deleted"),
            (Action::ContactsImported, "Contacts imported"),
            (Action::ContactsExported, "Contacts exported"),
            (Action::TagChanged, "Tag changed"),
            (Action::ContactFieldChanged, "Contact field changed"),
            (Action::OptOutsImported, "Opt-outs imported"),
            (Action::OptOutLifted, "Opt-outs lifted"),
            (Action::TemplateShared, "Template shared"),
            (Action::TemplateChanged, "Template changed"),
            (Action::TemplateRemoved, "Template taken away"),
            (Action::OptOutsExported, "Opt-outs exported"),
        ],
    ),
];

/// One entry as it is read.
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

    /// Whether the sentence begins with who did it, or says it all by itself.
    fn has_actor(&self) -> bool {
        !self.entry.actor_name.is_empty()
    }

    fn is_alarming(&self) -> bool {
        matches!(
            self.entry.action,
            Action::SignInFailed | Action::TwoFactorDisabled | Action::MemberRemoved
        )
    }
}

/// Only what is different, and no ids.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Changed> {
    let keys = |value: Option<&Value>| -> BTreeSet<String> {
        let object = value.and_then(Value::as_object);
        object
            .map(|object| object.keys().cloned().collect())
            .unwrap_or_default()
    };
    let all: BTreeSet<String> = keys(before).union(&keys(after)).cloned().collect();
    let of = |side: Option<&Value>, key: &str| side.and_then(|value| value.get(key)).and_then(told);
    all.into_iter()
        .filter(|key| !key.ends_with("_id"))
        .map(|key| Changed {
            before: of(before, &key),
            after: of(after, &key),
            what: words(&key),
        })
        .filter(|changed| changed.before != changed.after)
        .collect()
}

/// What `words` makes of the keys that are written down.
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
fn words(key: &str) -> String {
    let mut text = key.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn told(value: &Value) -> Option<String> {
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
    let mut tx = app.db.workspace_for(admin.seat(), Load::Heavy).await?;
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

/// `actor=…&from=…&`, or nothing. None of them has a character that needs escaping.
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
    fn only_what_is_different_is_told_and_in_words() {
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

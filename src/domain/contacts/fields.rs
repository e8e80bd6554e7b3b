//! A workspace's custom fields of contacts. Values are stored with the contact by a key, which is derived from the
//! field's first name and never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::string_enum;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::ids::{FieldId, WorkspaceId};
use crate::language::{Message, t};
use crate::sheet::dates;

string_enum!(#[schema(as = ContactFieldKind)]
Kind {
    Text = "text",
    Number = "number",
    /// In the form 2026-11-23.
    Date = "date",
    /// One of `choices`.
    Choice = "choice",
});

impl Kind {
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Date, Self::Choice];

    pub fn label(self) -> Message {
        match self {
            Self::Text => t!("Text"),
            Self::Number => t!("Number"),
            Self::Date => t!("Date"),
            Self::Choice => t!("Option from a list"),
        }
    }
}

const COUNT_LIMIT: usize = 30;
const LENGTH_LIMIT: usize = 500;

#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[schema(as = ContactField)]
pub struct Field {
    pub id: FieldId,
    /// The key in `custom_fields`. It stays when the field is renamed.
    pub key: String,
    pub name: String,
    pub kind: Kind,
    /// The values of a field of the kind `choice`.
    pub choices: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactFieldDraft)]
pub struct Draft {
    /// 1 to 40 characters.
    pub name: String,
    pub kind: Kind,
    /// For the kind `choice`: 1 to 50 values of at most 60 characters each.
    #[serde(default)]
    pub choices: Vec<String>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactFieldChange)]
pub struct ContactFieldChange {
    pub name: Option<String>,
    /// The new values of the kind `choice`. A contact keeps a value that is no longer one of them until it is changed.
    pub choices: Option<Vec<String>>,
}

/// Values to write, by key; `None` removes a value.
pub type Values = BTreeMap<String, Option<String>>;

pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<Field>> {
    Ok(sqlx::query_as!(
        Field,
        "select id, key, name, kind, choices from contact_fields order by position, id"
    )
    .fetch_all(tx.conn())
    .await?)
}

pub async fn look_up(db: &Db, workspace: WorkspaceId) -> Result<Vec<Field>> {
    Ok(sqlx::query_as!(
        Field,
        "select id, key, name, kind, choices from contact_fields where workspace_id = $1 order by position, id",
        workspace as _,
    )
    .fetch_all(db.system_pool(Live))
    .await?)
}

async fn find(tx: &mut WorkspaceTx, id: FieldId) -> Result<Field> {
    sqlx::query_as!(
        Field,
        "select id, key, name, kind, choices from contact_fields where id = $1",
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the field")))
}

pub async fn create(tx: &mut WorkspaceTx, _: &Admin, draft: Draft) -> Result<Field> {
    let name = read_name(&draft.name)?;
    let choices = read_choices(draft.kind, draft.choices)?;
    let others = list(tx).await?;
    Check::default()
        .require(
            others.len() < COUNT_LIMIT,
            "name",
            t!("A workspace can have at most 30 fields"),
        )
        .finish()?;
    let field = sqlx::query_as!(
        Field,
        "insert into contact_fields (key, name, kind, choices, position) values ($1, $2, $3, $4, $5)
         returning id, key, name, kind, choices",
        key_of(&name, &others),
        name,
        draft.kind as _,
        &choices,
        i32::try_from(others.len()).unwrap_or(i32::MAX),
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("contact_fields_name_key", name_taken)?;
    record(tx, None, Some(&field)).await?;
    Ok(field)
}

pub async fn update(
    tx: &mut WorkspaceTx,
    _: &Admin,
    id: FieldId,
    change: ContactFieldChange,
) -> Result<Field> {
    let before = find(tx, id).await?;
    let name = change.name.as_deref().map(read_name).transpose()?;
    let choices = match change.choices {
        Some(choices) => Some(read_choices(before.kind, choices)?),
        None => None,
    };
    let after = sqlx::query_as!(
        Field,
        "update contact_fields set name = coalesce($2, name), choices = coalesce($3, choices) where id = $1
         returning id, key, name, kind, choices",
        id as _,
        name,
        choices.as_deref(),
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("contact_fields_name_key", name_taken)?;
    record(tx, Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn remove(tx: &mut WorkspaceTx, _: &Admin, id: FieldId) -> Result<()> {
    let before = find(tx, id).await?;
    sqlx::query!("delete from contact_fields where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "update contacts set custom_fields = custom_fields - $1 where custom_fields <> '{}' and custom_fields ? $1",
        before.key,
    )
    .execute(tx.conn())
    .await?;
    record(tx, Some(&before), None).await
}

/// How many contacts have a value; counting stops at 1,000.
pub async fn uses(tx: &mut WorkspaceTx, field: &Field) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "uses!" from (select from contacts where custom_fields <> '{}' and custom_fields ? $1 limit 1000) t"#,
        field.key,
    )
    .fetch_one(tx.conn())
    .await?)
}

fn name_taken() -> Error {
    Error::field("name", t!("A field with this name already exists"))
}

async fn record(tx: &mut WorkspaceTx, before: Option<&Field>, after: Option<&Field>) -> Result<()> {
    let audit_json =
        |field: &Field| json!({"name": field.name, "kind": field.kind, "choices": field.choices});
    let audit_record = AuditRecord {
        subject: before.or(after).map_or("", |field| &field.name),
        subject_id: before.or(after).map(|field| field.id.0),
        before: before.map(audit_json),
        after: after.map(audit_json),
    };
    audit::record(tx, AuditAction::ContactFieldChanged, audit_record).await
}

pub(super) fn read_name(name: &str) -> Result<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    Check::default()
        .require(
            (1..=40).contains(&name.chars().count()) && !name.contains(|c: char| c.is_control()),
            "name",
            t!("Use 1 to 40 characters"),
        )
        .finish()?;
    Ok(name)
}

fn read_choices(kind: Kind, choices: Vec<String>) -> Result<Vec<String>> {
    let mut read: Vec<String> = Vec::new();
    for choice in &choices {
        let choice = choice.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_new = read
            .iter()
            .all(|other| other.to_lowercase() != choice.to_lowercase());
        if !choice.is_empty() && is_new {
            read.push(choice);
        }
    }
    let is_clean = |choice: &String| {
        choice.chars().count() <= 60 && !choice.contains(|c: char| c.is_control())
    };
    Check::default()
        .require(
            kind != Kind::Choice || (1..=50).contains(&read.len()),
            "choices",
            t!("Add 1 to 50 options"),
        )
        .require(
            kind == Kind::Choice || read.is_empty(),
            "choices",
            t!("Only fields of kind `choice` have options"),
        )
        .require(
            read.iter().all(is_clean),
            "choices",
            t!("Use at most 60 characters for each option"),
        )
        .finish()?;
    Ok(read)
}

/// `Insurance plan` → `insurance_plan`, with a numeric suffix if the key is taken.
fn key_of(name: &str, others: &[Field]) -> String {
    let mut key = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => key.push(c),
            _ if !key.is_empty() && !key.ends_with('_') => key.push('_'),
            _ => {}
        }
    }
    let key = match key.trim_end_matches('_') {
        "" => "field",
        key => &key[..key.len().min(34)],
    };
    let is_free = |key: &str| others.iter().all(|other| other.key != key);
    if is_free(key) {
        return key.to_owned();
    }
    (2..)
        .map(|n| format!("{key}_{n}"))
        .find(|key| is_free(key))
        .unwrap_or_default()
}

impl Field {
    /// Normalizes `text` for storage; `None` if it is empty. The error says which format is expected.
    pub fn read(&self, text: &str) -> Result<Option<String>, Message> {
        self.read_as(text, dates::Order::Unknown)
    }

    /// The same for a table cell: the date order comes from the column or the country.
    pub fn read_as(&self, text: &str, order: dates::Order) -> Result<Option<String>, Message> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let read = match self.kind {
            Kind::Text if text.chars().count() > LENGTH_LIMIT => {
                Err(t!("Use at most 500 characters"))
            }
            Kind::Text if text.contains('\0') => Err(t!("Remove the NUL characters")),
            Kind::Text => Ok(text.to_owned()),
            Kind::Number => number(text).ok_or_else(|| t!("Enter a number such as 12 or 3.5")),
            Kind::Date => date(text, order).ok_or_else(|| t!("Enter a date such as 2026-11-23")),
            Kind::Choice => {
                let is_match = |choice: &&String| choice.to_lowercase() == text.to_lowercase();
                let found = self.choices.iter().find(is_match).cloned();
                let choices = || self.choices.join(", ");
                found.ok_or_else(|| {
                    t!(
                        "Choose one of these options: {choices}",
                        choices = choices()
                    )
                })
            }
        };
        read.map(Some)
    }

    pub fn is_choice(&self) -> bool {
        self.kind == Kind::Choice
    }

    pub fn input(&self) -> &'static str {
        match self.kind {
            Kind::Date => "date",
            Kind::Text | Kind::Number | Kind::Choice => "text",
        }
    }

    pub fn is_number(&self) -> bool {
        self.kind == Kind::Number
    }
}

/// Accepts separators: `1,234.50` is `1234.50`.
fn number(text: &str) -> Option<String> {
    let text = text.replace([',', ' '], "");
    let (integer, fraction) = match text.strip_prefix('-').unwrap_or(&text).split_once('.') {
        Some((integer, fraction)) => (integer.to_owned(), Some(fraction.to_owned())),
        None => (text.strip_prefix('-').unwrap_or(&text).to_owned(), None),
    };
    let is_digits = |digits: &str| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    (is_digits(&integer) && fraction.as_deref().is_none_or(is_digits)).then_some(text)
}

fn date(text: &str, order: dates::Order) -> Option<String> {
    dates::read(text, order).map(|day| day.format("%Y-%m-%d").to_string())
}

pub(super) async fn read(tx: &mut WorkspaceTx, values: Values) -> Result<Values> {
    if values.is_empty() {
        return Ok(values);
    }
    let fields = list(tx).await?;
    let mut read = Values::new();
    for (key, value) in values {
        let Some(field) = fields.iter().find(|field| field.key == key) else {
            let known: Vec<_> = fields.iter().map(|field| field.key.as_str()).collect();
            let message = t!(
                "There’s no field “{key}”. Fields: {fields}",
                key = key,
                fields = known.join(", "),
            );
            return Err(Error::field("custom_fields", message));
        };
        let value = field
            .read(value.as_deref().unwrap_or_default())
            .map_err(|wrong| {
                Error::field(
                    "custom_fields",
                    t!("{field}: {wrong}", field = &field.name, wrong = wrong),
                )
            })?;
        read.insert(key, value);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(kind: Kind) -> Field {
        Field {
            id: FieldId::new(),
            key: "plan".into(),
            name: "Plan".into(),
            kind,
            choices: vec!["Delta".into(), "None".into()],
        }
    }

    #[test]
    fn value_is_normalized_by_kind() {
        let read = |kind, text: &str| field(kind).read(text);
        assert_eq!(read(Kind::Text, " blue "), Ok(Some("blue".into())));
        assert_eq!(read(Kind::Text, "  "), Ok(None));
        assert_eq!(read(Kind::Number, "-1,234.50"), Ok(Some("-1234.50".into())));
        assert_eq!(read(Kind::Date, "2026-2-3"), Ok(Some("2026-02-03".into())));
        assert_eq!(
            read(Kind::Date, "11/23/2026"),
            Ok(Some("2026-11-23".into()))
        );
        assert_eq!(
            read(Kind::Date, "23.11.2026"),
            Ok(Some("2026-11-23".into()))
        );
        assert_eq!(read(Kind::Choice, "delta"), Ok(Some("Delta".into())));
        for (kind, wrong) in [
            (Kind::Number, "twelve"),
            (Kind::Number, "1.2.3"),
            (Kind::Number, "--1"),
            (Kind::Number, "1e9"),
            (Kind::Date, "2026-02-30"),
            (Kind::Date, "tomorrow"),
            (Kind::Date, "03/04/2026"),
            (Kind::Date, "--03-07"),
            (Kind::Choice, "Gamma"),
        ] {
            assert!(read(kind, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn key_is_derived_from_the_name_and_unique() {
        assert_eq!(key_of("Insurance plan!", &[]), "insurance_plan");
        assert_eq!(key_of("保険", &[]), "field");
        assert_eq!(key_of("Plan", &[field(Kind::Text)]), "plan_2");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,60}") {
            for kind in Kind::ALL {
                if let Ok(Some(kept)) = field(kind).read(&text) {
                    prop_assert_eq!(field(kind).read(&kept), Ok(Some(kept.clone())), "what is kept can be written again");
                }
            }
        }

        #[test]
        fn every_name_has_a_key(name in ".{1,40}") {
            let key = key_of(&name, &[]);
            prop_assert!((1..=40).contains(&key.len()));
            prop_assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
}

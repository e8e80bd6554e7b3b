//! The list of opt-outs, and its export.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Source;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::contacts;
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::{ContactId, NumberId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::phone;
use crate::phone::search::SearchInput;
use crate::sheet;

/// An opt-out of an address from a number.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct OptOut {
    /// `null` if no contact has this number any more. The opt-out stays with the address and holds for its next
    /// contact.
    pub contact_id: Option<ContactId>,
    pub contact_name: Option<String>,
    pub phone_number: String,
    pub number_id: NumberId,
    /// Our number.
    pub number: String,
    pub source: Source,
    /// The contact's text, the provider's code, the agent's reason, or the file name.
    pub proof: String,
    pub created_at: DateTime<Utc>,
    #[serde(skip)]
    pub key: Uuid,
}

impl OptOut {
    pub fn title(&self) -> String {
        contacts::title(self.contact_name.as_deref(), &self.phone_number)
    }

    pub fn formatted_phone(&self) -> String {
        phone::display(&self.phone_number)
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.number)
    }

    /// Whether it is stored by address only. An admin lifts it in this list, because no contact page shows it.
    pub fn is_remembered(&self) -> bool {
        self.contact_id.is_none()
    }

    pub fn source_label(&self) -> &'static str {
        match self.source {
            Source::Text => "Texted STOP or START",
            Source::Provider => "Reported by provider",
            Source::Member => "Entered by hand",
            Source::Import => "Imported",
        }
    }
}

/// Newest first; `q` matches any part of a name or number.
pub async fn list(
    tx: &mut WorkspaceTx,
    _: &Admin,
    q: Option<&str>,
    span: &Span,
) -> Result<Page<OptOut>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let rows = newest(tx, q, after, limit + 1).await?;
    Ok(page(rows, limit, |row: &OptOut| Cursor {
        at: row.created_at,
        id: row.key,
    }))
}

/// An opt-out has no id, so a hash of its keys breaks ties of time. Those of contacts and those stored by address are
/// read from an index each, by time.
async fn newest(
    tx: &mut WorkspaceTx,
    q: Option<&str>,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<OptOut>> {
    let input = match q.filter(|q| !q.trim().is_empty()) {
        Some(q) => Some(contacts::search_input(tx, q).await?),
        None => None,
    };
    Ok(sqlx::query_as!(
        OptOut,
        r#"select o.contact_id as "contact_id: ContactId", o.name as contact_name, o.phone_number as "phone_number!",
                  o.number_id as "number_id!: NumberId", n.phone_number as number, o.source as "source!: Source",
                  o.proof as "proof!", o.created_at as "created_at!", o.key as "key!"
             from ((select o.workspace_id, o.contact_id, c.name, c.phone_number, o.number_id, o.source, o.proof, o.created_at,
                           md5(o.contact_id::text || o.number_id::text)::uuid as key
                      from opt_outs o
                      join contacts c on c.workspace_id = o.workspace_id and c.id = o.contact_id
                     where ($1::timestamptz is null or o.created_at <= $1)
                       and ($1::timestamptz is null
                            or (o.created_at, md5(o.contact_id::text || o.number_id::text)::uuid) < ($1, $2::uuid))
                       and ($4::text is null or contact_matches(o.workspace_id, o.contact_id, (select people_query($4, $5::text[]))))
                     order by o.created_at desc, key desc
                     limit $3)
                    union all
                   (select r.workspace_id, null, null, r.address, r.number_id, r.source, r.proof, r.created_at,
                           md5(r.address || r.number_id::text)::uuid as key
                      from remembered_opt_outs r
                     where ($1::timestamptz is null or r.created_at <= $1)
                       and ($1::timestamptz is null
                            or (r.created_at, md5(r.address || r.number_id::text)::uuid) < ($1, $2::uuid))
                       and ($4::text is null or scoped_tokens(array[''], address_tokens(r.address)) @@ scoped_query(array[''], people_terms($4, $5)))
                     order by r.created_at desc, key desc
                     limit $3)) o
             join numbers n on n.workspace_id = o.workspace_id and n.id = o.number_id
            order by o.created_at desc, o.key desc
            limit $3"#,
        after.map(|cursor| cursor.at),
        after.map(|cursor| cursor.id),
        limit,
        input.as_ref().map(|input| input.search_text.as_str()),
        &input.as_ref().map(SearchInput::terms).unwrap_or_default(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OptOutLift)]
pub struct Lift {
    /// As in the list.
    pub phone_number: String,
    /// Our number.
    pub number_id: NumberId,
    /// How the contact said so, as the proof: 1 to 200 characters.
    pub reason: String,
}

/// Lifts an opt-out that is stored by address: the address has a new owner, or the owner opted in. Where an opt-out
/// holds for all numbers, so does this.
pub async fn lift(tx: &mut WorkspaceTx, _: &Admin, lift: Lift) -> Result<()> {
    let reason = super::read_reason(&lift.reason)?;
    let phone_number = lift.phone_number.trim();
    let lifted = sqlx::query!(
        "delete from remembered_opt_outs r
          where r.address = $1
            and (r.number_id = $2 or (select w.opt_out_scope from workspaces w) = 'workspace')",
        phone_number,
        lift.number_id as _,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if lifted == 0 {
        return Err(Error::NotFound(t!("a remembered opt-out for this number")));
    }
    let audit_record = AuditRecord {
        subject: &phone::display(phone_number),
        after: Some(json!({"reason": reason, "lifted": lifted})),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::OptOutLifted, audit_record).await
}

/// All opt-outs as a table that [`import`](super::import) accepts.
pub async fn export(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<u8>> {
    audit::record(tx, AuditAction::OptOutsExported, AuditRecord::default()).await?;
    let head = ["phone_number", "number", "reason", "at", "source", "name"];
    let mut table = vec![head.map(str::to_owned)];
    for row in newest(tx, None, None, i64::MAX).await? {
        table.push([
            row.phone_number,
            row.number,
            row.proof,
            row.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            row.source.to_string(),
            row.contact_name.unwrap_or_default(),
        ]);
    }
    Ok([
        sheet::MARK,
        &sheet::lines(table.iter().map(<[String; 6]>::as_slice)),
    ]
    .concat())
}

//! Export of contacts, by rights and filters. It reads page by page, so memory use does not grow with the list.

use serde_json::{Value, json};

use super::bulk::Selection;
use super::fields::Field;
use super::list::{Filter, Listed, Sort, list, shown};
use crate::db::{Db, Load, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::error::Result;
use crate::ids::ContactId;
use crate::listing::Span;
use crate::sheet;

pub struct Export {
    db: Db,
    member: Member,
    filter: Filter,
    /// Only these, instead of the filter.
    selected: Option<Vec<ContactId>>,
    fields: Vec<Field>,
    cursor: Option<String>,
    is_done: bool,
    has_begun: bool,
}

const COLUMNS: [&str; 10] = [
    "name",
    "phone_number",
    "other_numbers",
    "email",
    "tags",
    "notes",
    "opted_out",
    "last_text_at",
    "added_at",
    "id",
];

/// Starts an export of chosen contacts and audits it. One that the member may not see refuses all.
pub async fn begin_selected(db: &Db, member: Member, selection: Selection) -> Result<Export> {
    let mut ids = match selection {
        Selection::All(filter) => return begin(db, member, filter).await,
        Selection::Ids(_) => {
            let mut tx = db.workspace(member.tenant()).await?;
            selection.resolve(&mut tx, &member).await?
        }
    };
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let count = ids.len();
    let export = Export {
        selected: Some(ids),
        ..prepare(db, member, Filter::default(), json!({"contacts": count})).await?
    };
    Ok(export)
}

/// Starts an export and audits it.
pub async fn begin(db: &Db, member: Member, filter: Filter) -> Result<Export> {
    // PostgreSQL text cannot contain NUL, and no name has one.
    let q = filter.q.as_ref().map(|q| q.replace('\0', ""));
    let filters = json!({"q": q, "tag": filter.tag, "opted_out": filter.opted_out});
    let filters = match filter.is_filtered() {
        true => filters,
        false => Value::Null,
    };
    prepare(db, member, filter, filters).await
}

async fn prepare(db: &Db, member: Member, filter: Filter, which: Value) -> Result<Export> {
    let mut tx = db.workspace(member.tenant()).await?;
    let fields = super::fields::list(&mut tx).await?;
    let audit_record = AuditRecord {
        subject: "contacts",
        after: Some(which).filter(|which| !which.is_null()),
        ..AuditRecord::default()
    };
    audit::record(&mut tx, AuditAction::ContactsExported, audit_record).await?;
    tx.commit().await?;
    Ok(Export {
        db: db.clone(),
        member,
        filter,
        selected: None,
        fields,
        cursor: None,
        is_done: false,
        has_begun: false,
    })
}

impl Export {
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_done {
            return Ok(None);
        }
        let mut rows = Vec::new();
        let mut lines = Vec::new();
        if !self.has_begun {
            self.has_begun = true;
            lines.extend(sheet::MARK);
            let own = self.fields.iter().map(|field| field.name.clone());
            rows.push(COLUMNS.map(str::to_owned).into_iter().chain(own).collect());
        }
        let mut tx = self
            .db
            .workspace_for(self.member.tenant(), Load::Export)
            .await?;
        rows.extend(self.page(&mut tx).await?);
        lines.extend(sheet::lines(
            rows.iter().map(|row: &Vec<String>| row.as_slice()),
        ));
        Ok(Some(lines))
    }

    async fn page(&mut self, tx: &mut WorkspaceTx) -> Result<Vec<Vec<String>>> {
        if let Some(selected) = &mut self.selected {
            let ids: Vec<_> = selected.drain(..selected.len().min(200)).collect();
            self.is_done = selected.is_empty();
            let found = shown(tx, &ids).await?;
            return Ok(found.iter().map(|row| self.line(row)).collect());
        }
        let span = Span {
            limit: Some(200),
            cursor: self.cursor.take(),
        };
        let found = list(tx, &self.member, &self.filter, Sort::Added, &span).await?;
        self.is_done = found.next_cursor.is_none();
        self.cursor = found.next_cursor;
        Ok(found.data.iter().map(|row| self.line(row)).collect())
    }

    fn line(&self, listed: &Listed) -> Vec<String> {
        let contact = &listed.contact;
        let tags: Vec<_> = contact.tags.iter().map(|tag| tag.name.as_str()).collect();
        let at = |at: chrono::DateTime<chrono::Utc>| {
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        let others = contact
            .other_numbers
            .iter()
            .map(|number| sheet::phone_text(number));
        let mut cells = vec![
            contact.name.clone().unwrap_or_default(),
            contact.phone_number.clone(),
            others.collect::<Vec<_>>().join(", "),
            contact.email.clone().unwrap_or_default(),
            tags.join("; "),
            contact.notes.clone(),
            if listed.opted_out { "yes" } else { "" }.to_owned(),
            listed
                .last_text
                .as_ref()
                .map_or_else(String::new, |last| at(last.at)),
            at(contact.created_at),
            contact.id.to_string(),
        ];
        cells.extend(
            self.fields
                .iter()
                .map(|field| contact.field(&field.key).to_owned()),
        );
        cells
    }
}

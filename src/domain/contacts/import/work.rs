//! Processes the rows of an import in batches, each in one transaction.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::types::Json;

use super::row::{Card, ColumnForm, ContactRow, MAX_NOTES_LENGTH, Plan};
use super::{Due, Duplicates, Import, State};
use crate::db::purpose::Jobs;
use crate::db::{Db, TenantContext, WorkspaceTx};
use crate::domain::contacts::{fields, tags};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ImportId, TagId, UserId, WorkspaceId};
use crate::phone;

const BATCH_SIZE: i64 = 500;
/// Longer than a batch can take.
const LEASE_SECONDS: f64 = 60.0;

/// Leases an import that has rows left. One round trip.
pub async fn due(db: &Db) -> Result<Option<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"with due as (
               select i.workspace_id, i.id from contact_imports i
                where i.state = 'running' and (i.lease_until is null or i.lease_until < now())
                order by i.lease_until nulls first
                limit 1
                  for update of i skip locked
           )
           update contact_imports i set lease_until = now() + make_interval(secs => $1)
             from due d
            where i.workspace_id = d.workspace_id and i.id = d.id
           returning i.workspace_id as "workspace: WorkspaceId", i.id as "id: ImportId", i.created_by as "by: UserId""#,
        LEASE_SECONDS,
    )
    .fetch_optional(db.system_pool(Jobs))
    .await?)
}

/// Imports the next batch; returns whether there is more to do. Ten round trips for 500 rows, and two for each new tag.
pub async fn run_batch(db: &Db, due: &Due) -> Result<bool> {
    let Some(user) = due.by else {
        return end_without_rights(db, due).await;
    };
    let mut tx = db
        .workspace(TenantContext {
            workspace: due.workspace,
            user,
            address: None,
        })
        .await?;
    let Some(import) = lock(&mut tx, due.id).await? else {
        return end_without_rights(db, due).await;
    };
    if import.state != State::Running {
        return Ok(false);
    }
    let rows = next_rows(&mut tx, due.id).await?;
    if rows.is_empty() {
        finish(&mut tx, due.id).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let row_outcomes = import_rows(&mut tx, &import, rows).await?;
    record_outcomes(&mut tx, due.id, row_outcomes).await?;
    tx.commit().await?;
    Ok(true)
}

/// The user who started it is no longer an admin here.
async fn end_without_rights(db: &Db, due: &Due) -> Result<bool> {
    sqlx::query!(
        "update contact_imports set state = 'failed', finished_at = now(),
                failure = 'Whoever began this import is no admin of this workspace any more. What was taken before stays.'
          where workspace_id = $1 and id = $2 and state = 'running'",
        due.workspace as _,
        due.id as _,
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(false)
}

async fn lock(tx: &mut WorkspaceTx, id: ImportId) -> Result<Option<Import>> {
    Ok(sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, left_out, problems as "problems: _", failure, created_by,
                  created_by_name, created_at, finished_at
             from contact_imports where id = $1 for update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

struct RawRow {
    line: i32,
    cells: Json<Vec<String>>,
}

async fn next_rows(tx: &mut WorkspaceTx, id: ImportId) -> Result<Vec<RawRow>> {
    Ok(sqlx::query_as!(
        RawRow,
        r#"select line, cells as "cells: _" from contact_import_rows
            where import_id = $1 and outcome is null order by line limit $2"#,
        id as _,
        BATCH_SIZE,
    )
    .fetch_all(tx.conn())
    .await?)
}

impl Card {
    fn updated_by(&self, row: &Self, rule: Duplicates) -> Self {
        match rule {
            Duplicates::Skip => self.clone(),
            Duplicates::Update => row.or_values_of(self),
            Duplicates::Fill => self.or_values_of(row),
        }
    }

    /// The values of `self`, and those of `other` where `self` has none.
    fn or_values_of(&self, other: &Self) -> Self {
        let mut values = other.values.clone();
        values.extend(self.values.clone());
        Self {
            name: self.name.clone().or_else(|| other.name.clone()),
            email: self.email.clone().or_else(|| other.email.clone()),
            notes: match self.notes.is_empty() {
                true => other.notes.clone(),
                false => self.notes.clone(),
            },
            values,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Added,
    Updated,
    Skipped,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
        }
    }
}

type RowOutcomes = Vec<(i32, &'static str, Option<String>)>;

/// A contact to write, merged from all rows with its number.
#[derive(Default)]
struct PendingContact {
    /// `None`: no contact has this number yet.
    id: Option<ContactId>,
    numbers: Vec<String>,
    before: Card,
    card: Card,
    tags: Vec<TagId>,
    lines: Vec<(i32, Outcome)>,
}

async fn import_rows(
    tx: &mut WorkspaceTx,
    import: &Import,
    rows: Vec<RawRow>,
) -> Result<RowOutcomes> {
    let fields = fields::list(tx).await?;
    let forms = forms(tx, import.id).await?;
    let plan = Plan::of(
        &import.mapping,
        &import.columns,
        &forms,
        &import.region,
        &fields,
    );
    let mut row_outcomes = RowOutcomes::new();
    let mut good = Vec::new();
    for raw in rows {
        // Skipped cells were counted before the import started.
        match plan.read(&raw.cells).0 {
            Ok(row) => good.push((raw.line, row)),
            Err(reason) => row_outcomes.push((raw.line, "refused", Some(reason.stored()))),
        }
    }
    let mut contacts_by_number = existing(tx, &good).await?;
    let tags_by_name = tags_by_name(tx, &good).await?;
    for (line, row) in &good {
        let contact = contacts_by_number
            .entry(row.phone.as_str().to_owned())
            .or_default();
        let is_new = contact.id.is_none() && contact.lines.is_empty();
        if !is_new && import.duplicates == Duplicates::Skip {
            contact.lines.push((*line, Outcome::Skipped));
            continue;
        }
        let mut card = match is_new {
            true => row.card.clone(),
            false => contact.card.updated_by(&row.card, import.duplicates),
        };
        note_numbers(&mut card, row, &contact.numbers);
        let mut tags = import.tag_ids.clone();
        tags.extend(
            row.tags
                .iter()
                .filter_map(|tag| tags_by_name.get(&tag.to_lowercase()).copied()),
        );
        tags.retain(|tag| !contact.tags.contains(tag));
        let outcome = match (is_new, card != contact.card || !tags.is_empty()) {
            (true, _) => Outcome::Added,
            (false, true) => Outcome::Updated,
            (false, false) => Outcome::Skipped,
        };
        contact.card = card;
        contact.tags.extend(tags);
        contact.lines.push((*line, outcome));
    }
    let written = write(tx, contacts_by_number).await?;
    row_outcomes.extend(
        written
            .into_iter()
            .map(|(line, outcome)| (line, outcome.as_str(), None)),
    );
    Ok(row_outcomes)
}

async fn forms(tx: &mut WorkspaceTx, id: ImportId) -> Result<Vec<ColumnForm>> {
    let forms = sqlx::query_scalar!(
        r#"select forms as "forms: Json<Vec<ColumnForm>>" from contact_imports where id = $1"#,
        id as _,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(forms.0)
}

/// A contact is texted at one number; further numbers of a row are added to the notes, once.
fn note_numbers(card: &mut Card, row: &ContactRow, existing: &[String]) {
    for (number, name) in &row.others {
        let written = phone::display(number.as_str());
        let is_there = card.notes.contains(&written)
            || card.notes.contains(number.as_str())
            || existing.iter().any(|existing| existing == number.as_str());
        let line = match name.is_empty() {
            true => written,
            false => format!("{name}: {written}"),
        };
        if is_there || card.notes.chars().count() + line.chars().count() >= MAX_NOTES_LENGTH {
            continue;
        }
        if !card.notes.is_empty() {
            card.notes.push('\n');
        }
        card.notes.push_str(&line);
    }
}

/// The contacts that have one of these numbers, by number. Locks them until the end of the transaction.
async fn existing(
    tx: &mut WorkspaceTx,
    rows: &[(i32, ContactRow)],
) -> Result<HashMap<String, PendingContact>> {
    let mut phones: Vec<_> = rows.iter().map(|(_, row)| row.phone.as_str()).collect();
    phones.sort_unstable();
    phones.dedup();
    let found = sqlx::query!(
        r#"select k.phone as "phone!", c.id, c.name, c.email, c.notes,
                  c.phone_number, addresses_of(c.workspace_id, c.id) as "addresses!",
                  c.custom_fields as "values: Json<BTreeMap<String, String>>",
                  array(select o.tag_id from contact_tags o where o.workspace_id = c.workspace_id and o.contact_id = c.id) as "tags!: Vec<TagId>"
             from (select t.phone, contact_at(t.phone) as id from unnest($1::text[]) as t (phone)) k
             join contacts c on c.id = k.id
            order by c.id
              for no key update of c"#,
        &phones as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found
        .into_iter()
        .map(|row| {
            let card = Card {
                name: row.name,
                email: row.email,
                notes: row.notes,
                values: row.values.0,
            };
            let contact = PendingContact {
                id: Some(row.id),
                numbers: [row.addresses, vec![row.phone_number]].concat(),
                before: card.clone(),
                card,
                tags: row.tags,
                lines: Vec::new(),
            };
            (row.phone, contact)
        })
        .collect())
}

/// The tags that the rows name, by lower-case name. Missing ones are created while the workspace's limit allows.
async fn tags_by_name(
    tx: &mut WorkspaceTx,
    rows: &[(i32, ContactRow)],
) -> Result<HashMap<String, TagId>> {
    let mut tags_by_name: HashMap<String, TagId> = HashMap::new();
    if rows.iter().all(|(_, row)| row.tags.is_empty()) {
        return Ok(tags_by_name);
    }
    for tag in tags::list(tx).await? {
        tags_by_name.insert(tag.name.to_lowercase(), tag.id);
    }
    for name in rows.iter().flat_map(|(_, row)| &row.tags) {
        if tags_by_name.contains_key(&name.to_lowercase()) {
            continue;
        }
        match tags::find_or_create(tx, name).await {
            Ok(tag) => {
                tags_by_name.insert(name.to_lowercase(), tag.id);
            }
            Err(Error::Invalid(_)) => {} // the workspace has too many tags: the contact is imported without it
            Err(error) => return Err(error),
        }
    }
    Ok(tags_by_name)
}

/// Writes the contacts and returns the outcome of each line. A row whose number another transaction inserted meanwhile
/// stays for the next batch.
async fn write(
    tx: &mut WorkspaceTx,
    contacts_by_number: HashMap<String, PendingContact>,
) -> Result<Vec<(i32, Outcome)>> {
    let mut contacts_by_number: Vec<_> = contacts_by_number.into_iter().collect();
    // Sorted by number, so that two imports at once cannot deadlock.
    contacts_by_number.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let new_contacts: Vec<_> = contacts_by_number
        .iter()
        .filter(|(_, p)| p.id.is_none())
        .collect();
    let ids: Vec<_> = new_contacts.iter().map(|_| ContactId::new()).collect();
    let added = sqlx::query!(
        r#"insert into contacts (id, phone_number, name, email, notes, custom_fields, created_by)
           select t.id, t.phone, t.name, t.email, t.notes, t.fields, current_user_id()
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
                  as t (id, phone, name, email, notes, fields)
               on conflict (workspace_id, phone_number) do nothing
           returning id, phone_number"#,
        &ids as _,
        &new_contacts
            .iter()
            .map(|(phone, _)| phone.as_str())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.name.as_deref())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.email.as_deref())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.notes.as_str())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| json!(p.card.values))
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    let added: HashMap<String, ContactId> = added
        .into_iter()
        .map(|row| (row.phone_number, row.id))
        .collect();
    for (phone, contact) in &mut contacts_by_number {
        contact.id = contact.id.or_else(|| added.get(phone).copied());
    }
    contacts_by_number.retain(|(_, contact)| contact.id.is_some());
    change(tx, &contacts_by_number, &added).await?;
    give_tags(tx, &contacts_by_number).await?;
    Ok(contacts_by_number
        .into_iter()
        .flat_map(|(_, contact)| contact.lines)
        .collect())
}

async fn change(
    tx: &mut WorkspaceTx,
    contacts_by_number: &[(String, PendingContact)],
    added: &HashMap<String, ContactId>,
) -> Result<()> {
    let changed: Vec<_> = contacts_by_number
        .iter()
        .filter(|(phone, contact)| !added.contains_key(phone) && contact.card != contact.before)
        .map(|(_, contact)| contact)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update contacts c
            set name = t.name, email = t.email, notes = t.notes, custom_fields = t.fields,
                updated_at = clock_timestamp(), updated_by = current_user_id()
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) as t (id, name, email, notes, fields)
          where c.id = t.id",
        &changed.iter().map(|p| p.id).collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.name.as_deref())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.email.as_deref())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.notes.as_str())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| json!(p.card.values))
            .collect::<Vec<_>>(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn give_tags(
    tx: &mut WorkspaceTx,
    contacts_by_number: &[(String, PendingContact)],
) -> Result<()> {
    let pairs: Vec<(Option<ContactId>, TagId)> = contacts_by_number
        .iter()
        .flat_map(|(_, contact)| contact.tags.iter().map(|tag| (contact.id, *tag)))
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    // A tag that was deleted meanwhile is not added.
    sqlx::query!(
        "insert into contact_tags (contact_id, tag_id)
         select t.contact, t.tag from unnest($1::uuid[], $2::uuid[]) as t (contact, tag)
          where exists (select from tags g where g.id = t.tag)
             on conflict do nothing",
        &pairs
            .iter()
            .map(|(contact, _)| *contact)
            .collect::<Vec<_>>() as _,
        &pairs.iter().map(|(_, tag)| *tag).collect::<Vec<_>>() as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn record_outcomes(
    tx: &mut WorkspaceTx,
    id: ImportId,
    row_outcomes: RowOutcomes,
) -> Result<()> {
    let (mut lines, mut outcomes, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (line, outcome, reason) in row_outcomes {
        lines.push(line);
        outcomes.push(outcome);
        reasons.push(reason);
    }
    sqlx::query!(
        "with told as (
             update contact_import_rows r set outcome = t.outcome, reason = t.reason
               from unnest($2::int[], $3::text[], $4::text[]) as t (line, outcome, reason)
              where r.import_id = $1 and r.line = t.line
             returning r.outcome
         )
         update contact_imports i
            set done = i.done + n.done, added = i.added + n.added, updated = i.updated + n.updated,
                skipped = i.skipped + n.skipped, refused = i.refused + n.refused,
                lease_until = now() + make_interval(secs => $5)
           from (select count(*)::int as done, (count(*) filter (where outcome = 'added'))::int as added,
                        (count(*) filter (where outcome = 'updated'))::int as updated,
                        (count(*) filter (where outcome = 'skipped'))::int as skipped,
                        (count(*) filter (where outcome = 'refused'))::int as refused
                   from told) n
          where i.id = $1",
        id as _,
        &lines,
        &outcomes as _,
        &reasons as _,
        LEASE_SECONDS,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes the imported rows; refused rows stay for a while, to be corrected.
async fn finish(tx: &mut WorkspaceTx, id: ImportId) -> Result<()> {
    sqlx::query!(
        "update contact_imports set state = 'done', finished_at = now(), lease_until = null where id = $1",
        id as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from contact_import_rows where import_id = $1 and outcome <> 'refused'",
        id as _,
    )
    .execute(tx.conn())
    .await?;
    // Clients refetch their lists: an event for each contact would be too many.
    tx.announce(Event::Missed {
        workspace: tx.workspace(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_rule_decides_what_is_updated() {
        let card = |name: Option<&str>, email: Option<&str>, notes: &str| Card {
            name: name.map(Into::into),
            email: email.map(Into::into),
            notes: notes.into(),
            values: BTreeMap::new(),
        };
        let (here, row) = (
            card(Some("Maya"), None, "Latex"),
            card(Some("M. Okafor"), Some("m@x.test"), ""),
        );
        assert_eq!(here.updated_by(&row, Duplicates::Skip), here);
        assert_eq!(
            here.updated_by(&row, Duplicates::Fill),
            card(Some("Maya"), Some("m@x.test"), "Latex")
        );
        assert_eq!(
            here.updated_by(&row, Duplicates::Update),
            card(Some("M. Okafor"), Some("m@x.test"), "Latex")
        );
    }

    #[test]
    fn further_numbers_are_noted_once() {
        let others = vec![
            ("+14155550110".parse().unwrap(), "Work".to_owned()),
            ("+14155550111".parse().unwrap(), String::new()),
        ];
        let row = ContactRow {
            phone: "+14155550142".parse().unwrap(),
            card: Card::default(),
            tags: Vec::new(),
            others,
        };
        let mut card = Card {
            notes: "Latex".into(),
            ..Card::default()
        };
        for _ in 0..2 {
            note_numbers(&mut card, &row, &["+14155550142".into()]);
        }
        assert_eq!(card.notes, "Latex\nWork: (415) 555-0110\n(415) 555-0111");
        let mut card = Card::default();
        note_numbers(
            &mut card,
            &row,
            &["+14155550110".into(), "+14155550111".into()],
        );
        assert_eq!(card.notes, "", "they are this contact's own");
    }
}

//! Imports rows: parses them, merges those of one contact, and writes the contacts.

use std::collections::HashMap;

use sqlx::types::Json;

use super::super::job::{Duplicates, Import};
use super::super::row::{ColumnForm, ContactRow, Plan};
use super::card::note_numbers;
use super::outcomes::RowOutcomes;
use super::pending::{Outcome, PendingContact, existing};
use super::write::write;
use crate::db::WorkspaceTx;
use crate::domain::contacts::{fields, tags};
use crate::error::{Error, Result};
use crate::ids::{ImportId, TagId};

const BATCH_SIZE: i64 = 500;

pub(super) struct RawRow {
    line: i32,
    cells: Json<Vec<String>>,
}

pub(super) async fn next_rows(tx: &mut WorkspaceTx, id: ImportId) -> Result<Vec<RawRow>> {
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

pub(super) async fn import_rows(
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
        let outcome = apply(contact, row, import, &tags_by_name);
        contact.lines.push((*line, outcome));
    }
    let written = write(tx, import.id, contacts_by_number).await?;
    row_outcomes.extend(
        written
            .into_iter()
            .map(|(line, outcome)| (line, outcome.as_str(), None)),
    );
    Ok(row_outcomes)
}

/// Merges a row into its contact.
fn apply(
    contact: &mut PendingContact,
    row: &ContactRow,
    import: &Import,
    tags_by_name: &HashMap<String, TagId>,
) -> Outcome {
    let is_new = contact.id.is_none() && contact.lines.is_empty();
    if !is_new && import.duplicates == Duplicates::Skip {
        return Outcome::Skipped;
    }
    let mut card = match is_new {
        true => row.card.clone(),
        false => contact.card.updated_by(&row.card, import.duplicates),
    };
    note_numbers(&mut card, row, &contact.numbers);
    let mut tags = import.tag_ids.clone();
    let named = row.tags.iter().map(|tag| tag.to_lowercase());
    tags.extend(named.filter_map(|tag| tags_by_name.get(&tag).copied()));
    tags.retain(|tag| !contact.tags.contains(tag));
    let outcome = match (is_new, card != contact.card || !tags.is_empty()) {
        (true, _) => Outcome::Added,
        (false, true) => Outcome::Updated,
        (false, false) => Outcome::Skipped,
    };
    contact.card = card;
    contact.new_tags.extend(tags.iter().copied());
    contact.tags.extend(tags);
    outcome
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

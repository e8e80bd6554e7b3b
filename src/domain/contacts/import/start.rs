//! Changes how a stored file will be imported, and starts the import.

use serde::Deserialize;
use serde_json::json;

use super::file::parse_encoding;
use super::flagged::count_rows;
use super::job::{Duplicates, Import, State, find};
use super::mapping::check_mapping;
use super::preview::{ImportPreview, preview_import};
use super::problems;
use super::store::{delimiter, keep_rows, total};
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::contacts::{fields, tags};
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::ImportId;
use crate::language::t;
use crate::phone::Region;

/// How to import the file.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactImportStart)]
pub struct Start {
    /// The target of each column, in order. If left out, the guess is used.
    pub mapping: Option<Vec<String>>,
    /// If left out, `fill`.
    pub duplicates: Option<Duplicates>,
    /// Two letters, such as US. If left out, the workspace's region.
    pub region: Option<String>,
    /// Names of tags for all contacts. Missing tags are created.
    #[serde(default)]
    pub tags: Vec<String>,
    /// An encoding such as `windows-1250` (any name of the Encoding standard), if the detected one is wrong.
    pub encoding: Option<String>,
}

pub async fn start(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    id: ImportId,
    start: Start,
) -> Result<Import> {
    let import = update_mapping(tx, admin, id, &start).await?;
    let fields = fields::list(tx).await?;
    check_mapping(&import.mapping, import.columns.len(), &fields)?;
    let mut tag_ids = Vec::new();
    for name in start.tags.iter().filter(|name| !name.trim().is_empty()) {
        let tag = tags::find_or_create(tx, name)
            .await
            .map_err(|error| match error {
                Error::Invalid(wrong) => Error::field("tags", wrong[0].message.clone()),
                error => error,
            })?;
        tag_ids.push(tag.id);
    }
    sqlx::query!(
        "update contact_imports
            set state = 'running', file = null, tag_ids = $2, created_by = current_user_id(), created_by_name = $3
          where id = $1 and state = 'mapping'",
        id as _,
        &tag_ids as _,
        admin.name,
    )
    .execute(tx.conn())
    .await?;
    let audit_record = AuditRecord {
        subject: &import.file_name,
        subject_id: Some(id.0),
        after: Some(json!({"rows": import.total})),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::ContactsImported, audit_record).await?;
    find(tx, admin, id).await
}

/// Applies `wanted` to an import that has not started, checks the rows again and stores the result.
pub async fn update_mapping(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    id: ImportId,
    wanted: &Start,
) -> Result<Import> {
    let import = find(tx, admin, id).await?;
    if import.state != State::Mapping {
        return Err(Error::TooLate);
    }
    let region = match wanted.region.as_deref() {
        None | Some("") => import.region.clone(),
        Some(region) => region.to_owned(),
    };
    region
        .parse::<Region>()
        .map_err(|_| Error::field("region", t!("Use a two-letter country code such as US")))?;
    let encoding = parse_encoding(wanted.encoding.as_deref())?
        .map_or(import.encoding.clone(), |encoding| {
            encoding.name().to_owned()
        });
    let duplicates = wanted.duplicates.unwrap_or(import.duplicates);
    let mapping = wanted.mapping.as_ref().unwrap_or(&import.mapping);
    if encoding == import.encoding && region == import.region && *mapping == import.mapping {
        sqlx::query!(
            "update contact_imports set duplicates = $2 where id = $1",
            id as _,
            duplicates as _
        )
        .execute(tx.conn())
        .await?;
        return Ok(Import {
            duplicates,
            ..import
        });
    }
    let wanted = Wanted {
        mapping: wanted.mapping.clone(),
        encoding,
        region,
        duplicates,
    };
    preview_again(tx, &import, wanted).await?;
    find(tx, admin, id).await
}

/// How the file will be read.
struct Wanted {
    mapping: Option<Vec<String>>,
    encoding: String,
    region: String,
    duplicates: Duplicates,
}

/// Reads the stored file again, and stores what was found.
async fn preview_again(tx: &mut WorkspaceTx, import: &Import, wanted: Wanted) -> Result<()> {
    let id = import.id;
    let file = sqlx::query_scalar!(
        r#"select file as "file!" from contact_imports where id = $1 and file is not null for update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::TooLate)?;
    let is_same_text = wanted.encoding == import.encoding;
    // In another encoding the columns have other names.
    let mapping = match wanted.mapping {
        None if is_same_text => Some(import.mapping.clone()),
        Some(mapping) if is_same_text || mapping != import.mapping => Some(mapping),
        _ => None,
    };
    let mapping = mapping.filter(|mapping| is_same_text || mapping.len() == import.columns.len());
    let fields = fields::list(tx).await?;
    let ImportPreview {
        sheet,
        mapping,
        checked,
    } = preview_import(
        file,
        parse_encoding(Some(&wanted.encoding))?,
        wanted.region.clone(),
        fields,
        mapping,
    )
    .await?;
    if !is_same_text {
        sqlx::query!(
            "delete from contact_import_rows where import_id = $1",
            id as _
        )
        .execute(tx.conn())
        .await?;
        keep_rows(tx, id, &sheet).await?;
    }
    let counts = count_rows(tx, &checked.rows).await?;
    sqlx::query!(
        "update contact_imports
            set encoding = $2, delimiter = $3, columns = $4, mapping = $5, region = $6, duplicates = $7, total = $8,
                forms = $9, problems = $10, left_out = $11, new_rows = $12, duplicate_rows = $13, invalid_rows = $14,
                flagged = $15
          where id = $1",
        id as _,
        sheet.encoding,
        delimiter(&sheet),
        &sheet.columns,
        &mapping,
        wanted.region,
        wanted.duplicates as _,
        total(&sheet),
        json!(checked.forms),
        problems::stored(&checked.problems),
        checked.left_out,
        counts.new_rows,
        counts.duplicate_rows,
        counts.invalid_rows,
        counts.stored(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

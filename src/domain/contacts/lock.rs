//! Locks for the verbs that take a contact away: merge and removal.

use crate::db::SystemTx;
use crate::db::purpose::Contacts;
use crate::error::Result;
use crate::ids::{ContactId, WorkspaceId};

/// Attempts of a verb that takes these locks: it may deadlock with an inbound text.
pub(super) const MAX_ATTEMPTS: usize = 4;

/// Locks contacts and all their conversations until the end of the transaction. Returns whether all the contacts exist
/// and are not merged.
///
/// Conversations are locked before contacts, as everywhere. The second pass locks conversations that were created while
/// this transaction waited for the contacts; from then on new ones wait.
pub(super) async fn with_conversations(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<bool> {
    conversations(tx, workspace, contacts).await?;
    let locked = sqlx::query_scalar!(
        r#"select merged_into is null as "is_unmerged!"
             from contacts
            where workspace_id = $1 and id = any ($2)
            order by id
              for no key update"#,
        workspace as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?;
    conversations(tx, workspace, contacts).await?;
    Ok(locked.len() == contacts.len() && !locked.contains(&false))
}

async fn conversations(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<()> {
    sqlx::query!(
        "select id from conversations where workspace_id = $1 and contact_id = any ($2) order by id for update",
        workspace as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

//! Export of chosen conversations.

use serde_json::json;

use super::conversation::Conversation;
use super::find::find_many;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use crate::language::t;

/// All of them, or nothing if the member does not see one. Audited, because the data leaves the server.
pub async fn export(tx: &mut WorkspaceTx, ids: &[ConversationId]) -> Result<Vec<Conversation>> {
    let found = find_many(tx, ids).await?;
    if found.len() < ids.len() {
        return Err(Error::NotFound(t!("the conversation")));
    }
    let audit_record = AuditRecord {
        subject: "conversations",
        after: Some(json!({"conversations": found.len()})),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::ConversationsExported, audit_record).await?;
    Ok(found)
}

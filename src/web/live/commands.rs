//! Client commands and their answers.

use std::sync::Arc;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::presence::View;
use super::{Hub, wire};
use crate::db::Db;
use crate::domain::conversations;
use crate::domain::members::{self, WorkspaceRef};
use crate::domain::messages::send::{self, Draft, QueuedMessage};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MediaId, WorkspaceId};
use crate::language::t;
use crate::web::json::objects;
use crate::web::problem::Problem;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Command {
    /// Browsers hide protocol pings from scripts; with this command a page detects a dead connection.
    Ping,
    JoinWorkspace {
        workspace_id: WorkspaceId,
    },
    LeaveWorkspace {
        workspace_id: WorkspaceId,
    },
    SendMessage {
        workspace_id: WorkspaceId,
        conversation_id: Option<ConversationId>,
        contact_id: Option<ContactId>,
        #[serde(default)]
        content: String,
        #[serde(default)]
        media_ids: Vec<MediaId>,
        client_ref: String,
    },
    MarkRead {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
    },
    Typing {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
    },
    /// The conversation open in this window, repeated every 30 seconds; `null` for none.
    Viewing {
        workspace_id: WorkspaceId,
        #[serde(default)]
        conversation_id: Option<ConversationId>,
    },
    /// Whether the window has the user's attention; `true` is repeated every 30 seconds.
    Watching {
        watching: bool,
    },
}

impl Command {
    /// Not counted against the rate limit.
    fn is_free(&self) -> bool {
        matches!(self, Self::Ping)
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer<'a> {
    Pong,
    WorkspaceJoined {
        workspace_id: WorkspaceId,
    },
    WorkspaceLeft {
        workspace_id: WorkspaceId,
    },
    MessageSent {
        client_ref: &'a str,
        #[serde(flatten)]
        sent: &'a QueuedMessage,
    },
    MessageError {
        client_ref: &'a str,
        error: Refusal<'a>,
    },
    Error {
        code: &'a str,
        detail: &'a str,
    },
}

#[derive(Serialize)]
struct Refusal<'a> {
    code: &'a str,
    detail: &'a str,
}

fn encode(answer: &Answer<'_>) -> Bytes {
    wire::json(answer)
}

pub fn error(code: &str, detail: &str) -> Bytes {
    encode(&Answer::Error { code, detail })
}

/// Executes a command. Returns its answer, if it has one.
pub async fn answer(hub: &Hub, connection: &Arc<Connection>, text: &str) -> Option<Bytes> {
    let command: Result<Command, _> = objects::from_slice(text.as_bytes());
    if !command.as_ref().is_ok_and(Command::is_free) && !connection.may_ask() {
        return Some(too_many(command.ok()));
    }
    let command = match command {
        Ok(command) => command,
        Err(wrong) => return Some(error("malformed", &wrong.to_string())),
    };
    match execute_command(hub, connection, command).await {
        Ok(answer) => answer,
        Err(refusal) => {
            let problem = Problem::from(refusal);
            Some(error(problem.code, &problem.detail.english()))
        }
    }
}

fn too_many(command: Option<Command>) -> Bytes {
    const CODE: &str = "rate_limited";
    const DETAIL: &str = "Too many commands at once. Wait a second, then send them more slowly.";
    match command {
        Some(Command::SendMessage { client_ref, .. }) => encode(&Answer::MessageError {
            client_ref: &client_ref,
            error: Refusal {
                code: CODE,
                detail: DETAIL,
            },
        }),
        _ => error(CODE, DETAIL),
    }
}

async fn execute_command(
    hub: &Hub,
    connection: &Arc<Connection>,
    command: Command,
) -> Result<Option<Bytes>> {
    let db = &hub.db;
    match command {
        Command::Ping => Ok(Some(encode(&Answer::Pong))),
        Command::JoinWorkspace { workspace_id } => {
            if !hub.join(connection, workspace_id).await? {
                return Err(Error::NotAMember);
            }
            hub.presence.send_present(connection, workspace_id);
            Ok(Some(encode(&Answer::WorkspaceJoined { workspace_id })))
        }
        Command::LeaveWorkspace { workspace_id } => {
            hub.leave(connection, workspace_id);
            Ok(Some(encode(&Answer::WorkspaceLeft { workspace_id })))
        }
        Command::SendMessage {
            workspace_id,
            conversation_id,
            contact_id,
            content,
            media_ids,
            client_ref,
        } => {
            let draft = Draft {
                conversation_id,
                contact_id,
                content,
                media_ids,
                ..Draft::default()
            };
            let sent = send(db, connection, workspace_id, draft, &client_ref).await;
            Ok(Some(sent_or_not(&client_ref, sent)))
        }
        Command::MarkRead {
            workspace_id,
            conversation_id,
        } => {
            let member =
                members::admit(db, connection.session, WorkspaceRef::Id(workspace_id)).await?;
            let mut tx = db.workspace(member.tenant()).await?;
            conversations::mark_read(&mut tx, conversation_id).await?;
            tx.commit().await?;
            Ok(None)
        }
        Command::Typing {
            workspace_id,
            conversation_id,
        } => {
            let member =
                members::admit(db, connection.session, WorkspaceRef::Id(workspace_id)).await?;
            let mut tx = db.workspace(member.tenant()).await?;
            let conversation = conversations::find(&mut tx, conversation_id).await?;
            tx.announce(Event::Typing {
                workspace: workspace_id,
                conversation: conversation_id,
                number: conversation.number_id,
                user: connection.user,
            });
            tx.commit().await?;
            Ok(None)
        }
        Command::Viewing {
            workspace_id,
            conversation_id,
        } => {
            set_view(hub, connection, workspace_id, conversation_id).await?;
            Ok(None)
        }
        Command::Watching { watching } => {
            connection.set_focus(watching);
            Ok(None)
        }
    }
}

/// A connection can view only conversations of a joined workspace that it may see. A repeated view costs no query.
async fn set_view(
    hub: &Hub,
    connection: &Arc<Connection>,
    workspace: WorkspaceId,
    conversation: Option<ConversationId>,
) -> Result<()> {
    let presence = &hub.presence;
    let Some(conversation) = conversation else {
        presence.clear_view(connection);
        return Ok(());
    };
    if presence.is_still_viewing(connection, workspace, conversation) {
        return Ok(());
    }
    let member = members::admit(&hub.db, connection.session, WorkspaceRef::Id(workspace)).await?;
    let mut tx = hub.db.workspace(member.tenant()).await?;
    let number = conversations::find(&mut tx, conversation).await?.number_id;
    let view = View {
        workspace,
        conversation,
        number,
    };
    if !connection.joined().contains(&workspace) {
        return Err(Error::field(
            "workspace_id",
            t!("Join this workspace first"),
        ));
    }
    presence.set_view(connection, view);
    // Access may have been revoked during the queries.
    presence.check_view(connection);
    Ok(())
}

/// `client_ref` is the idempotency key.
async fn send(
    db: &Db,
    connection: &Connection,
    workspace: WorkspaceId,
    draft: Draft,
    client_ref: &str,
) -> Result<QueuedMessage> {
    let member = members::admit(db, connection.session, WorkspaceRef::Id(workspace)).await?;
    let mut tx = db.workspace(member.tenant()).await?;
    let sent = send::send(&mut tx, &member, draft, Some(client_ref)).await?;
    tx.commit().await?;
    Ok(sent)
}

fn sent_or_not(client_ref: &str, sent: Result<QueuedMessage>) -> Bytes {
    match sent {
        Ok(sent) => encode(&Answer::MessageSent {
            client_ref,
            sent: &sent,
        }),
        Err(refusal) => {
            let problem = Problem::from(refusal);
            encode(&Answer::MessageError {
                client_ref,
                error: Refusal {
                    code: problem.code,
                    detail: &problem.detail.english(),
                },
            })
        }
    }
}

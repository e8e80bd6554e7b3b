//! Tells browsers of texts while nobody has the inbox open.
//!
//! Only the server on which a text came in hears of it, so each browser is told once; what a crash swallows stands in the inbox.

use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::app::App;
use crate::domain::pushes::{self, Due};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{MessageId, WorkspaceId};
use crate::push::Outcome;
use crate::web::live::Hub;

/// Pushes under way at once. Beyond that the newest wait for the others.
const AT_ONCE: usize = 64;
/// Waits before the second, third and fourth try, unless the service says how long.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
/// Who must wait longer than this hears of nothing new.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// As long as the server runs.
pub async fn run(app: App, hub: Hub) {
    let mut events = app.db.bus().listen();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        match events.recv().await {
            Ok(Event::MessageAdded {
                workspace, message, ..
            }) => match away(&app, &hub, workspace, message).await {
                Ok(due) => due.into_iter().for_each(|due| {
                    under_way.spawn(tell(app.clone(), due, message));
                }),
                Err(error) => tracing::warn!(%error, "somebody should have been told of a text"),
            },
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whoever has the inbox open is told there.
async fn away(
    app: &App,
    hub: &Hub,
    workspace: WorkspaceId,
    message: MessageId,
) -> Result<Vec<Due>> {
    let mut due = pushes::due(&app.db, workspace, message).await?;
    due.retain(|due| hub.of(workspace, due.user).is_empty());
    Ok(due)
}

async fn tell(app: App, due: Due, message: MessageId) {
    let topic = due.conversation.0.simple().to_string();
    let payload = payload(&due).to_string();
    let mut pauses = PAUSES.into_iter();
    loop {
        let outcome = app
            .push
            .push(&due.address, &topic, payload.as_bytes())
            .await;
        let told = match outcome {
            Outcome::Taken => pushes::used(&app.db, &due).await,
            Outcome::Gone => pushes::forget(&app.db, &due).await,
            Outcome::Refused => {
                tracing::warn!(push.id = %due.id, "a push service refused what we sent");
                Ok(())
            }
            Outcome::Busy(wait) => {
                let Some(pause) = pauses.next() else { return };
                tokio::time::sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                // Meanwhile they may have signed out, or lost the number.
                match pushes::due(&app.db, due.workspace, message).await {
                    Ok(still) if still.iter().any(|other| other.id == due.id) => continue,
                    other => other.map(drop),
                }
            }
        };
        if let Err(error) = told {
            tracing::warn!(%error, "what became of a push is not written down");
        }
        return;
    }
}

/// What the service worker shows. Without a preview nothing of the text, nor who wrote it.
fn payload(due: &Due) -> serde_json::Value {
    let (title, body) = match &due.preview {
        Some((title, body)) => (title.as_str(), body.as_str()),
        None => ("New text", due.workspace_name.as_str()),
    };
    json!({
        "title": title,
        "body": body,
        "tag": due.conversation,
        "url": format!("/w/{}/inbox/{}", due.slug, due.conversation),
    })
}

//! Tells an agent by mail that their credits run low.
//!
//! Only the server that took the credit hears of it, so each agent is told once.

use tokio::sync::broadcast::error::RecvError;

use crate::app::App;
use crate::domain::credits;
use crate::events::Event;
use crate::mail::Mail;

/// As long as the server runs.
pub async fn run(app: App) {
    let mut events = app.db.bus().listen();
    loop {
        match events.recv().await {
            Ok(Event::CreditsChanged {
                workspace,
                user,
                low: true,
            }) => match credits::who_to_tell(&app.db, workspace, user).await {
                Ok(Some(agent)) => app.mail.send(letter(&app, &agent)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, user.id = %user, "nobody could be told of low credits");
                }
            },
            Ok(_) => {}
            // The balance stands on the page all the same.
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn letter(app: &App, agent: &credits::Low) -> Mail {
    let settings = app.config.public(&format!("/w/{}/settings", agent.slug));
    Mail {
        to: agent.email.clone(),
        subject: format!("Your credits in {} run low", agent.workspace_name),
        text: format!(
            "Hello {},\n\nyou have {} credits left in {}: each text that you send takes one. \
             An admin of the workspace can top them up.\n\nNot to get this mail: {settings}\n",
            agent.name, agent.left, agent.workspace_name
        ),
    }
}

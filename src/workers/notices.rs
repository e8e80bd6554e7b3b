//! Mails about what happened while nobody looked: credits that run low, a provider that takes no more texts.
//!
//! Only the server on which it happened hears of it, so everybody is told once.

use tokio::sync::broadcast::error::RecvError;

use crate::app::App;
use crate::domain::credits::{self, Low};
use crate::domain::integrations::{self, Failed};
use crate::error::Result;
use crate::events::Event;
use crate::mail::Mail;

/// As long as the server runs.
pub async fn run(app: App) {
    let mut events = app.db.bus().listen();
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Err(error) = tell(&app, event).await {
                    tracing::warn!(%error, "somebody should have been told by mail");
                }
            }
            // It stands on the page all the same.
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn tell(app: &App, event: Event) -> Result<()> {
    match event {
        Event::CreditsChanged {
            workspace,
            user,
            low: true,
        } => {
            if let Some(agent) = credits::who_to_tell(&app.db, workspace, user).await? {
                app.mail.send(credits_run_low(app, &agent));
            }
        }
        Event::IntegrationFailed {
            workspace,
            integration,
        } => {
            if let Some(failed) = integrations::who_to_tell(&app.db, workspace, integration).await?
            {
                for email in &failed.emails {
                    app.mail.send(texts_wait(app, &failed, email));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn credits_run_low(app: &App, agent: &Low) -> Mail {
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

fn texts_wait(app: &App, failed: &Failed, to: &str) -> Mail {
    let page = app
        .config
        .public(&format!("/w/{}/admin/integrations", failed.slug));
    Mail {
        to: to.into(),
        subject: format!(
            "Texts of {} wait: {} needs attention",
            failed.workspace_name, failed.name
        ),
        text: format!(
            "Hello,\n\n{} does not take our texts any more: {}\n\nNothing is lost: they wait until it does. \
             Mend it and press “Check now” here:\n\n{page}\n",
            failed.name, failed.reason
        ),
    }
}

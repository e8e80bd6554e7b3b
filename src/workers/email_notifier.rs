//! Emails about events that need attention: low credits, a provider that rejects an integration.
//!
//! Only the server on which the event happened receives it, so each email is sent once.

use tokio::sync::broadcast::error::RecvError;

use crate::app::App;
use crate::domain::credits::{self, LowBalance};
use crate::domain::integrations::{self, Failed};
use crate::error::Result;
use crate::events::Event;
use crate::language::{Language, Message, in_language, t, t_plural};
use crate::mail::Mail;

pub async fn run(app: App) {
    let mut events = app.db.bus().listen_to_others();
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Err(error) = send_mail(&app, event).await {
                    tracing::warn!(%error, "an email notification failed");
                }
            }
            // The pages still show the state.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "event receiver lagged: events were skipped")
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn send_mail(app: &App, event: Event) -> Result<()> {
    match event {
        Event::CreditsChanged {
            workspace,
            user,
            low: true,
        } => {
            if let Some(agent) = credits::low_balance_recipient(&app.db, workspace, user).await? {
                let language = agent.language.unwrap_or_default();
                app.mail
                    .send(in_language(language, || low_credits(app, &agent)));
            }
        }
        Event::IntegrationFailed {
            workspace,
            integration,
        } => {
            if let Some(failed) =
                integrations::failure_recipients(&app.db, workspace, integration).await?
            {
                for (email, language) in failed.emails.iter().zip(&failed.languages) {
                    let language = Language::of_tag(language).unwrap_or_default();
                    app.mail.send(in_language(language, || {
                        integration_failed(app, &failed, email)
                    }));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn low_credits(app: &App, agent: &LowBalance) -> Mail {
    let settings = app.config.public(&format!("/w/{}/settings", agent.slug));
    let text = t_plural!(
        agent.left,
        "Hi {name},\n\n\
         You have {n} credit left in {workspace}. Each text you send uses one. Ask an admin of \
         the workspace to add more.\n\n\
         Turn off these emails: {settings}\n",
        "Hi {name},\n\n\
         You have {n} credits left in {workspace}. Each text you send uses one. Ask an admin of \
         the workspace to add more.\n\n\
         Turn off these emails: {settings}\n",
        name = &agent.name,
        workspace = &agent.workspace_name,
        settings = settings,
    );
    let subject = t!(
        "You’re running low on credits in {workspace}",
        workspace = &agent.workspace_name,
    );
    Mail {
        to: agent.email.clone(),
        subject: subject.translated(),
        text: text.translated(),
    }
}

fn integration_failed(app: &App, failed: &Failed, to: &str) -> Mail {
    let page = app
        .config
        .public(&format!("/w/{}/admin/integrations", failed.slug));
    let text = t!(
        "Hi,\n\n\
         {integration} no longer accepts our texts: {reason}\n\n\
         Nothing is lost: they’ll be sent once the problem is fixed. Fix it, then click “Check \
         now” here:\n\n\
         {page}\n",
        integration = &failed.name,
        reason = Message::from_stored(&failed.reason),
        page = page,
    );
    let subject = t!(
        "Texts from {workspace} are waiting: {integration} needs attention",
        workspace = &failed.workspace_name,
        integration = &failed.name,
    );
    Mail {
        to: to.into(),
        subject: subject.translated(),
        text: text.translated(),
    }
}

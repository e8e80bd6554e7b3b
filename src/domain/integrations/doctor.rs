//! Diagnoses a number: asks its provider, counts its recent texts, and says how to fix each finding.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::webhook_setup::{WebhookSetup, set_up_webhook};
use super::{Account, Directory, Health, Purpose, account, find, webhook_urls};
use crate::app::App;
use crate::clock;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number, WebhookState};
use crate::domain::string_enum;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::NumberId;
use crate::language::{Message, t};
use crate::providers::{self, RemoteNumber, Route, WebhookOverride};

string_enum!(
    #[schema(as = FindingState)]
State {
        Good = "good",
        /// It works, but should be looked at.
        Attention = "attention",
        Broken = "broken",
    }
);

string_enum!(
    Subject {
        /// Whether the account accepts our texts.
        Account = "account",
        /// Whether the account has the number.
        Number = "number",
        /// Whether inbound texts are delivered to us.
        Webhook = "webhook",
        /// What receives them before us.
        Override = "override",
        /// Where they go if we do not answer.
        Fallback = "fallback",
        /// The messaging service or profile that the number is in.
        Membership = "membership",
        Inbound = "inbound",
        Outbound = "outbound",
        /// Whether the provider reports the status of sent texts.
        Callbacks = "callbacks",
        /// How many texts failed in the last seven days.
        Errors = "errors",
    }
);

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Finding {
    pub subject: Subject,
    pub state: State,
    /// What was found, and how to fix it.
    #[schema(value_type = String)]
    pub sentence: Message,
    /// When it was last observed.
    pub at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Diagnosis {
    pub number: Number,
    /// The worst state of all findings.
    pub state: State,
    pub findings: Vec<Finding>,
}

/// A few round trips to the database and a few calls to the provider. Changes nothing.
pub async fn examine(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: NumberId,
) -> Result<Diagnosis> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, id).await?;
    let traffic = load_traffic(&mut tx, id).await?;
    let remote_id = provider_number_id(&mut tx, id).await?;
    let mut findings = Vec::new();
    if number.gone_at.is_some() {
        findings.push(finding(
            Subject::Number,
            State::Broken,
            t!("The account no longer has this number. Its conversations are kept. If it’s back, sync."),
        ));
    } else {
        let integration = find(&mut tx, &app.config, number.integration_id).await?;
        drop(tx);
        let is_well = integration.status == Health::Healthy && integration.is_active;
        findings.push(match (integration.is_active, integration.status_reason) {
            _ if is_well => finding(
                Subject::Account,
                State::Good,
                t!("The provider accepts texts from MessageHub."),
            ),
            (true, reason) => finding(
                Subject::Account,
                State::Broken,
                t!(
                    "{reason} Fix this, then click “Check now” under Integrations.",
                    reason = reason.unwrap_or_else(|| Message::verbatim("")),
                ),
            ),
            (false, _) => finding(
                Subject::Account,
                State::Broken,
                t!("The integration is turned off. Turn it on under Integrations."),
            ),
        });
        if integration.is_active {
            let account = account(app, admin, directory, number.integration_id).await?;
            let answer = route(app, admin, &account, &remote_id).await;
            findings.extend(route_findings(answer, &number));
        }
    }
    findings.extend(traffic.findings(&number));
    let worst = [State::Broken, State::Attention]
        .into_iter()
        .find(|state| findings.iter().any(|finding| finding.state == *state));
    Ok(Diagnosis {
        number,
        state: worst.unwrap_or(State::Good),
        findings,
    })
}

async fn route(
    app: &App,
    admin: &Admin,
    account: &Account,
    remote_id: &str,
) -> providers::Result<Option<Route>> {
    let provider = account.used_by(admin.user(), Purpose::Numbers);
    let urls = webhook_urls(&app.config, provider.kind(), account.integration);
    provider.route(remote_id, &urls).await
}

async fn provider_number_id(tx: &mut WorkspaceTx, id: NumberId) -> Result<String> {
    Ok(sqlx::query_scalar!(
        "select provider_number_id from numbers where id = $1",
        id as _
    )
    .fetch_one(tx.conn())
    .await?)
}

fn finding(subject: Subject, state: State, sentence: Message) -> Finding {
    Finding {
        subject,
        state,
        sentence,
        at: None,
    }
}

/// The provider's settings for inbound texts.
fn route_findings(answer: providers::Result<Option<Route>>, number: &Number) -> Vec<Finding> {
    let route = match answer {
        Ok(Some(route)) => route,
        Ok(None) if number.status == numbers::Status::Pending => {
            let waits =
                t!("The provider is still setting up this number. Sync again in a few minutes.");
            return vec![finding(Subject::Number, State::Attention, waits)];
        }
        Ok(None) => {
            let gone =
                t!("The account no longer has this number. Sync, so that no one sends from it.");
            return vec![finding(Subject::Number, State::Broken, gone)];
        }
        Err(error) => {
            let unknown = t!(
                "We couldn’t check where incoming texts are sent: {error}",
                error = error.message(),
            );
            return vec![finding(Subject::Webhook, State::Attention, unknown)];
        }
    };
    let webhook = match (&route.inbound, &route.overridden_by) {
        // The number's own setting may be ours, but it has no effect.
        (_, Some(by)) => finding(
            Subject::Override,
            State::Broken,
            t!(
                "Another app receives these texts first: {by}. Change that in the provider’s console, then click “Set webhook”.",
                by = by,
            ),
        ),
        _ if route.is_ours => finding(
            Subject::Webhook,
            State::Good,
            t!("Incoming texts are sent to MessageHub."),
        ),
        (Some(url), None) => finding(
            Subject::Webhook,
            State::Broken,
            t!(
                "Incoming texts are sent to {url}. Click “Set webhook” to receive them here.",
                url = url
            ),
        ),
        (None, None) => finding(
            Subject::Webhook,
            State::Broken,
            t!("Incoming texts aren’t sent anywhere. Click “Set webhook” to receive them here."),
        ),
    };
    let mut findings = vec![webhook];
    if route.overridden_by.is_none() {
        findings.push(finding(
            Subject::Override,
            State::Good,
            t!("No other app receives these texts first."),
        ));
    }
    findings.push(match route.fallback {
        Some(url) => finding(
            Subject::Fallback,
            State::Attention,
            t!(
                "When this server doesn’t respond, texts are sent to {url}, where someone may answer \
                 them. If that isn’t intended, remove the fallback in the provider’s console.",
                url = url,
            ),
        ),
        None => finding(
            Subject::Fallback,
            State::Good,
            t!("No fallback is set. If this server is down, missed texts are fetched when it’s back."),
        ),
    });
    findings.push(match route.member_of {
        Some(of) if route.overridden_by.is_some() => finding(
            Subject::Membership,
            State::Attention,
            t!("It’s part of {of}.", of = of),
        ),
        Some(of) => finding(
            Subject::Membership,
            State::Good,
            t!("It’s part of {of}, which forwards its texts here.", of = of),
        ),
        None => finding(
            Subject::Membership,
            State::Good,
            t!("It isn’t part of a messaging service."),
        ),
    });
    findings
}

/// Whether a text came to the number after `since`. `last_inbound_at` is only kept to the minute.
pub async fn has_received_since(
    tx: &mut WorkspaceTx,
    id: NumberId,
    since: DateTime<Utc>,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from messages
                           where workspace_id = current_workspace() and id >= $2 and number_id = $1
                             and direction = 'inbound') as "has!""#,
        id as _,
        first_id(since),
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The smallest id from `at` on: ids sort by time.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let at = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(u128::from(at) << 80)
}

/// The texts of a number in the last seven days.
struct Traffic {
    sent_at: Option<DateTime<Utc>>,
    reported_at: Option<DateTime<Utc>>,
    /// Accepted by the provider more than 10 minutes ago.
    taken: i64,
    failed: i64,
    reason: Option<String>,
}

const TRAFFIC_PERIOD: TimeDelta = TimeDelta::days(7);

async fn load_traffic(tx: &mut WorkspaceTx, id: NumberId) -> Result<Traffic> {
    Ok(sqlx::query_as!(
        Traffic,
        r#"with recent as (
               select * from messages
                where workspace_id = current_workspace() and id >= $2 and number_id = $1 and direction = 'outbound'
           )
           select max(updated_at) filter (where status in ('sent', 'delivered', 'undelivered')) as sent_at,
                  max(updated_at) filter (where status in ('delivered', 'undelivered')) as reported_at,
                  count(*) filter (where status in ('sent', 'delivered', 'undelivered')
                                     and created_at < now() - interval '10 minutes') as "taken!",
                  count(*) filter (where status in ('failed', 'undelivered')) as "failed!",
                  (select r.error_message from recent r
                    where r.status in ('failed', 'undelivered') and r.error_message is not null
                    group by 1 order by count(*) desc, 1 limit 1) as reason
             from recent"#,
        id as _,
        first_id(clock::now() - TRAFFIC_PERIOD),
    )
    .fetch_one(tx.conn())
    .await?)
}

impl Traffic {
    fn findings(self, number: &Number) -> [Finding; 4] {
        let inbound = match (number.missing_texts_since(), number.last_inbound_at) {
            (Some(at), _) => Finding {
                state: State::Attention,
                ..dated(
                    t!(
                        "The last text didn’t arrive by webhook. It was found in the provider’s list. If this \
                     server was running at that time, the webhook isn’t working. Text the number to check."
                    ),
                    at,
                    Subject::Inbound,
                )
            },
            (None, Some(at)) => dated(t!("Last text received"), at, Subject::Inbound),
            (None, None) => finding(
                Subject::Inbound,
                State::Attention,
                t!(
                    "No texts received yet. Text the number from your phone to check that it works."
                ),
            ),
        };
        let outbound = match self.sent_at {
            Some(at) => dated(t!("Last text sent"), at, Subject::Outbound),
            None => finding(
                Subject::Outbound,
                State::Good,
                t!("No texts were sent in the last seven days."),
            ),
        };
        [inbound, outbound, self.callbacks(), self.errors()]
    }

    fn callbacks(&self) -> Finding {
        match self.reported_at {
            Some(at) => dated(t!("Last delivery report"), at, Subject::Callbacks),
            None if self.taken > 0 => finding(
                Subject::Callbacks,
                State::Attention,
                t!(
                    "{texts} sent in the last seven days without any delivery report. If this continues, \
                     check that the provider can reach BASE_URL.",
                    texts = counted(self.taken),
                ),
            ),
            None => finding(
                Subject::Callbacks,
                State::Good,
                t!("No delivery reports are pending."),
            ),
        }
    }

    fn errors(&self) -> Finding {
        let all = self.taken.max(self.failed);
        // A few failures among few texts are no pattern.
        let state = match (self.failed * 100).checked_div(all).unwrap_or_default() {
            _ if self.failed == 0 => State::Good,
            percent if percent >= 20 && self.failed >= 5 => State::Broken,
            percent if percent >= 5 => State::Attention,
            _ => State::Good,
        };
        let mut sentence = match self.failed {
            0 => t!("No texts failed in the last seven days."),
            failed => t!(
                "{texts} failed in the last seven days.",
                texts = counted(failed)
            ),
        };
        if let (State::Attention | State::Broken, Some(reason)) = (state, &self.reason) {
            sentence = t!(
                "{sentence} Most common reason: {reason}",
                sentence = sentence,
                reason = Message::from_stored(reason),
            );
        }
        finding(Subject::Errors, state, sentence)
    }
}

fn counted(texts: i64) -> Message {
    match texts {
        1 => t!("1 text"),
        texts => t!("{texts} texts", texts = texts),
    }
}

fn dated(what: Message, at: DateTime<Utc>, subject: Subject) -> Finding {
    Finding {
        at: Some(at),
        ..finding(subject, State::Good, what)
    }
}

/// Sets the number's webhook, unless it would have no effect, and stores the result.
pub async fn set_webhook(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: NumberId,
) -> Result<Number> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, id).await?;
    let provider_id = provider_number_id(&mut tx, id).await?;
    drop(tx);
    if number.gone_at.is_some() {
        let gone = t!("The provider account no longer has this number");
        return Err(Error::field("number_id", gone));
    }
    let account = account(app, admin, directory, number.integration_id).await?;
    let admin = admin.clone();
    app.complete(async move |app| point_here(&app, &admin, &account, number, provider_id).await)
        .await
}

async fn point_here(
    app: &App,
    admin: &Admin,
    account: &Account,
    number: Number,
    provider_id: String,
) -> Result<Number> {
    let Some(route) = route(app, admin, account, &provider_id).await? else {
        let gone = t!("The provider account no longer has this number. Sync your numbers.");
        return Err(Error::field("number_id", gone));
    };
    let remote = RemoteNumber {
        provider_id,
        phone_number: number
            .phone_number
            .parse()
            .map_err(|_| Error::Internal("the stored phone number is invalid".into()))?,
        friendly_name: number.friendly_name.clone(),
        capabilities: providers::NumberCapabilities {
            sms: number.capabilities.sms,
            mms: number.capabilities.mms,
            voice: number.capabilities.voice,
        },
        webhook_override: route.overridden_by.map(|by| WebhookOverride {
            by,
            url: route.inbound,
        }),
        listed: None,
        shares: None,
    };
    let provider = account.provider.as_ref();
    let urls = webhook_urls(&app.config, provider.kind(), account.integration);
    let Some(setup) = set_up_webhook(app, provider, &urls, &remote).await else {
        let mute = t!("This number can’t text, so it has no webhook for texts");
        return Err(Error::field("number_id", mute));
    };
    store_webhook_setup(app, admin, number, setup).await
}

async fn store_webhook_setup(
    app: &App,
    admin: &Admin,
    number: Number,
    setup: WebhookSetup,
) -> Result<Number> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    sqlx::query!(
        "update numbers
            set webhook = $2, webhook_detail = $3, previous_webhook_url = coalesce($4, previous_webhook_url), updated_at = now()
          where id = $1",
        number.id as _,
        setup.state as _,
        setup.detail as _,
        setup.previous,
    )
    .execute(tx.conn())
    .await?;
    let audit_json = |state: WebhookState| Some(json!({"webhook": state}));
    let audit_record = AuditRecord {
        subject: &number.formatted_number(),
        subject_id: Some(number.id.0),
        before: audit_json(number.webhook),
        after: audit_json(setup.state),
    };
    audit::record(&mut tx, AuditAction::NumberChanged, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::NumberChanged {
        workspace,
        number: number.id,
    });
    let number = numbers::find(&mut tx, number.id).await?;
    tx.commit().await?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(taken: i64, failed: i64) -> State {
        let traffic = Traffic {
            sent_at: None,
            reported_at: None,
            taken,
            failed,
            reason: None,
        };
        traffic.errors().state
    }

    #[test]
    fn a_few_failures_are_no_pattern() {
        assert_eq!(errors(0, 0), State::Good);
        assert_eq!(errors(100, 4), State::Good);
        assert_eq!(errors(100, 5), State::Attention);
        assert_eq!(errors(4, 4), State::Attention);
        assert_eq!(errors(20, 5), State::Broken);
    }
}

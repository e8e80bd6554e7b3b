//! Inbound texts. The webhook handler gives a verified text to the ingest writer and answers the provider after the
//! commit.
//!
//! A text or a whole batch costs one round trip; the same statement writes the webhook journal.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo, Postgres};
use sqlx::types::Json;

use super::batch::{BatchSender, Batched, Writer};
use super::written::{Statement, StoredConversation, Written};
use super::{Direction, Kind, Message, Status, preview, reaction, segments, written};
use crate::app::App;
use crate::clock;
use crate::db::Db;
use crate::domain::opt_outs::{Keyword, keyword_of, resembles_stop};
use crate::domain::webhooks::Via;
use crate::error::{Error, Result};
use crate::events::{Carried, Event};
use crate::ids::{
    ContactId, ConversationId, IntegrationId, MediaId, MessageId, NumberId, WebhookId, WorkspaceId,
};
use crate::language::t;
use crate::providers::{self, Inbound};

#[derive(Clone, Debug)]
pub struct Arrival {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    pub number: NumberId,
    pub provider: providers::Kind,
    pub text: Inbound,
    /// How it arrived, for the journal; `None` if it does not come from a provider.
    pub via: Option<Via>,
}

/// A stored text. It may have been stored by an earlier attempt of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether this attempt stored it.
    pub added: bool,
    pub message: MessageId,
    pub conversation: ConversationId,
}

#[derive(Clone)]
pub struct Ingest(BatchSender<Arrival>);

impl Ingest {
    /// Returns the handle, and the writer, which the caller must run.
    pub fn new(app: &App) -> (Self, Writer<Arrival>) {
        let (sender, writer) = BatchSender::new(app.db.clone(), app.background.clone());
        (Self(sender), writer)
    }

    /// Whether texts are being stored.
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    /// Returns after the commit.
    pub async fn store(&self, arrival: Arrival) -> Result<Stored> {
        self.0.write(arrival).await
    }
}

impl Batched for Arrival {
    type Written = Stored;

    fn write<'a>(db: &'a Db, batch: &'a [&'a Self]) -> BoxFuture<'a, Result<Vec<Stored>>> {
        store(db, batch).boxed()
    }

    /// If the commit succeeded, the provider's retry adds nothing and announces nothing, so clients must refetch.
    fn on_uncertain_commit(&self, db: &Db) {
        db.bus().publish(Event::Missed {
            workspace: self.workspace,
        });
    }
}

/// The effects of a text beside being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meaning {
    keyword: Option<Keyword>,
    /// Whether an agent is asked if it means STOP.
    near_stop: bool,
    /// A reaction to a text of ours reopens nothing and is not counted as unread.
    reaction: bool,
}

impl Meaning {
    fn of(arrival: &Arrival) -> Self {
        let text = &arrival.text;
        let reaction = reaction::is_reaction(&text.text);
        Self {
            keyword: keyword_of(text, arrival.provider),
            // A reaction quotes our own words.
            near_stop: !reaction && resembles_stop(text),
            reaction,
        }
    }
}

/// Attempts while the contact of a text is being deleted, before the provider gets an error and retries.
const MAX_ATTEMPTS: usize = 5;

/// One round trip, one transaction; one more for texts of a contact that is being deleted.
async fn store(db: &Db, arrivals: &[&Arrival]) -> Result<Vec<Stored>> {
    let mut stored = vec![None; arrivals.len()];
    for _ in 0..MAX_ATTEMPTS {
        let remaining: Vec<_> = (0..arrivals.len())
            .filter(|place| stored[*place].is_none())
            .collect();
        if remaining.is_empty() {
            break;
        }
        let batch: Vec<_> = remaining.iter().map(|place| arrivals[*place]).collect();
        for (place, result) in remaining.into_iter().zip(try_to_store(db, &batch).await?) {
            stored[place] = result;
        }
    }
    let stored: Option<Vec<_>> = stored.into_iter().collect();
    stored.ok_or_else(|| Error::Internal("a contact was deleted while its text was stored".into()))
}

/// The argument of the SQL function `receive_texts`.
#[derive(sqlx::Encode)]
#[sqlx(type_name = "inbound_text")]
struct InboundText<'a> {
    workspace_id: WorkspaceId,
    integration_id: IntegrationId,
    number_id: NumberId,
    provider: &'static str,
    provider_sid: &'a str,
    sender: &'a str,
    content: &'a str,
    preview: String,
    segments: i16,
    media: Option<serde_json::Value>,
    keyword: Option<Keyword>,
    near_stop: bool,
    is_reaction: bool,
    provider_time: Option<DateTime<Utc>>,
    via: Option<Via>,
    message_id: MessageId,
    contact_id: ContactId,
    conversation_id: ConversationId,
    webhook_id: WebhookId,
}

impl sqlx::Type<Postgres> for InboundText<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("inbound_text")
    }
}

impl PgHasArrayType for InboundText<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("inbound_text")
    }
}

impl<'a> InboundText<'a> {
    fn new(arrival: &'a Arrival, meaning: Meaning) -> Self {
        let text = &arrival.text;
        let provider_time = provider_time(text);
        Self {
            workspace_id: arrival.workspace,
            integration_id: arrival.integration,
            number_id: arrival.number,
            provider: arrival.provider.as_str(),
            provider_sid: &text.provider_sid,
            sender: text.from.as_str(),
            content: &text.text,
            preview: preview_of(text),
            segments: segments_of(text),
            media: media(text),
            keyword: meaning.keyword,
            near_stop: meaning.near_stop,
            is_reaction: meaning.reaction,
            provider_time,
            via: arrival.via,
            // Ids sort by time: a late text gets an id of its own time.
            message_id: provider_time.map_or_else(MessageId::new, MessageId::at),
            contact_id: ContactId::new(),
            conversation_id: ConversationId::new(),
            webhook_id: WebhookId::new(),
        }
    }

    /// The message as it is stored, and as `messages` would read it.
    fn stored(
        &self,
        arrival: &Arrival,
        created_at: DateTime<Utc>,
        conversation: &StoredConversation,
    ) -> Message {
        let media = written::media(self.workspace_id, self.media.as_ref());
        Message {
            id: self.message_id,
            workspace_id: self.workspace_id,
            conversation_id: conversation.id(),
            contact_id: conversation.contact_id(),
            number_id: self.number_id,
            direction: Direction::Inbound,
            content: self.content.to_owned(),
            message_type: match media.is_empty() {
                true => Kind::Text,
                false => Kind::Media,
            },
            media: Json(media),
            status: Status::Received,
            provider: arrival.provider,
            provider_sid: Some(self.provider_sid.to_owned()),
            error_code: None,
            error_message: None,
            segments: Some(self.segments),
            price: None,
            sentiment: None,
            created_by: None,
            created_by_name: None,
            mentions: Json(Vec::new()),
            scheduled_at: None,
            created_at,
            updated_at: conversation.stored_at(),
            client_ref: None,
            retried_as: None,
        }
    }
}

/// Stores the texts and announces new ones after the commit. `None`: the contact was deleted during the statement.
async fn try_to_store(db: &Db, arrivals: &[&Arrival]) -> Result<Vec<Option<Stored>>> {
    let meanings: Vec<_> = arrivals
        .iter()
        .map(|arrival| Meaning::of(arrival))
        .collect();
    let texts: Vec<_> = arrivals
        .iter()
        .zip(&meanings)
        .map(|(arrival, meaning)| InboundText::new(arrival, *meaning))
        .collect();
    let watched: Vec<_> = arrivals
        .iter()
        .map(|arrival| Some(arrival.workspace).filter(|one| db.bus().watched().contains(*one)))
        .collect();
    let statement = Statement::begin();
    let rows = sqlx::query!(
        r#"select place as "place!", added as "added!", message_id as "message!: MessageId",
                  conversation_id as "conversation!: ConversationId", created_at as "created_at!",
                  number_touched as "number_touched!",
                  case when added then stored_conversation(($2::uuid[])[place], conversation_id)
                  end as "watched: Json<StoredConversation>"
             from receive_texts($1)"#,
        &texts as _,
        &watched as _,
    )
    .fetch_all(db.ingest_pool())
    .await;
    let mut stored = vec![None; arrivals.len()];
    let rows = match rows {
        Err(error) if is_missing_conversation(&error) => return Ok(stored),
        rows => rows.map_err(workspace_deleted)?,
    };
    let mut touched_numbers = HashSet::new();
    let mut carried = vec![Carried::default(); arrivals.len()];
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let (Some(arrival), Some(stored)) = (arrivals.get(place), stored.get_mut(place)) else {
            continue;
        };
        *stored = Some(Stored {
            added: row.added,
            message: row.message,
            conversation: row.conversation,
        });
        if let Some(Json(conversation)) = row.watched {
            let message = texts[place].stored(arrival, row.created_at, &conversation);
            let written = Written::new(message, conversation, statement);
            carried[place] = Carried::new(written);
        }
        if row.number_touched {
            touched_numbers.insert((arrival.workspace, arrival.number));
        }
    }
    let announced = arrivals.iter().zip(&meanings).zip(&stored).zip(carried);
    for (((arrival, meaning), stored), row) in announced {
        if let Some(stored) = stored.filter(|stored| stored.added) {
            announce(db, arrival, *meaning, stored, row);
        }
    }
    for (workspace, number) in touched_numbers {
        db.bus()
            .publish(Event::NumberReceived { workspace, number });
    }
    Ok(stored)
}

/// The live hub finds out what else changed: the provider waits for the response.
fn announce(db: &Db, arrival: &Arrival, meaning: Meaning, stored: Stored, row: Carried) {
    let workspace = arrival.workspace;
    db.bus().publish(Event::MessageAdded {
        workspace,
        message: stored.message,
        number: arrival.number,
        row,
    });
    if meaning.keyword.is_some() {
        db.bus().publish(Event::ConsentChanged {
            workspace,
            conversation: stored.conversation,
        });
    } else if meaning.near_stop {
        db.bus().publish(Event::ConversationChanged {
            workspace,
            conversation: stored.conversation,
            number: arrival.number,
        });
    }
}

/// A contact or its conversation was deleted or moved during the statement. Nothing of the batch is stored.
fn is_missing_conversation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database_error| {
        matches!(
            database_error.constraint(),
            Some(
                "messages_workspace_id_conversation_id_contact_id_number_id_fkey"
                    | "conversations_workspace_id_contact_id_fkey"
            )
        ) || database_error.code().as_deref() == Some("MH001") // raised by `receive_texts`
    })
}

/// The workspace was deleted during the statement.
fn workspace_deleted(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database_error)
            if database_error
                .constraint()
                .is_some_and(|name| name.ends_with("_workspace_id_fkey")) =>
        {
            Error::NotFound(t!("this number"))
        }
        _ => error.into(),
    }
}

/// The provider's receive time, if given. A wrong clock cannot put it into the future; one second is allowed because
/// some providers round to whole seconds.
fn provider_time(text: &Inbound) -> Option<DateTime<Utc>> {
    text.at
        .map(|at| at.min(clock::now() + TimeDelta::seconds(1)))
}

fn preview_of(text: &Inbound) -> String {
    let types: Vec<_> = text
        .media
        .iter()
        .filter(|media| !media.is_layout())
        .map(|media| media.content_type.as_str())
        .collect();
    preview(&text.text, &types)
}

fn segments_of(text: &Inbound) -> i16 {
    let counted = || segments::segments(&text.text).segments;
    i16::try_from(
        text.segments
            .map_or_else(counted, |segments| segments as usize),
    )
    .unwrap_or(i16::MAX)
    .max(1)
}

fn media(text: &Inbound) -> Option<serde_json::Value> {
    let media: Vec<_> = text
        .media
        .iter()
        .filter(|media| !media.is_layout())
        .map(|media| serde_json::json!({"id": MediaId::new(), "url": media.url, "content_type": media.content_type}))
        .collect();
    (!media.is_empty()).then_some(serde_json::Value::Array(media))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Example {
        text: String,
        lang: String,
        asks: bool,
    }

    fn arrival(text: &str) -> Arrival {
        Arrival {
            workspace: WorkspaceId::new(),
            integration: IntegrationId::new(),
            number: NumberId::new(),
            provider: providers::Kind::Twilio,
            text: Inbound {
                provider_sid: String::new(),
                account: String::new(),
                from: "+14155550142".parse().unwrap(),
                to: "+14155550100".parse().unwrap(),
                text: text.into(),
                media: Vec::new(),
                segments: None,
                opt_out: None,
                at: None,
            },
            via: None,
        }
    }

    /// The rules were developed on these labelled texts: on other texts they are right less often.
    #[test]
    fn opt_out_requests_are_recognized_in_every_language() {
        let examples = include_str!("../../../tests/vectors/opt_out_requests.jsonl");
        let mut asked: BTreeMap<String, [u32; 3]> = BTreeMap::new();
        let mut wrong = Vec::new();
        for line in examples.lines() {
            let example: Example = serde_json::from_str(line).unwrap();
            let meaning = Meaning::of(&arrival(&example.text));
            let detected = meaning.near_stop || meaning.keyword == Some(Keyword::Stop);
            let [right, missed, invented] = asked.entry(example.lang.clone()).or_default();
            match (example.asks, detected) {
                (true, true) => *right += 1,
                (true, false) => *missed += 1,
                (false, true) => *invented += 1,
                (false, false) => continue,
            }
            if example.asks != detected {
                wrong.push(example.text);
            }
        }
        assert!(asked.len() >= 18, "{asked:?}");
        for (language, [right, missed, invented]) in asked {
            let of = |all: u32| f64::from(right) / f64::from(all);
            let (recall, precision) = (of(right + missed), of(right + invented));
            assert!(
                recall >= 0.95 && precision >= 0.95,
                "{language}: recall {recall:.2}, precision {precision:.2}; {wrong:?}"
            );
        }
    }

    #[test]
    fn reaction_is_never_an_opt_out_request() {
        let liked = Meaning::of(&arrival("Liked “STOP”"));
        assert_eq!(
            liked,
            Meaning {
                keyword: None,
                near_stop: false,
                reaction: true
            }
        );
        for typed in ["“STOP”", "Loved the visit, but please stop texting me"] {
            let meaning = Meaning::of(&arrival(typed));
            assert!(meaning.near_stop && !meaning.reaction, "{typed}");
        }
    }
}

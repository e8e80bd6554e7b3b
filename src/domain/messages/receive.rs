//! Inbound texts. The webhook handler gives a verified text to the ingest writer and answers the provider after the
//! commit.
//!
//! A text or a whole batch costs one round trip; the same statement writes the webhook journal.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::batch::{BatchSender, Batched, Writer};
use super::{preview, reaction, segments};
use crate::app::App;
use crate::clock;
use crate::db::Db;
use crate::domain::opt_outs::{Keyword, keyword_of, resembles_stop};
use crate::domain::webhooks::Via;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{
    ContactId, ConversationId, IntegrationId, MediaId, MessageId, NumberId, WorkspaceId,
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

/// Stores the texts and announces new ones after the commit. `None`: the contact was deleted during the statement.
async fn try_to_store(db: &Db, arrivals: &[&Arrival]) -> Result<Vec<Option<Stored>>> {
    let each = || arrivals.iter();
    let provider_time: Vec<_> = each().map(|arrival| provider_time(&arrival.text)).collect();
    // Ids sort by time: a late text gets an id of its own time.
    let messages: Vec<_> = provider_time
        .iter()
        .map(|at| at.map_or_else(MessageId::new, MessageId::at))
        .collect();
    let media: Vec<_> = each().map(|arrival| media(&arrival.text)).collect();
    let meanings: Vec<_> = each().map(|arrival| Meaning::of(arrival)).collect();
    let rows = sqlx::query!(
        r#"select place as "place!", added as "added!", message_id as "message!: MessageId",
                  conversation_id as "conversation!: ConversationId", woken as "woken!"
             from receive_texts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"#,
        &each().map(|arrival| arrival.workspace).collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.integration)
            .collect::<Vec<_>>() as _,
        &each().map(|arrival| arrival.number).collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.provider.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.provider_sid.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.from.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.text.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| preview_of(&arrival.text))
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| segments_of(&arrival.text))
            .collect::<Vec<_>>() as _,
        &media as _,
        &messages as _,
        &each().map(|_| ConversationId::new()).collect::<Vec<_>>() as _,
        &each().map(|_| ContactId::new()).collect::<Vec<_>>() as _,
        &meanings
            .iter()
            .map(|meaning| meaning.keyword)
            .collect::<Vec<_>>() as _,
        &meanings
            .iter()
            .map(|meaning| meaning.near_stop)
            .collect::<Vec<_>>(),
        &provider_time as _,
        &each().map(|arrival| arrival.via).collect::<Vec<_>>() as _,
        &meanings
            .iter()
            .map(|meaning| meaning.reaction)
            .collect::<Vec<_>>(),
    )
    .fetch_all(db.ingest_pool())
    .await;
    let mut stored = vec![None; arrivals.len()];
    let rows = match rows {
        Err(error) if is_missing_conversation(&error) => return Ok(stored),
        rows => rows.map_err(workspace_deleted)?,
    };
    let mut woken = HashSet::new();
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
        if row.woken {
            woken.insert((arrival.workspace, arrival.number));
        }
    }
    let added = each()
        .zip(&meanings)
        .zip(&stored)
        .filter_map(|(text, stored)| Some((text, stored.filter(|stored| stored.added)?)));
    for ((arrival, meaning), stored) in added {
        db.bus().publish(Event::MessageAdded {
            workspace: arrival.workspace,
            message: stored.message,
            number: arrival.number,
        });
        // The live hub finds out what else changed: the provider waits for the response.
        if meaning.keyword.is_some() {
            db.bus().publish(Event::ConsentChanged {
                workspace: arrival.workspace,
                conversation: stored.conversation,
            });
        } else if meaning.near_stop {
            db.bus().publish(Event::ConversationChanged {
                workspace: arrival.workspace,
                conversation: stored.conversation,
                number: arrival.number,
            });
        }
    }
    for (workspace, number) in woken {
        db.bus()
            .publish(Event::NumberReceived { workspace, number });
    }
    Ok(stored)
}

/// The contact's conversation was deleted during the statement. Nothing of the batch is stored.
fn is_missing_conversation(error: &sqlx::Error) -> bool {
    let database_error = error.as_database_error();
    database_error.and_then(|database_error| database_error.constraint())
        == Some("messages_workspace_id_conversation_id_contact_id_number_id_fkey")
}

/// The workspace was deleted during the statement.
fn workspace_deleted(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database_error)
            if database_error
                .constraint()
                .is_some_and(|name| name.ends_with("_workspace_id_fkey")) =>
        {
            Error::NotFound(t!("a number like this"))
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

fn media(text: &Inbound) -> serde_json::Value {
    text.media
        .iter()
        .filter(|media| !media.is_layout())
        .map(|media| serde_json::json!({"id": MediaId::new(), "url": media.url, "content_type": media.content_type}))
        .collect()
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

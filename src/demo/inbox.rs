//! The rows of the demo's texts, with times relative to now.

use chrono::{DateTime, Days, Duration, Local, NaiveTime, SubsecRound, TimeZone, Utc};
use serde::Serialize;

use super::Office;
use super::cast::{self, Author, Fate, Staff, Text, Thread, Timing};
use crate::db::SystemTx;
use crate::db::purpose::Setup;
use crate::domain::conversations;
use crate::domain::conversations::activity::{Cause, Kind as Event};
use crate::domain::messages::{self, Direction, Kind, Status, segments};
use crate::error::Result;
use crate::ids::{
    ActivityId, ContactId, ConversationId, IntegrationId, MediaId, MessageId, NumberId, UserId,
    WorkspaceId,
};
use crate::providers;

pub async fn fill(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    let mut rows = Rows::default();
    for thread in cast::threads() {
        rows.add(thread, office, now.trunc_subsecs(6));
    }
    insert_conversations(tx, office.workspace, &rows).await?;
    insert_messages(tx, office.workspace, &rows).await?;
    insert_consent(tx, office.workspace, &rows).await?;
    insert_activity(tx, office.workspace, &rows).await
}

async fn insert_conversations(
    tx: &mut SystemTx<Setup>,
    workspace: WorkspaceId,
    rows: &Rows,
) -> Result<()> {
    sqlx::query!(
        "insert into contacts (workspace_id, id, phone_number, name, email, notes, created_at, updated_at)
         select $1, id, phone_number, name, email, notes, created_at, created_at
           from jsonb_populate_recordset(null::contacts, $2)",
        workspace as _,
        json(&rows.contacts),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into conversations (workspace_id, id, contact_id, number_id, status, assignee_id, snoozed_until, unread_count,
                                    last_message_at, last_message_preview, last_message_direction, last_message_status,
                                    last_message_id, created_at, updated_at)
         select $1, id, contact_id, number_id, status, assignee_id, snoozed_until, unread_count,
                last_message_at, last_message_preview, last_message_direction, last_message_status,
                last_message_id, created_at, last_message_at
           from jsonb_populate_recordset(null::conversations, $2)",
        workspace as _,
        json(&rows.conversations),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn insert_messages(
    tx: &mut SystemTx<Setup>,
    workspace: WorkspaceId,
    rows: &Rows,
) -> Result<()> {
    sqlx::query!(
        "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content,
                               message_type, status, provider, provider_sid, error_code, error_message, segments, created_by,
                               attempts, created_at, updated_at)
         select $1, id, conversation_id, contact_id, number_id, integration_id, direction, content,
                message_type, status, provider, provider_sid, error_code, error_message, segments, created_by,
                attempts, created_at, created_at
           from jsonb_populate_recordset(null::messages, $2)",
        workspace as _,
        json(&rows.messages),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into message_media (workspace_id, id, message_id, content_type, size, width, height, source_url, fetch_at, created_at)
         select $1, id, message_id, content_type, size, width, height, source_url, null, created_at
           from jsonb_populate_recordset(null::message_media, $2)",
        workspace as _,
        json(&rows.media),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update conversations v
            set waiting_since = (select min(m.created_at) from messages m
                                  where m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.direction = 'inbound'
                                    and m.content <> 'STOP'
                                    and m.created_at > coalesce((select max(o.created_at) from messages o
                                                                  where o.workspace_id = v.workspace_id and o.conversation_id = v.id
                                                                    and o.direction = 'outbound' and o.status <> 'scheduled'), '-infinity'))
          where v.workspace_id = $1 and v.status <> 'done'
            and exists (select from contacts c
                         where c.workspace_id = v.workspace_id and c.id = v.contact_id and c.phone_number like '+%')",
        workspace as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update numbers n
            set last_inbound_at = (select max(m.created_at) from messages m
                                    where m.workspace_id = n.workspace_id and m.number_id = n.id and m.direction = 'inbound')
          where n.workspace_id = $1",
        workspace as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn insert_consent(
    tx: &mut SystemTx<Setup>,
    workspace: WorkspaceId,
    rows: &Rows,
) -> Result<()> {
    sqlx::query!(
        "insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
         select $1, contact_id, number_id, source, proof, created_at
           from jsonb_populate_recordset(null::opt_outs, $2)",
        workspace as _,
        json(&rows.opt_outs),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into consents (workspace_id, contact_id, number_id, consent_kind, source, proof, actor_id, created_at)
         select workspace_id, contact_id, number_id, 'stop', source, proof, null, created_at from opt_outs where workspace_id = $1",
        workspace as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn insert_activity(
    tx: &mut SystemTx<Setup>,
    workspace: WorkspaceId,
    rows: &Rows,
) -> Result<()> {
    sqlx::query!(
        "insert into mentions (workspace_id, message_id, conversation_id, number_id, user_id, name, created_at)
         select $1, message_id, conversation_id, number_id, user_id, name, created_at
           from jsonb_populate_recordset(null::mentions, $2)",
        workspace as _,
        json(&rows.mentions),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into conversation_events (workspace_id, id, conversation_id, number_id, kind, cause, actor_id, actor_name,
                                          assignee_id, assignee_name, until, created_at)
         select $1, id, conversation_id, number_id, kind, cause, actor_id, actor_name,
                assignee_id, assignee_name, until, created_at
           from jsonb_populate_recordset(null::conversation_events, $2)",
        workspace as _,
        json(&rows.activity),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn json(rows: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(rows).expect("plain columns serialize")
}

#[derive(Default)]
struct Rows {
    contacts: Vec<ContactRow>,
    conversations: Vec<ConversationRow>,
    messages: Vec<MessageRow>,
    media: Vec<MediaRow>,
    opt_outs: Vec<OptOutRow>,
    mentions: Vec<MentionRow>,
    activity: Vec<ActivityRow>,
}

#[derive(Serialize)]
struct MentionRow {
    message_id: MessageId,
    conversation_id: ConversationId,
    number_id: NumberId,
    user_id: UserId,
    name: &'static str,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct ActivityRow {
    id: ActivityId,
    conversation_id: ConversationId,
    number_id: NumberId,
    kind: Event,
    cause: Option<Cause>,
    actor_id: Option<UserId>,
    actor_name: &'static str,
    assignee_id: Option<UserId>,
    assignee_name: Option<&'static str>,
    until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct ContactRow {
    id: ContactId,
    phone_number: &'static str,
    name: Option<&'static str>,
    email: Option<&'static str>,
    notes: &'static str,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct ConversationRow {
    id: ConversationId,
    contact_id: ContactId,
    number_id: NumberId,
    status: conversations::Status,
    assignee_id: Option<UserId>,
    snoozed_until: Option<DateTime<Utc>>,
    unread_count: i32,
    last_message_at: DateTime<Utc>,
    last_message_preview: String,
    last_message_direction: Direction,
    last_message_status: Status,
    last_message_id: MessageId,
    created_at: DateTime<Utc>,
}

#[derive(Clone, Serialize)]
struct MessageRow {
    id: MessageId,
    conversation_id: ConversationId,
    contact_id: ContactId,
    number_id: NumberId,
    integration_id: IntegrationId,
    direction: Direction,
    content: &'static str,
    message_type: Kind,
    status: Status,
    provider: providers::Kind,
    provider_sid: Option<String>,
    error_code: Option<&'static str>,
    error_message: Option<&'static str>,
    segments: Option<usize>,
    created_by: Option<UserId>,
    attempts: i16,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct MediaRow {
    id: MediaId,
    message_id: MessageId,
    content_type: &'static str,
    size: usize,
    width: i32,
    height: i32,
    source_url: &'static str,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct OptOutRow {
    contact_id: ContactId,
    number_id: NumberId,
    source: &'static str,
    proof: &'static str,
    created_at: DateTime<Utc>,
}

impl Rows {
    fn add(&mut self, thread: &'static Thread, office: &Office, now: DateTime<Utc>) {
        let times = times(thread.texts, now);
        let begun = times[0];
        let desk = office.desk(thread.line);
        let place = ThreadIds {
            conversation: ConversationId::at(begun),
            contact: self.contact(thread, begun),
            number: desk.number,
            integration: desk.integration,
        };
        let written: Vec<_> = thread.texts.iter().zip(times).collect();
        let rows: Vec<_> = written
            .iter()
            .map(|(text, at)| message(text, *at, place, office))
            .collect();
        for ((text, _), row) in written.iter().zip(&rows) {
            self.media.extend(picture(text, row));
            self.opt_outs.extend(opt_out(row));
            self.mentions.extend(mentions(row, office));
        }
        self.activity
            .extend(activity(thread, &written, place, office, now));
        let last = rows.iter().rfind(|row| row.direction != Direction::Note);
        let last = last.expect("a thread has a text");
        let shown = if last.message_type == Kind::Media {
            &["image/jpeg"][..]
        } else {
            &[]
        };
        self.conversations.push(ConversationRow {
            id: place.conversation,
            contact_id: place.contact,
            number_id: place.number,
            status: thread.status,
            assignee_id: thread.assignee.map(|staff| office.user(staff)),
            snoozed_until: (thread.status == conversations::Status::Snoozed)
                .then(|| clock(now, -5, 9, 0)),
            unread_count: thread.unread,
            last_message_at: last.created_at,
            last_message_preview: messages::preview(last.content, shown),
            last_message_direction: last.direction,
            last_message_status: last.status,
            last_message_id: last.id,
            created_at: begun,
        });
        self.messages.extend(rows);
    }

    /// A contact may write to both numbers.
    fn contact(&mut self, thread: &Thread, begun: DateTime<Utc>) -> ContactId {
        let known = |row: &&ContactRow| row.phone_number == thread.with.phone;
        if let Some(row) = self.contacts.iter().find(known) {
            return row.id;
        }
        let id = ContactId::at(begun);
        self.contacts.push(ContactRow {
            id,
            phone_number: thread.with.phone,
            name: thread.with.name,
            email: thread.with.email,
            notes: thread.with.notes,
            created_at: begun,
        });
        id
    }
}

#[derive(Clone, Copy)]
struct ThreadIds {
    conversation: ConversationId,
    contact: ContactId,
    number: NumberId,
    integration: IntegrationId,
}

fn message(text: &Text, at: DateTime<Utc>, place: ThreadIds, office: &Office) -> MessageRow {
    let id = MessageId::at(at);
    let direction = match text.by {
        Author::Them => Direction::Inbound,
        Author::Us(_) => Direction::Outbound,
        Author::Note(_) => Direction::Note,
    };
    let is_ours = direction == Direction::Outbound;
    let (status, reason) = match text.fate {
        _ if !is_ours => (Status::Received, None),
        Fate::Delivered => (Status::Delivered, None),
        Fate::Sent => (Status::Sent, None),
        Fate::Unconfirmed => (Status::Unconfirmed, None),
        Fate::Canceled => (Status::Canceled, None),
        Fate::Undelivered(reason) => (Status::Undelivered, Some(reason)),
        Fate::Failed(reason) => (Status::Failed, Some(reason)),
    };
    let was_taken = !matches!(
        status,
        Status::Unconfirmed | Status::Canceled | Status::Failed
    );
    let travels = direction != Direction::Note;
    MessageRow {
        id,
        conversation_id: place.conversation,
        contact_id: place.contact,
        number_id: place.number,
        integration_id: place.integration,
        direction,
        content: text.words,
        message_type: text.picture.map_or(Kind::Text, |_| Kind::Media),
        status,
        provider: providers::Kind::Sandbox,
        provider_sid: (travels && was_taken).then(|| format!("SB{}", id.0.simple())),
        error_code: reason.map(|reason| reason.0),
        error_message: reason.map(|reason| reason.1),
        segments: travels.then(|| segments::segments(text.words).segments.max(1)),
        created_by: text.by.staff().map(|staff| office.user(staff)),
        attempts: i16::from(is_ours && status != Status::Canceled),
        created_at: at,
    }
}

fn picture(text: &Text, row: &MessageRow) -> Option<MediaRow> {
    text.picture.map(|picture| MediaRow {
        id: MediaId::at(row.created_at),
        message_id: row.id,
        content_type: "image/jpeg",
        size: picture.size,
        width: 900,
        height: 675,
        source_url: picture.url,
        created_at: row.created_at,
    })
}

/// For a STOP of the contact, or an opt-out that the provider reports.
fn opt_out(row: &MessageRow) -> Option<OptOutRow> {
    let (source, proof) = match row.direction {
        Direction::Inbound if row.content == "STOP" => ("text", row.content),
        Direction::Outbound => ("provider", row.error_code.filter(|code| *code == "21610")?),
        _ => return None,
    };
    Some(OptOutRow {
        contact_id: row.contact_id,
        number_id: row.number_id,
        source,
        proof,
        created_at: row.created_at,
    })
}

fn mentions<'a>(row: &'a MessageRow, office: &'a Office) -> impl Iterator<Item = MentionRow> + 'a {
    let is_called = |staff: &Staff| {
        row.direction == Direction::Note && row.content.contains(&format!("@{}", staff.name()))
    };
    Staff::ALL
        .into_iter()
        .filter(is_called)
        .map(|staff| MentionRow {
            message_id: row.id,
            conversation_id: row.conversation_id,
            number_id: row.number_id,
            user_id: office.user(staff),
            name: staff.name(),
            created_at: row.created_at,
        })
}

impl ActivityRow {
    fn new(
        place: ThreadIds,
        office: &Office,
        kind: Event,
        at: DateTime<Utc>,
        by: Option<Staff>,
    ) -> Self {
        Self {
            id: ActivityId::at(at),
            conversation_id: place.conversation,
            number_id: place.number,
            kind,
            cause: by.is_none().then_some(Cause::Text),
            actor_id: by.map(|staff| office.user(staff)),
            actor_name: by.map_or("", Staff::name),
            assignee_id: None,
            assignee_name: None,
            until: None,
            created_at: at,
        }
    }
}

/// Invents plausible activity: done after a pause, reopened by the next text, assigned when the assignee writes.
fn activity(
    thread: &Thread,
    written: &[(&Text, DateTime<Utc>)],
    place: ThreadIds,
    office: &Office,
    now: DateTime<Utc>,
) -> Vec<ActivityRow> {
    let line = |kind, at, by| ActivityRow::new(place, office, kind, at, by);
    let mut lines = Vec::new();
    let mut finisher = None;
    let mut taken = None;
    for (i, (text, at)) in written.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| written[i].1);
        let paused = before.is_none_or(|before| *at - before > Duration::hours(12));
        if let (true, Some(before), Some(by)) = (paused, before, finisher)
            && text.by == Author::Them
        {
            lines.push(line(Event::Done, before + Duration::minutes(2), Some(by)));
            lines.push(line(Event::Reopened, *at + Duration::seconds(1), None));
        }
        if paused {
            taken = None;
        }
        if thread.assignee.is_some() && taken.is_none() && text.by.staff() == thread.assignee {
            taken = Some(*at - Duration::seconds(5));
        }
        finisher = text.by.staff().or(finisher);
        if text.by == Author::Them && text.words == "STOP" {
            lines.push(line(Event::OptedOut, *at + Duration::seconds(1), None));
        }
    }
    let end = written.last().map_or(now, |(_, at)| *at);
    if let (Some(at), Some(staff)) = (taken, thread.assignee) {
        lines.push(ActivityRow {
            assignee_id: Some(office.user(staff)),
            assignee_name: Some(staff.name()),
            ..line(Event::Assigned, at, Some(staff))
        });
    }
    let by = finisher.or(thread.assignee).unwrap_or(Staff::Jo);
    let at = end + Duration::minutes(1);
    match thread.status {
        conversations::Status::Open => {}
        conversations::Status::Pending => lines.push(line(Event::Pending, at, Some(by))),
        conversations::Status::Done => lines.push(line(Event::Done, at, Some(by))),
        conversations::Status::Snoozed => lines.push(ActivityRow {
            until: Some(clock(now, -5, 9, 0)),
            ..line(Event::Snoozed, at, Some(by))
        }),
    }
    lines.retain(|line| line.created_at <= now);
    lines
}

fn times(texts: &[Text], now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut times = Vec::with_capacity(texts.len());
    let mut before = now;
    for text in texts {
        before = match text.when {
            Timing::Day(days, hour, minute) => clock(now, days, hour, minute),
            Timing::Ago(minutes) => now - Duration::minutes(minutes),
            // No two texts have the same time.
            Timing::Then(minutes) => before + Duration::minutes(minutes) + Duration::seconds(11),
        };
        times.push(before);
    }
    times
}

/// A time of day in the server's time zone.
pub(super) fn clock(now: DateTime<Utc>, days_ago: i64, hour: u32, minute: u32) -> DateTime<Utc> {
    let today = now.with_timezone(&Local).date_naive();
    let days = Days::new(days_ago.unsigned_abs());
    let day = if days_ago < 0 {
        today + days
    } else {
        today - days
    };
    let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
    // A time that daylight saving skips is taken as UTC.
    Local
        .from_local_datetime(&day.and_time(time))
        .earliest()
        .map_or_else(|| day.and_time(time).and_utc(), |at| at.with_timezone(&Utc))
}

//! Queues a text for its provider. The sender picks it up after commit.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::segments;
use super::{Direction, Kind, Media, Message, Status, find, preview, schedule};
use crate::db::WorkspaceTx;
use crate::domain::contacts;
use crate::domain::conversations;
use crate::domain::credits;
use crate::domain::media::uploads::{self, Attachment};
use crate::domain::members::Member;
use crate::domain::numbers;
use crate::domain::opt_outs;
use crate::domain::templates;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::{Carried, Event};
use crate::ids::{
    ContactId, ConversationId, IntegrationId, MediaId, MessageId, NumberId, TemplateId,
};
use crate::language::{self, t};
use crate::phone;
use crate::providers;
use crate::unicode::composed;

/// A text to send. Exactly one of `conversation_id`, `contact_id` and `to` names the recipient.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageDraft)]
pub struct Draft {
    pub conversation_id: Option<ConversationId>,
    pub contact_id: Option<ContactId>,
    /// A phone number in any common notation. A contact is created if there is none.
    pub to: Option<String>,
    /// 1 to 1,600 characters including the sender's signature (see `settings`), which is appended. May be empty with
    /// files.
    #[serde(default)]
    pub content: String,
    /// A template that supplies the text, instead of `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_id: Option<TemplateId>,
    /// Values of the template's variables, by name. `name`, `first_name`, `agent`, `workspace` and `number` have
    /// defaults. A missing value is refused with 422, and the message names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Your uploads (`POST …/media`) that no text contains yet. At most 10 files, 5 MB together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_ids: Vec<MediaId>,
    /// Public URLs from which the provider fetches further files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_urls: Vec<String>,
    /// Which of our numbers sends it. By default the conversation's number, or the workspace's default number.
    pub number_id: Option<NumberId>,
    /// When to send it, at most a year ahead. Its credit is taken now. At that time the server checks again that the
    /// contact may be texted, that the author may use the number, and that the number can send.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The newest message that the author has seen. If someone else has answered since, nothing is sent.
    pub seen_message_id: Option<MessageId>,
    /// One of many texts, such as a reminder. It waits while texts without this flag are queued at its number, but
    /// keeps its place before later texts of its own conversation.
    // Skipped when false: the request hash of an older idempotency key stays valid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bulk: bool,
    /// Lets the server choose the number, to spread load: the one that this contact last wrote with, else the one of
    /// your numbers whose queue is shortest for its rate. Only for `contact_id` and `to`, and not for a contact that
    /// opted out from any number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spread: bool,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct QueuedMessage {
    pub message: Message,
    /// The sender's remaining credits; `null` is unlimited.
    pub credits_remaining: Option<i64>,
}

/// Sends `draft`. A repeated `key` returns the first message. Round trips: 1 to find the target and its checks, 1 to
/// queue and charge it (plus begin and commit); 2 more with files, 1 more with a template.
pub async fn send(
    tx: &mut WorkspaceTx,
    member: &Member,
    draft: Draft,
    key: Option<&str>,
) -> Result<QueuedMessage> {
    validate_and_queue(tx, member, draft, key, None).await
}

/// Sends the content and files of the text `earlier`, which contains its author's signature already.
pub(super) async fn send_again(
    tx: &mut WorkspaceTx,
    member: &Member,
    draft: Draft,
    earlier: MessageId,
) -> Result<QueuedMessage> {
    validate_and_queue(tx, member, draft, None, Some(earlier)).await
}

async fn validate_and_queue(
    tx: &mut WorkspaceTx,
    member: &Member,
    mut draft: Draft,
    key: Option<&str>,
    earlier: Option<MessageId>,
) -> Result<QueuedMessage> {
    draft.content = composed(&draft.content).into_owned();
    check(&draft, key, earlier.is_some())?;
    let json = serde_json::to_vec(&draft).expect("a draft serializes to JSON");
    let draft_hash = digest(&SHA256, &json).as_ref().to_vec();
    let conversation = match draft.conversation_id {
        Some(conversation) => conversation,
        None => find_or_create_conversation(tx, member, &draft).await?,
    };
    let target = find_target(tx, member, conversation, draft.seen_message_id, key).await?;
    if let Some((first, request)) = target.sent_with_this_key {
        if request != draft_hash {
            return Err(Error::IdempotencyKeyReused);
        }
        return previous_result(tx, member, first).await;
    }
    // A repeat is answered as the first, also when that time has passed.
    if let Some(at) = draft.scheduled_at {
        schedule::check(at)?;
    }
    if draft
        .number_id
        .is_some_and(|number| number != target.number)
    {
        return Err(Error::field(
            "number_id",
            t!("This conversation uses another number. Remove number_id."),
        ));
    }
    if target.opted_out {
        return Err(Error::ContactOptedOut);
    }
    if !phone::is_answerable(&target.to) {
        return Err(Error::ContactUnreachable);
    }
    if !target.usable {
        return Err(Error::IntegrationNotConfigured);
    }
    if let Some((by, since)) = target.moved {
        return Err(Error::ConversationMoved { by, since });
    }
    let media = match earlier {
        Some(earlier) => uploads::copies_of(tx, earlier).await?,
        None => uploads::resolve(tx, &draft.media_ids, &draft.media_urls).await?,
    };
    if !media.is_empty() && !target.mms {
        let field = if draft.media_ids.is_empty() {
            "media_urls"
        } else {
            "media_ids"
        };
        return Err(Error::field(
            field,
            t!("This number can’t send files. Remove them, or send from a number with MMS."),
        ));
    }
    uploads::check_weight(&media, target.provider)?;
    let body = match draft.template_id {
        Some(template) => {
            templates::render(tx, member, template, conversation, &draft.variables).await?
        }
        None => draft.content,
    };
    // Values that were filled into a template are not composed yet.
    let body = composed(&body);
    let content = match earlier {
        Some(_) => body.into_owned(),
        None => with_signature(&body, &composed(&target.signature))?,
    };
    let text = Text {
        content: &content,
        media: &media,
        bulk: draft.bulk,
        at: draft.scheduled_at.map(|at| at.trunc_subsecs(6)),
    };
    match queue(tx, member, conversation, &target, text, key, &draft_hash).await? {
        Some(sent) => {
            uploads::attach(tx, sent.message.id, &media).await?;
            announce(tx, member, &target, &sent);
            Ok(sent)
        }
        // A concurrent request with this key has committed first.
        None => {
            let target = find_target(tx, member, conversation, None, key).await?;
            match target.sent_with_this_key {
                Some((first, request)) if request == draft_hash => {
                    previous_result(tx, member, first).await
                }
                _ => Err(Error::IdempotencyKeyReused),
            }
        }
    }
}

fn announce(tx: &mut WorkspaceTx, member: &Member, target: &SendTarget, sent: &QueuedMessage) {
    let workspace = tx.workspace();
    tx.announce(Event::MessageAdded {
        workspace,
        message: sent.message.id,
        number: target.number,
        row: Carried::default(),
    });
    tx.announce(Event::Queued);
    if target.assign_when_answering {
        // Its assignee may have changed.
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: sent.message.conversation_id,
            number: target.number,
        });
    }
    if let Some(left) = sent.credits_remaining {
        tx.announce(Event::CreditsChanged {
            workspace,
            user: member.user(),
            low: left == i64::from(target.low_credits_at),
        });
    }
}

/// The answer to a repeated request: nothing is sent or charged.
async fn previous_result(
    tx: &mut WorkspaceTx,
    member: &Member,
    first: MessageId,
) -> Result<QueuedMessage> {
    Ok(QueuedMessage {
        message: find(tx, first).await?,
        credits_remaining: credits::remaining(tx, member).await?,
    })
}

fn with_signature(content: &str, signature: &str) -> Result<String> {
    let content = content.replace('\0', "");
    // No second signature if the author typed it, and none below a file without a text.
    if signature.is_empty()
        || content.trim().is_empty()
        || content.ends_with(&format!("\n{signature}"))
    {
        return check_length(
            content,
            t!("Use at most 1,600 characters. An emoji counts as two or more."),
        );
    }
    let content = format!("{}\n{signature}", content.trim_end());
    check_length(
        content,
        t!("Use at most 1,600 characters, including your signature"),
    )
}

fn check_length(content: String, most: language::Message) -> Result<String> {
    Check::default()
        .require(segments::fits(content.trim()), "content", most)
        .finish()?;
    Ok(content)
}

fn check(draft: &Draft, key: Option<&str>, is_repeat: bool) -> Result<()> {
    uploads::check(&draft.media_ids, &draft.media_urls)?;
    let needs_content = !is_repeat
        && draft.media_ids.is_empty()
        && draft.media_urls.is_empty()
        && draft.template_id.is_none();
    let targets = [
        draft.conversation_id.is_some(),
        draft.contact_id.is_some(),
        draft.to.is_some(),
    ];
    let content = draft.content.trim();
    Check::default()
        .require(
            targets.iter().filter(|given| **given).count() == 1,
            "conversation_id",
            t!("Set exactly one of conversation_id, contact_id and to"),
        )
        .require(
            !draft.spread || (draft.number_id.is_none() && draft.conversation_id.is_none()),
            "spread",
            t!("The server can only choose the number if neither number_id nor conversation_id is set"),
        )
        .require(
            draft.template_id.is_none() || content.is_empty(),
            "content",
            t!("Send either content or template_id, not both"),
        )
        .require(
            draft.template_id.is_some() || draft.variables.is_empty(),
            "variables",
            t!("Variables need a template. Set template_id."),
        )
        .require(
            !needs_content || !content.replace('\0', "").is_empty(),
            "content",
            t!("Write a message of 1 to 1,600 characters"),
        )
        .require(
            segments::fits(content),
            "content",
            t!("Use at most 1,600 characters. An emoji counts as two or more."),
        )
        .require(
            key.is_none_or(|key| {
                (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
            }),
            "Idempotency-Key",
            t!("Use 1 to 255 visible ASCII characters, such as a UUID"),
        )
        .finish()
}

/// Finds or creates the conversation with the recipient, from the requested number.
async fn find_or_create_conversation(
    tx: &mut WorkspaceTx,
    member: &Member,
    draft: &Draft,
) -> Result<ConversationId> {
    let requested = match draft.spread {
        true => None,
        false => Some(numbers::default_sender(tx, member, draft.number_id).await?),
    };
    let contact = match (draft.contact_id, &draft.to) {
        (Some(contact), _) => contacts::find(tx, contact).await?.id,
        (None, Some(to)) => {
            let phone = contacts::parse_phone(tx, to)
                .await
                .map_err(|error| match error {
                    Error::Invalid(wrong) => Error::field("to", wrong[0].message.clone()),
                    error => error,
                })?;
            contacts::find_or_create(tx, &phone).await?
        }
        (None, None) => return Err(Error::field("conversation_id", t!("Choose a recipient"))),
    };
    let number = match requested {
        Some(number) => number,
        None => {
            if opt_outs::is_opted_out_anywhere(tx, contact).await? {
                return Err(Error::ContactOptedOut);
            }
            let has_files = !draft.media_ids.is_empty() || !draft.media_urls.is_empty();
            numbers::least_busy(tx, contact, has_files).await?
        }
    };
    conversations::find_or_create(tx, contact, number).await
}

/// The target of a text, and everything that may forbid it.
struct SendTarget {
    number: NumberId,
    contact: ContactId,
    integration: IntegrationId,
    provider: providers::Kind,
    to: String,
    usable: bool,
    mms: bool,
    opted_out: bool,
    /// Another member who answered since `seen_message_id`, and how long ago.
    moved: Option<(String, Duration)>,
    signature: String,
    /// The author's setting.
    assign_when_answering: bool,
    low_credits_at: i32,
    text_validity_minutes: i32,
    /// The message and request hash that used this key before.
    sent_with_this_key: Option<(MessageId, Vec<u8>)>,
}

async fn find_target(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: ConversationId,
    seen: Option<MessageId>,
    key: Option<&str>,
) -> Result<SendTarget> {
    let row = sqlx::query!(
        r#"select v.number_id, v.contact_id, n.integration_id, i.provider, c.phone_number,
                  n.status = 'active' and i.is_active as "usable!", n.mms,
                  is_opted_out(v.workspace_id, v.contact_id, v.number_id) as "opted_out!",
                  m.id is not null as "moved!", coalesce(u.name, 'Somebody') as "moved_by!",
                  extract(epoch from now() - m.created_at)::double precision as moved_since,
                  k.id as "first?: MessageId", k.request_hash as "request?",
                  coalesce(s.signature, '') as "signature!", coalesce(s.assign_when_answering, false) as "assign_when_answering!", w.low_credits_at, w.text_validity_minutes
             from conversations v
             join workspaces w on w.id = v.workspace_id
             left join member_settings s on s.workspace_id = v.workspace_id and s.user_id = $3
             join contacts c on c.workspace_id = v.workspace_id and c.id = v.contact_id
             join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
             left join messages k on k.workspace_id = v.workspace_id and k.created_by = $3 and k.idempotency_key = $4
             left join lateral (select m.id, m.created_by, m.created_at from messages m
                                 where m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.id > $2
                                   and m.direction = 'outbound' and m.created_by <> $3
                                 order by m.id desc
                                 limit 1) m on true
             left join users u on u.id = m.created_by
            where v.id = $1"#,
        conversation as _,
        seen as _,
        member.user() as _,
        key,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the conversation")))?;
    Ok(SendTarget {
        number: row.number_id,
        contact: row.contact_id,
        integration: row.integration_id,
        provider: row.provider,
        to: row.phone_number,
        usable: row.usable,
        mms: row.mms,
        opted_out: row.opted_out,
        moved: row.moved.then(|| {
            let since = row.moved_since.unwrap_or_default().max(0.0);
            (row.moved_by, Duration::from_secs_f64(since))
        }),
        signature: row.signature,
        assign_when_answering: row.assign_when_answering,
        low_credits_at: row.low_credits_at,
        text_validity_minutes: row.text_validity_minutes,
        sent_with_this_key: row.first.zip(row.request),
    })
}

/// `at`: `None` sends it now.
#[derive(Clone, Copy)]
struct Text<'a> {
    content: &'a str,
    media: &'a [Attachment],
    bulk: bool,
    at: Option<DateTime<Utc>>,
}

/// Stores the message, charges it, and moves its conversation to the top, marked as read. A scheduled text does not
/// move the conversation. `None`: the key is taken.
async fn queue(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: ConversationId,
    target: &SendTarget,
    Text {
        content,
        media,
        bulk,
        at,
    }: Text<'_>,
    key: Option<&str>,
    draft_hash: &[u8],
) -> Result<Option<QueuedMessage>> {
    let id = MessageId::new();
    let status = at.map_or(Status::Queued, |_| Status::Scheduled);
    // A text with files counts as one segment.
    let segments = match media {
        [] => i16::try_from(segments::segments(content).segments)
            .unwrap_or(i16::MAX)
            .max(1),
        _ => 1,
    };
    let kind = if media.is_empty() {
        Kind::Text
    } else {
        Kind::Media
    };
    let types: Vec<_> = media
        .iter()
        .map(|file| file.content_type.as_str())
        .collect();
    let queued = sqlx::query!(
        r#"with queued as (
               insert into messages (id, conversation_id, contact_id, number_id, integration_id, direction, content, message_type, status,
                                     provider, segments, created_by, idempotency_key, request_hash, scheduled_at, due_at,
                                     created_at, updated_at, bulk, expires_at)
               values ($1, $2, $3, $4, $5, 'outbound', $6, $12, $15, $7, $8, $9, $10, $11, $14::timestamptz,
                       coalesce($14::timestamptz, statement_timestamp()), statement_timestamp(), statement_timestamp(),
                       $16, case when $14::timestamptz is null then statement_timestamp() + make_interval(mins => $17) end)
               on conflict (workspace_id, created_by, idempotency_key) where idempotency_key is not null do nothing
               returning id, conversation_id, created_at
           ), hurried as (
               -- What it would wait for goes as soon as it does.
               update messages m set bulk = false
                where not $16 and $14::timestamptz is null and m.conversation_id = $2 and m.direction = 'outbound' and m.status in ('queued', 'sending') and m.bulk
           ), touched as (
               update conversations v
                  set last_message_at = q.created_at, last_message_preview = $13, last_message_direction = 'outbound',
                      last_message_status = 'queued', last_message_id = q.id, unread_count = 0, updated_at = q.created_at,
                      waiting_since = null, assignee_id = case when $18 then coalesce(v.assignee_id, $9) else v.assignee_id end
                 from queued q
                where v.id = q.conversation_id and $14::timestamptz is null
               returning v.id
           )
           -- The conversation first, then the account: everybody locks them in this order.
           select q.id as "id: MessageId", q.created_at, spend_credit(q.id) as credits_remaining from queued q left join touched on true"#,
        id as _,
        conversation as _,
        target.contact as _,
        target.number as _,
        target.integration as _,
        content,
        target.provider as _,
        segments,
        member.user() as _,
        key,
        key.map(|_| draft_hash),
        kind as _,
        preview(content, &types),
        at,
        status as _,
        bulk,
        target.text_validity_minutes,
        target.assign_when_answering,
    )
    .fetch_optional(tx.conn())
    .await
    .on_constraint("credit_accounts_balance_not_negative", || Error::InsufficientCredits)?;
    let Some(queued) = queued else {
        return Ok(None);
    };
    let message = Message {
        id: queued.id,
        workspace_id: member.workspace(),
        conversation_id: conversation,
        contact_id: target.contact,
        number_id: target.number,
        direction: Direction::Outbound,
        content: content.to_owned(),
        message_type: kind,
        media: Json(
            media
                .iter()
                .map(|file| Media::of(file, member.workspace()))
                .collect(),
        ),
        status,
        provider: target.provider,
        provider_sid: None,
        error_code: None,
        error_message: None,
        segments: Some(segments),
        price: None,
        sentiment: None,
        created_by: Some(member.user()),
        created_by_name: Some(member.name.clone()),
        mentions: Json::default(),
        scheduled_at: at,
        created_at: queued.created_at,
        updated_at: queued.created_at,
        client_ref: key.map(str::to_owned),
        retried_as: None,
    };
    Ok(Some(QueuedMessage {
        message,
        credits_remaining: queued.credits_remaining,
    }))
}

//! What the pages of the inbox show around their conversations. Each function asks for all of it in one statement,
//! because each statement costs the distance to the database.

use sqlx::types::Json;

use crate::db::WorkspaceTx;
use crate::domain::contacts::fields::Field;
use crate::domain::contacts::tags::Tag;
use crate::domain::conversations::activity::Activity;
use crate::domain::conversations::views::{self, View};
use crate::domain::conversations::{Conversation, Counts};
use crate::domain::credits::Balance;
use crate::domain::drafts::{self, Draft, DraftPreview};
use crate::domain::members::{Colleague, Member};
use crate::domain::numbers::{Number, Viewer};
use crate::domain::opt_outs::Consent;
use crate::domain::templates::{self, Template};
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::language::t;

/// What belongs to the member and the workspace.
pub struct Surroundings {
    /// The numbers that the member may see, the default first.
    pub numbers: Vec<Number>,
    pub colleagues: Vec<Colleague>,
    /// Appended to the member's texts.
    pub signature: String,
    /// `None` for an admin, whose use is not limited.
    pub balance: Option<Balance>,
    /// Zero unless asked for.
    pub counts: Counts,
    /// Saved views and tags, by name; empty unless asked for.
    pub views: Vec<View>,
    pub tags: Vec<Tag>,
    /// The beginnings of the member's drafts by conversation, unless asked without counts, or if there are too many.
    pub drafts: Option<Vec<DraftPreview>>,
}

/// With more drafts, those of the shown conversations are asked for.
const MOST_DRAFTS: usize = 200;

/// What a page shows around its conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// The list with its tabs.
    List,
    /// A thread alone.
    Thread,
}

/// One round trip.
pub async fn surroundings(
    tx: &mut WorkspaceTx,
    member: &Member,
    around: Around,
) -> Result<Surroundings> {
    let row = sqlx::query!(
        r#"select s.signature as "signature?",
                  m.role = 'admin' as "unlimited!", coalesce(a.balance, 0) as "balance!",
                  coalesce(a.balance, 0) <= w.low_credits_at as "is_low!",
                  coalesce((select jsonb_agg(number_json(n, i.provider) order by n.is_default desc, n.created_at, n.id)
                              from numbers n
                              join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id),
                           '[]') as "numbers!: Json<Vec<Number>>",
                  coalesce((select json_agg(t) from (
                      select o.user_id, u.name, u.email, o.role, u.two_factor_at is not null as two_factor, o.created_at
                        from workspace_members o
                        join users u on u.id = o.user_id
                       order by lower(u.name), o.user_id) t), '[]') as "colleagues!: Json<Vec<Colleague>>",
                  coalesce((select json_agg(t) from (
                      select d.conversation_id as conversation, left(d.content, 200) as content
                        from drafts d
                       where $1 and d.user_id = current_user_id() and d.conversation_id is not null
                       limit $3) t), '[]') as "drafts!: Json<Vec<DraftPreview>>",
                  coalesce((select json_agg(t) from (
                      select id, name, owner_id is null as shared, tab, number_id, tag_id, assignee, unread, failed,
                             list_order as "order", created_by, created_at
                        from list_views
                       where $1
                       order by lower(name), id
                       limit $4) t), '[]') as "views!: Json<Vec<View>>",
                  coalesce((select json_agg(t) from (
                      select id, name, color from tags where $1 order by lower(name), id) t), '[]') as "tags!: Json<Vec<Tag>>",
                  to_jsonb(c) as "counts!: Json<Counts>"
             from workspace_members m
            cross join menu_counts($1) c
             join workspaces w on w.id = m.workspace_id
             left join member_settings s on s.workspace_id = m.workspace_id and s.user_id = m.user_id
             left join credit_accounts a on a.workspace_id = m.workspace_id and a.user_id = m.user_id
            where m.workspace_id = current_workspace() and m.user_id = $2"#,
        around == Around::List,
        member.user() as _,
        MOST_DRAFTS as i64 + 1,
        views::COUNT_LIMIT,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the member")))?;
    let drafts = row.drafts.0;
    let has_all_drafts = around == Around::List && drafts.len() <= MOST_DRAFTS;
    Ok(Surroundings {
        counts: row.counts.0,
        drafts: has_all_drafts.then_some(drafts),
        numbers: row.numbers.0,
        colleagues: row.colleagues.0,
        signature: row.signature.unwrap_or_default(),
        views: row.views.0,
        tags: row.tags.0,
        balance: (!row.unlimited).then_some(Balance {
            left: row.balance,
            is_low: row.is_low,
        }),
    })
}

/// What belongs to one conversation, besides its messages and the contact's other conversations.
pub struct Beside {
    /// Members who see the number: they can be assigned or mentioned.
    pub viewers: Vec<Viewer>,
    /// Unread notes that mention the member.
    pub mentions: i64,
    pub fields: Vec<Field>,
    pub tags: Vec<Tag>,
    /// Newest first, at most 200.
    pub consents: Vec<Consent>,
    /// The latest, newest first.
    pub activity: Vec<Activity>,
    /// Newest first, at most 200.
    pub templates: Vec<Template>,
    /// The member's draft.
    pub draft: Draft,
    /// Texts that are not due yet, the first to go first, at most 50.
    pub scheduled: Vec<MessageId>,
}

/// With at most `lines` of activity. One round trip; two if the draft has files.
pub async fn beside(
    tx: &mut WorkspaceTx,
    conversation: &Conversation,
    lines: i64,
) -> Result<Beside> {
    let row = sqlx::query!(
        r#"select (select count(*) from mentions
                    where conversation_id = $1 and user_id = current_user_id() and seen_at is null) as "mentions!",
                  coalesce((select json_agg(t) from (
                      select v.user_id, u.name, true as sees
                        from number_viewers(current_workspace(), $2) v
                        join users u on u.id = v.user_id
                       order by lower(u.name), v.user_id) t), '[]') as "viewers!: Json<Vec<Viewer>>",
                  coalesce((select json_agg(t) from (
                      select id, key, name, kind, choices from contact_fields
                       order by position, id) t), '[]') as "fields!: Json<Vec<Field>>",
                  coalesce((select json_agg(t) from (
                      select id, name, color from tags order by lower(name), id) t), '[]') as "tags!: Json<Vec<Tag>>",
                  coalesce((select json_agg(t) from (
                      select s.contact_id, s.number_id, n.phone_number as number, s.consent_kind, s.source, s.proof,
                             s.actor_id, s.actor_name, s.created_at
                        from consents s
                        join numbers n on n.workspace_id = s.workspace_id and n.id = s.number_id
                       where s.contact_id = $3
                       order by s.created_at desc, s.id desc
                       limit 200) t), '[]') as "consents!: Json<Vec<Consent>>",
                  coalesce((select json_agg(t) from (
                      select id, conversation_id, kind, cause, actor_id, actor_name, assignee_id, assignee_name,
                             previous_id, previous_name, until, created_at
                        from conversation_events
                       where conversation_id = $1
                       order by id desc
                       limit $4) t), '[]') as "activity!: Json<Vec<Activity>>",
                  coalesce((select json_agg(t) from (
                      select t.id, t.workspace_id, t.name, t.content, t.owner_id is null as shared, t.created_by,
                             u.name as created_by_name, t.created_at, t.updated_at
                        from templates t
                        left join users u on u.id = t.created_by
                       order by t.created_at desc, t.id desc
                       limit 200) t), '[]') as "templates!: Json<Vec<templates::Row>>",
                  array(select id from messages
                         where conversation_id = $1 and status = 'scheduled'
                         order by scheduled_at, id
                         limit 50) as "scheduled!: Vec<MessageId>",
                  (select row_to_json(t) from (
                      select recipient, number_id, content, media_ids, updated_at from drafts
                       where user_id = current_user_id() and conversation_id = $1) t) as "draft: Json<drafts::Row>""#,
        conversation.id as _,
        conversation.number_id as _,
        conversation.contact_id as _,
        lines,
    )
    .fetch_one(tx.conn())
    .await?;
    let draft = row.draft.map(|draft| draft.0);
    Ok(Beside {
        viewers: row.viewers.0,
        mentions: row.mentions,
        fields: row.fields.0,
        tags: row.tags.0,
        consents: row.consents.0,
        activity: row.activity.0,
        templates: row.templates.0.into_iter().map(Template::from).collect(),
        scheduled: row.scheduled,
        draft: drafts::with_files(tx, Some(conversation.id), draft).await?,
    })
}

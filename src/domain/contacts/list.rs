//! Contacts that a member may see, filtered and sorted.
//!
//! A page is first read as ids along the index of its order (`contacts_by_name`, `contacts_pkey` for the newest,
//! `conversations_newest` by the last text); then only its own rows are loaded. A search or filter with few matches is
//! answered by its own index, and the matches are sorted. For an agent the scan skips contacts that are not visible to
//! them; if few are visible, these are sorted instead. Timings are from `explain analyze` with a million contacts and
//! 300,000 conversations.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Contact, by_ids, search_input};
use crate::db::WorkspaceTx;
use crate::domain::members::{Member, first_name};
use crate::domain::string_enum;
use crate::error::Result;
use crate::ids::{ContactId, ConversationId, TagId, UserId};
use crate::listing::{Bookmark, Cursor, Page, Span, page, unless_empty};
use crate::phone::search::SearchInput;

string_enum!(
    /// The order of the list.
    #[schema(as = ContactSort)]
    Sort {
        /// By name, ascending; contacts without a name come last.
        Name = "name",
        /// By the last text, newest first; contacts without texts come last.
        LastText = "last_text",
        /// By creation, newest first.
        Added = "added",
    }
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub sort: Sort,
    /// Contacts without texts come last in both directions: an imported list would hide all others.
    pub is_reversed: bool,
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Self {
        Self {
            sort,
            is_reversed: false,
        }
    }
}

/// Filters of the list. A filter that is left out does not apply.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Any part of a name, number or email address, ignoring case and accents; also a number in national format.
    #[serde(default, deserialize_with = "unless_empty")]
    pub q: Option<String>,
    /// Contacts that have this tag.
    #[serde(default, deserialize_with = "unless_empty")]
    pub tag: Option<TagId>,
    /// `true`: contacts that opted out from any number that the caller sees.
    #[serde(default, deserialize_with = "unless_empty")]
    pub opted_out: Option<bool>,
}

impl Filter {
    pub fn is_filtered(&self) -> bool {
        self.query().is_some() || self.tag.is_some() || self.opted_out == Some(true)
    }

    fn query(&self) -> Option<&str> {
        self.q.as_deref().filter(|q| !q.trim().is_empty())
    }
}

/// A contact in a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ListedContact)]
pub struct Listed {
    #[serde(flatten)]
    pub contact: Contact,
    /// The newest text in a conversation that the caller may see.
    pub last_text: Option<LastText>,
    /// Whether the contact opted out from any number that the caller sees.
    pub opted_out: bool,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LastText {
    pub conversation_id: ConversationId,
    pub at: DateTime<Utc>,
    pub preview: String,
    pub is_ours: bool,
    /// The member who wrote it; `null` for an inbound one.
    pub by: Option<UserId>,
    pub by_name: Option<String>,
}

impl LastText {
    /// The first name of who wrote it.
    pub fn author(&self) -> Option<&str> {
        self.by_name.as_deref().map(first_name)
    }
}

/// Three round trips; one more with a search, and for an agent.
pub async fn list(
    tx: &mut WorkspaceTx,
    member: &Member,
    filter: &Filter,
    order: impl Into<Order>,
    span: &Span,
) -> Result<Page<Listed>> {
    let order = order.into();
    let parameters = ListParameters {
        limit: span.limit()?,
        ..parameters(tx, member, filter, order).await?
    };
    let ids = match order.sort {
        Sort::Added => newest(tx, &parameters, span).await?,
        Sort::Name => by_name(tx, &parameters, span).await?,
        Sort::LastText => by_last_text(tx, &parameters, span).await?,
    };
    Ok(Page {
        data: shown(tx, &ids.data).await?,
        next_cursor: ids.next_cursor,
    })
}

/// How many contacts match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    pub count: i64,
    /// Whether there are more than were counted.
    pub is_more: bool,
}

const COUNT_LIMIT: i64 = 10_000;
/// A search with many matches passes over those that do not match.
const SEARCH_COUNT_LIMIT: i64 = 1_000;

/// Counts the list up to a limit. `None`: counting would pass over too many contacts of others. Up to three round trips.
pub async fn total(
    tx: &mut WorkspaceTx,
    member: &Member,
    filter: &Filter,
) -> Result<Option<Total>> {
    let parameters = parameters(tx, member, filter, Order::from(Sort::Added)).await?;
    let is_few = parameters.few_matches.is_some();
    let limit = match filter.is_filtered() && !is_few {
        true => SEARCH_COUNT_LIMIT,
        false => COUNT_LIMIT,
    };
    let count: i64 = if parameters.is_unfiltered_for_agent() {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from visible_contacts(null, false, $1)"#,
            i32::try_from(limit + 1).unwrap_or(i32::MAX),
        )
        .fetch_one(tx.conn())
        .await?
    } else if member.is_admin() || is_few {
        let mut scan = Scan::new("select count(*) from (select c.id from contacts c where true");
        push_filter(&mut scan, &parameters, "c.workspace_id", "c.id");
        scan.push(" limit ").push_bind(limit + 1).push(") c");
        scan.build_query_scalar().fetch_one(tx.conn()).await?
    } else {
        return Ok(None);
    };
    Ok(Some(Total {
        count: count.min(limit),
        is_more: count > limit,
    }))
}

/// The ids of the list, at most `limit`. Up to three round trips.
pub(super) async fn ids(
    tx: &mut WorkspaceTx,
    member: &Member,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<ContactId>> {
    let parameters = parameters(tx, member, filter, Order::from(Sort::Added)).await?;
    if parameters.is_unfiltered_for_agent() {
        return Ok(sqlx::query_scalar!(
            r#"select id as "id!: ContactId" from visible_contacts(null, false, $1) as v (id)"#,
            i32::try_from(limit).unwrap_or(i32::MAX),
        )
        .fetch_all(tx.conn())
        .await?);
    }
    let mut scan = Scan::new("select c.id from contacts c where true");
    push_filter(&mut scan, &parameters, "c.workspace_id", "c.id");
    scan.push(" limit ").push_bind(limit);
    Ok(scan.build_query_scalar().fetch_all(tx.conn()).await?)
}

async fn parameters(
    tx: &mut WorkspaceTx,
    member: &Member,
    filter: &Filter,
    order: Order,
) -> Result<ListParameters> {
    let query = match filter.query() {
        Some(q) => Some(search_input(tx, q).await?),
        None => None,
    };
    let opted_out = filter.opted_out == Some(true);
    let few_matches = match filter.is_filtered() || !member.is_admin() {
        true => few_matches(tx, query.as_ref(), filter.tag, opted_out).await?,
        false => None,
    };
    Ok(ListParameters {
        // If there are few matches, they were found by the search text already.
        search_text: query
            .as_ref()
            .filter(|_| few_matches.is_none())
            .map(|query| query.search_text.clone()),
        numbers: query.map(|query| query.terms()).unwrap_or_default(),
        few_matches,
        tag: filter.tag,
        opted_out,
        only_created_by: (!member.is_admin()).then(|| member.user()),
        is_reversed: order.is_reversed,
        limit: 0,
    })
}

struct ListParameters {
    few_matches: Option<Vec<Uuid>>,
    /// `None`: there is no search, or `few_matches` holds its matches.
    search_text: Option<String>,
    numbers: Vec<String>,
    tag: Option<TagId>,
    opted_out: bool,
    /// Agents see a contact without texts only if they created it.
    only_created_by: Option<UserId>,
    is_reversed: bool,
    limit: i64,
}

impl ListParameters {
    fn is_unfiltered_for_agent(&self) -> bool {
        self.only_created_by.is_some()
            && self.few_matches.is_none()
            && self.search_text.is_none()
            && self.tag.is_none()
            && !self.opted_out
    }
}

/// The matching ids, if there are few. `None`: there are many, or there is no filter.
pub(in crate::domain) async fn few_matches(
    tx: &mut WorkspaceTx,
    query: Option<&SearchInput>,
    tag: Option<TagId>,
    opted_out: bool,
) -> Result<Option<Vec<Uuid>>> {
    Ok(sqlx::query_scalar!(
        "select contacts_if_few($1, $2, $3, $4)",
        query.map(|query| query.search_text.as_str()),
        &query.map(SearchInput::terms).unwrap_or_default(),
        tag as _,
        opted_out,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The statements of the orders have the same conditions; which of them, and the direction, differ from call to call.
type Scan = QueryBuilder<Postgres>;

/// Adds the conditions of the filter. `workspace` and `contact` are the columns of the contact's key.
fn push_filter(scan: &mut Scan, parameters: &ListParameters, workspace: &str, contact: &str) {
    if let Some(few_matches) = &parameters.few_matches {
        scan.push(format_args!(" and {contact} = any ("))
            .push_bind(few_matches)
            .push(")");
    }
    if let Some(search_text) = &parameters.search_text {
        scan.push(format_args!(
            " and contact_matches({workspace}, {contact}, (select people_query("
        ))
        .push_bind(search_text)
        .push(", ")
        .push_bind(&parameters.numbers)
        .push(")))");
    }
    if let Some(tag) = parameters.tag {
        scan.push(format_args!(" and has_tag({workspace}, {contact}, "))
            .push_bind(tag)
            .push(")");
    }
    if parameters.opted_out {
        scan.push(format_args!(
            " and exists (select from opt_outs o where o.workspace_id = {workspace} and o.contact_id = {contact})"
        ));
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    fn descending_unless(is_reversed: bool) -> Self {
        match is_reversed {
            false => Self::Descending,
            true => Self::Ascending,
        }
    }

    /// Compares a row with the last one of the page before.
    fn comparison(self) -> &'static str {
        match self {
            Self::Ascending => ">",
            Self::Descending => "<",
        }
    }

    fn keyword(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
}

/// Ends a scan by id.
fn push_page_by_id(scan: &mut Scan, direction: Direction, after: Option<Uuid>, limit: i64) {
    if let Some(after) = after {
        scan.push(format_args!(" and c.id {} ", direction.comparison()))
            .push_bind(after);
    }
    scan.push(format_args!(
        " order by c.id {} limit ",
        direction.keyword()
    ))
    .push_bind(limit);
}

/// A million contacts: 0.2 ms for an admin (`contacts_pkey`, in either direction). Agents use `visible_contacts`.
async fn newest(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    span: &Span,
) -> Result<Page<ContactId>> {
    let after = span.cursor()?.map(|cursor| cursor.id);
    if parameters.is_unfiltered_for_agent() {
        return visible_to_agent(tx, parameters, after).await;
    }
    let direction = Direction::descending_unless(parameters.is_reversed);
    let mut scan = Scan::new("select c.id, c.created_at from contacts c where true");
    push_filter(&mut scan, parameters, "c.workspace_id", "c.id");
    push_page_by_id(&mut scan, direction, after, parameters.limit + 1);
    let rows: Vec<(ContactId, DateTime<Utc>)> = scan.build_query_as().fetch_all(tx.conn()).await?;
    let rows = page(rows, parameters.limit, |(id, at)| Cursor {
        at: *at,
        id: id.0,
    });
    Ok(only_ids(rows, |(id, _)| id))
}

async fn visible_to_agent(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    after: Option<Uuid>,
) -> Result<Page<ContactId>> {
    let rows = sqlx::query!(
        r#"select c.id, c.created_at
             from visible_contacts($1, $2, $3) with ordinality as s (id, place)
             join contacts c on c.workspace_id = current_workspace() and c.id = s.id
            order by s.place"#,
        after,
        parameters.is_reversed,
        i32::try_from(parameters.limit).unwrap_or(200) + 1,
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.id, row.created_at))
    .collect();
    let rows = page(rows, parameters.limit, |(id, at): &(ContactId, _)| Cursor {
        at: *at,
        id: id.0,
    });
    Ok(only_ids(rows, |(id, _)| id))
}

/// A million contacts: 0.4 ms for an admin, for any page (`contacts_by_name`, in either direction).
async fn by_name(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    span: &Span,
) -> Result<Page<ContactId>> {
    let after = span.bookmark()?;
    let direction = match parameters.is_reversed {
        false => Direction::Ascending,
        true => Direction::Descending,
    };
    let mut scan = Scan::new("select c.id, c.name_key from contacts c where true");
    push_filter(&mut scan, parameters, "c.workspace_id", "c.id");
    if let Some(after) = after {
        scan.push(format_args!(
            " and (c.name_key, c.id) {} (",
            direction.comparison()
        ))
        .push_bind(after.key)
        .push(", ")
        .push_bind(after.id)
        .push(")");
    }
    scan.push(format_args!(
        " order by c.name_key {0}, c.id {0} limit ",
        direction.keyword()
    ))
    .push_bind(parameters.limit + 1);
    let rows: Vec<(ContactId, String)> = scan.build_query_as().fetch_all(tx.conn()).await?;
    let rows = page(rows, parameters.limit, |(id, key)| Bookmark {
        key: key.clone(),
        id: id.0,
    });
    Ok(only_ids(rows, |(id, _)| id))
}

/// First each contact's newest conversation, then the contacts without any. A million contacts: 0.6 ms for an admin
/// (`conversations_newest` for each status, then `contacts_untexted`, in either direction).
async fn by_last_text(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    span: &Span,
) -> Result<Page<ContactId>> {
    // A key is `@` and a time for a contact with texts, `#` for one without.
    let after = span.bookmark()?;
    let mut rows: Vec<(Bookmark, ContactId)> = Vec::new();
    let is_texted = |bookmark: &&Bookmark| bookmark.key.starts_with('@');
    if after.as_ref().is_none_or(|bookmark| is_texted(&bookmark)) {
        rows = texted(tx, parameters, after.as_ref()).await?;
    }
    let missing = parameters.limit + 1 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if missing > 0 {
        let after = after.filter(|bookmark| !is_texted(&bookmark));
        let untexted = untexted(tx, parameters, after.map(|bookmark| bookmark.id), missing).await?;
        rows.extend(untexted.into_iter().map(|id| {
            let key = "#".to_owned();
            (Bookmark { key, id: id.0 }, id)
        }));
    }
    let rows = page(rows, parameters.limit, |(bookmark, _)| bookmark.clone());
    Ok(only_ids(rows, |(_, id)| id))
}

async fn untexted(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ContactId>> {
    let direction = Direction::descending_unless(parameters.is_reversed);
    let mut scan =
        Scan::new("select c.id from contacts c where not c.texted and c.merged_into is null");
    push_filter(&mut scan, parameters, "c.workspace_id", "c.id");
    if let Some(user) = parameters.only_created_by {
        scan.push(" and c.created_by = ").push_bind(user);
    }
    push_page_by_id(&mut scan, direction, after, limit);
    Ok(scan.build_query_scalar().fetch_all(tx.conn()).await?)
}

async fn texted(
    tx: &mut WorkspaceTx,
    parameters: &ListParameters,
    after: Option<&Bookmark>,
) -> Result<Vec<(Bookmark, ContactId)>> {
    let after = after.and_then(|bookmark| {
        let micros = bookmark.key[1..].parse().ok()?;
        Some((DateTime::from_timestamp_micros(micros)?, bookmark.id))
    });
    let direction = Direction::descending_unless(parameters.is_reversed);
    let order = format!(
        " order by v.listed_at {0}, v.last_message_at {0}, v.id {0} limit ",
        direction.keyword()
    );
    let mut scan = Scan::new(
        "select v.id, v.contact_id, v.last_message_at
           from unnest(array['open', 'pending', 'snoozed', 'done']) as s (status)
          cross join lateral (
              select v.* from conversations v
               where v.status = s.status
                 and not exists (select from conversations n
                                  where n.workspace_id = v.workspace_id and n.contact_id = v.contact_id
                                    and (n.last_message_at, n.id) > (v.last_message_at, v.id))",
    );
    push_filter(&mut scan, parameters, "v.workspace_id", "v.contact_id");
    if let Some((at, id)) = after {
        scan.push(format_args!(
            " and v.listed_at {}= list_step(",
            direction.comparison()
        ))
        .push_bind(at)
        .push(format_args!(
            ") and (v.last_message_at, v.id) {} (",
            direction.comparison()
        ))
        .push_bind(at)
        .push(", ")
        .push_bind(id)
        .push(")");
    }
    scan.push(&order)
        .push_bind(parameters.limit + 1)
        .push(") v")
        .push(&order)
        .push_bind(parameters.limit + 1);
    let rows: Vec<(ConversationId, ContactId, DateTime<Utc>)> =
        scan.build_query_as().fetch_all(tx.conn()).await?;
    let found = rows.into_iter().map(|(id, contact, at)| {
        let key = format!("@{}", at.timestamp_micros());
        (Bookmark { key, id: id.0 }, contact)
    });
    Ok(found.collect())
}

fn only_ids<T>(found: Page<T>, id: impl Fn(T) -> ContactId) -> Page<ContactId> {
    Page {
        data: found.data.into_iter().map(id).collect(),
        next_cursor: found.next_cursor,
    }
}

/// The contacts that exist, in the order of `ids`, with their last text and opt-out. Two round trips.
pub async fn shown(tx: &mut WorkspaceTx, ids: &[ContactId]) -> Result<Vec<Listed>> {
    let workspace = tx.workspace();
    let contacts = by_ids(tx.conn(), workspace, ids).await?;
    let mut details = sqlx::query!(
        r#"select k.id as "id!: ContactId", v.id as "conversation?: ConversationId", v.last_message_at as "at?",
                  v.last_message_preview as "preview?", v.last_message_direction = 'outbound' as "is_ours?",
                  a.created_by as "by?: UserId", a.name as "by_name?",
                  exists (select from opt_outs o where o.workspace_id = $2 and o.contact_id = k.id) as "opted_out!"
             from unnest($1::uuid[]) as k (id)
             left join lateral (
                  select v.* from conversations v
                   where v.workspace_id = $2 and v.contact_id = k.id
                   order by v.last_message_at desc, v.id desc
                   limit 1) v on true
             left join lateral (select m.created_by, u.name
                                  from messages m
                                  left join users u on u.id = m.created_by
                                 where v.last_message_direction = 'outbound' and m.workspace_id = $2 and m.id = v.last_message_id
                                 limit 1) a on true"#,
        ids as _,
        workspace as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(contacts
        .into_iter()
        .map(|contact| {
            let place = details.iter().position(|row| row.id == contact.id);
            let row = place.map(|place| details.swap_remove(place));
            let opted_out = row.as_ref().is_some_and(|row| row.opted_out);
            let last_text = row.and_then(|row| {
                Some(LastText {
                    conversation_id: row.conversation?,
                    at: row.at?,
                    preview: row.preview?,
                    is_ours: row.is_ours?,
                    by: row.by,
                    by_name: row.by_name,
                })
            });
            Listed {
                contact,
                last_text,
                opted_out,
            }
        })
        .collect())
}

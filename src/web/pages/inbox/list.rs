//! The list of conversations, and the page around it.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::choices::{Choice, Filters};
use super::empty::{Empty, empty};
use super::filter::{InboxFilter, ListLocation, Tab};
use super::found;
use super::row::ConversationRow;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::tags::Tag;
use crate::domain::conversations::views::View;
use crate::domain::conversations::{self, Conversation, Counts, Order};
use crate::domain::drafts::{self, DraftPreview};
use crate::domain::inbox::{self, Around, Surroundings};
use crate::domain::members::{Colleague, Member};
use crate::domain::numbers;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, UserId, ViewId};
use crate::language::{Message, t};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::fragments;
use crate::web::pages::{Partial, Shell, frame, page, partial, streams, wants_only_streams};
use crate::web::problem::Problem;

pub async fn to_inbox(Path(slug): Path<String>) -> Redirect {
    Redirect::to(&format!("/w/{slug}/inbox"))
}

#[derive(Template)]
#[template(path = "inbox/index.html")]
pub struct Index {
    pub shell: Shell,
    pub list: List,
    pub open: Option<OpenThread>,
    pub nothing: Nothing,
}

pub struct OpenThread {
    pub title: String,
    pub pane: Partial,
}

#[derive(Template)]
#[template(path = "inbox/_list.html")]
pub struct List {
    tab: Tab,
    q: String,
    number: String,
    assignee: String,
    unread: bool,
    tag: String,
    failed: bool,
    order: Order,
    /// Whether rows name their number.
    has_numbers: bool,
    filters: Filters,
    menu: ViewsMenu,
    bulk: Partial,
    location: ListLocation,
    tabs: Partial,
    page: Partial,
    empty: Option<Empty>,
}

impl List {
    /// Those with a choice.
    fn groups(&self) -> Vec<(Message, &[Choice])> {
        let groups: [(_, &[Choice]); 6] = [
            (t!("Order"), &self.filters.order),
            (t!("Number"), &self.filters.numbers),
            (t!("Assigned to"), &self.filters.people),
            (t!("Read status"), &self.filters.unread),
            (t!("Delivery"), &self.filters.failed),
            (t!("Tag"), &self.filters.tags),
        ];
        // With one number, all are the same.
        let fewest = |at: usize| if at == 1 { 3 } else { 2 };
        let groups = groups.into_iter().enumerate();
        groups
            .filter(|(at, (_, group))| group.len() >= fewest(*at))
            .map(|(_, group)| group)
            .collect()
    }
}

#[derive(Template)]
#[template(path = "inbox/_tabs.html")]
struct Tabs {
    tabs: Vec<TabLink>,
    /// The current one of those in the menu, and "Mentions" while there are unseen ones.
    more: Option<TabLink>,
    mentions: Option<TabLink>,
    unread: i64,
    pending: String,
    snoozed: String,
}

struct TabLink {
    tab: Tab,
    href: String,
    label: Message,
    icon: &'static str,
    count: Option<String>,
    current: bool,
}

/// The tabs that are not always in sight, and the saved views.
struct ViewsMenu {
    tabs: Vec<TabLink>,
    mine: Vec<ViewLink>,
    shared: Vec<ViewLink>,
    /// Whether the present list differs from the tabs and from every view.
    can_save: bool,
}

impl ViewsMenu {
    fn saved(&self) -> [(Message, &[ViewLink]); 2] {
        [
            (t!("My views"), &self.mine),
            (t!("Shared views"), &self.shared),
        ]
    }
}

struct ViewLink {
    id: ViewId,
    name: String,
    href: String,
    current: bool,
    can_remove: bool,
}

/// What is done with the selected conversations.
#[derive(Template)]
#[template(path = "inbox/_bulk.html")]
struct Bulk {
    base: String,
    me: UserId,
    colleagues: Vec<Colleague>,
    tags: Vec<Tag>,
}

/// A page of rows, with the frame id and URL of the next page.
#[derive(Template)]
#[template(path = "inbox/_rows.html")]
struct Rows {
    rows: Vec<Partial>,
    older: Option<(String, String)>,
}

/// The thread pane while no conversation is open.
#[derive(Template)]
#[template(path = "inbox/_nothing.html")]
pub struct Nothing {
    connected: bool,
    admin: bool,
    integrations: String,
}

impl Nothing {
    pub fn new(member: &Member, connected: bool) -> Self {
        Self {
            connected,
            admin: member.is_admin(),
            integrations: format!("/w/{}/admin/integrations", member.slug),
        }
    }
}

/// `GET /w/{slug}/inbox`
pub async fn list(
    member: Member,
    State(app): State<App>,
    Query(inbox_filter): Query<InboxFilter>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app
        .db
        .workspace_for(member.tenant(), inbox_filter.load())
        .await?;
    let frame_name = frame(&headers);
    if wants_only_streams(&headers) {
        return Ok(streams(missed_rows(&mut tx, &member, &inbox_filter).await?));
    }
    match frame_name {
        Some("counts") => {
            let counts = conversations::counts(&mut tx).await?;
            return Ok(page(&tabs(&member, &inbox_filter, &counts))?.into_response());
        }
        Some("conversation") => {
            let connected = !numbers::list(&mut tx).await?.is_empty();
            return Ok(page(&Nothing::new(&member, connected))?.into_response());
        }
        Some(id) if id.starts_with("rows-") => {
            let rows = rows(&mut tx, &member, &inbox_filter, None, None).await?.0;
            let id = frame_id(&inbox_filter);
            let html = format!(r#"<turbo-frame id="{id}">{rows}</turbo-frame>"#);
            return Ok(Html(html).into_response());
        }
        _ => {}
    }
    let surroundings = inbox::surroundings(&mut tx, &member, Around::List).await?;
    let (shell, list) =
        shell_and_list(&mut tx, &member, &inbox_filter, &surroundings, None).await?;
    if frame_name == Some("list") {
        return Ok(page(&list)?.into_response());
    }
    Ok(page(&Index {
        shell,
        list,
        open: None,
        nothing: Nothing::new(&member, !surroundings.numbers.is_empty()),
    })?
    .into_response())
}

/// Returns the page layout and the list.
pub async fn shell_and_list(
    tx: &mut WorkspaceTx,
    member: &Member,
    inbox_filter: &InboxFilter,
    surroundings: &Surroundings,
    current: Option<ConversationId>,
) -> Result<(Shell, List)> {
    let counts = &surroundings.counts;
    let drafts = surroundings.drafts.as_deref();
    let (page, is_empty) = rows(tx, member, inbox_filter, current, drafts).await?;
    let connected = !surroundings.numbers.is_empty();
    let location = ListLocation::new(member, inbox_filter);
    let list = List {
        tab: inbox_filter.tab,
        q: inbox_filter.q().to_owned(),
        number: inbox_filter
            .number
            .map(|number| number.to_string())
            .unwrap_or_default(),
        assignee: inbox_filter
            .assignee
            .map(|who| who.to_string())
            .unwrap_or_default(),
        unread: inbox_filter.unread == Some(true),
        filters: Filters::new(
            &location.base,
            inbox_filter,
            &surroundings.numbers,
            &surroundings.colleagues,
            &surroundings.tags,
            member.user(),
        ),
        tag: inbox_filter
            .tag
            .map(|tag| tag.to_string())
            .unwrap_or_default(),
        failed: inbox_filter.failed == Some(true),
        order: inbox_filter.order(),
        has_numbers: surroundings.numbers.len() > 1,
        menu: views_menu(member, inbox_filter, surroundings),
        bulk: partial(&Bulk {
            base: location.base.clone(),
            me: member.user(),
            colleagues: surroundings.colleagues.clone(),
            tags: surroundings.tags.clone(),
        })?,
        location,
        tabs: partial(&tabs(member, inbox_filter, counts))?,
        page,
        // Always rendered: the style sheet hides it while there are rows.
        empty: Some(empty(inbox_filter, is_empty, connected, member)),
    };
    Ok((Shell::new(member, counts, "inbox"), list))
}

/// `drafts`: those of the member, unless they are to be asked for.
async fn rows(
    tx: &mut WorkspaceTx,
    member: &Member,
    inbox_filter: &InboxFilter,
    current: Option<ConversationId>,
    drafts: Option<&[DraftPreview]>,
) -> Result<(Partial, bool)> {
    if !inbox_filter.q().is_empty() {
        return found::found(tx, member, inbox_filter).await;
    }
    let found = conversations::list(tx, &inbox_filter.filter(member), &inbox_filter.span()).await?;
    let location = ListLocation::new(member, inbox_filter);
    let drafts = match drafts {
        Some(drafts) => Cow::Borrowed(drafts),
        None => {
            let ids: Vec<_> = found.data.iter().map(|row| row.id).collect();
            Cow::Owned(drafts::previews(tx, &ids).await?)
        }
    };
    let row = |conversation: &Conversation| {
        let current = current == Some(conversation.id);
        let mut drafts = drafts.iter();
        let draft = drafts.find(|draft| draft.conversation == conversation.id);
        let draft = draft.map(DraftPreview::line).unwrap_or_default();
        partial(&ConversationRow {
            conversation,
            location: &location,
            current,
            me: Some(member.user()),
            draft: &draft,
        })
    };
    let older = found.next_cursor.map(|cursor| {
        let next = InboxFilter {
            cursor: Some(cursor.to_string()),
            ..inbox_filter.clone()
        };
        let href = format!(
            "{}{}",
            location.base,
            next.query(next.tab, next.cursor.as_deref())
        );
        (frame_id(&next), href)
    });
    let rows = Rows {
        rows: found.data.iter().map(row).collect::<Result<_>>()?,
        older,
    };
    Ok((partial(&rows)?, found.data.is_empty()))
}

/// Frame ids contain the cursor they load from, reduced to letters, digits, `-` and `_`.
fn frame_id(inbox_filter: &InboxFilter) -> String {
    let cursor = inbox_filter.cursor.as_deref().unwrap_or_default();
    format!(
        "rows-{}",
        cursor.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            ""
        )
    )
}

fn tabs(member: &Member, inbox_filter: &InboxFilter, counts: &Counts) -> Tabs {
    let link = |tab| tab_link(member, inbox_filter, counts, tab);
    let is_current = |tab: &Tab| *tab == inbox_filter.tab && inbox_filter.q().is_empty();
    let more = Tab::MORE.into_iter().find(is_current);
    Tabs {
        tabs: Tab::FIRST.map(link).into(),
        more: more.map(link),
        mentions: (counts.mentions > 0 && more != Some(Tab::Mentions)).then(|| link(Tab::Mentions)),
        unread: counts.unread,
        pending: shown(counts.pending).unwrap_or_default(),
        snoozed: shown(counts.snoozed).unwrap_or_default(),
    }
}

fn tab_link(member: &Member, inbox_filter: &InboxFilter, counts: &Counts, tab: Tab) -> TabLink {
    // Selecting a tab ends a search, so `q` is dropped; so is an assignee that the tab names itself.
    let without_search = InboxFilter {
        number: inbox_filter.number,
        assignee: match tab {
            Tab::Mine | Tab::Unassigned => None,
            _ => inbox_filter.assignee,
        },
        unread: inbox_filter.unread,
        tag: inbox_filter.tag,
        failed: inbox_filter.failed,
        order: inbox_filter.order,
        ..InboxFilter::default()
    };
    TabLink {
        tab,
        href: format!(
            "/w/{}/inbox{}",
            member.slug,
            without_search.query(tab, None)
        ),
        label: tab.label(),
        icon: tab.icon(),
        count: match tab {
            Tab::Snoozed => shown(counts.snoozed),
            Tab::Mentions => shown(counts.mentions),
            Tab::Open => shown(counts.open),
            Tab::Mine => shown(counts.mine),
            Tab::Unassigned => shown(counts.unassigned),
            Tab::Waiting => shown(counts.waiting),
            Tab::Pending => shown(counts.pending),
            Tab::Done => None,
        },
        current: tab == inbox_filter.tab && inbox_filter.q().is_empty(),
    }
}

fn views_menu(
    member: &Member,
    inbox_filter: &InboxFilter,
    surroundings: &Surroundings,
) -> ViewsMenu {
    let base = format!("/w/{}/inbox", member.slug);
    let shown = inbox_filter.query(inbox_filter.tab, None);
    let link = |view: &View| {
        let to = InboxFilter::of_view(view);
        let query = to.query(to.tab, None);
        ViewLink {
            id: view.id,
            name: view.name.clone(),
            current: query == shown,
            href: format!("{base}{query}"),
            can_remove: view.is_editable_by(member),
        }
    };
    let of = |shared| {
        let views = surroundings.views.iter();
        views
            .filter(|view| view.shared == shared)
            .map(link)
            .collect::<Vec<_>>()
    };
    let (mine, shared) = (of(false), of(true));
    let is_saved = mine.iter().chain(&shared).any(|view| view.current);
    let tab = |tab| tab_link(member, inbox_filter, &surroundings.counts, tab);
    ViewsMenu {
        tabs: Tab::MORE.map(tab).into(),
        can_save: inbox_filter.is_filtered() && inbox_filter.q().is_empty() && !is_saved,
        mine,
        shared,
    }
}

/// The count query stops at 1,000.
fn shown(count: i64) -> Option<String> {
    match count {
        0 => None,
        1..1_000 => Some(count.to_string()),
        _ => Some("999+".into()),
    }
}

pub async fn missed_rows(
    tx: &mut WorkspaceTx,
    member: &Member,
    inbox_filter: &InboxFilter,
) -> Result<String> {
    if !inbox_filter.q().is_empty() {
        return Ok(String::new()); // search results are not refreshed
    }
    let newest = InboxFilter {
        cursor: None,
        ..inbox_filter.clone()
    };
    let found = conversations::list(tx, &newest.filter(member), &newest.span()).await?;
    let complete = found.next_cursor.is_none();
    fragments::rows(&found.data, complete).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_id_depends_on_the_cursor_only() {
        let inbox_filter = InboxFilter {
            cursor: Some("a_-Z9\"><script>".into()),
            ..InboxFilter::default()
        };
        assert_eq!(frame_id(&inbox_filter), "rows-a_-Z9script");
    }
}

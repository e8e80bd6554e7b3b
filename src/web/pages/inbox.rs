//! The inbox: the list of conversations, and beside it the one that is open.
//!
//! One address serves the whole page, a part of it (a Turbo Frame), and what a page that was cut off has missed (Turbo
//! Streams): the same partials each time.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Partial, Shell, frame, page, partial, streams, wants_only_streams};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations::{self, Assignee, Conversation, Counts, Filter, Status};
use crate::domain::drafts;
use crate::domain::members::Member;
use crate::domain::numbers;
use crate::domain::search::Kind;
use crate::domain::settings::{self, Notifications};
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use crate::language::{put, t};
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::contacts::few_tags;
use crate::web::pages::fragments;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

mod changes;
mod contact;
mod found;
mod planned;
mod reply;
mod texts;
mod thread;

pub use changes::{assign, read, status};
pub use contact::{change as change_contact, change_consent, judge_stop, show as contact};
pub use planned::{Planned, mendable, reason, replan};
pub use reply::{Reply, reply, switch};
pub use texts::{Bubble, Planner, Texts};
pub use thread::{Blocked, Consent, StatusControl, balance, can_send, show};

/// Rows that one page of the list holds.
const ROWS: i64 = 40;

pub async fn to_inbox(Path(slug): Path<String>) -> Redirect {
    Redirect::to(&format!("/w/{slug}/inbox"))
}

/// What the list is narrowed to, in the address.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Narrowing {
    #[serde(default)]
    tab: Tab,
    #[serde(default)]
    q: String,
    /// Of what a search finds only these; nothing where it is none of the words.
    #[serde(default, deserialize_with = "known")]
    kind: Option<Kind>,
    cursor: Option<String>,
}

fn known<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Kind>, D::Error> {
    Ok(String::deserialize(deserializer)?.parse().ok())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tab {
    Mine,
    Pending,
    Done,
    #[default]
    #[serde(other)]
    Open,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Open, Self::Mine, Self::Pending, Self::Done];

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mine => "mine",
            Self::Pending => "pending",
            Self::Done => "done",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Mine => "Mine",
            Self::Pending => "Pending",
            Self::Done => "Done",
        }
    }
}

impl Narrowing {
    fn q(&self) -> &str {
        self.q.trim()
    }

    fn filter(&self, member: &Member) -> Filter {
        Filter {
            status: Some(match self.tab {
                Tab::Open | Tab::Mine => Status::Open,
                Tab::Pending => Status::Pending,
                Tab::Done => Status::Done,
            }),
            assignee: (self.tab == Tab::Mine).then(|| Assignee::User(member.user())),
            ..Filter::default()
        }
    }

    fn span(&self) -> Span {
        Span {
            limit: Some(ROWS),
            cursor: self.cursor.clone(),
        }
    }

    /// `?tab=pending&q=maya`, or nothing where it is the whole inbox.
    fn query(&self, tab: Tab, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if tab != Tab::Open {
            query.append_pair("tab", tab.word());
        }
        if !self.q().is_empty() {
            query.append_pair("q", self.q());
        }
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.word());
        }
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        match query.finish() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        }
    }
}

/// Where the inbox is, and what of it is shown.
#[derive(Clone, Debug, Default)]
pub struct Place {
    base: String,
    query: String,
}

impl Place {
    pub fn new(member: &Member, narrowing: &Narrowing) -> Self {
        Self {
            base: format!("/w/{}/inbox", member.slug),
            query: narrowing.query(narrowing.tab, None),
        }
    }

    /// The pages of people, beside the inbox.
    fn contacts(&self) -> String {
        format!("{}contacts", self.base.trim_end_matches("inbox"))
    }
}

#[derive(Template)]
#[template(path = "inbox/index.html")]
struct Index {
    shell: Shell,
    list: List,
    pane: Option<thread::Pane>,
    nothing: Nothing,
    notifications: Notifications,
}

#[derive(Template)]
#[template(path = "inbox/_list.html")]
struct List {
    tab: Tab,
    q: String,
    place: Place,
    tabs: Partial,
    page: Partial,
    empty: Option<Empty>,
}

struct Empty {
    icon: &'static str,
    title: String,
    text: &'static str,
    action: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "inbox/_tabs.html")]
struct Tabs {
    tabs: Vec<TabLink>,
    unread: i64,
}

struct TabLink {
    href: String,
    label: &'static str,
    count: Option<String>,
    current: bool,
}

/// Rows, and the way to those below.
#[derive(Template)]
#[template(path = "inbox/_rows.html")]
struct Rows {
    rows: Vec<Partial>,
    older: Option<(String, String)>,
}

/// One conversation in the list. Live it comes without a place: the page that shows it knows its own.
#[derive(Template)]
#[template(path = "inbox/_row.html")]
pub struct Row<'a> {
    pub conversation: &'a Conversation,
    pub place: &'a Place,
    pub current: bool,
    /// What the viewer is writing there. Live nobody's: the page knows its own.
    pub draft: &'a str,
}

impl Row<'_> {
    /// Where there are any: hardly any row has one, and none is rendered for nothing.
    fn tags(&self) -> Partial {
        few_tags(&self.conversation.contact)
    }
}

/// The middle of the page where no conversation is open.
#[derive(Template)]
#[template(path = "inbox/_nothing.html")]
struct Nothing {
    connected: bool,
    admin: bool,
    integrations: String,
}

impl Nothing {
    fn new(member: &Member, connected: bool) -> Self {
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
    Query(narrowing): Query<Narrowing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let wanted = frame(&headers);
    if wants_only_streams(&headers) {
        return Ok(streams(missed_rows(&mut tx, &member, &narrowing).await?));
    }
    match wanted {
        Some("counts") => {
            let counts = conversations::counts(&mut tx).await?;
            return Ok(page(&tabs(&member, &narrowing, &counts))?.into_response());
        }
        Some("conversation") => {
            let connected = !numbers::list(&mut tx).await?.is_empty();
            return Ok(page(&Nothing::new(&member, connected))?.into_response());
        }
        Some(id) if id.starts_with("rows-") => {
            let rows = rows(&mut tx, &member, &narrowing, None).await?.0;
            return Ok(format!(
                r#"<turbo-frame id="{}">{rows}</turbo-frame>"#,
                frame_id(&narrowing)
            )
            .into_html());
        }
        _ => {}
    }
    let (shell, list, connected) = pane(&mut tx, &member, &narrowing, None).await?;
    if wanted == Some("list") {
        return Ok(page(&list)?.into_response());
    }
    Ok(page(&Index {
        shell,
        list,
        pane: None,
        nothing: Nothing::new(&member, connected),
        notifications: settings::of(&mut tx, &member).await?.notifications,
    })?
    .into_response())
}

trait IntoHtml {
    fn into_html(self) -> Response;
}

impl IntoHtml for String {
    fn into_html(self) -> Response {
        axum::response::Html(self).into_response()
    }
}

/// The list pane, what surrounds it, and whether there is a number at all.
async fn pane(
    tx: &mut WorkspaceTx,
    member: &Member,
    narrowing: &Narrowing,
    current: Option<ConversationId>,
) -> Result<(Shell, List, bool)> {
    let counts = conversations::counts(tx).await?;
    let (page, is_empty) = rows(tx, member, narrowing, current).await?;
    let connected = !numbers::list(tx).await?.is_empty();
    let list = List {
        tab: narrowing.tab,
        q: narrowing.q().to_owned(),
        place: Place::new(member, narrowing),
        tabs: partial(&tabs(member, narrowing, &counts))?,
        page,
        // It stays in the page: the style sheet hides it as long as there is a row.
        empty: Some(empty(narrowing, is_empty, connected)),
    };
    Ok((Shell::new(member, &counts, "inbox"), list, connected))
}

async fn rows(
    tx: &mut WorkspaceTx,
    member: &Member,
    narrowing: &Narrowing,
    current: Option<ConversationId>,
) -> Result<(Partial, bool)> {
    if !narrowing.q().is_empty() {
        return found::found(tx, member, narrowing).await;
    }
    let found = conversations::list(tx, &narrowing.filter(member), &narrowing.span()).await?;
    let place = Place::new(member, narrowing);
    let ids: Vec<_> = found.data.iter().map(|row| row.id).collect();
    let drafts = drafts::beginnings(tx, &ids).await?;
    let row = |conversation: &Conversation| {
        let current = current == Some(conversation.id);
        let draft = drafts.iter().find(|(of, _)| *of == conversation.id);
        partial(&Row {
            conversation,
            place: &place,
            current,
            draft: draft.map_or("", |(_, draft)| draft.as_str()),
        })
    };
    let older = found.next_cursor.map(|cursor| {
        let next = Narrowing {
            cursor: Some(cursor.to_string()),
            ..narrowing.clone()
        };
        let href = format!(
            "{}{}",
            place.base,
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

/// A frame is named by the cursor that it continues from. A cursor of ours has only letters, digits, `-` and `_`.
fn frame_id(narrowing: &Narrowing) -> String {
    let cursor = narrowing.cursor.as_deref().unwrap_or_default();
    format!(
        "rows-{}",
        cursor.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            ""
        )
    )
}

fn tabs(member: &Member, narrowing: &Narrowing, counts: &Counts) -> Tabs {
    let link = |tab: Tab| TabLink {
        href: format!(
            "/w/{}/inbox{}",
            member.slug,
            Narrowing::default().query(tab, None)
        ),
        label: tab.label(),
        count: match tab {
            Tab::Open => shown(counts.open),
            Tab::Mine => shown(counts.mine),
            Tab::Pending => shown(counts.pending),
            Tab::Done => None,
        },
        // What is found stands under no tab.
        current: tab == narrowing.tab && narrowing.q().is_empty(),
    };
    Tabs {
        tabs: Tab::ALL.map(link).into(),
        unread: counts.unread,
    }
}

/// Counting stops at 1,000.
fn shown(count: i64) -> Option<String> {
    match count {
        0 => None,
        1..1_000 => Some(count.to_string()),
        _ => Some("999+".into()),
    }
}

fn empty(narrowing: &Narrowing, is_empty: bool, connected: bool) -> Empty {
    let say = |icon, title: &str, text| Empty {
        icon,
        title: title.to_owned(),
        text,
        action: None,
    };
    if is_empty && !narrowing.q().is_empty() {
        return say(
            "search",
            &put(&t("Nothing found for “{q}”"), "q", narrowing.q()),
            "Searched were any part of a name or number, and the words of all texts and notes that you may see.",
        );
    }
    if !connected {
        return say(
            "inbox",
            "No texts yet",
            "Once a number is connected, texts to it land here.",
        );
    }
    match narrowing.tab {
        Tab::Open => say(
            "check-check",
            "All done",
            "New texts land here by themselves.",
        ),
        Tab::Mine => say(
            "user-round",
            "Nothing assigned to you",
            "Assign a conversation to yourself to keep it here.",
        ),
        Tab::Pending => say(
            "clock",
            "Nothing is waiting",
            "Mark a conversation as pending while you wait for something.",
        ),
        Tab::Done => say(
            "check",
            "Nothing done yet",
            "Conversations that you finish are kept here.",
        ),
    }
}

/// The newest page of the list as it is now, for a page that was cut off.
async fn missed_rows(
    tx: &mut WorkspaceTx,
    member: &Member,
    narrowing: &Narrowing,
) -> Result<String> {
    if !narrowing.q().is_empty() {
        return Ok(String::new()); // what was found stays as it was
    }
    let newest = Narrowing {
        cursor: None,
        ..narrowing.clone()
    };
    let found = conversations::list(tx, &newest.filter(member), &newest.span()).await?;
    let complete = found.next_cursor.is_none();
    fragments::rows(&found.data, complete).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_what_the_list_is_narrowed_to() {
        let narrowing = Narrowing {
            tab: Tab::Pending,
            q: " Maya & co ".into(),
            kind: None,
            cursor: None,
        };
        assert_eq!(
            narrowing.query(Tab::Pending, None),
            "?tab=pending&q=Maya+%26+co"
        );
        assert_eq!(Narrowing::default().query(Tab::Open, None), "");
    }

    #[test]
    fn a_frame_is_named_by_nothing_but_its_cursor() {
        let narrowing = Narrowing {
            cursor: Some("a_-Z9\"><script>".into()),
            ..Narrowing::default()
        };
        assert_eq!(frame_id(&narrowing), "rows-a_-Z9script");
    }
}

//! The inbox: the list of conversations, and beside it the one that is open.
//!
//! One address serves the whole page, a part of it (a Turbo Frame), and what a page that was cut off has missed (Turbo
//! Streams): the same partials each time.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

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
use crate::domain::members::{self, Colleague, Member};
use crate::domain::numbers::{self, Number};
use crate::domain::search::Kind;
use crate::domain::settings::{self, Notifications};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, NumberId, UserId};
use crate::language::{put, t};
use crate::listing::{Span, unless_empty};
use crate::web::language::filters;
use crate::web::pages::contacts::few_tags;
use crate::web::pages::fragments;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

mod changes;
mod contact;
mod found;
mod note;
mod planned;
mod reply;
mod texts;
mod thread;

pub use changes::{assign, read, snooze, status, undo};
pub use contact::{change as change_contact, change_consent, judge_stop, show as contact};
pub use note::note;
pub use planned::{Planned, mendable, reason, replan};
pub use reply::{Reply, reply, switch};
pub use texts::{Bubble, Happened, Planner, Texts};
pub use thread::{Blocked, Consent, StatusControl, balance, can_send, internal, show};

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
    #[serde(default, deserialize_with = "unless_empty")]
    number: Option<NumberId>,
    /// `me`, `none` or a user's id.
    #[serde(default, deserialize_with = "unless_empty")]
    assignee: Option<Who>,
    #[serde(default, deserialize_with = "unless_empty")]
    unread: Option<bool>,
    cursor: Option<String>,
}

/// Whom a list of conversations is narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Me,
    Nobody,
    User(UserId),
}

impl FromStr for Who {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "me" => Ok(Self::Me),
            "none" => Ok(Self::Nobody),
            id => id
                .parse()
                .map(Self::User)
                .map_err(|_| "me, none or a user's id"),
        }
    }
}

impl Display for Who {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("me"),
            Self::Nobody => f.write_str("none"),
            Self::User(user) => user.fmt(f),
        }
    }
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
    Snoozed,
    /// Where notes call whoever looks.
    Mentions,
    #[default]
    #[serde(other)]
    Open,
}

impl Tab {
    const ALL: [Self; 6] = [
        Self::Open,
        Self::Mine,
        Self::Pending,
        Self::Done,
        Self::Snoozed,
        Self::Mentions,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mine => "mine",
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Snoozed => "snoozed",
            Self::Mentions => "mentions",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Mine => "Mine",
            Self::Pending => "Pending",
            Self::Done => "Done",
            Self::Snoozed => "Snoozed",
            Self::Mentions => "Mentions",
        }
    }

    /// What stands for it where there is little room.
    fn icon(self) -> Option<&'static str> {
        match self {
            Self::Snoozed => Some("alarm-clock"),
            Self::Mentions => Some("at-sign"),
            _ => None,
        }
    }
}

impl Narrowing {
    fn q(&self) -> &str {
        self.q.trim()
    }

    fn filter(&self, member: &Member) -> Filter {
        let who = match self.tab {
            Tab::Mine => Some(Who::Me),
            _ => self.assignee,
        };
        Filter {
            status: match self.tab {
                Tab::Open | Tab::Mine => Some(Status::Open),
                Tab::Pending => Some(Status::Pending),
                Tab::Done => Some(Status::Done),
                Tab::Snoozed => Some(Status::Snoozed),
                Tab::Mentions => None,
            },
            assignee: who.map(|who| match who {
                Who::Me => Assignee::User(member.user()),
                Who::Nobody => Assignee::Nobody,
                Who::User(user) => Assignee::User(user),
            }),
            number: self.number,
            unread: self.unread == Some(true),
            mentioned: self.tab == Tab::Mentions,
            ..Filter::default()
        }
    }

    /// Whether it is narrowed further than to its tab and search.
    fn is_narrowed(&self) -> bool {
        self.number.is_some() || self.assignee.is_some() || self.unread == Some(true)
    }

    /// The same with nothing but its tab and search.
    fn widened(&self) -> Self {
        Self {
            tab: self.tab,
            q: self.q.clone(),
            ..Self::default()
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
        if let Some(number) = self.number {
            query.append_pair("number", &number.to_string());
        }
        if let Some(who) = self.assignee {
            query.append_pair("assignee", &who.to_string());
        }
        if self.unread == Some(true) {
            query.append_pair("unread", "true");
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
    number: String,
    assignee: String,
    unread: bool,
    filters: Filters,
    place: Place,
    tabs: Partial,
    page: Partial,
    empty: Option<Empty>,
}

impl List {
    fn groups(&self) -> [(&'static str, &[Choice]); 3] {
        [
            ("Number", &self.filters.numbers),
            ("Assigned to", &self.filters.people),
            ("Read", &self.filters.unread),
        ]
    }
}

struct Empty {
    icon: &'static str,
    title: String,
    text: &'static str,
    action: Option<(String, &'static str)>,
}

/// What the list can be narrowed to, as links; and what it is narrowed to, in words.
struct Filters {
    numbers: Vec<Choice>,
    people: Vec<Choice>,
    unread: Vec<Choice>,
    /// Such as `Front desk · Unread`.
    said: String,
    /// The way to the whole list.
    clear: Option<String>,
}

struct Choice {
    label: String,
    href: String,
    current: bool,
}

impl Filters {
    fn new(
        base: &str,
        narrowing: &Narrowing,
        numbers: &[Number],
        colleagues: &[Colleague],
        me: UserId,
    ) -> Self {
        let choice = |label: &str, to: Narrowing, current: bool| Choice {
            label: label.into(),
            href: format!("{base}{}", to.query(to.tab, None)),
            current,
        };
        let from = |number| choice_of(narrowing, |to| to.number = number);
        let of = |assignee| choice_of(narrowing, |to| to.assignee = assignee);
        let mut lines = vec![choice(
            &t("All numbers"),
            from(None),
            narrowing.number.is_none(),
        )];
        lines.extend(numbers.iter().map(|number| {
            let id = Some(number.id);
            choice(&number.title(), from(id), narrowing.number == id)
        }));
        let mut people = vec![choice(&t("Anyone"), of(None), narrowing.assignee.is_none())];
        for (label, who) in [("Me", Who::Me), ("Nobody", Who::Nobody)] {
            people.push(choice(
                &t(label),
                of(Some(who)),
                narrowing.assignee == Some(who),
            ));
        }
        people.extend(
            colleagues
                .iter()
                .filter(|one| one.user_id != me)
                .map(|one| {
                    let who = Some(Who::User(one.user_id));
                    choice(&one.name, of(who), narrowing.assignee == who)
                }),
        );
        let is_unread = narrowing.unread == Some(true);
        let unread = [("Read or not", None), ("Unread only", Some(true))].map(|(label, unread)| {
            let to = choice_of(narrowing, |to| to.unread = unread);
            choice(&t(label), to, is_unread == unread.is_some())
        });
        let mut filters = Self {
            numbers: lines,
            people,
            unread: unread.into(),
            said: String::new(),
            clear: narrowing.is_narrowed().then(|| {
                let to = narrowing.widened();
                format!("{base}{}", to.query(to.tab, None))
            }),
        };
        let groups = [&filters.numbers, &filters.people, &filters.unread];
        let said: Vec<_> = groups
            .into_iter()
            .filter_map(|group| group.iter().skip(1).find(|choice| choice.current))
            .map(|choice| choice.label.as_str())
            .collect();
        filters.said = said.join(" · ");
        filters
    }
}

fn choice_of(narrowing: &Narrowing, change: impl FnOnce(&mut Narrowing)) -> Narrowing {
    let mut to = Narrowing {
        cursor: None,
        ..narrowing.clone()
    };
    change(&mut to);
    to
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
    icon: Option<&'static str>,
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
    let numbers = numbers::list(tx).await?;
    let connected = !numbers.is_empty();
    let colleagues = members::list(tx).await?;
    let place = Place::new(member, narrowing);
    let list = List {
        tab: narrowing.tab,
        q: narrowing.q().to_owned(),
        number: narrowing
            .number
            .map(|number| number.to_string())
            .unwrap_or_default(),
        assignee: narrowing
            .assignee
            .map(|who| who.to_string())
            .unwrap_or_default(),
        unread: narrowing.unread == Some(true),
        filters: Filters::new(&place.base, narrowing, &numbers, &colleagues, member.user()),
        place,
        tabs: partial(&tabs(member, narrowing, &counts))?,
        page,
        // It stays in the page: the style sheet hides it as long as there is a row.
        empty: Some(empty(narrowing, is_empty, connected, member)),
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
    // Whoever searches, and then wants a tab, has found what they searched for.
    let kept = Narrowing {
        number: narrowing.number,
        assignee: narrowing.assignee,
        unread: narrowing.unread,
        ..Narrowing::default()
    };
    let link = |tab: Tab| TabLink {
        href: format!("/w/{}/inbox{}", member.slug, kept.query(tab, None)),
        label: tab.label(),
        icon: tab.icon(),
        count: match tab {
            Tab::Snoozed => shown(counts.snoozed),
            Tab::Mentions => shown(counts.mentions),
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

fn empty(narrowing: &Narrowing, is_empty: bool, connected: bool, member: &Member) -> Empty {
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
    if is_empty && narrowing.is_narrowed() {
        let all = narrowing.widened();
        let href = format!("/w/{}/inbox{}", member.slug, all.query(all.tab, None));
        return Empty {
            action: Some((href, "Show all")),
            ..say(
                "list-filter",
                "Nothing like that here",
                "No conversation of this tab fits what the list is narrowed to.",
            )
        };
    }
    match narrowing.tab {
        Tab::Snoozed => say(
            "alarm-clock",
            "Nothing is snoozed",
            "A snoozed conversation waits here and comes back at its time, or with a new text.",
        ),
        Tab::Mentions => say(
            "at-sign",
            "Nobody has mentioned you",
            "When a colleague writes @ and your name in a note, the conversation is found here.",
        ),
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
            assignee: Some(Who::Nobody),
            unread: Some(true),
            ..Narrowing::default()
        };
        assert_eq!(
            narrowing.query(Tab::Pending, None),
            "?tab=pending&q=Maya+%26+co&assignee=none&unread=true"
        );
        assert_eq!(
            narrowing.widened().query(Tab::Pending, None),
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

//! The filter of the inbox's list: its query string and its database filter.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::Deserialize;

use crate::db::Load;
pub use crate::domain::conversations::views::Tab;
use crate::domain::conversations::views::{Draft, View};
use crate::domain::conversations::{Assignee, Filter, Order, Status};
use crate::domain::members::Member;
use crate::domain::search::Kind;
use crate::error::Result;
use crate::ids::{NumberId, TagId, UserId};
use crate::language::{Message, t};
use crate::listing::{Span, unless_empty};

pub const ROWS: i64 = 40;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct InboxFilter {
    /// Unknown values mean the default.
    #[serde(default, deserialize_with = "known_tab")]
    pub tab: Tab,
    #[serde(default)]
    pub q: String,
    /// Restricts search results to one kind; unknown values are ignored.
    #[serde(default, deserialize_with = "known")]
    pub kind: Option<Kind>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub number: Option<NumberId>,
    /// `me`, `none` or a user's id.
    #[serde(default, deserialize_with = "unless_empty")]
    pub assignee: Option<AssigneeFilter>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub unread: Option<bool>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub tag: Option<TagId>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub failed: Option<bool>,
    /// The tab's own unless set.
    #[serde(default, deserialize_with = "unless_empty")]
    pub order: Option<Order>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssigneeFilter {
    Me,
    Nobody,
    User(UserId),
}

impl FromStr for AssigneeFilter {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "me" => Ok(Self::Me),
            "none" => Ok(Self::Nobody),
            id => id
                .parse()
                .map(Self::User)
                .map_err(|_| "Use me, none or a user’s ID"),
        }
    }
}

impl Display for AssigneeFilter {
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

fn known_tab<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tab, D::Error> {
    Ok(String::deserialize(deserializer)?
        .parse()
        .unwrap_or_default())
}

impl Tab {
    /// Always in sight.
    pub const FIRST: [Self; 4] = [Self::Open, Self::Mine, Self::Unassigned, Self::Waiting];
    /// In the menu beside them.
    pub const MORE: [Self; 4] = [Self::Pending, Self::Snoozed, Self::Done, Self::Mentions];

    pub fn label(self) -> Message {
        match self {
            Self::Open => t!("Open"),
            Self::Mine => t!("Mine"),
            Self::Unassigned => t!("Unassigned"),
            Self::Waiting => t!("Needs answer"),
            Self::Pending => t!("Pending"),
            Self::Done => t!("Done"),
            Self::Snoozed => t!("Snoozed"),
            Self::Mentions => t!("Mentions"),
        }
    }

    pub fn icon(self) -> &'static str {
        match self {
            Self::Snoozed => "alarm-clock",
            Self::Mentions => "at-sign",
            Self::Pending => "clock",
            Self::Done => "check-check",
            _ => "inbox",
        }
    }

    /// Its order unless another is chosen.
    fn order(self) -> Order {
        match self {
            Self::Waiting => Order::Waiting,
            _ => Order::Newest,
        }
    }
}

impl InboxFilter {
    /// A search counts as a heavy query: few run at a time for each workspace.
    pub fn load(&self) -> Load {
        match self.q.trim().is_empty() {
            true => Load::Short,
            false => Load::Heavy,
        }
    }

    pub fn q(&self) -> &str {
        self.q.trim()
    }

    pub fn filter(&self, member: &Member) -> Filter {
        let who = match self.tab {
            Tab::Mine => Some(AssigneeFilter::Me),
            Tab::Unassigned => Some(AssigneeFilter::Nobody),
            _ => self.assignee,
        };
        Filter {
            status: match self.tab {
                Tab::Open | Tab::Mine | Tab::Unassigned | Tab::Waiting => Some(Status::Open),
                Tab::Pending => Some(Status::Pending),
                Tab::Done => Some(Status::Done),
                Tab::Snoozed => Some(Status::Snoozed),
                Tab::Mentions => None,
            },
            assignee: who.map(|who| match who {
                AssigneeFilter::Me => Assignee::User(member.user()),
                AssigneeFilter::Nobody => Assignee::Nobody,
                AssigneeFilter::User(user) => Assignee::User(user),
            }),
            number: self.number,
            unread: self.unread == Some(true),
            waiting: self.tab == Tab::Waiting,
            failed: self.failed == Some(true),
            tag: self.tag,
            order: self.order(),
            mentioned: self.tab == Tab::Mentions,
            ..Filter::default()
        }
    }

    pub fn order(&self) -> Order {
        self.order.unwrap_or(self.tab.order())
    }

    /// Whether a filter besides tab and search is set, or another order.
    pub fn is_filtered(&self) -> bool {
        self.number.is_some()
            || self.assignee.is_some()
            || self.unread == Some(true)
            || self.tag.is_some()
            || self.failed == Some(true)
            || self.order() != self.tab.order()
    }

    /// As a view without a name.
    pub fn view(&self) -> Draft {
        Draft {
            name: String::new(),
            shared: false,
            tab: self.tab,
            number_id: self.number,
            tag_id: self.tag,
            assignee: self.assignee.map(|who| who.to_string()),
            unread: self.unread == Some(true),
            failed: self.failed == Some(true),
            order: self.order(),
        }
    }

    pub fn of_view(view: &View) -> Self {
        Self {
            tab: view.tab,
            number: view.number_id,
            tag: view.tag_id,
            assignee: view.assignee.as_deref().and_then(|who| who.parse().ok()),
            unread: view.unread.then_some(true),
            failed: view.failed.then_some(true),
            order: Some(view.order),
            ..Self::default()
        }
    }

    /// The same tab and search without other filters.
    pub fn widened(&self) -> Self {
        Self {
            tab: self.tab,
            q: self.q.clone(),
            ..Self::default()
        }
    }

    pub fn span(&self) -> Span {
        Span {
            limit: Some(ROWS),
            cursor: self.cursor.clone(),
        }
    }

    /// `?tab=pending&q=maya`; empty for the default list.
    pub fn query(&self, tab: Tab, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if tab != Tab::Open {
            query.append_pair("tab", tab.as_str());
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
        if let Some(tag) = self.tag {
            query.append_pair("tag", &tag.to_string());
        }
        if self.failed == Some(true) {
            query.append_pair("failed", "true");
        }
        if let Some(order) = self.order.filter(|order| *order != tab.order()) {
            query.append_pair("order", order.as_str());
        }
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.as_str());
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

/// The inbox's URL and the query string of the current filter.
#[derive(Clone, Debug, Default)]
pub struct ListLocation {
    pub base: String,
    pub query: String,
}

impl ListLocation {
    pub fn new(member: &Member, inbox_filter: &InboxFilter) -> Self {
        Self {
            base: format!("/w/{}/inbox", member.slug),
            query: inbox_filter.query(inbox_filter.tab, None),
        }
    }

    pub fn contacts(&self) -> String {
        format!("{}contacts", self.base.trim_end_matches("inbox"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_round_trips_the_filter() {
        let inbox_filter = InboxFilter {
            tab: Tab::Pending,
            q: " Maya & co ".into(),
            assignee: Some(AssigneeFilter::Nobody),
            unread: Some(true),
            failed: Some(true),
            order: Some(Order::Waiting),
            ..InboxFilter::default()
        };
        assert_eq!(
            inbox_filter.query(Tab::Pending, None),
            "?tab=pending&q=Maya+%26+co&assignee=none&unread=true&failed=true&order=waiting"
        );
        assert_eq!(
            inbox_filter.query(Tab::Waiting, None),
            "?tab=waiting&q=Maya+%26+co&assignee=none&unread=true&failed=true",
            "the tab's own order"
        );
        assert_eq!(
            inbox_filter.widened().query(Tab::Pending, None),
            "?tab=pending&q=Maya+%26+co"
        );
        assert_eq!(InboxFilter::default().query(Tab::Open, None), "");
    }
}

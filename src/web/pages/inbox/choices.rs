//! The filter menu of the inbox's list.

use super::filter::{AssigneeFilter, InboxFilter};
use crate::domain::contacts::tags::Tag;
use crate::domain::conversations::Order;
use crate::domain::members::Colleague;
use crate::domain::numbers::Number;
use crate::ids::UserId;
use crate::language::t;

pub struct Filters {
    pub numbers: Vec<Choice>,
    pub people: Vec<Choice>,
    pub unread: Vec<Choice>,
    pub tags: Vec<Choice>,
    pub failed: Vec<Choice>,
    pub order: Vec<Choice>,
    /// Such as `Front desk · Unread`.
    pub label: String,
    pub clear: Option<String>,
}

pub struct Choice {
    pub label: String,
    pub href: String,
    pub current: bool,
}

impl Filters {
    pub fn new(
        base: &str,
        inbox_filter: &InboxFilter,
        numbers: &[Number],
        colleagues: &[Colleague],
        tags: &[Tag],
        me: UserId,
    ) -> Self {
        let choice = |label: &str, to: InboxFilter, current: bool| Choice {
            label: label.into(),
            href: format!("{base}{}", to.query(to.tab, None)),
            current,
        };
        let of_number = |number| choice_of(inbox_filter, |to| to.number = number);
        let of_assignee = |assignee| choice_of(inbox_filter, |to| to.assignee = assignee);
        let mut lines = vec![choice(
            &t!("All numbers").translated(),
            of_number(None),
            inbox_filter.number.is_none(),
        )];
        lines.extend(numbers.iter().map(|number| {
            let id = Some(number.id);
            choice(
                &number.described(),
                of_number(id),
                inbox_filter.number == id,
            )
        }));
        let mut people = vec![choice(
            &t!("Anyone").translated(),
            of_assignee(None),
            inbox_filter.assignee.is_none(),
        )];
        for (label, who) in [
            (t!("Me"), AssigneeFilter::Me),
            (t!("Unassigned"), AssigneeFilter::Nobody),
        ] {
            people.push(choice(
                &label.translated(),
                of_assignee(Some(who)),
                inbox_filter.assignee == Some(who),
            ));
        }
        people.extend(
            colleagues
                .iter()
                .filter(|one| one.user_id != me)
                .map(|one| {
                    let who = Some(AssigneeFilter::User(one.user_id));
                    choice(&one.name, of_assignee(who), inbox_filter.assignee == who)
                }),
        );
        let is_unread = inbox_filter.unread == Some(true);
        let unread = [(t!("All"), None), (t!("Unread"), Some(true))].map(|(label, unread)| {
            let to = choice_of(inbox_filter, |to| to.unread = unread);
            choice(&label.translated(), to, is_unread == unread.is_some())
        });
        let mut tagged = vec![choice(
            &t!("Any tag").translated(),
            choice_of(inbox_filter, |to| to.tag = None),
            inbox_filter.tag.is_none(),
        )];
        tagged.extend(tags.iter().map(|tag| {
            let to = choice_of(inbox_filter, |to| to.tag = Some(tag.id));
            choice(&tag.name, to, inbox_filter.tag == Some(tag.id))
        }));
        let has_failed = inbox_filter.failed == Some(true);
        let failed = [
            (t!("Any delivery status"), None),
            (t!("Not delivered"), Some(true)),
        ]
        .map(|(label, failed)| {
            let to = choice_of(inbox_filter, |to| to.failed = failed);
            choice(&label.translated(), to, has_failed == failed.is_some())
        });
        let order = [
            (t!("Newest first"), Order::Newest),
            (t!("Waiting longest"), Order::Waiting),
        ]
        .map(|(label, order)| {
            let to = choice_of(inbox_filter, |to| to.order = Some(order));
            choice(&label.translated(), to, inbox_filter.order() == order)
        });
        let mut filters = Self {
            tags: tagged,
            failed: failed.into(),
            order: order.into(),
            numbers: lines,
            people,
            unread: unread.into(),
            label: String::new(),
            clear: inbox_filter.is_filtered().then(|| {
                let to = inbox_filter.widened();
                format!("{base}{}", to.query(to.tab, None))
            }),
        };
        let groups = [
            &filters.numbers,
            &filters.people,
            &filters.unread,
            &filters.tags,
            &filters.failed,
            &filters.order,
        ];
        let labels: Vec<_> = groups
            .into_iter()
            .filter_map(|group| group.iter().skip(1).find(|choice| choice.current))
            .map(|choice| choice.label.as_str())
            .collect();
        filters.label = labels.join(" · ");
        filters
    }
}

fn choice_of(inbox_filter: &InboxFilter, change: impl FnOnce(&mut InboxFilter)) -> InboxFilter {
    let mut to = InboxFilter {
        cursor: None,
        ..inbox_filter.clone()
    };
    change(&mut to);
    to
}

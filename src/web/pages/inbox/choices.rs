//! What the list can be narrowed to.

use super::narrowing::{Narrowing, Who};
use crate::domain::members::Colleague;
use crate::domain::numbers::Number;
use crate::ids::UserId;
use crate::language::t;

/// What the list can be narrowed to, as links; and what it is narrowed to, in words.
pub struct Filters {
    pub numbers: Vec<Choice>,
    pub people: Vec<Choice>,
    pub unread: Vec<Choice>,
    /// Such as `Front desk · Unread`.
    pub said: String,
    /// The way to the whole list.
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

//! Number access: a matrix of members and numbers, and a page per number. Changes take effect at once.

use std::collections::{HashMap, HashSet};

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{matches, shell};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::members::{self, Admin, Colleague, Role};
use crate::domain::numbers::{self, Number};
use crate::domain::settings;
use crate::error::Result;
use crate::ids::{NumberId, UserId};
use crate::language::t;
use crate::web::language::filters;
use crate::web::pages::{Notice, NoticeQuery, Shell, page, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

/// The size of one page of the matrix.
const PEOPLE: usize = 50;
const NUMBERS: usize = 20;

#[derive(Template)]
#[template(path = "admin/access.html")]
struct Matrix {
    shell: Shell,
    list_query: ListQuery,
    numbers: Vec<Column>,
    people: Vec<AccessRow>,
    number_pages: Pages,
    people_pages: Pages,
    /// Agents of the whole workspace, regardless of filters.
    agents: usize,
    has_numbers: bool,
}

impl Matrix {
    /// The member's default number, if it is not among the columns of this page.
    fn default_elsewhere<'a>(&self, row: &'a AccessRow) -> Option<&'a Number> {
        let default = row.default.as_ref()?;
        let is_here = |column: &Column| column.number.id == default.id;
        (!self.numbers.iter().any(is_here)).then_some(default)
    }

    /// Whether a box of this page can be changed.
    fn has_agents(&self) -> bool {
        self.people.iter().any(|row| !row.is_admin())
    }

    fn here(&self) -> String {
        self.list_query
            .at(self.people_pages.page, self.number_pages.page)
    }

    fn people_before(&self) -> Option<String> {
        let page = self.people_pages.before()?;
        Some(self.list_query.at(page, self.number_pages.page))
    }

    fn people_after(&self) -> Option<String> {
        let page = self.people_pages.after()?;
        Some(self.list_query.at(page, self.number_pages.page))
    }

    fn numbers_before(&self) -> Option<String> {
        let page = self.number_pages.before()?;
        Some(self.list_query.at(self.people_pages.page, page))
    }

    fn numbers_after(&self) -> Option<String> {
        let page = self.number_pages.after()?;
        Some(self.list_query.at(self.people_pages.page, page))
    }

    /// Ids of the numbers on this page: a row's form changes these only.
    fn shown(&self) -> String {
        join(
            self.numbers
                .iter()
                .map(|column| column.number.id.to_string()),
        )
    }
}

struct Column {
    number: Number,
    agents: i64,
}

struct AccessRow {
    colleague: Colleague,
    sees: HashSet<NumberId>,
    default: Option<Number>,
}

impl AccessRow {
    fn is_admin(&self) -> bool {
        self.colleague.role == Role::Admin
    }

    fn sees(&self, number: &NumberId) -> bool {
        self.is_admin() || self.sees.contains(number)
    }

    fn starts_from(&self, number: &NumberId) -> bool {
        self.default
            .as_ref()
            .is_some_and(|default| default.id == *number)
    }
}

#[derive(Template)]
#[template(path = "admin/access_number.html")]
struct OneNumber {
    shell: Shell,
    list_query: ListQuery,
    number: Number,
    people: Vec<AccessRow>,
    people_pages: Pages,
}

impl OneNumber {
    fn here(&self) -> String {
        self.list_query.at(self.people_pages.page, 1)
    }

    fn before(&self) -> Option<String> {
        Some(self.list_query.at(self.people_pages.before()?, 1))
    }

    fn after(&self) -> Option<String> {
        Some(self.list_query.at(self.people_pages.after()?, 1))
    }

    /// Ids of the members on this page: the form changes these only.
    fn shown(&self) -> String {
        join(
            self.people
                .iter()
                .map(|row| row.colleague.user_id.to_string()),
        )
    }
}

fn join(ids: impl Iterator<Item = String>) -> String {
    ids.collect::<Vec<_>>().join(",")
}

#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    /// Tokens of names and email addresses.
    #[serde(default)]
    q: String,
    /// Tokens of numbers and their names.
    #[serde(default)]
    number: String,
    #[serde(default)]
    people_page: String,
    #[serde(default)]
    number_page: String,
}

impl ListQuery {
    fn at(&self, people_page: usize, number_page: usize) -> String {
        let (people_page, number_page) = (people_page.to_string(), number_page.to_string());
        let all = [
            ("q", self.q.as_str(), ""),
            ("number", &self.number, ""),
            ("people_page", &people_page, "1"),
            ("number_page", &number_page, "1"),
        ];
        let given = all
            .into_iter()
            .filter(|(_, value, default)| value != default);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(given.map(|(key, value, _)| (key, value)))
            .finish()
    }
}

/// Pagination of a list in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pages {
    page: usize,
    last: usize,
    /// The first item, from 1; 0 if the list is empty.
    from: usize,
    to: usize,
    all: usize,
}

impl Pages {
    /// Reduces `items` to `page`. An invalid page is the first; a page beyond the last is the last.
    fn cut<T>(mut items: Vec<T>, page: &str, size: usize) -> (Vec<T>, Self) {
        let all = items.len();
        let last = all.div_ceil(size).max(1);
        let page = page.parse().unwrap_or(1).clamp(1, last);
        let begin = (page - 1) * size;
        items.drain(..begin);
        items.truncate(size);
        let pages = Self {
            page,
            last,
            from: begin + usize::from(!items.is_empty()),
            to: begin + items.len(),
            all,
        };
        (items, pages)
    }

    fn before(&self) -> Option<usize> {
        (self.page > 1).then(|| self.page - 1)
    }

    fn after(&self) -> Option<usize> {
        (self.page < self.last).then(|| self.page + 1)
    }

    fn are_several(&self) -> bool {
        self.last > 1
    }
}

/// `GET /w/{slug}/admin/access`
pub async fn matrix(
    admin: Admin,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let all = numbers::list(&mut tx).await?;
    let has_numbers = !all.is_empty();
    let found = all
        .iter()
        .filter(|number| is_found(number, &list_query.number));
    let (shown, number_pages) =
        Pages::cut(found.cloned().collect(), &list_query.number_page, NUMBERS);
    let colleagues = members::list(&mut tx).await?;
    let agents = colleagues.iter().filter(|who| who.role == Role::Agent);
    let agents = agents.count();
    let (people, people_pages) = find(colleagues, &list_query);
    let ids: Vec<_> = shown.iter().map(|number| number.id).collect();
    let people = rows(&mut tx, &admin, people, &ids, &all).await?;
    let agent_counts: HashMap<_, _> = numbers::agent_counts(&mut tx, &admin, &ids)
        .await?
        .into_iter()
        .collect();
    let column = |number: Number| Column {
        agents: agent_counts.get(&number.id).copied().unwrap_or_default(),
        number,
    };
    Ok(page(&Matrix {
        shell: shell(&mut tx, &admin, "access", notice_query.done).await?,
        list_query,
        numbers: shown.into_iter().map(column).collect(),
        people,
        number_pages,
        people_pages,
        agents,
        has_numbers,
    })?
    .into_response())
}

fn is_found(number: &Number, q: &str) -> bool {
    let (title, formatted) = (number.title(), number.formatted_number());
    matches(&format!("{title} {formatted} {}", number.phone_number), q)
}

/// Filters the members. Agents come first, because an admin's access cannot be changed.
fn find(mut colleagues: Vec<Colleague>, list_query: &ListQuery) -> (Vec<Colleague>, Pages) {
    colleagues
        .retain(|Colleague { name, email, .. }| matches(&format!("{name} {email}"), &list_query.q));
    colleagues.sort_by_key(|who| who.role == Role::Admin);
    Pages::cut(colleagues, &list_query.people_page, PEOPLE)
}

async fn rows(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    people: Vec<Colleague>,
    shown: &[NumberId],
    all: &[Number],
) -> Result<Vec<AccessRow>> {
    let users: Vec<_> = people.iter().map(|who| who.user_id).collect();
    let mut seen: HashMap<UserId, HashSet<NumberId>> = HashMap::new();
    for (number, user) in numbers::assignments_among(tx, admin, shown, &users).await? {
        seen.entry(user).or_default().insert(number);
    }
    let defaults: HashMap<_, _> = settings::default_numbers(tx, admin)
        .await?
        .into_iter()
        .collect();
    let default = |user: &UserId| {
        let id = defaults.get(user)?;
        all.iter().find(|number| number.id == *id).cloned()
    };
    let row = |colleague: Colleague| AccessRow {
        sees: seen.remove(&colleague.user_id).unwrap_or_default(),
        default: default(&colleague.user_id),
        colleague,
    };
    Ok(people.into_iter().map(row).collect())
}

#[derive(Deserialize)]
pub struct NumberPath {
    number_id: NumberId,
}

/// `GET /w/{slug}/admin/access/{number_id}`
pub async fn number(
    admin: Admin,
    State(app): State<App>,
    Path(NumberPath { number_id }): Path<NumberPath>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, number_id).await?;
    let (people, people_pages) = find(members::list(&mut tx).await?, &list_query);
    Ok(page(&OneNumber {
        people: rows(&mut tx, &admin, people, &[number_id], &[]).await?,
        shell: shell(&mut tx, &admin, "access", notice_query.done).await?,
        list_query,
        number,
        people_pages,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct CellPath {
    number_id: NumberId,
    user_id: UserId,
}

#[derive(Deserialize)]
pub struct Tick {
    value: bool,
}

/// `POST /w/{slug}/admin/access/{number_id}/{user_id}`: one cell of the matrix.
pub async fn change_one(
    admin: Admin,
    State(app): State<App>,
    Path(CellPath { number_id, user_id }): Path<CellPath>,
    Posted(Tick { value }): Posted<Tick>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    set(&mut tx, &admin, number_id, user_id, value).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    number: NumberId,
    user: UserId,
    sees: bool,
) -> Result<()> {
    if sees {
        numbers::assign(tx, admin, number, user).await
    } else {
        numbers::unassign(tx, admin, number, user).await
    }
}

/// `POST /w/{slug}/admin/access/{number_id}`: the members of one page. A column of the matrix, or the number's own page.
pub async fn change_number(
    admin: Admin,
    State(app): State<App>,
    Path(NumberPath { number_id }): Path<NumberPath>,
    Query(list_query): Query<ListQuery>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let checked: HashSet<UserId> = checked_ids(&body, "user_id");
    let shown: HashSet<UserId> = listed_ids(&body, "shown");
    let mut tx = app.db.workspace(admin.tenant()).await?;
    numbers::find(&mut tx, number_id).await?;
    let mut people = members::list(&mut tx).await?;
    people.retain(|who| who.role == Role::Agent && shown.contains(&who.user_id));
    for row in rows(&mut tx, &admin, people, &[number_id], &[]).await? {
        let user = row.colleague.user_id;
        let should_see = checked.contains(&user);
        if row.sees(&number_id) != should_see {
            set(&mut tx, &admin, number_id, user, should_see).await?;
        }
    }
    tx.commit().await?;
    if wants_streams(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let query = list_query.at(list_query.people_page.parse().unwrap_or(1), 1);
    let back = format!("/w/{}/admin/access/{number_id}?{query}", admin.slug);
    Ok(Notice::AccessChanged.at(back.trim_end_matches('?')))
}

#[derive(Deserialize)]
pub struct PersonPath {
    user_id: UserId,
}

/// `POST /w/{slug}/admin/access/people/{user_id}`: one row of the matrix. Without scripts it has the default number too.
pub async fn change_person(
    admin: Admin,
    State(app): State<App>,
    Path(PersonPath { user_id }): Path<PersonPath>,
    Query(list_query): Query<ListQuery>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let checked: HashSet<NumberId> = checked_ids(&body, "number_id");
    let shown: Vec<NumberId> = listed_ids(&body, "shown").into_iter().collect();
    let has_default = form_urlencoded::parse(&body).any(|(key, _)| key == "default_number_id");
    let default = checked_ids(&body, "default_number_id").into_iter().next();
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let person = members::find(&mut tx, user_id).await?;
    let all = numbers::list(&mut tx).await?;
    let row = rows(&mut tx, &admin, vec![person], &shown, &all)
        .await?
        .pop()
        .ok_or(crate::error::Error::NotFound(t!("the member")))?;
    if !row.is_admin() {
        for number in all.iter().filter(|number| shown.contains(&number.id)) {
            let should_see = checked.contains(&number.id);
            if row.sees(&number.id) != should_see {
                set(&mut tx, &admin, number.id, user_id, should_see).await?;
            }
        }
    }
    if has_default && row.default.map(|number| number.id) != default {
        settings::set_default_number(&mut tx, &admin, user_id, default).await?;
    }
    tx.commit().await?;
    if wants_streams(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let pages =
        [&list_query.people_page, &list_query.number_page].map(|page| page.parse().unwrap_or(1));
    let back = format!(
        "/w/{}/admin/access?{}",
        admin.slug,
        list_query.at(pages[0], pages[1])
    );
    Ok(Notice::AccessChanged.at(back.trim_end_matches('?')))
}

fn listed_ids<T: std::str::FromStr + std::hash::Hash + Eq>(body: &[u8], name: &str) -> HashSet<T> {
    form_urlencoded::parse(body)
        .filter(|(key, _)| key == name)
        .flat_map(|(_, value)| {
            let ids = value.split(',').map(|id| id.parse().ok());
            ids.collect::<Vec<_>>()
        })
        .flatten()
        .collect()
}

fn checked_ids<T: std::str::FromStr + std::hash::Hash + Eq>(body: &[u8], name: &str) -> HashSet<T> {
    form_urlencoded::parse(body)
        .filter(|(key, _)| key == name)
        .filter_map(|(_, value)| value.parse().ok())
        .collect()
}

#[derive(Deserialize)]
pub struct Choice {
    value: String,
}

/// `POST /w/{slug}/admin/access/people/{user_id}/default`
pub async fn change_default(
    admin: Admin,
    State(app): State<App>,
    Path(PersonPath { user_id }): Path<PersonPath>,
    headers: HeaderMap,
    Posted(Choice { value }): Posted<Choice>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    settings::set_default_number(&mut tx, &admin, user_id, value.parse().ok()).await?;
    tx.commit().await?;
    if wants_streams(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Notice::AccessChanged.at(&format!("/w/{}/admin/access", admin.slug)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_clamped_to_the_matrix() {
        let cut = |page: &str| Pages::cut((1..=45).collect(), page, 20);
        let (items, pages) = cut("");
        assert_eq!(
            (items[0], items.len(), pages.page, pages.last),
            (1, 20, 1, 3)
        );
        assert_eq!((pages.before(), pages.after()), (None, Some(2)));
        let (items, pages) = cut("3");
        assert_eq!(items, [41, 42, 43, 44, 45]);
        assert_eq!((pages.from, pages.to, pages.all), (41, 45, 45));
        assert_eq!((pages.before(), pages.after()), (Some(2), None));
        for beyond in ["4", "99999999999999999", "0", "-1", "two"] {
            let (items, pages) = cut(beyond);
            assert!(
                !items.is_empty() && (1..=3).contains(&pages.page),
                "{beyond}"
            );
        }
        let (none, pages) = Pages::cut(Vec::<u8>::new(), "7", 20);
        assert!(none.is_empty() && !pages.are_several());
        assert_eq!((pages.from, pages.to), (0, 0));
    }

    #[test]
    fn search_is_kept_between_pages() {
        let list_query = ListQuery {
            q: "jo & co".into(),
            ..ListQuery::default()
        };
        assert_eq!(list_query.at(1, 1), "q=jo+%26+co");
        assert_eq!(
            list_query.at(2, 3),
            "q=jo+%26+co&people_page=2&number_page=3"
        );
    }
}

//! Who sees which number: all of it at a glance, or one number at a time. Each change holds at once.

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
use crate::web::language::filters;
use crate::web::pages::{Notice, Said, Shell, page, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/access.html")]
struct Matrix {
    shell: Shell,
    q: String,
    numbers: Vec<Column>,
    people: Vec<Row>,
    /// Agents in the whole workspace, however the page is narrowed.
    agents: usize,
}

struct Column {
    number: Number,
    /// How many agents see it.
    agents: usize,
}

struct Row {
    colleague: Colleague,
    sees: HashSet<NumberId>,
    default: Option<NumberId>,
}

impl Row {
    fn is_admin(&self) -> bool {
        self.colleague.role == Role::Admin
    }

    fn sees(&self, number: &NumberId) -> bool {
        self.is_admin() || self.sees.contains(number)
    }

    fn starts_from(&self, number: &NumberId) -> bool {
        self.default == Some(*number)
    }
}

#[derive(Template)]
#[template(path = "admin/access_number.html")]
struct OneNumber {
    shell: Shell,
    number: Number,
    people: Vec<Row>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

/// `GET /w/{slug}/admin/access`
pub async fn matrix(
    admin: Admin,
    State(app): State<App>,
    Query(asked): Query<Asked>,
    Query(said): Query<Said>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    let mut people = rows(&mut tx, &admin).await?;
    let agents: Vec<_> = people.iter().filter(|row| !row.is_admin()).collect();
    let column = |number: Number| Column {
        agents: agents.iter().filter(|row| row.sees(&number.id)).count(),
        number,
    };
    let numbers = numbers::list(&mut tx).await?.into_iter().map(column);
    let (numbers, agents) = (numbers.collect(), agents.len());
    people.retain(|row| {
        let Colleague { name, email, .. } = &row.colleague;
        matches(&format!("{name} {email}"), &asked.q)
    });
    Ok(page(&Matrix {
        shell: shell(&mut tx, &admin, "access", said.done).await?,
        q: asked.q,
        numbers,
        people,
        agents,
    })?
    .into_response())
}

/// Agents first: what admins see is not to be chosen.
async fn rows(tx: &mut WorkspaceTx, admin: &Admin) -> Result<Vec<Row>> {
    let mut seen: HashMap<UserId, HashSet<NumberId>> = HashMap::new();
    for (number, user) in numbers::assignments(tx, admin).await? {
        seen.entry(user).or_default().insert(number);
    }
    let defaults: HashMap<_, _> = settings::default_numbers(tx, admin)
        .await?
        .into_iter()
        .collect();
    let mut rows: Vec<Row> = members::list(tx)
        .await?
        .into_iter()
        .map(|colleague| Row {
            sees: seen.remove(&colleague.user_id).unwrap_or_default(),
            default: defaults.get(&colleague.user_id).copied(),
            colleague,
        })
        .collect();
    rows.sort_by_key(Row::is_admin);
    Ok(rows)
}

#[derive(Deserialize)]
pub struct OfNumber {
    number_id: NumberId,
}

/// `GET /w/{slug}/admin/access/{number_id}`
pub async fn number(
    admin: Admin,
    State(app): State<App>,
    Path(OfNumber { number_id }): Path<OfNumber>,
    Query(said): Query<Said>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    Ok(page(&OneNumber {
        number: numbers::find(&mut tx, number_id).await?,
        people: rows(&mut tx, &admin).await?,
        shell: shell(&mut tx, &admin, "access", said.done).await?,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct OfCell {
    number_id: NumberId,
    user_id: UserId,
}

#[derive(Deserialize)]
pub struct Tick {
    value: bool,
}

/// `POST /w/{slug}/admin/access/{number_id}/{user_id}`: one tick of the matrix.
pub async fn change_one(
    admin: Admin,
    State(app): State<App>,
    Path(OfCell { number_id, user_id }): Path<OfCell>,
    Posted(Tick { value }): Posted<Tick>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
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

/// `POST /w/{slug}/admin/access/{number_id}`: everybody who sees this number, from a page without script.
pub async fn change_number(
    admin: Admin,
    State(app): State<App>,
    Path(OfNumber { number_id }): Path<OfNumber>,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let wanted: HashSet<UserId> = ticked(&body, "user_id");
    let mut tx = app.db.workspace(admin.seat()).await?;
    for row in rows(&mut tx, &admin).await? {
        let user = row.colleague.user_id;
        let (sees, shall) = (row.sees.contains(&number_id), wanted.contains(&user));
        if !row.is_admin() && sees != shall {
            set(&mut tx, &admin, number_id, user, shall).await?;
        }
    }
    tx.commit().await?;
    let back = format!("/w/{}/admin/access/{number_id}", admin.slug);
    Ok(Notice::AccessChanged.at(&back))
}

#[derive(Deserialize)]
pub struct OfPerson {
    user_id: UserId,
}

/// `POST /w/{slug}/admin/access/people/{user_id}`: one row of the matrix, from a page without script.
pub async fn change_person(
    admin: Admin,
    State(app): State<App>,
    Path(OfPerson { user_id }): Path<OfPerson>,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let wanted: HashSet<NumberId> = ticked(&body, "number_id");
    let default = ticked(&body, "default_number_id").into_iter().next();
    let mut tx = app.db.workspace(admin.seat()).await?;
    let row = rows(&mut tx, &admin)
        .await?
        .into_iter()
        .find(|row| row.colleague.user_id == user_id);
    let row = row.ok_or(crate::error::Error::NotFound("the member"))?;
    if !row.is_admin() {
        for number in numbers::list(&mut tx).await? {
            let (sees, shall) = (row.sees(&number.id), wanted.contains(&number.id));
            if sees != shall {
                set(&mut tx, &admin, number.id, user_id, shall).await?;
            }
        }
    }
    if row.default != default {
        settings::set_default_number(&mut tx, &admin, user_id, default).await?;
    }
    tx.commit().await?;
    Ok(Notice::AccessChanged.at(&format!("/w/{}/admin/access", admin.slug)))
}

fn ticked<T: std::str::FromStr + std::hash::Hash + Eq>(body: &[u8], name: &str) -> HashSet<T> {
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
    Path(OfPerson { user_id }): Path<OfPerson>,
    headers: HeaderMap,
    Posted(Choice { value }): Posted<Choice>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    settings::set_default_number(&mut tx, &admin, user_id, value.parse().ok()).await?;
    tx.commit().await?;
    if wants_streams(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Notice::AccessChanged.at(&format!("/w/{}/admin/access", admin.slug)))
}

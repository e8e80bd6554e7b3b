//! Members: invite, change the role, remove.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{matches, shell};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::accounts::{self, ResetLink};
use crate::domain::invitations::{self, Invitation, Invite};
use crate::domain::members::{self, Admin, Colleague, Role};
use crate::domain::numbers::{self, Number};
use crate::domain::{settings, workspaces};
use crate::error::{Error, Result};
use crate::ids::{InvitationId, UserId};
use crate::web::language::filters;
use crate::web::pages::table::Sort;
use crate::web::pages::{
    Form, Notice, NoticeQuery, Partial, Shell, fragments, page, partial, streams, wants_streams,
};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/members.html")]
struct Page {
    shell: Shell,
    inviting: Partial,
    sends_mail: bool,
    people: Vec<Person>,
    q: String,
    sort: Sort,
    me: UserId,
    refusal: Option<String>,
}

struct Person {
    colleague: Colleague,
    /// The count of numbers that the member sees; `None` means all.
    numbers: Option<usize>,
    default_number: Option<String>,
}

impl Person {
    fn is_admin(&self) -> bool {
        self.colleague.role == Role::Admin
    }
}

#[derive(Template)]
#[template(path = "admin/_inviting.html")]
struct Inviting {
    slug: String,
    form: Form,
    numbers: Vec<Number>,
    chosen: Vec<String>,
    starting_credits: i32,
    pending: Vec<Invitation>,
    /// A new invitation: its link is shown once.
    fresh: Option<Invitation>,
    /// Otherwise the admin hands over the link.
    sends_mail: bool,
    /// A link to set a new password, shown once.
    password_link: Option<ResetLink>,
}

impl Inviting {
    fn is_chosen(&self, number: &Number) -> bool {
        self.chosen.contains(&number.id.to_string())
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
}

/// `GET /w/{slug}/admin/members`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let inviting = inviting(&app, &mut tx, &admin).await?;
    members_page(
        &mut tx,
        &admin,
        list_query,
        inviting,
        notice_query.done,
        None,
    )
    .await
}

async fn members_page(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    list_query: ListQuery,
    inviting: Inviting,
    notice: Option<Notice>,
    refusal: Option<String>,
) -> Result<Response, Problem> {
    let path = format!("/w/{}/admin/members", admin.slug);
    let sort = Sort::new(
        &path,
        &[("q", &list_query.q)],
        &list_query.sort,
        &["name", "role", "numbers", "two_factor", "joined"],
    );
    let mut people = people(tx, admin).await?;
    people.retain(|person| {
        let Colleague { name, email, .. } = &person.colleague;
        matches(&format!("{name} {email}"), &list_query.q)
    });
    match sort.column() {
        "role" => people.sort_by_key(|person| person.colleague.role.as_str()),
        "numbers" => people.sort_by_key(|person| person.numbers.unwrap_or(usize::MAX)),
        "two_factor" => people.sort_by_key(|person| !person.colleague.two_factor),
        "joined" => people.sort_by_key(|person| person.colleague.created_at),
        _ => {} // in the order of the query
    }
    Ok(page(&Page {
        shell: shell(tx, admin, "members", notice).await?,
        inviting: partial(&inviting)?,
        sends_mail: inviting.sends_mail,
        people: sort.direct(people),
        q: list_query.q,
        sort,
        me: admin.user(),
        refusal,
    })?
    .into_response())
}

async fn people(tx: &mut WorkspaceTx, admin: &Admin) -> Result<Vec<Person>> {
    let titles: HashMap<_, _> = numbers::list(tx)
        .await?
        .into_iter()
        .map(|number| (number.id, number.title()))
        .collect();
    let defaults: HashMap<_, _> = settings::default_numbers(tx, admin)
        .await?
        .into_iter()
        .collect();
    let mut seen: HashMap<UserId, usize> = HashMap::new();
    for (_, user) in numbers::assignments(tx, admin).await? {
        *seen.entry(user).or_default() += 1;
    }
    let person = |colleague: Colleague| Person {
        numbers: (colleague.role == Role::Agent)
            .then(|| seen.get(&colleague.user_id).copied().unwrap_or_default()),
        default_number: defaults
            .get(&colleague.user_id)
            .and_then(|number| titles.get(number).cloned()),
        colleague,
    };
    Ok(members::list(tx).await?.into_iter().map(person).collect())
}

async fn inviting(app: &App, tx: &mut WorkspaceTx, admin: &Admin) -> Result<Inviting> {
    Ok(Inviting {
        sends_mail: app.config.sends_mail(),
        slug: admin.slug.clone(),
        form: Form::default().with("role", Role::Agent.as_str()),
        numbers: numbers::list(tx).await?,
        chosen: Vec::new(),
        starting_credits: workspaces::current(tx).await?.starting_credits,
        pending: invitations::list(tx, admin).await?,
        fresh: None,
        password_link: None,
    })
}

/// `POST /w/{slug}/admin/members`: invites. An address with an open invitation gets a new link.
pub async fn invite(
    admin: Admin,
    State(app): State<App>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let (mut email, mut role, mut chosen) = (String::new(), Role::Agent, Vec::new());
    let mut credits = String::new();
    for (key, value) in form_urlencoded::parse(&body) {
        match &*key {
            "email" => email = value.into_owned(),
            "role" => role = value.parse().unwrap_or(Role::Agent),
            "number_id" => chosen.push(value.into_owned()),
            "credits" => credits = value.trim().to_owned(),
            _ => {}
        }
    }
    let form = Form::default()
        .with("email", &email)
        .with("role", role.as_str())
        .with("credits", &credits);
    let request = Invite {
        email,
        role,
        number_ids: chosen.iter().filter_map(|id| id.parse().ok()).collect(),
        // The form of an admin has the field too, hidden. What is no number is refused like one that is too large.
        credits: (role == Role::Agent && !credits.is_empty())
            .then(|| credits.parse().unwrap_or(i32::MAX)),
    };
    let answer = invitations::invite(&app, &admin, request).await;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = inviting(&app, &mut tx, &admin).await?;
    let (status, shown) = match answer {
        Ok(invitation) => (
            StatusCode::OK,
            Inviting {
                fresh: Some(invitation),
                ..shown
            },
        ),
        Err(error) => {
            let form = form.refused(error)?.gather(&["email", "credits"]);
            (
                form.status(),
                Inviting {
                    form,
                    chosen,
                    ..shown
                },
            )
        }
    };
    if wants_streams(&headers) {
        let html = fragments::swap("inviting", &shown)
            .map_err(|error| Error::Internal(error.to_string()))?;
        return Ok((status, streams(html)).into_response());
    }
    let shown = members_page(&mut tx, &admin, ListQuery::default(), shown, None, None).await?;
    Ok((status, shown).into_response())
}

#[derive(Deserialize)]
pub struct InvitationPath {
    invitation_id: InvitationId,
}

/// `POST /w/{slug}/admin/invitations/{invitation_id}/withdraw`
pub async fn withdraw(
    admin: Admin,
    State(app): State<App>,
    Path(InvitationPath { invitation_id }): Path<InvitationPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    invitations::withdraw(&mut tx, &admin, invitation_id).await?;
    tx.commit().await?;
    Ok(Notice::InvitationWithdrawn.at(&format!("/w/{}/admin/members", admin.slug)))
}

#[derive(Deserialize)]
pub struct MemberPath {
    user_id: UserId,
}

#[derive(Deserialize)]
pub struct NewRole {
    role: Role,
}

/// `POST /w/{slug}/admin/members/{user_id}`
pub async fn change_role(
    admin: Admin,
    State(app): State<App>,
    Path(MemberPath { user_id }): Path<MemberPath>,
    Posted(NewRole { role }): Posted<NewRole>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match members::change_role(&mut tx, &admin, user_id, role).await {
        Ok(_) => {
            tx.commit().await?;
            // An admin who gave up the role can no longer see the admin pages.
            let is_still = user_id != admin.user() || role == Role::Admin;
            let section = if is_still {
                "admin/members"
            } else {
                "settings"
            };
            Ok(Notice::RoleChanged.at(&format!("/w/{}/{section}", admin.slug)))
        }
        Err(error) => refuse(&app, &admin, error).await,
    }
}

/// `POST /w/{slug}/admin/members/{user_id}/remove`
pub async fn remove(
    admin: Admin,
    State(app): State<App>,
    Path(MemberPath { user_id }): Path<MemberPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match members::remove(&mut tx, &admin, user_id).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(match user_id == admin.user() {
                true => Notice::Left.at("/workspaces"),
                false => Notice::MemberRemoved.at(&format!("/w/{}/admin/members", admin.slug)),
            })
        }
        Err(error) => refuse(&app, &admin, error).await,
    }
}

/// `POST /w/{slug}/admin/members/{user_id}/password-link`
pub async fn make_password_link(
    admin: Admin,
    State(app): State<App>,
    Path(MemberPath { user_id }): Path<MemberPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let link = match accounts::offer_reset(&app, &admin, user_id).await {
        Ok(link) => link,
        Err(error) => return refuse(&app, &admin, error).await,
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = Inviting {
        password_link: Some(link),
        ..inviting(&app, &mut tx, &admin).await?
    };
    if wants_streams(&headers) {
        let html = fragments::swap("inviting", &shown)
            .map_err(|error| Error::Internal(error.to_string()))?;
        return Ok(streams(html));
    }
    members_page(&mut tx, &admin, ListQuery::default(), shown, None, None).await
}

async fn refuse(app: &App, admin: &Admin, error: Error) -> Result<Response, Problem> {
    let form = Form::default().refused(error)?.gather(&[]);
    let status = form.status();
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let inviting = inviting(app, &mut tx, admin).await?;
    let shown = members_page(
        &mut tx,
        admin,
        ListQuery::default(),
        inviting,
        None,
        form.notice,
    )
    .await?;
    Ok((status, shown).into_response())
}

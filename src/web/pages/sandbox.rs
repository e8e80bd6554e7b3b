//! The simulated handset of a sandbox number: texts it as a customer and shows the replies.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::form::capitalized;
use super::inbox::texts::Texts;
use super::{Partial, page, partial};
use crate::app::App;
use crate::domain::accounts;
use crate::domain::contacts;
use crate::domain::conversations::{self, Conversation};
use crate::domain::integrations::Directory;
use crate::domain::members::{self, Member, WorkspaceRef};
use crate::domain::messages;
use crate::domain::messages::receive::{Arrival, Ingest};
use crate::domain::numbers::{self, Number};
use crate::domain::workspaces;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, NumberId};
use crate::language::t;
use crate::listing::Span;
use crate::phone::{Phone, PhoneError, Region};
use crate::providers::{Inbound, Kind};
use crate::web::assets;
use crate::web::auth::Claimed;
use crate::web::language::filters;
use crate::web::problem::Problem;

/// The default phone number of the handset: reserved for fiction.
const DEFAULT_SENDER: &str = "(415) 555-0192";

#[derive(Template)]
#[template(path = "sandbox/show.html")]
struct Handset {
    number: Number,
    slug: String,
    from: String,
    error: Option<String>,
    conversation: Option<ConversationId>,
    texts: Partial,
}

#[derive(Deserialize)]
pub struct Customer {
    from: Option<String>,
}

/// `GET /sandbox/{number_id}?from=`
pub async fn show(
    claimed: Claimed,
    State(app): State<App>,
    Path(id): Path<NumberId>,
    Query(customer): Query<Customer>,
) -> Result<Response, Problem> {
    let (member, number) = find(&app, claimed, id).await?;
    let typed = customer.from.unwrap_or_else(|| DEFAULT_SENDER.into());
    match Phone::parse(&typed, &Region::US) {
        Ok(from) => Ok(page(&handset(&app, &member, number, &from).await?)?.into_response()),
        Err(wrong) => Ok(with_error(&member, number, typed, &wrong)?.into_response()),
    }
}

async fn handset(app: &App, member: &Member, number: Number, from: &Phone) -> Result<Handset> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let mut found: Option<Conversation> = None;
    if let Some(contact) = contacts::with_phone(&mut tx, from).await? {
        let filter = conversations::Filter {
            number: Some(number.id),
            contact: Some(contact),
            ..conversations::Filter::default()
        };
        let list = conversations::list(&mut tx, &filter, &Span::default()).await?;
        found = list.data.into_iter().next();
    }
    let mut messages = match &found {
        Some(conversation) => {
            let filter = messages::Filter {
                conversation: Some(conversation.id),
                ..messages::Filter::default()
            };
            messages::list(&mut tx, &filter, &Span::default())
                .await?
                .data
        }
        None => Vec::new(),
    };
    // Notes, failed texts and those that have not left do not reach the customer.
    messages.retain(|message| !message.is_note() && !message.failed() && !message.waits());
    Ok(Handset {
        slug: member.slug.clone(),
        from: from.display(&Region::US),
        error: None,
        conversation: found.map(|conversation| conversation.id),
        texts: partial(&Texts::new(&messages, &[], 0, None)?)?,
        number,
    })
}

fn with_error(
    member: &Member,
    number: Number,
    typed: String,
    wrong: &PhoneError,
) -> Result<Response, Problem> {
    let handset = Handset {
        slug: member.slug.clone(),
        from: typed,
        error: Some(capitalized(&wrong.message().translated())),
        conversation: None,
        texts: partial(&Texts::new(&[], &[], 0, None)?)?,
        number,
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&handset)?).into_response())
}

#[derive(Deserialize)]
pub struct Text {
    from: String,
    body: String,
}

/// `POST /sandbox/{number_id}`
pub async fn text(
    claimed: Claimed,
    State(app): State<App>,
    State(directory): State<Directory>,
    State(ingest): State<Ingest>,
    Path(id): Path<NumberId>,
    Posted(text): Posted<Text>,
) -> Result<Response, Problem> {
    let (member, number) = find(&app, claimed, id).await?;
    let from = match Phone::parse(&text.from, &Region::US) {
        Ok(from) => from,
        Err(wrong) => return with_error(&member, number, text.from, &wrong),
    };
    let body = text.body.replace("\r\n", "\n");
    if !body.trim().is_empty() {
        let account = directory
            .integration(number.integration_id)
            .await?
            .ok_or(Error::NotFound(t!("the number")))?;
        ingest
            .store(Arrival {
                workspace: account.workspace,
                integration: account.integration,
                number: number.id,
                provider: Kind::Sandbox,
                via: None,
                text: Inbound {
                    provider_sid: format!("SM{}", crate::clock::id().simple()),
                    account: account.provider.account().to_owned(),
                    from: from.clone().into(),
                    to: number
                        .phone_number
                        .parse()
                        .map_err(|_| Error::Internal("a number of ours is none".into()))?,
                    text: body,
                    media: Vec::new(),
                    opt_out: None,
                    segments: None,
                    at: None,
                },
            })
            .await?;
    }
    let from: String =
        form_urlencoded::byte_serialize(from.display(&Region::US).as_bytes()).collect();
    Ok(Redirect::to(&format!("/sandbox/{id}?from={from}")).into_response())
}

/// The sandbox number, if the user is a member who may see it.
async fn find(app: &App, Claimed(session): Claimed, id: NumberId) -> Result<(Member, Number)> {
    let user = accounts::of_session(&app.db, session).await?;
    for workspace in workspaces::of_user(&app.db, user.id).await? {
        let member = members::admit(&app.db, session, WorkspaceRef::Id(workspace.id)).await?;
        let mut tx = app.db.workspace(member.tenant()).await?;
        match numbers::find(&mut tx, id).await {
            Ok(number) if number.provider == Kind::Sandbox => return Ok((member, number)),
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::NotFound(t!("the sandbox number")))
}

//! Search results in the inbox's list: people, conversations and texts.

use askama::Template;
use askama::filters::HtmlSafeOutput;

use super::filter::{InboxFilter, ListLocation, ROWS};
use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::search::{
    self, FoundConversation, FoundMessage, FoundPerson, Kind, Piece, Query,
};
use crate::error::Result;
use crate::ids::UserId;
use crate::listing::{Page, Span};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::{self, Partial, partial};

/// People and conversations shown above the texts; the rest is on a page of their own.
const FIRST: i64 = 4;

#[derive(Template)]
#[template(path = "inbox/_found.html")]
struct Found {
    sections: Vec<Section>,
}

struct Section {
    kind: Kind,
    hits: Partial,
    all: Option<String>,
}

/// Results of one kind, with the frame id and URL of the next page.
#[derive(Template)]
#[template(path = "inbox/_hits.html")]
struct Hits<'a> {
    location: &'a ListLocation,
    me: UserId,
    found: search::Found,
    older: Option<(String, String)>,
}

/// A snippet with the matches highlighted.
#[derive(Template)]
#[template(path = "inbox/_highlighted.html")]
struct Highlighted<'a> {
    pieces: &'a [Piece],
}

impl Hits<'_> {
    fn highlighted<'p>(&self, pieces: &'p [Piece]) -> HtmlSafeOutput<Highlighted<'p>> {
        HtmlSafeOutput(Highlighted { pieces })
    }

    /// The person's conversation, or their contact page while there is none.
    fn person(&self, person: &FoundPerson) -> String {
        match person.conversation_id {
            Some(conversation) => format!(
                "{}/{conversation}{}",
                self.location.base, self.location.query
            ),
            None => format!("{}/{}", self.location.contacts(), person.contact.id),
        }
    }

    fn conversation(&self, found: &FoundConversation) -> String {
        let id = found.conversation.id;
        format!("{}/{id}{}", self.location.base, self.location.query)
    }

    /// The thread, opened at this text.
    fn message(&self, found: &FoundMessage) -> String {
        let (id, conversation) = (found.message.id, found.message.conversation_id);
        let query = &self.location.query;
        format!(
            "{}/{conversation}{query}&at={id}#message-{id}",
            self.location.base
        )
    }
}

/// The first results of each kind, or a page of one kind. Also returns whether nothing was found.
pub async fn found(
    tx: &mut WorkspaceTx,
    member: &Member,
    inbox_filter: &InboxFilter,
) -> Result<(Partial, bool)> {
    let location = ListLocation::new(member, inbox_filter);
    let me = member.user();
    let Ok(query) = Query::parse(inbox_filter.q()) else {
        return Ok((
            partial(&Found {
                sections: Vec::new(),
            })?,
            true,
        ));
    };
    if let Some(kind) = inbox_filter.kind {
        let span = inbox_filter.span();
        let found = search::search(tx, &query, Some(kind), &span).await?;
        let hits = hits(&location, me, inbox_filter, kind, found)?;
        if span.cursor.is_some() {
            return Ok((hits.0, false));
        }
        let nothing = hits.1;
        let sections = vec![Section {
            kind,
            hits: hits.0,
            all: None,
        }];
        return Ok((
            partial(&Found {
                sections: if nothing { Vec::new() } else { sections },
            })?,
            nothing,
        ));
    }
    let mut sections = Vec::new();
    for (kind, limit) in [
        (Kind::People, FIRST),
        (Kind::Conversations, FIRST),
        (Kind::Messages, ROWS),
    ] {
        let span = Span {
            limit: Some(limit),
            cursor: None,
        };
        let mut found = search::search(tx, &query, Some(kind), &span).await?;
        let more = match kind {
            Kind::People => found.people.next_cursor.take().is_some(),
            Kind::Conversations => found.conversations.next_cursor.take().is_some(),
            Kind::Messages => false,
        };
        let (hits, nothing) = hits(&location, me, inbox_filter, kind, found)?;
        if nothing {
            continue;
        }
        let all =
            more.then(|| format!("{}{}", location.base, kind_query(inbox_filter, kind, None)));
        sections.push(Section { kind, hits, all });
    }
    let nothing = sections.is_empty();
    Ok((partial(&Found { sections })?, nothing))
}

fn kind_query(inbox_filter: &InboxFilter, kind: Kind, cursor: Option<&str>) -> String {
    InboxFilter {
        kind: Some(kind),
        ..inbox_filter.clone()
    }
    .query(inbox_filter.tab, cursor)
}

fn hits(
    location: &ListLocation,
    me: UserId,
    inbox_filter: &InboxFilter,
    kind: Kind,
    found: search::Found,
) -> Result<(Partial, bool)> {
    fn end<T>(page: &Page<T>) -> (bool, Option<String>) {
        (page.data.is_empty(), page.next_cursor.clone())
    }
    let (nothing, cursor) = match kind {
        Kind::People => end(&found.people),
        Kind::Conversations => end(&found.conversations),
        Kind::Messages => end(&found.messages),
    };
    let older = cursor.map(|cursor| {
        let href = format!(
            "{}{}",
            location.base,
            kind_query(inbox_filter, kind, Some(&cursor))
        );
        (format!("rows-{cursor}"), href)
    });
    Ok((
        partial(&Hits {
            location,
            me,
            found,
            older,
        })?,
        nothing,
    ))
}

//! Who works in a workspace, and as what. `Member` and `Admin` are rights: they are made here and nowhere else.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::db::{Db, Seat, WorkspaceTx};
use crate::domain::words;
use crate::error::{Error, Result};
use crate::ids::{SessionId, UserId, WorkspaceId};

words!(Role { Admin = "admin", Agent = "agent" });

/// A signed-in person in a workspace they belong to.
#[derive(Clone, Debug)]
pub struct Member {
    seat: Seat,
    pub role: Role,
    pub session: SessionId,
    pub name: String,
    pub email: String,
    pub workspace_name: String,
    pub slug: String,
}

impl Member {
    pub fn seat(&self) -> Seat {
        self.seat
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.seat.workspace
    }

    pub fn user(&self) -> UserId {
        self.seat.user
    }

    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// A member who may change the workspace itself. A verb for admins takes this.
#[derive(Clone, Debug)]
pub struct Admin(Member);

impl std::ops::Deref for Admin {
    type Target = Member;
    fn deref(&self) -> &Member {
        &self.0
    }
}

impl TryFrom<Member> for Admin {
    type Error = Error;
    fn try_from(member: Member) -> Result<Self> {
        if member.is_admin() {
            Ok(Self(member))
        } else {
            Err(Error::AdminOnly)
        }
    }
}

/// How a request names its workspace: by id in the API, by slug in the pages' addresses.
pub enum Place<'a> {
    Id(WorkspaceId),
    Slug(&'a str),
}

/// Who `session` is in `place`. One round trip: the session must live and the membership exist.
pub async fn admit(db: &Db, session: SessionId, place: Place<'_>) -> Result<Member> {
    let (id, slug) = match place {
        Place::Id(id) => (Some(id), None),
        Place::Slug(slug) => (None, Some(slug)),
    };
    let row = sqlx::query!(
        r#"select u.id as "user!: UserId", u.name as "name!", u.email as "email!",
                  w.id as "workspace?: WorkspaceId", w.name as "workspace_name?", w.slug as "slug?",
                  m.role as "role?: Role"
             from sessions s
             join users u on u.id = s.user_id
             left join workspaces w on w.id = $2 or w.slug = $3
             left join workspace_members m on m.workspace_id = w.id and m.user_id = u.id
            where s.id = $1 and s.revoked_at is null and s.expires_at > now()"#,
        session as _,
        id as _,
        slug,
    )
    .fetch_optional(db.system_pool())
    .await?
    .ok_or(Error::Unauthenticated)?;
    let (Some(workspace), Some(workspace_name), Some(slug), Some(role)) =
        (row.workspace, row.workspace_name, row.slug, row.role)
    else {
        return Err(Error::NotAMember);
    };
    Ok(Member {
        seat: Seat {
            workspace,
            user: row.user,
        },
        role,
        session,
        name: row.name,
        email: row.email,
        workspace_name,
        slug,
    })
}

/// A member as others see them.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Colleague {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<Colleague>> {
    Ok(sqlx::query_as!(
        Colleague,
        "select m.user_id, u.name, u.email, m.role, m.created_at
           from workspace_members m
           join users u on u.id = m.user_id
          order by lower(u.name), m.user_id"
    )
    .fetch_all(tx.conn())
    .await?)
}

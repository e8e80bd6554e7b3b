//! The page layout for signed-in members.

use super::Notice;
use crate::domain::conversations::Counts;
use crate::domain::members::{Member, PageSettings};
use crate::ids::{UserId, WorkspaceId};
use crate::language::{Message, t};

pub struct Shell {
    pub user: UserId,
    pub user_name: String,
    pub user_email: String,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub slug: String,
    pub is_admin: bool,
    pub settings: PageSettings,
    pub unread: i64,
    /// Quarantined webhooks; zero for agents.
    pub quarantined: i64,
    pub at: &'static str,
    pub notice: Option<Notice>,
}

/// The admin pages, by the last path segment.
static SECTIONS: [(&str, Message); 11] = [
    ("members", t!("Members")),
    ("access", t!("Access")),
    ("numbers", t!("Numbers")),
    ("credits", t!("Credits")),
    ("integrations", t!("Integrations")),
    ("fields", t!("Tags and fields")),
    ("opt-outs", t!("Opt-outs")),
    ("usage", t!("Usage")),
    ("webhooks", t!("Webhooks")),
    ("workspace", t!("Workspace")),
    ("audit", t!("Audit")),
];

impl Shell {
    pub fn new(member: &Member, counts: &Counts, at: &'static str) -> Self {
        Self {
            user: member.user(),
            user_name: member.name.clone(),
            user_email: member.email.clone(),
            workspace: member.workspace(),
            workspace_name: member.workspace_name.clone(),
            slug: member.slug.clone(),
            is_admin: member.is_admin(),
            settings: member.page_settings,
            unread: counts.unread,
            quarantined: counts.quarantined,
            at,
            notice: None,
        }
    }

    pub fn with_notice(self, notice: Option<Notice>) -> Self {
        Self { notice, ..self }
    }

    pub fn sections(&self) -> &'static [(&'static str, Message)] {
        &SECTIONS
    }

    /// The count query stops at 100.
    pub fn quarantined_shown(&self) -> String {
        match self.quarantined {
            count @ ..100 => count.to_string(),
            _ => t!("100 or more").translated(),
        }
    }

    pub fn in_admin(&self) -> bool {
        SECTIONS.iter().any(|(at, _)| *at == self.at)
    }

    pub fn settings_path(&self) -> String {
        format!("/w/{}/settings", self.slug)
    }

    pub fn initial(&self) -> String {
        initial(&self.workspace_name)
    }
}

pub fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or_else(|| "M".into(), |c| c.to_uppercase().to_string())
}

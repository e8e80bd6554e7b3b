//! The page layout for signed-in members.

use std::borrow::Cow;

use super::Notice;
use crate::domain::conversations::Counts;
use crate::domain::members::Member;
use crate::ids::{UserId, WorkspaceId};
use crate::language::{english, t};

pub struct Shell {
    pub user: UserId,
    pub user_name: String,
    pub user_email: String,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub slug: String,
    pub is_admin: bool,
    pub single_key_shortcuts: bool,
    pub unread: i64,
    /// Quarantined webhooks; zero for agents.
    pub quarantined: i64,
    pub at: &'static str,
    pub notice: Option<Notice>,
}

/// The admin pages, by the last path segment.
const SECTIONS: [(&str, &str); 11] = [
    ("members", english("Members")),
    ("access", english("Access")),
    ("numbers", english("Numbers")),
    ("credits", english("Credits")),
    ("integrations", english("Integrations")),
    ("fields", english("Tags and fields")),
    ("opt-outs", english("Opt-outs")),
    ("usage", english("Usage")),
    ("webhooks", english("Webhooks")),
    ("workspace", english("Workspace")),
    ("audit", english("Audit")),
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
            single_key_shortcuts: member.single_key_shortcuts,
            unread: counts.unread,
            quarantined: counts.quarantined,
            at,
            notice: None,
        }
    }

    pub fn with_notice(self, notice: Option<Notice>) -> Self {
        Self { notice, ..self }
    }

    pub fn sections(&self) -> &'static [(&'static str, &'static str)] {
        &SECTIONS
    }

    /// The count query stops at 100.
    pub fn quarantined_shown(&self) -> Cow<'static, str> {
        match self.quarantined {
            count @ ..100 => count.to_string().into(),
            _ => t("100 or more"),
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

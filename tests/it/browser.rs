//! What people see and do, in a real browser: Chromium, steered by chromedriver.

mod cable;
mod driver;
mod person;

mod access;
mod away;
mod composing;
mod contacts;
mod conversation;
mod credits;
mod crowd;
mod dead_line;
mod every_page;
mod first_day;
mod keyboard;
mod language;
mod leaving;
mod meant;
mod media;
mod members;
mod notices;
mod offline;
mod outbox;
mod phone;
mod plain;
mod printing;
mod sandbox;
mod search;
mod second_factor;
mod thread;
mod together;
mod translated;
mod workspaces;
mod writing;
mod zoom;

use serde_json::{Value, json};

pub use cable::Cable;
pub use person::Browser;

use crate::hub::Workspace;

impl Workspace<'_> {
    /// The address of a conversation in the inbox, or of the inbox.
    fn inbox(&self, conversation: Option<&Value>) -> String {
        let id = conversation.map_or("", |conversation| conversation["id"].as_str().unwrap());
        format!("/w/{}/inbox/{id}", self.slug)
            .trim_end_matches('/')
            .into()
    }

    /// The address of a page for admins.
    fn admin_page(&self, section: &str) -> String {
        format!("/w/{}/admin/{section}", self.slug)
    }

    /// Writes down who this is.
    async fn knows(&self, conversation: &Value, name: &str) {
        let id = conversation["contact_id"].as_str().unwrap();
        let path = self.path(&format!("/contacts/{id}"));
        self.admin.patch(&path, json!({"name": name})).await.is(200);
    }
}

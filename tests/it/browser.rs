//! Browser tests: pages in Chromium, driven by chromedriver.

mod driver;
mod proxy;
mod session;

mod access;
mod collaboration;
mod composing;
mod contacts;
mod conversation;
mod credits;
mod dead_connection;
mod edge_cases;
mod every_page;
mod keyboard;
mod language;
mod large_inbox;
mod media;
mod members;
mod notifications;
mod offline;
mod onboarding;
mod outbox;
mod page_translation;
mod printing;
mod sandbox;
mod search;
mod second_factor;
mod service_worker;
mod sign_out;
mod small_screen;
mod thread;
mod triage;
mod without_scripts;
mod workspaces;
mod writing;
mod zoom;

use serde_json::{Value, json};

pub use proxy::Proxy;
pub use session::Browser;

use crate::hub::Workspace;

impl Workspace<'_> {
    /// The URL path of a conversation in the inbox, or of the inbox.
    fn inbox(&self, conversation: Option<&Value>) -> String {
        let id = conversation.map_or("", |conversation| conversation["id"].as_str().unwrap());
        format!("/w/{}/inbox/{id}", self.slug)
            .trim_end_matches('/')
            .into()
    }

    /// The URL path of an admin page.
    fn admin_page(&self, section: &str) -> String {
        format!("/w/{}/admin/{section}", self.slug)
    }

    /// Names the contact of `conversation`.
    async fn names_contact(&self, conversation: &Value, name: &str) {
        let id = conversation["contact_id"].as_str().unwrap();
        let path = self.path(&format!("/contacts/{id}"));
        self.admin
            .patch(&path, json!({"name": name}))
            .await
            .expect_status(200);
    }
}

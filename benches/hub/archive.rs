//! A hub with years of texts.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::cluster::{Cluster, execute};
use crate::hub::{Hub, PASSWORD, api_request, page_request, text};
use crate::workload::{AREA_CODES, Senders};

/// An agent who sees the first of the five numbers in the first workspace.
const AGENT: &str = "sam@bench.example";
/// How many conversations or contacts far down a list is.
const FAR_DOWN: usize = 5_000;
const PAGE: usize = 200;

#[derive(Clone, Copy)]
pub struct Size {
    pub texts: usize,
    pub conversations: usize,
    pub workspaces: usize,
}

impl Size {
    /// The first workspace has half of everything, the others share the rest.
    fn of_workspaces(self, all: usize) -> Vec<usize> {
        let half = all / 2;
        let mut shares = vec![(all - half) / (self.workspaces - 1).max(1); self.workspaces];
        shares[0] = half;
        shares
    }
}

pub struct Archive {
    pub hub: Hub,
    pub size: Size,
}

/// A member with what a request needs.
pub struct Reader<'a> {
    archive: &'a Archive,
    token: String,
    /// Ids by their names in paths.
    ids: [(&'static str, String); 4],
}

impl Archive {
    pub async fn open(cluster: &Cluster, name: &'static str, size: Size, analyzes: bool) -> Self {
        let conversations = size.of_workspaces(size.conversations);
        // Contacts that have texted, as in archive.sql.
        let texted: Vec<_> = conversations.iter().map(|count| count * 4 / 5).collect();
        let senders = Senders::new(&texted, |nth| if nth % 100 == 99 { 4 } else { nth % 4 });
        let hub = Hub::open(cluster, name, size.workspaces, senders).await;
        let mut archive = Self { hub, size };
        archive.invite_agent().await;
        let begun = Instant::now();
        archive.fill(&conversations, &texted).await;
        if analyzes {
            archive.vacuum().await;
        }
        eprintln!(
            "{name}: {} texts written in {:.0} s",
            size.texts,
            begun.elapsed().as_secs_f64()
        );
        archive
    }

    async fn invite_agent(&self) {
        let workspace = &self.hub.workspaces[0];
        let members = format!("/api/workspaces/{}/members", workspace.id);
        let form = json!({"email": AGENT, "role": "agent", "number_ids": [workspace.numbers[0]]});
        let invited = self
            .hub
            .post(&members, &self.hub.sign_in(0).await, &form)
            .await;
        let link = text(&invited["invitation"]["url"]);
        let token = link.rsplit('/').next().unwrap();
        let form = json!({"name": "Sam", "password": PASSWORD});
        let path = format!("/api/invitations/{token}/accept");
        self.hub.post(&path, "", &form).await;
    }

    /// The server runs meanwhile: its connections have lived since the tables were empty.
    async fn fill(&mut self, conversations: &[usize], texted: &[usize]) {
        let texts = self.size.of_workspaces(self.size.texts);
        let mut first = 0;
        let workspaces = self.hub.workspaces.iter().enumerate().map(|(nth, workspace)| {
            let plan = json!({"workspace": workspace.id, "texts": texts[nth], "conversations": conversations[nth], "first": first});
            first += texted[nth];
            plan
        });
        let plan = Value::from_iter(workspaces);
        let codes = AREA_CODES.map(|code| code.to_string()).join(",");
        let database = &mut self.hub.database;
        execute(
            database,
            &format!("set archive.plan = '{plan}'; set archive.area_codes = '{{{codes}}}'"),
        )
        .await;
        execute(database, include_str!("archive.sql")).await;
        execute(database, "call archive.index_contacts()").await;
        execute(database, "checkpoint").await;
    }

    async fn vacuum(&mut self) {
        // All tables; those of the system take no time.
        execute(&mut self.hub.database, "vacuum (analyze)").await;
        execute(&mut self.hub.database, "checkpoint").await;
    }

    /// A text that archive.sql can compute, such as a word.
    pub async fn computed(&mut self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(format!("select {sql}")))
            .fetch_one(&mut self.hub.database)
            .await
            .unwrap()
    }

    pub async fn ids(&mut self) -> [(&'static str, String); 4] {
        let longest = "(select t.id from archive.talks t join archive.plan p on p.workspace = t.workspace where p.place = 1 and t.place = 0)";
        let of_thread = format!(
            "from messages where conversation_id = {longest} and workspace_id = (select workspace from archive.plan where place = 1)"
        );
        let middle = format!(
            "(select id {of_thread} order by id offset (select count(*) / 2 {of_thread}) limit 1)::text"
        );
        let thread = self.computed(&format!("{longest}::text")).await;
        let middle = self.computed(&middle).await;
        let numbers = &self.hub.workspaces[0].numbers;
        [
            ("{thread}", thread),
            ("{middle}", middle),
            ("{number}", numbers[0].clone()),
            ("{rare}", numbers[4].clone()),
        ]
    }
}

impl<'a> Reader<'a> {
    pub async fn admin(archive: &'a Archive, ids: &[(&'static str, String); 4]) -> Self {
        Self {
            token: archive.hub.sign_in(0).await,
            ids: ids.clone(),
            archive,
        }
    }

    pub async fn agent(archive: &'a Archive, ids: &[(&'static str, String); 4]) -> Self {
        let mut ids = ids.clone();
        // The rare number is not the agent's.
        ids[3].1 = ids[2].1.clone();
        Self {
            token: archive.hub.sign_in_as(AGENT).await,
            ids,
            archive,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.archive.hub.server.address
    }

    /// The request for a path of the workspace: of the API, or of a page if it begins with a slash. A `>` at its end
    /// stands for the cursor of a page far down.
    pub async fn request(&self, path: &str) -> Vec<u8> {
        let mut path = path.to_owned();
        for (name, id) in &self.ids {
            path = path.replace(name, id);
        }
        let (address, workspace) = (self.address(), &self.archive.hub.workspaces[0]);
        if let Some(page) = path.strip_prefix('/') {
            let page = format!("/w/{}/{page}", workspace.slug);
            return page_request(address, &page, &self.token, Some("conversation"));
        }
        let mut path = format!("/api/workspaces/{}/{path}", workspace.id);
        if let Some(list) = path.strip_suffix('>') {
            path = self.far_down(list).await;
        }
        api_request(address, &path, &self.token)
    }

    async fn far_down(&self, list: &str) -> String {
        let mut far = list.to_owned();
        for _ in 0..FAR_DOWN / PAGE {
            let page = self
                .archive
                .hub
                .get(&format!("{far}&limit={PAGE}"), &self.token)
                .await;
            match &page["next_cursor"] {
                Value::String(cursor) => far = format!("{list}&cursor={cursor}"),
                _ => break,
            }
        }
        far
    }
}

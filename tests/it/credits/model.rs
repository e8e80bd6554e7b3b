//! Property test: under concurrent operations of agents, an admin, the sender and the provider every balance equals
//! its ledger.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use crate::emulator::Failure;
use crate::hub::{Answer, FRONT_DESK, Hub, Person, TOKEN, Workspace};

const AGENTS: usize = 3;

/// Agents are named by index, texts by the number of texts before them.
#[derive(Clone, Debug)]
enum Operation {
    Sends(usize),
    /// Repeats the request with the same key, as after a lost response.
    SendsTwice(usize),
    Cancels(usize, usize),
    Grants(usize, i64),
    SetsBalance(usize, i64),
    Role(usize, &'static str),
    /// Removes the agent; `Rejoins` invites them again and assigns the front desk.
    Removes(usize),
    Rejoins(usize),
    RunsSender(Vec<ProviderAnswer>),
    EndsRetryDelays,
    Reports(usize, &'static str),
}

/// The provider's answer to the next text.
#[derive(Clone, Copy, Debug)]
enum ProviderAnswer {
    Refused,
    AcceptedUnanswered,
    Busy,
}

fn operation() -> impl Strategy<Value = Operation> {
    let agent = || 0..AGENTS;
    let provider_answer = prop_oneof![
        Just(ProviderAnswer::Refused),
        Just(ProviderAnswer::AcceptedUnanswered),
        Just(ProviderAnswer::Busy),
    ];
    let report = prop::sample::select(vec![
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "canceled",
    ]);
    prop_oneof![
        6 => agent().prop_map(Operation::Sends),
        3 => agent().prop_map(Operation::SendsTwice),
        3 => (agent(), 0..20_usize).prop_map(|(who, text)| Operation::Cancels(who, text)),
        2 => (agent(), -6..9_i64).prop_map(|(whose, delta)| Operation::Grants(whose, delta)),
        1 => (agent(), 0..9_i64).prop_map(|(whose, balance)| Operation::SetsBalance(whose, balance)),
        1 => (agent(), prop::sample::select(vec!["admin", "agent"])).prop_map(|(who, role)| Operation::Role(who, role)),
        1 => agent().prop_map(Operation::Removes),
        2 => agent().prop_map(Operation::Rejoins),
        3 => prop::collection::vec(provider_answer, 0..3).prop_map(Operation::RunsSender),
        1 => Just(Operation::EndsRetryDelays),
        3 => (0..20_usize, report).prop_map(|(text, report)| Operation::Reports(text, report)),
    ]
}

/// Sequences of steps; the operations of one step run concurrently.
fn steps() -> impl Strategy<Value = Vec<Vec<Operation>>> {
    prop::collection::vec(prop::collection::vec(operation(), 1..6), 4..14)
}

struct Text {
    id: String,
    content: String,
    /// The agent who paid, unless the sender was an admin.
    payer: Option<usize>,
}

struct Scenario<'a> {
    harbor: Workspace<'a>,
    agents: &'a [Person],
    texts: Mutex<Vec<Text>>,
    count: AtomicU32,
}

impl<'a> Scenario<'a> {
    /// A new workspace with the same users and its own provider account.
    async fn start(hub: &'a Hub, owner: &Person, agents: &'a [Person]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let mine = owner
            .post("/api/workspaces", json!({"name": "Harbor Dental"}))
            .await
            .expect_status(201);
        let harbor = Workspace {
            hub,
            id: mine["id"].as_str().unwrap().into(),
            slug: mine["slug"].as_str().unwrap().into(),
            admin: owner.clone(),
            account: format!(
                "AC{:032x}",
                0xb00c_0000 + COUNT.fetch_add(1, Ordering::Relaxed)
            ),
        };
        harbor.connect_twilio(FRONT_DESK).await;
        owner
            .patch(&harbor.path(""), json!({"starting_credits": 4}))
            .await
            .expect_status(200);
        let scenario = Self {
            harbor,
            agents,
            texts: Mutex::default(),
            count: AtomicU32::new(0),
        };
        for who in 0..AGENTS {
            scenario.join(who).await;
        }
        scenario
    }

    async fn join(&self, who: usize) {
        let agent = &self.agents[who];
        let form = json!({"email": agent.email, "role": "agent"});
        self.harbor.hub.verify_email(&agent.email).await;
        // The same addresses are invited more often than the limit allows.
        self.harbor.hub.execute_sql("delete from throttles").await;
        let invited = self
            .harbor
            .admin
            .post(&self.harbor.path("/members"), form)
            .await;
        if invited.status == 422 {
            return; // still a member
        }
        let url = invited.expect_status(201)["invitation"]["url"].clone();
        let link = url.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let path = format!("/api/invitations/{link}/accept");
        // A concurrent invitation makes the first link void.
        if agent.post(&path, json!({})).await.status != 200 {
            return;
        }
        let number = self.harbor.number(FRONT_DESK).await;
        let path = format!("/numbers/{number}/members/{}", agent.id);
        let given = self.harbor.admin.put(&self.harbor.path(&path)).await;
        assert!([204, 404].contains(&given.status), "{given:?}");
    }

    async fn apply(&self, operation: &Operation) {
        let hub = self.harbor.hub;
        let credits = |whose: &usize| {
            self.harbor
                .path(&format!("/credits/{}", self.agents[*whose].id))
        };
        let member = |who: &usize| {
            self.harbor
                .path(&format!("/members/{}", self.agents[*who].id))
        };
        let admin = &self.harbor.admin;
        match operation {
            Operation::Sends(who) => self.sends(*who, 1).await,
            Operation::SendsTwice(who) => self.sends(*who, 2).await,
            Operation::Cancels(who, text) => {
                if let Some((id, _)) = self.text(*text) {
                    let path = self.harbor.path(&format!("/messages/{id}/cancel"));
                    let answer = self.agents[*who].post(&path, json!({})).await;
                    is_one_of(&answer, &[200, 403, 404, 409]);
                }
            }
            Operation::Grants(whose, delta) => {
                let answer = admin.patch(&credits(whose), json!({"delta": delta})).await;
                is_one_of(&answer, &[200, 404, 422]);
            }
            Operation::SetsBalance(whose, balance) => {
                let answer = admin
                    .patch(&credits(whose), json!({"balance": balance}))
                    .await;
                is_one_of(&answer, &[200, 404]);
            }
            Operation::Role(who, role) => {
                let answer = admin.patch(&member(who), json!({"role": role})).await;
                is_one_of(&answer, &[200, 403, 404]);
            }
            // 403: a concurrent change was faster.
            Operation::Removes(who) => {
                is_one_of(&admin.delete(&member(who)).await, &[204, 403, 404])
            }
            Operation::Rejoins(who) => self.join(*who).await,
            Operation::RunsSender(provider_answers) => {
                for provider_answer in provider_answers {
                    match provider_answer {
                        ProviderAnswer::Refused => hub.twilio.refuses(21614, 400),
                        ProviderAnswer::AcceptedUnanswered => {
                            hub.twilio.fails(Failure::AcceptThenDrop)
                        }
                        ProviderAnswer::Busy => hub.twilio.is_busy(None),
                    };
                }
                hub.run_sender().await;
            }
            Operation::EndsRetryDelays => {
                hub.execute_sql("update messages set due_at = now() where status = 'queued'")
                    .await;
            }
            Operation::Reports(text, report) => {
                let taken = self
                    .text(*text)
                    .and_then(|(_, content)| hub.twilio.sent(&content).pop());
                if let Some(taken) = taken {
                    let answer = hub.twilio.reports_failure(&taken.sid, report, 30003).await;
                    assert!(answer.status().is_success(), "{answer:?}");
                }
            }
        }
    }

    fn text(&self, nth: usize) -> Option<(String, String)> {
        let texts = self.texts.lock().unwrap();
        let text = texts.get(nth)?;
        Some((text.id.clone(), text.content.clone()))
    }

    async fn sends(&self, who: usize, times: usize) {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let content = format!("{}-{n}", self.harbor.account);
        let draft = json!({"to": format!("+1415555{:04}", 100 + n % 4), "content": content});
        let mut first: Option<String> = None;
        for _ in 0..times {
            let answer = self.agents[who]
                .send_with_key(&self.harbor, &content, &draft)
                .await;
            // Refused without credits, membership or number.
            is_one_of(&answer, &[202, 402, 403, 404, 409]);
            if answer.status != 202 {
                continue;
            }
            let sent = answer.expect_status(202);
            let id = sent["message"]["id"].as_str().unwrap().to_owned();
            match &first {
                Some(first) => assert_eq!(*first, id, "one key, one text"),
                None => {
                    let payer = (!sent["credits_remaining"].is_null()).then_some(who);
                    self.texts.lock().unwrap().push(Text {
                        id: id.clone(),
                        content: content.clone(),
                        payer,
                    });
                    first = Some(id);
                }
            }
        }
    }

    async fn audit(&self) -> Result<(), TestCaseError> {
        let hub = self.harbor.hub;
        super::assert_ledger_consistent(hub).await;
        let accounts: Vec<(String, i64, i64)> = sqlx::query_as(
            "select a.user_id::text, a.balance,
                    (select coalesce(sum(l.delta), 0)::bigint from credit_ledger l
                      where l.workspace_id = a.workspace_id and l.user_id = a.user_id and l.kind = 'granted')
               from credit_accounts a where a.workspace_id::text = $1",
        )
        .bind(&self.harbor.id)
        .fetch_all(&hub.superuser_pool)
        .await
        .unwrap();
        for (who, agent) in self.agents.iter().enumerate() {
            let account = accounts.iter().find(|(user, ..)| *user == agent.id);
            let (balance, granted) =
                account.map_or((0, 0), |(_, balance, granted)| (*balance, *granted));
            let mut held = 0;
            let texts: Vec<_> = {
                let texts = self.texts.lock().unwrap();
                let paid = texts.iter().filter(|text| text.payer == Some(who));
                paid.map(|text| (text.id.clone(), text.content.clone()))
                    .collect()
            };
            for (id, content) in texts {
                let status: String =
                    sqlx::query_scalar("select status from messages where id::text = $1")
                        .bind(&id)
                        .fetch_one(&hub.superuser_pool)
                        .await
                        .unwrap();
                let taken = hub.twilio.sent(&content).len();
                prop_assert!(taken <= 1, "{} was sent {} times", content, taken);
                let is_held = match status.as_str() {
                    "canceled" => false,
                    "failed" => taken == 1,
                    _ => true,
                };
                held += i64::from(is_held);
            }
            prop_assert_eq!(granted - balance, held, "agent {}", who);
        }
        // Every outbound text belongs to an accepted request.
        let queued: i64 = sqlx::query_scalar("select count(*) from messages where workspace_id::text = $1 and direction = 'outbound'")
            .bind(&self.harbor.id)
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
        prop_assert_eq!(
            usize::try_from(queued).unwrap(),
            self.texts.lock().unwrap().len()
        );
        Ok(())
    }
}

#[track_caller]
fn is_one_of(answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_balances_under_random_operations() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut agents = Vec::new();
    for name in ["Sam", "Lin", "Kim"] {
        agents.push(harbor.agent(name).await);
    }
    hub.twilio.account(&harbor.account, TOKEN);
    let config = Config {
        cases: 32,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let (sent, took) = (AtomicU32::new(0), AtomicU32::new(0));
    let outcome = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&steps(), |steps| {
            tokio::runtime::Handle::current().block_on(async {
                hub.twilio.recovers();
                let scenario = Scenario::start(&hub, &harbor.admin, &agents).await;
                for step in &steps {
                    join_all(step.iter().map(|operation| scenario.apply(operation))).await;
                }
                scenario.audit().await?;
                // Deletes the workspace, so that the next case starts without its texts.
                let texts = scenario.texts.lock().unwrap().len();
                sent.fetch_add(u32::try_from(texts).unwrap(), Ordering::Relaxed);
                let form = json!({"name": "Harbor Dental"});
                harbor
                    .admin
                    .delete_with(&scenario.harbor.path(""), form)
                    .await
                    .expect_status(204);
                Ok(())
            })
        })
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    took.fetch_add(
        u32::try_from(hub.twilio.messages().len()).unwrap(),
        Ordering::Relaxed,
    );
    let (sent, took) = (sent.into_inner(), took.into_inner());
    assert!(
        sent > 100 && took > 20,
        "too few operations: {sent} texts, {took} accepted"
    );
}

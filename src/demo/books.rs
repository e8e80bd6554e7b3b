//! The credits, invitations and audit entries of the demo.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::Office;
use super::cast::Staff;
use crate::db::SystemTx;
use crate::db::purpose::Setup;
use crate::domain::accounts::{fingerprint, random_token};
use crate::error::Result;
use crate::ids::UserId;

/// Sam has many credits left, Lin has few.
const GRANTS: [(&str, i64); 2] = [("November", 250), ("", 7)];

pub async fn fill(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    for (agent, (reason, left)) in [office.sam, office.lin].into_iter().zip(GRANTS) {
        credit(tx, office, agent, reason, left, now - Duration::days(30)).await?;
    }
    invite(tx, office, now).await?;
    log(tx, office, now).await
}

/// A grant that leaves `left` credits after everything the agent has sent since.
async fn credit(
    tx: &mut SystemTx<Setup>,
    office: &Office,
    agent: UserId,
    reason: &str,
    left: i64,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "with sent as (
             select id, created_at, row_number() over (order by created_at, id) as nth, count(*) over () as all_of_them
               from messages where workspace_id = $1 and created_by = $2 and direction = 'outbound'
         ), account as (
             insert into credit_accounts (workspace_id, user_id, balance) values ($1, $2, $5)
         )
         insert into credit_ledger (workspace_id, user_id, delta, balance, kind, reason, message_id, actor_id, actor_name, created_at)
         select $1, $2, $5 + coalesce(max(all_of_them), 0), $5 + coalesce(max(all_of_them), 0), 'granted', $4::text, null::uuid, $3::uuid, 'Jo Park', $6::timestamptz
           from sent
         union all
         select $1, $2, -1, $5 + all_of_them - nth, 'spent', '', id, null::uuid, '', created_at from sent",
        office.workspace as _,
        agent as _,
        office.jo as _,
        reason,
        left,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn invite(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into invitations (workspace_id, email, role, number_ids, token_hash, invited_by, expires_at, created_at)
         values ($1, 'priya@harbor.test', 'agent', array[$2::uuid], $3, $4, $5, $6)",
        office.workspace as _,
        office.front_desk.number as _,
        fingerprint(&random_token()),
        office.jo as _,
        now + Duration::days(5),
        now - Duration::days(2),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct AuditEntry {
    minutes_ago: i64,
    by: Staff,
    action: &'static str,
    subject: &'static str,
    before: Option<Value>,
    after: Option<Value>,
}

fn entry(minutes_ago: i64, by: Staff, action: &'static str, subject: &'static str) -> AuditEntry {
    AuditEntry {
        minutes_ago,
        by,
        action,
        subject,
        before: None,
        after: None,
    }
}

impl AuditEntry {
    fn before(self, before: Value) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    fn after(self, after: Value) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }
}

const DAY: i64 = 24 * 60;

#[rustfmt::skip] // a line per entry
fn audit_log() -> [AuditEntry; 9] {
    use Staff::{Jo, Lin, Sam};
    [
        entry(30 * DAY, Jo, "integration_connected", "Sandbox: Front desk").after(json!({"provider": "sandbox", "numbers": 1})),
        entry(30 * DAY - 2, Jo, "member_invited", "sam@harbor.test").after(json!({"role": "agent"})),
        entry(30 * DAY - 9, Sam, "member_joined", "agent"),
        entry(30 * DAY - 14, Jo, "credits_changed", "Sam Ortiz")
            .before(json!({"balance": 0})).after(json!({"balance": 300, "reason": "November"})),
        entry(6 * DAY, Jo, "number_changed", "(628) 555-0101")
            .before(json!({"friendly_name": "Recall"})).after(json!({"friendly_name": "Hygiene recall"})),
        entry(2 * DAY, Jo, "member_invited", "priya@harbor.test").after(json!({"role": "agent"})),
        entry(26 * 60, Lin, "signed_in", ""),
        entry(190, Jo, "signed_in", ""),
        entry(140, Sam, "signed_in", ""),
    ]
}

async fn log(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    for entry in audit_log() {
        sqlx::query!(
            "insert into audit_log (workspace_id, action, actor_id, actor_name, subject, address, before, after, created_at)
             values ($1, $2, $3, $4, $5, '203.0.113.24', $6, $7, $8)",
            office.workspace as _,
            entry.action,
            office.user(entry.by) as _,
            entry.by.name(),
            entry.subject,
            entry.before,
            entry.after,
            now - Duration::minutes(entry.minutes_ago),
        )
        .execute(tx.conn())
        .await?;
    }
    sqlx::query!(
        "update workspace_members set created_at = $2 where workspace_id = $1",
        office.workspace as _,
        now - Duration::days(30),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

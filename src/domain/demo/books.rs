//! The credits, templates, invitations and audit entries of the demo.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::Office;
use crate::db::SystemTx;
use crate::db::purpose::Setup;
use crate::domain::accounts::{fingerprint, random_token};
use crate::error::Result;
use crate::ids::{TemplateId, UserId};

/// Sam has many credits left, Lin has few.
const GRANTS: [(&str, i64); 2] = [("November", 250), ("", 7)];

pub async fn fill(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    for (agent, (reason, left)) in [office.sam, office.lin].into_iter().zip(GRANTS) {
        credit(tx, office, agent, reason, left, now - Duration::days(30)).await?;
    }
    invite(tx, office, now).await?;
    templates(tx, office, now).await?;
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

/// The last one is Jo's own.
const TEMPLATES: [(&str, &str); 4] = [
    (
        "Reminder",
        "Hi {{first_name|there}}, {{doctor}} sees you on {{day}} at {{time}}. Reply C to confirm. {{workspace}}",
    ),
    (
        "Parking",
        "Parking is on the left side this week: level 1, and the lift takes you up to us.",
    ),
    (
        "Opening hours",
        "We are here Monday to Friday from 8 to 6. In an emergency call {{number}}, day and night.",
    ),
    (
        "Recall",
        "Hi {{first_name|there}}, it is time for your checkup. Which days suit you? {{agent}}",
    ),
];

async fn templates(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    for (nth, (name, content)) in (0..).zip(TEMPLATES) {
        let at = now - Duration::days(90) + Duration::hours(nth);
        sqlx::query!(
            "insert into templates (workspace_id, id, name, content, owner_id, created_by, created_at, updated_at)
             values ($1, $2, $3, $4, case when $5 then $6::uuid end, $6, $7, $7)",
            office.workspace as _,
            TemplateId::at(at) as _,
            name,
            content,
            name == "Recall",
            office.jo as _,
            at,
        )
        .execute(tx.conn())
        .await?;
    }
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

async fn log(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    let (jo, sam, lin) = (
        (office.jo, "Jo Park"),
        (office.sam, "Sam Ortiz"),
        (office.lin, "Dr. Lin"),
    );
    let granted = |before: i64, after: i64| {
        (
            Some(json!({"balance": before})),
            Some(json!({"balance": after, "reason": "November"})),
        )
    };
    let entries = [
        (
            30 * 24 * 60,
            jo,
            "integration_connected",
            "Sandbox: Front desk",
            None,
            Some(json!({"provider": "sandbox", "numbers": 1})),
        ),
        (
            30 * 24 * 60 - 2,
            jo,
            "member_invited",
            "sam@harbor.test",
            None,
            Some(json!({"role": "agent"})),
        ),
        (30 * 24 * 60 - 9, sam, "member_joined", "agent", None, None),
        (
            30 * 24 * 60 - 12,
            jo,
            "number_assigned",
            "Sam Ortiz",
            None,
            Some(json!({"number": "+16285550100"})),
        ),
        (
            30 * 24 * 60 - 14,
            jo,
            "credits_changed",
            "Sam Ortiz",
            granted(0, 300).0,
            granted(0, 300).1,
        ),
        (
            6 * 24 * 60,
            jo,
            "number_changed",
            "(628) 555-0101",
            Some(json!({"friendly_name": "Recall"})),
            Some(json!({"friendly_name": "Hygiene recall"})),
        ),
        (
            2 * 24 * 60,
            jo,
            "member_invited",
            "priya@harbor.test",
            None,
            Some(json!({"role": "agent"})),
        ),
        (26 * 60, lin, "signed_in", "", None, None),
        (190, jo, "signed_in", "", None, None),
        (140, sam, "signed_in", "", None, None),
    ];
    for (minutes, (actor, name), action, subject, before, after) in entries {
        sqlx::query!(
            "insert into audit_log (workspace_id, action, actor_id, actor_name, subject, address, before, after, created_at)
             values ($1, $2, $3, $4, $5, '203.0.113.24', $6, $7, $8)",
            office.workspace as _,
            action,
            actor as _,
            name,
            subject,
            before,
            after,
            now - Duration::minutes(minutes),
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

//! The scheduled texts of the demo.

use chrono::{DateTime, Utc};

use super::Office;
use super::inbox::clock;
use crate::db::SystemTx;
use crate::db::purpose::Setup;
use crate::domain::messages::segments;
use crate::error::Result;
use crate::ids::MessageId;
use crate::providers;

struct Reminder {
    phone: &'static str,
    /// From today.
    days: i64,
    hour: u32,
    words: &'static str,
}

const REMINDERS: [Reminder; 3] = [
    Reminder {
        phone: "+14155550117",
        days: 1,
        hour: 9,
        words: "Good morning Daniel! Don't forget your insurance card today, we see you at 8:30 with Dr. Lin.",
    },
    Reminder {
        phone: "+14155550192",
        days: 2,
        hour: 10,
        words: "Hi Maya, how do you feel after the cleaning? Text us if anything is sensitive.",
    },
    Reminder {
        phone: "+14155550155",
        days: 6,
        hour: 8,
        words: "木村さん、本日午前10時にお待ちしております。",
    },
];

pub async fn write(tx: &mut SystemTx<Setup>, office: &Office, now: DateTime<Utc>) -> Result<()> {
    for reminder in REMINDERS {
        sqlx::query!(
            "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content,
                                   message_type, status, provider, segments, created_by, scheduled_at, due_at, created_at, updated_at)
             select $1, $2, v.id, c.id, v.number_id, $4, 'outbound', $6, 'text', 'scheduled', $7, $8, $9, $10, $10, $11, $11
               from contacts c
               join conversations v on v.workspace_id = c.workspace_id and v.contact_id = c.id and v.number_id = $5
              where c.workspace_id = $1 and c.phone_number = $3",
            office.workspace as _,
            MessageId::new() as _,
            reminder.phone,
            office.front_desk.integration as _,
            office.front_desk.number as _,
            reminder.words,
            providers::Kind::Sandbox as _,
            i16::try_from(segments::segments(reminder.words).segments).ok(),
            office.jo as _,
            clock(now, -reminder.days, reminder.hour, 0),
            now,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

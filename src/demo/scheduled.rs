//! The scheduled texts of the demo.

use chrono::{DateTime, Utc};

use super::Office;
use super::inbox::clock;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::domain::messages::send::{self, Draft};
use crate::error::Result;

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

pub async fn schedule(
    tx: &mut WorkspaceTx,
    jo: &Admin,
    office: &Office,
    now: DateTime<Utc>,
) -> Result<()> {
    for reminder in REMINDERS {
        let draft = Draft {
            to: Some(reminder.phone.into()),
            content: reminder.words.into(),
            number_id: Some(office.front_desk.number),
            scheduled_at: Some(clock(now, -reminder.days, reminder.hour, 0)),
            ..Draft::default()
        };
        send::send(tx, jo, draft, None).await?;
    }
    Ok(())
}

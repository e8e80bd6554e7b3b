//! What texts cost: totals per number and month, and what the provider says it charged.
//!
//! Days and months are in UTC, as at the providers.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::clock;
use crate::db::purpose::Fetch;
use crate::db::{Db, WorkspaceTx};
use crate::domain::integrations::{Directory, Purpose};
use crate::error::Result;
use crate::ids::{IntegrationId, NumberId, WorkspaceId};
use crate::language::{Message, t};
use crate::phone;
use crate::providers::{self, Item, Priced};

/// Prices arrive late: this many days are counted and fetched again.
const LATE_PRICE_DAYS: Days = Days::new(3);

/// A calendar month, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(NaiveDate);

impl Month {
    pub fn now() -> Self {
        Self::of(clock::now().date_naive())
    }

    fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    pub fn before(self) -> Self {
        Self(self.0.checked_sub_months(Months::new(1)).unwrap_or(self.0))
    }

    pub fn after(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }
}

impl std::str::FromStr for Month {
    type Err = Message;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_month = text.len() == 7 && text.is_ascii();
        let day = is_month.then(|| format!("{text}-01").parse::<NaiveDate>());
        match day {
            Some(Ok(day)) if (2000..=9998).contains(&day.year()) => Ok(Self(day)),
            _ => Err(t!("Enter a month such as 2026-11")),
        }
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Money {
    /// A decimal, such as `0.0079`.
    pub amount: String,
    /// ISO 4217, such as `USD`.
    pub currency: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// Such as `2026-11`, in UTC.
    pub month: String,
    /// When texts were last counted; `null` if there are none.
    pub counted_at: Option<DateTime<Utc>>,
    pub numbers: Vec<NumberUsage>,
    pub charges: Vec<IntegrationCharges>,
}

/// The texts of one number, and the prices recorded with them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NumberUsage {
    pub number_id: NumberId,
    pub phone_number: String,
    pub friendly_name: String,
    /// Texts that the provider accepted.
    pub sent: i64,
    pub received: i64,
    /// The segments of all these texts, as far as they are known.
    pub segments: i64,
    /// One per currency. Carrier fees are only in the charges.
    pub costs: Vec<Money>,
    /// Texts whose price is not known, or not yet.
    pub without_price: i64,
}

impl NumberUsage {
    /// The display name: the number's name, or the formatted number.
    pub fn title(&self) -> String {
        match self.friendly_name.as_str() {
            "" => self.formatted_number(),
            name => name.to_owned(),
        }
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.phone_number)
    }
}

/// What the provider says it charged the account, including its use by other programs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IntegrationCharges {
    pub integration_id: IntegrationId,
    pub name: String,
    pub provider: providers::Kind,
    pub items: Vec<Charged>,
    /// The last day whose charges were fetched.
    pub until: Option<NaiveDate>,
    /// Why the last fetch failed.
    #[schema(value_type = Option<String>)]
    pub error: Option<Message>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Charged {
    pub item: Item,
    /// The quantity, if the provider counts it.
    pub count: Option<i64>,
    pub cost: Money,
}

/// Two round trips; a few rows per number and day. Row-level security shows usage to admins only.
pub async fn month(tx: &mut WorkspaceTx, month: Month) -> Result<Usage> {
    let (from, to) = (month.first_day(), month.after().first_day());
    let rows = sqlx::query!(
        r#"select n.id, n.phone_number, n.friendly_name, u.currency,
                  sum(u.texts) filter (where u.direction = 'outbound') as sent,
                  sum(u.texts) filter (where u.direction = 'inbound') as received,
                  sum(u.texts) as "texts!", sum(u.segments) as "segments!", trim_scale(sum(u.price))::text as "price!",
                  max(u.counted_at) as "counted_at!"
             from number_usage u
             join numbers n on n.workspace_id = u.workspace_id and n.id = u.number_id
            where u.day >= $1 and u.day < $2
            group by n.id, n.phone_number, n.friendly_name, u.currency
            order by n.id, u.currency"#,
        from,
        to,
    )
    .fetch_all(tx.conn())
    .await?;
    let counted_at = rows.iter().map(|row| row.counted_at).max();
    let mut numbers: Vec<NumberUsage> = Vec::new();
    for row in rows {
        if numbers.last().is_none_or(|last| last.number_id != row.id) {
            numbers.push(NumberUsage {
                number_id: row.id,
                phone_number: row.phone_number,
                friendly_name: row.friendly_name,
                sent: 0,
                received: 0,
                segments: 0,
                costs: Vec::new(),
                without_price: 0,
            });
        }
        let Some(number) = numbers.last_mut() else {
            continue;
        };
        number.sent += row.sent.unwrap_or(0);
        number.received += row.received.unwrap_or(0);
        number.segments += row.segments;
        if row.currency.is_empty() {
            number.without_price += row.texts;
        } else {
            number.costs.push(Money {
                amount: row.price,
                currency: row.currency,
            });
        }
    }
    Ok(Usage {
        month: month.to_string(),
        counted_at,
        numbers,
        charges: charges(tx, from, to).await?,
    })
}

async fn charges(
    tx: &mut WorkspaceTx,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<IntegrationCharges>> {
    let rows = sqlx::query!(
        r#"select i.id, i.name, i.provider, i.usage_until, i.usage_error,
                  c.item as "item?: Item", c.currency as "currency?", c.count::bigint as "count", c.amount as "amount?"
             from integrations i
             left join (select integration_id, item, currency, sum(count) as count, trim_scale(sum(amount))::text as amount
                          from provider_charges
                         where day >= $1 and day < $2
                         group by 1, 2, 3) c on c.integration_id = i.id
            order by i.created_at, i.id, c.item, c.currency"#,
        from,
        to,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut charges: Vec<IntegrationCharges> = Vec::new();
    for row in rows {
        if charges
            .last()
            .is_none_or(|last| last.integration_id != row.id)
        {
            charges.push(IntegrationCharges {
                integration_id: row.id,
                name: row.name,
                provider: row.provider,
                items: Vec::new(),
                until: row.usage_until,
                error: row.usage_error,
            });
        }
        if let (Some(last), Some(item), Some(amount), Some(currency)) =
            (charges.last_mut(), row.item, row.amount, row.currency)
        {
            last.items.push(Charged {
                item,
                count: row.count,
                cost: Money { amount, currency },
            });
        }
    }
    Ok(charges)
}

/// Recounts the texts of the last days in all workspaces; the first time, of two months. Five round trips and the
/// count, which reads these days' texts by primary key.
pub async fn count(db: &Db) -> Result<()> {
    let mut tx = db.system(Fetch).await?;
    // Another server is counting: one is enough.
    let mine = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(7206001) as "mine!""#)
        .fetch_one(tx.conn())
        .await?;
    if !mine {
        return Ok(());
    }
    let last = sqlx::query_scalar!("select max(counted_at) from number_usage")
        .fetch_one(tx.conn())
        .await?;
    let since = match last {
        Some(last) => recount_from(last.date_naive()),
        None => Month::now().before().first_day(),
    };
    let begins = since.and_time(NaiveTime::MIN).and_utc();
    sqlx::query!("delete from number_usage where day >= $1", since)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "insert into number_usage (workspace_id, number_id, day, direction, currency, texts, segments, price)
         select u.workspace_id, u.number_id, u.day, u.direction, u.currency, sum(u.texts), sum(u.segments), sum(u.price)
           from (select m.workspace_id, m.number_id, (coalesce(m.scheduled_at, m.created_at) at time zone 'UTC')::date as day,
                        m.direction, case when m.price is null then '' else coalesce(m.price_unit, 'USD') end as currency,
                        count(*) as texts, coalesce(sum(m.segments), 0) as segments, coalesce(sum(m.price), 0) as price
                   from workspaces w
                  cross join lateral (
                        -- Ids sort by time; but a scheduled text has that of the moment it was written.
                        select * from messages t
                         where t.workspace_id = w.id and t.id >= $2 and t.scheduled_at is null and t.created_at >= $1
                        union all
                        select * from messages t where t.workspace_id = w.id and t.scheduled_at >= $1) m
                  where m.direction <> 'note' and m.provider_sid is not null
                  group by 1, 2, 3, 4, 5
                 union all
                 -- Deleted with their contact, billed all the same.
                 select d.workspace_id, d.number_id, d.day, d.direction, d.currency, d.texts, d.segments, d.price
                   from deleted_usage d where d.day >= $3) u
          group by 1, 2, 3, 4, 5",
        begins,
        first_id(begins),
        since,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// The smallest id of this time.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

pub struct Due {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    since: NaiveDate,
}

pub async fn backlog(db: &Db) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "waiting!" from integrations where is_active and status = 'healthy' and usage_due_at <= now()"#
    )
    .fetch_one(db.system_pool(Fetch))
    .await?)
}

/// At shutdown: another server may lease these at once.
pub async fn end_leases(db: &Db, integrations: &[IntegrationId]) -> Result<()> {
    sqlx::query!(
        "update integrations set usage_due_at = now() where id = any ($1) and usage_due_at > now()",
        integrations as _,
    )
    .execute(db.system_pool(Fetch))
    .await?;
    Ok(())
}

/// Leases due integrations for six hours. One round trip.
pub async fn due(db: &Db, most: i64) -> Result<Vec<Due>> {
    let rows = sqlx::query!(
        "with due as (
             select workspace_id, id from integrations
              where is_active and status = 'healthy' and usage_due_at <= now()
              order by usage_due_at
              limit $1
                for no key update skip locked
         )
         update integrations i set usage_due_at = now() + interval '6 hours'
           from due d
          where i.workspace_id = d.workspace_id and i.id = d.id
         returning i.workspace_id, i.id, i.usage_until",
        most,
    )
    .fetch_all(db.system_pool(Fetch))
    .await?;
    let first = Month::now().first_day();
    Ok(rows
        .into_iter()
        .map(|row| Due {
            workspace: row.workspace_id,
            integration: row.id,
            since: row.usage_until.map_or(first, recount_from),
        })
        .collect())
}

/// Fetches the charges of each day since the last time. Each day is stored by itself, so that a later failure does not
/// repeat earlier calls.
pub async fn sync(db: &Db, directory: &Directory, due: &Due) -> Result<()> {
    let Some(account) = directory.integration(due.integration).await? else {
        return Ok(());
    };
    let today = clock::now().date_naive();
    for day in due.since.iter_days().take_while(|day| *day <= today) {
        let provider = account.used_for(Purpose::Usage);
        let fetched = async { Ok((provider.prices(day).await?, provider.usage(day).await?)) };
        match fetched.await {
            Ok((prices, charges)) => {
                store_prices(db, due, &prices.unwrap_or_default()).await?;
                store_charges(db, due, day, &charges).await?;
            }
            Err(error) => return record_failure(db, due, &error).await,
        }
    }
    Ok(())
}

/// Stores the prices that the provider set after a text was sent.
async fn store_prices(db: &Db, due: &Due, prices: &[Priced]) -> Result<()> {
    for chunk in prices.chunks(1000) {
        let each =
            |field: fn(&Priced) -> String| -> Vec<String> { chunk.iter().map(field).collect() };
        let segments: Vec<Option<i16>> = chunk
            .iter()
            .map(|priced| priced.segments.and_then(|count| count.try_into().ok()))
            .collect();
        sqlx::query!(
            "update messages m
                set price = t.price::numeric, price_unit = t.currency, segments = coalesce(m.segments, t.segments)
               from unnest($3::text[], $4::text[], $5::text[], $6::smallint[]) as t (sid, price, currency, segments)
              where m.workspace_id = $1 and m.integration_id = $2 and m.provider_sid = t.sid and m.price is null",
            due.workspace as _,
            due.integration as _,
            &each(|priced| priced.provider_sid.clone()),
            &each(|priced| priced.price.amount.clone()),
            &each(|priced| priced.price.currency.clone()),
            &segments as _,
        )
        .execute(db.system_pool(Fetch))
        .await?;
    }
    Ok(())
}

async fn store_charges(
    db: &Db,
    due: &Due,
    day: NaiveDate,
    charges: &[providers::Charge],
) -> Result<()> {
    let mut tx = db.system(Fetch).await?;
    sqlx::query!(
        "delete from provider_charges where workspace_id = $1 and integration_id = $2 and day = $3",
        due.workspace as _,
        due.integration as _,
        day,
    )
    .execute(tx.conn())
    .await?;
    let items: Vec<Item> = charges.iter().map(|charge| charge.item).collect();
    let each = |field: fn(&providers::Charge) -> String| -> Vec<String> {
        charges.iter().map(field).collect()
    };
    let counts: Vec<Option<i64>> = charges
        .iter()
        .map(|charge| charge.count.and_then(|count| count.try_into().ok()))
        .collect();
    sqlx::query!(
        "insert into provider_charges (workspace_id, integration_id, day, item, currency, count, amount)
         select $1, $2, $3, t.item, t.currency, sum(t.count), sum(t.amount::numeric)
           from unnest($4::text[], $5::text[], $6::text[], $7::bigint[]) as t (item, currency, amount, count)
          group by t.item, t.currency",
        due.workspace as _,
        due.integration as _,
        day,
        &items as _,
        &each(|charge| charge.price.currency.clone()),
        &each(|charge| charge.price.amount.clone()),
        &counts as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update integrations set usage_until = greatest(usage_until, $3), usage_error = null where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.integration as _,
        day,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

async fn record_failure(db: &Db, due: &Due, error: &providers::Error) -> Result<()> {
    tracing::warn!(%error, integration.id = %due.integration, "could not fetch charges from the provider");
    sqlx::query!(
        "update integrations set usage_error = $3, usage_due_at = now() + interval '1 hour' where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.integration as _,
        error.message().stored(),
    )
    .execute(db.system_pool(Fetch))
    .await?;
    Ok(())
}

/// Prices before this day are final. From this day on, they are fetched again.
fn recount_from(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(LATE_PRICE_DAYS).unwrap_or(day)
}

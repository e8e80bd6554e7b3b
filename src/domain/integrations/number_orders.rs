//! Searches for numbers to buy, buys and releases numbers.

use serde::Deserialize;
use serde_json::json;

use super::sync::{Found, keep, lock};
use super::webhook_setup::set_up_webhook;
use super::{Account, Directory, Purpose, account, insert_numbers, webhook_urls};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number};
use crate::domain::workspaces;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId};
use crate::language::t;
use crate::phone::{Phone, Region};
use crate::providers::{self, Bought, NumberCapabilities, NumberSearch, Offer, RemoteNumber};

#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    pub integration_id: IntegrationId,
    /// Two letters, such as `US`. The default is the workspace's own region.
    pub country: Option<String>,
    /// One to five digits.
    pub area_code: Option<String>,
    /// Two to sixteen digits, or letters as on a keypad (`SMILE`).
    pub contains: Option<String>,
}

/// The numbers that are for sale now, without those that the workspace has already.
pub async fn search(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    asked: Search,
) -> Result<Vec<Offer>> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let home = workspaces::current(&mut tx).await?.default_region;
    let known: Vec<String> = numbers::list(&mut tx)
        .await?
        .into_iter()
        .filter(|number| number.gone_at.is_none())
        .map(|number| number.phone_number)
        .collect();
    drop(tx);
    let wanted = number_search(&asked, home)?;
    let account = account(app, admin, directory, asked.integration_id).await?;
    let mut offers = account
        .used_by(admin.user(), Purpose::Numbers)
        .search_numbers(&wanted)
        .await
        .map_err(refused)?;
    offers.retain(|offer| {
        !known
            .iter()
            .any(|known| known == offer.phone_number.as_str())
    });
    Ok(offers)
}

fn number_search(asked: &Search, home: String) -> Result<NumberSearch> {
    let given = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let country = given(&asked.country).unwrap_or(home).to_ascii_uppercase();
    let (area_code, contains) = (given(&asked.area_code), given(&asked.contains));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    Check::default()
        .require(
            country.parse::<Region>().is_ok(),
            "country",
            t!("Enter a two-letter country code such as US or DE"),
        )
        .require(
            area_code
                .as_deref()
                .is_none_or(|area| area.len() <= 5 && is_number(area)),
            "area_code",
            t!("Enter 1 to 5 digits"),
        )
        .require(
            contains.as_deref().is_none_or(|part| {
                let is_typed = part.bytes().all(|byte| byte.is_ascii_alphanumeric());
                (2..=16).contains(&part.len()) && is_typed
            }),
            "contains",
            t!("Enter 2 to 16 digits or letters"),
        )
        .finish()?;
    Ok(NumberSearch {
        country,
        area_code,
        contains: contains.map(|part| part.chars().map(on_keypad).collect()),
    })
}

fn on_keypad(typed: char) -> char {
    match typed.to_ascii_uppercase() {
        'A'..='C' => '2',
        'D'..='F' => '3',
        'G'..='I' => '4',
        'J'..='L' => '5',
        'M'..='O' => '6',
        'P'..='S' => '7',
        'T'..='V' => '8',
        'W'..='Z' => '9',
        digit => digit,
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    pub integration_id: IntegrationId,
    /// A number from `GET /numbers/available`.
    pub phone_number: String,
}

/// Buys a number, sets its webhook and stores it. A repeated request does not buy it again.
pub async fn buy(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    purchase: Purchase,
) -> Result<Number> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let region = workspaces::current(&mut tx).await?.default_region;
    let phone = region
        .parse::<Region>()
        .map_err(|wrong| wrong.message())
        .and_then(|region| {
            let phone = Phone::parse(&purchase.phone_number, &region);
            // Stored in the form in which the provider offers it.
            phone
                .map(|phone| purchase.phone_number.parse().unwrap_or(phone))
                .map_err(|wrong| wrong.message())
        })
        .map_err(|wrong| Error::field("phone_number", wrong))?;
    let integration = purchase.integration_id;
    let mut known = numbers::list(&mut tx).await?;
    known.retain(|number| {
        number.integration_id == integration && number.phone_number == phone.as_str()
    });
    drop(tx);
    let is_here = |number: &Number| number.gone_at.is_none() && number.status != PENDING;
    if known.iter().any(is_here) {
        return Err(Error::field(
            "phone_number",
            t!("You already have this number"),
        ));
    }
    let account = account(app, admin, directory, integration).await?;
    let admin = admin.clone();
    // The purchase must be stored.
    app.complete(async move |app| order_number(&app, &admin, &account, &phone).await)
        .await
}

const PENDING: numbers::Status = numbers::Status::Pending;

async fn order_number(
    app: &App,
    admin: &Admin,
    account: &Account,
    phone: &Phone,
) -> Result<Number> {
    let provider = account.used_by(admin.user(), Purpose::Numbers);
    let urls = webhook_urls(&app.config, provider.kind(), account.integration);
    let bought = provider.buy_number(phone, &urls).await.map_err(refused)?;
    tracing::info!(integration.id = %account.integration, "number bought");
    let (found, is_pending) = match bought {
        Bought::Ready(number) => {
            let setup = set_up_webhook(app, provider, &urls, &number).await;
            (Found { number, setup }, false)
        }
        Bought::Pending { order } => {
            let number = pending_number(order, phone.clone());
            (
                Found {
                    number,
                    setup: None,
                },
                true,
            )
        }
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    lock(&mut tx, app, account.integration).await?;
    if is_pending {
        store_pending(&mut tx, account.integration, &found.number).await?;
    } else {
        keep(&mut tx, account.integration, &[found]).await?;
    }
    let number = by_phone(&mut tx, account.integration, phone).await?;
    let audit_record = AuditRecord {
        subject: &number.formatted_number(),
        subject_id: Some(number.id.0),
        before: None,
        after: Some(json!({"provider": number.provider, "status": number.status})),
    };
    audit::record(&mut tx, AuditAction::NumberBought, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::NumberChanged {
        workspace,
        number: number.id,
    });
    tx.commit().await?;
    Ok(number)
}

/// A number that the provider still sets up. It can text, because only such numbers are offered.
fn pending_number(order: String, phone_number: Phone) -> RemoteNumber {
    RemoteNumber {
        provider_id: order,
        phone_number,
        friendly_name: String::new(),
        capabilities: NumberCapabilities {
            sms: true,
            ..NumberCapabilities::default()
        },
        webhook_override: None,
        listed: None,
        shares: None,
    }
}

/// Stores a number that a later sync will find.
async fn store_pending(
    tx: &mut WorkspaceTx,
    integration: IntegrationId,
    number: &RemoteNumber,
) -> Result<()> {
    let phone = number.phone_number.as_str();
    let is_known = sqlx::query_scalar!(
        r#"select exists (select from numbers where integration_id = $1 and phone_number = $2) as "is!""#,
        integration as _,
        phone,
    )
    .fetch_one(tx.conn())
    .await?;
    if !is_known {
        let workspace = tx.workspace();
        insert_numbers(
            tx.conn(),
            workspace,
            integration,
            std::slice::from_ref(number),
        )
        .await?;
    }
    sqlx::query!(
        "update numbers
            set status = 'pending', provider_number_id = $3, is_default = false, gone_at = null, webhook = 'unset',
                webhook_detail = null, updated_at = now()
          where integration_id = $1 and phone_number = $2",
        integration as _,
        phone,
        number.provider_id,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn by_phone(
    tx: &mut WorkspaceTx,
    integration: IntegrationId,
    phone: &Phone,
) -> Result<Number> {
    let id = sqlx::query_scalar!(
        r#"select id as "id: NumberId" from numbers where integration_id = $1 and phone_number = $2"#,
        integration as _,
        phone.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    numbers::find(tx, id).await
}

/// Releases a number at its provider. Its history stays; waiting texts fail, and their credits are returned.
pub async fn release(app: &App, admin: &Admin, directory: &Directory, id: NumberId) -> Result<()> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, id).await?;
    if number.gone_at.is_some() {
        return Ok(());
    }
    let provider_id = sqlx::query_scalar!(
        "select provider_number_id from numbers where id = $1",
        id as _
    )
    .fetch_one(tx.conn())
    .await?;
    drop(tx);
    Check::default()
        .require(
            number.status != PENDING,
            "number_id",
            t!("The provider is still setting up this number. Sync, then release it."),
        )
        .finish()?;
    let account = account(app, admin, directory, number.integration_id).await?;
    let admin = admin.clone();
    app.complete(async move |app| {
        let provider = account.used_by(admin.user(), Purpose::Numbers);
        provider
            .release_number(&provider_id)
            .await
            .map_err(refused)?;
        store_release(&app, &admin, number).await
    })
    .await
}

async fn store_release(app: &App, admin: &Admin, number: Number) -> Result<()> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let left = sqlx::query!(
        "update numbers
            set status = 'inactive', is_default = false, gone_at = now(), webhook = 'unset', webhook_detail = null,
                previous_webhook_url = null, updated_at = now()
          where id = $1 and gone_at is null",
        number.id as _,
    )
    .execute(tx.conn())
    .await?;
    // A concurrent release was faster.
    if left.rows_affected() == 0 {
        return Ok(());
    }
    let audit_record = AuditRecord {
        subject: &number.formatted_number(),
        subject_id: Some(number.id.0),
        before: Some(json!({"friendly_name": number.friendly_name, "status": number.status})),
        after: None,
    };
    audit::record(&mut tx, AuditAction::NumberReleased, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::NumberChanged {
        workspace,
        number: number.id,
    });
    tx.announce(Event::Queued);
    tx.commit().await
}

/// Here the provider refuses the action, not the credentials.
pub(super) fn refused(error: providers::Error) -> Error {
    match error {
        providers::Error::Refused { text, .. } => Error::ProviderRefused(text),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_is_validated() {
        let asked = |country: &str, area: &str, contains: &str| Search {
            integration_id: IntegrationId::new(),
            country: Some(country.into()),
            area_code: Some(area.into()),
            contains: Some(contains.into()),
        };
        let read = number_search(&asked("us", " 510", "Smile"), "DE".into()).expect("valid");
        assert_eq!(
            (read.country.as_str(), read.contains.as_deref()),
            ("US", Some("76453"))
        );
        assert_eq!(read.area_code.as_deref(), Some("510"));
        let home = number_search(&asked("", "", ""), "DE".into()).expect("valid");
        assert_eq!(
            (home.country.as_str(), home.area_code, home.contains),
            ("DE", None, None)
        );
        for (country, area, contains, field) in [
            ("USA", "", "", "country"),
            ("XX", "", "", "country"),
            ("US", "51a", "", "area_code"),
            ("US", "123456", "", "area_code"),
            ("US", "", "4", "contains"),
            ("US", "", "42%", "contains"),
            ("US", "", "é9", "contains"),
        ] {
            let Err(Error::Invalid(wrong)) =
                number_search(&asked(country, area, contains), "US".into())
            else {
                panic!("{country} {area} {contains} was accepted");
            };
            assert_eq!(wrong[0].field, field);
        }
    }
}

//! Having a number's texts delivered to us, and what came of it.

use crate::app::App;
use crate::domain::numbers::WebhookState;
use crate::providers::{self, Provider, RemoteNumber, Webhook, WebhookUrls};

/// Webhooks that are set at the same time.
pub(super) const AT_ONCE: usize = 6;

/// Where a number's texts go, once we have asked for them.
pub(super) struct Delivery {
    pub state: WebhookState,
    /// Who overrides it, or why it could not be set.
    pub detail: Option<String>,
    /// What was there before us.
    pub previous: Option<String>,
    /// Whether anything at the provider was changed.
    pub written: bool,
}

/// `None` for a number that cannot text.
pub(super) async fn deliver_to_us(
    app: &App,
    provider: &dyn Provider,
    urls: &WebhookUrls,
    number: &RemoteNumber,
) -> Option<Delivery> {
    if !number.capabilities.sms {
        return None;
    }
    let answer = match nobody_reaches_us(app, provider, urls) {
        Some(error) => Err(error),
        None => provider.configure_webhook(number, urls).await,
    };
    let (state, detail, previous, written) = match answer {
        Ok(Webhook::Configured { previous }) => (WebhookState::Configured, None, previous, true),
        Ok(Webhook::Unchanged) => (WebhookState::Configured, None, None, false),
        Ok(Webhook::Shadowed { by }) => (WebhookState::Shadowed, Some(by), None, false),
        Err(error) => (WebhookState::Failed, Some(error.to_string()), None, false),
    };
    Some(Delivery {
        state,
        detail,
        previous,
        written,
    })
}

/// Why a webhook that is set would be called in vain.
pub(super) fn nobody_reaches_us(
    app: &App,
    provider: &dyn Provider,
    urls: &WebhookUrls,
) -> Option<providers::Error> {
    (!provider.reaches(&urls.inbound)).then(|| {
        providers::Error::Unreachable(format!(
            "The provider cannot reach {}: set BASE_URL to a public address.",
            app.config.public("")
        ))
    })
}

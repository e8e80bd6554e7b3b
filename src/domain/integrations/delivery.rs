//! Having a number's texts delivered to us, and what came of it.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt, stream};

use crate::app::App;
use crate::domain::numbers::WebhookState;
use crate::providers::{self, Provider, RemoteNumber, Webhook, WebhookUrls};

/// Webhooks that are set at the same time.
pub(super) const CONCURRENCY: usize = 6;

/// Where a number's texts go, once we have asked for them.
#[derive(Clone)]
pub(super) struct Delivery {
    pub state: WebhookState,
    /// Who overrides it, or why it could not be set.
    pub detail: Option<String>,
    /// What was there before us.
    pub previous: Option<String>,
    /// Whether anything at the provider was changed.
    pub written: bool,
}

/// The same for many numbers, a few calls at a time; of numbers that share a webhook one is asked for. Answers in groups, by
/// their places in `numbers`.
pub(super) fn deliver_all_to_us<'a>(
    app: &'a App,
    provider: &'a dyn Provider,
    urls: &'a WebhookUrls,
    numbers: &'a [RemoteNumber],
) -> impl Stream<Item = Vec<(usize, Option<Delivery>)>> + 'a {
    let calls = groups(numbers).into_iter().map(move |group| async move {
        let mut first: Option<Delivery> = None;
        let mut delivered = Vec::with_capacity(group.len());
        for place in group {
            let delivery = match &first {
                Some(first) if numbers[place].capabilities.sms => Some(Delivery {
                    previous: None,
                    written: false,
                    ..first.clone()
                }),
                Some(_) => None,
                None => deliver_to_us(app, provider, urls, &numbers[place]).await,
            };
            first = first.or_else(|| delivery.clone());
            delivered.push((place, delivery));
        }
        delivered
    });
    stream::iter(calls).buffer_unordered(CONCURRENCY)
}

/// The places of numbers that share a webhook, together.
pub(super) fn groups(numbers: &[RemoteNumber]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for (place, number) in numbers.iter().enumerate() {
        let group = match number.shares.as_deref() {
            Some(shares) => *shared.entry(shares).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
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
    let answer = match unreachable_url(app, provider, urls) {
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
pub(super) fn unreachable_url(
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

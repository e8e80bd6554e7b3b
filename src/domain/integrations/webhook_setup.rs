//! Sets the webhook of a number at its provider.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt, stream};

use crate::app::App;
use crate::domain::numbers::WebhookState;
use crate::language::{Message, t};
use crate::providers::{self, Provider, RemoteNumber, Webhook, WebhookUrls};

pub(super) const CONCURRENCY: usize = 6;

/// Where a number's texts go after its webhook was set.
#[derive(Clone)]
pub(super) struct WebhookSetup {
    pub state: WebhookState,
    /// What overrides it, or why it could not be set.
    pub detail: Option<Message>,
    /// The webhook before ours.
    pub previous: Option<String>,
    /// Whether anything at the provider was changed.
    pub written: bool,
}

/// Sets the webhooks of many numbers, a few at a time. Of numbers that share a webhook, only the first is set. Yields
/// groups of results with their indices in `numbers`.
pub(super) fn set_up_webhooks<'a>(
    app: &'a App,
    provider: &'a dyn Provider,
    urls: &'a WebhookUrls,
    numbers: &'a [RemoteNumber],
) -> impl Stream<Item = Vec<(usize, Option<WebhookSetup>)>> + 'a {
    let calls = groups(numbers).into_iter().map(move |group| async move {
        let mut first: Option<WebhookSetup> = None;
        let mut results = Vec::with_capacity(group.len());
        for index in group {
            let setup = match &first {
                Some(first) if numbers[index].capabilities.sms => Some(WebhookSetup {
                    previous: None,
                    written: false,
                    ..first.clone()
                }),
                Some(_) => None,
                None => set_up_webhook(app, provider, urls, &numbers[index]).await,
            };
            first = first.or_else(|| setup.clone());
            results.push((index, setup));
        }
        results
    });
    stream::iter(calls).buffer_unordered(CONCURRENCY)
}

/// The indices of `numbers`, grouped by shared webhook.
pub(super) fn groups(numbers: &[RemoteNumber]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for (index, number) in numbers.iter().enumerate() {
        let group = match number.shares.as_deref() {
            Some(shares) => *shared.entry(shares).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// `None` for a number that cannot text.
pub(super) async fn set_up_webhook(
    app: &App,
    provider: &dyn Provider,
    urls: &WebhookUrls,
    number: &RemoteNumber,
) -> Option<WebhookSetup> {
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
        Ok(Webhook::Overridden { by }) => (WebhookState::Overridden, Some(by), None, false),
        Err(error) => (WebhookState::Failed, Some(error.message()), None, false),
    };
    Some(WebhookSetup {
        state,
        detail,
        previous,
        written,
    })
}

/// The error of a provider that cannot reach our URLs.
pub(super) fn unreachable_url(
    app: &App,
    provider: &dyn Provider,
    urls: &WebhookUrls,
) -> Option<providers::Error> {
    (!provider.reaches(&urls.inbound)).then(|| {
        providers::Error::Unreachable(t!(
            "The provider can’t reach {url}. Set BASE_URL to a public address.",
            url = app.config.public(""),
        ))
    })
}

//! The start of a server.

use crate::cluster::Cluster;
use crate::figures::megabytes;
use crate::hub::Hub;
use crate::workload::Senders;
use crate::{report, usage};

pub async fn measure(cluster: &Cluster) {
    let hub = Hub::open(cluster, "start", 1, Senders::evenly(1, 1)).await;
    let first = hub.server.took;
    let hub = hub.restart().await;
    report::heading("Start");
    report::note(&format!(
        "To `/readyz`: {} ms with an empty database, {} ms with one that is up to date. Memory then: {}, at most {}.",
        first.as_millis(),
        hub.server.took.as_millis(),
        megabytes(hub.server.resident()),
        megabytes(usage::most_resident(hub.server.pid())),
    ));
    hub.stop(cluster).await;
}

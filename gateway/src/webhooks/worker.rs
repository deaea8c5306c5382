//! Empties the queue: claims what is due and sends it, many at once, a few of each endpoint, so that a slow one holds up
//! nobody else. Any number of replicas may do so at once.

use std::collections::HashMap;
use std::time::Duration;

use kura_platform::clock;
use kura_wire::ids::WebhookEndpointId;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::deliver;
use crate::app::App;
use crate::config::WebhooksConfig;
use crate::domain::webhook::Patience;
use crate::store::webhook_deliveries::{self, Busy, Claimed};

/// No pause between two attempts is longer.
const LONGEST_PAUSE: time::Duration = time::Duration::hours(6);
/// What an attempt takes at the most besides the endpoint's own time.
const SPARE: time::Duration = time::Duration::seconds(20);

/// Sends, for as long as the process runs.
pub async fn run(app: App, config: WebhooksConfig) {
    let every = Duration::from_millis(config.every_ms.max(50));
    let patience = patience(&config);
    let mut sending: JoinSet<WebhookEndpointId> = JoinSet::new();
    let mut busy: HashMap<WebhookEndpointId, i64> = HashMap::new();
    loop {
        let claimed = claim(&app, &config, &busy, sending.len()).await;
        let some = !claimed.is_empty();
        for claim in claimed {
            *busy.entry(claim.endpoint).or_default() += 1;
            let app = app.clone();
            sending.spawn(async move {
                send(app, patience, claim).await;
                claim.endpoint
            });
        }
        // While there was something, there may be more as soon as one is done; but one that is slow is not waited for.
        tokio::select! {
            Some(done) = sending.join_next(), if some => free(&mut busy, done.ok()),
            () = tokio::time::sleep(every) => {}
        }
        while let Some(done) = sending.try_join_next() {
            free(&mut busy, done.ok());
        }
    }
}

fn patience(config: &WebhooksConfig) -> Patience {
    let give_up_after = i64::try_from(config.give_up_after_ms).unwrap_or(i64::MAX / 2);
    Patience {
        first_pause: time::Duration::milliseconds(config.first_pause_ms.into()),
        longest_pause: LONGEST_PAUSE,
        give_up_after: time::Duration::milliseconds(give_up_after),
    }
}

async fn claim(
    app: &App,
    config: &WebhooksConfig,
    busy: &HashMap<WebhookEndpointId, i64>,
    sending: usize,
) -> Vec<Claimed> {
    let room = i64::from(config.at_once.get()) - i64::try_from(sending).unwrap_or(i64::MAX);
    if room <= 0 {
        return Vec::new();
    }
    let (endpoints, counts) = busy.iter().map(|(id, count)| (Uuid::from_bytes(*id.as_bytes()), *count)).unzip();
    let at_once = i64::from(config.at_once_per_endpoint.get());
    let now = clock::now();
    let timeout = i64::try_from(config.timeout_ms).unwrap_or(i64::MAX / 2);
    let sender_dead_at = now.saturating_add(time::Duration::milliseconds(timeout)).saturating_add(SPARE);
    let busy = Busy { endpoints, counts };
    let claimed = webhook_deliveries::claim_due(app.db.work(), now, sender_dead_at, at_once, &busy, room).await;
    claimed.unwrap_or_else(|error| {
        tracing::warn!(%error, "no look at webhooks");
        Vec::new()
    })
}

async fn send(app: App, patience: Patience, claim: Claimed) {
    // On a task of its own: one that ends in a panic is due again later, like one that failed.
    let done = tokio::spawn(async move { deliver::run(&app, &patience, &claim).await }).await;
    if !matches!(done, Ok(Ok(()))) {
        tracing::warn!(event = %claim.event, endpoint = %claim.endpoint, "a webhook could not be dealt with");
    }
}

fn free(busy: &mut HashMap<WebhookEndpointId, i64>, endpoint: Option<WebhookEndpointId>) {
    let Some(endpoint) = endpoint else { return };
    if let Some(count) = busy.get_mut(&endpoint) {
        *count -= 1;
        if *count <= 0 {
            busy.remove(&endpoint);
        }
    }
}

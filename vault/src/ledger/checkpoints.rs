//! Signs the tree, once for each second in which it grew.

use std::sync::Arc;
use std::time::Duration;

use kura_ledger::note::Checkpoint;
use kura_platform::clock;

use crate::domain::Vault;
use crate::store::checkpoints::{self, CheckpointRow};

const EVERY: Duration = Duration::from_secs(1);

/// Signs for ever. What could not be stored is signed again a second later, with the rows that came meanwhile.
pub async fn run(vault: Arc<Vault>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut signed = 0;
    loop {
        ticks.tick().await;
        let size = vault.ledger.edge().size();
        if size == signed {
            continue;
        }
        match sign(&vault).await {
            Ok(size) => signed = size,
            Err(error) => tracing::error!(error = format!("{error:#}"), "checkpoint not signed"),
        }
    }
}

async fn sign(vault: &Vault) -> anyhow::Result<u64> {
    let (ledger, edge) = (&vault.ledger, vault.ledger.edge());
    let checkpoint = Checkpoint { origin: ledger.origin.clone(), size: edge.size(), root: edge.root() };
    let signature = vault.identity.sign_text(&checkpoint.text())?;
    let note = checkpoint.note(&ledger.identity, &signature);
    let row = CheckpointRow { size: i64::try_from(edge.size())?, note, at: clock::now() };
    checkpoints::insert(&vault.pool, ledger.node, checkpoint.root.as_bytes(), &row).await?;
    Ok(edge.size())
}

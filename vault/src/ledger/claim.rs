//! One process for one node number: an advisory lock, held by a connection of its own for as long as the process lives. What
//! is committed meanwhile is safe without it too ([`crate::store::openings::insert_all`] moves the head or fails); it is
//! there so that a second process is refused at its start, and says why.

use std::time::Duration;

use kura_platform::database::{PgConnection, PgPool};
use tokio::sync::watch;

use super::LedgerError;
use crate::store::ledger_heads;

/// A predecessor that was just killed gives its lock back within this time.
const TRIES: usize = 20;
const TRY_EVERY: Duration = Duration::from_millis(250);
const PING_EVERY: Duration = Duration::from_secs(2);

/// The number is ours.
#[derive(Clone)]
pub(super) struct Claim(watch::Receiver<bool>);

impl Claim {
    pub(super) async fn take(pool: &PgPool, node: i16) -> Result<Self, LedgerError> {
        let connection = claimed(pool, node).await?;
        let (lost, is_lost) = watch::channel(false);
        tokio::spawn(hold(pool.clone(), node, connection, lost));
        Ok(Self(is_lost))
    }

    /// Waits until it is lost for good.
    pub(super) async fn lost(&self) {
        let mut is_lost = self.0.clone();
        if is_lost.wait_for(|lost| *lost).await.is_err() {
            // The task that holds it ends only with the runtime.
            std::future::pending::<()>().await;
        }
    }
}

async fn claimed(pool: &PgPool, node: i16) -> Result<PgConnection, LedgerError> {
    let mut connection = pool.acquire().await?.detach();
    for _ in 0..TRIES {
        if ledger_heads::claim(&mut connection, node).await? {
            return Ok(connection);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    Err(LedgerError::NodeTaken(node))
}

/// Takes it again after the connection was lost; gives up when another process was faster.
async fn hold(pool: PgPool, node: i16, mut connection: PgConnection, lost: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        if connection.ping().await.is_ok() {
            continue;
        }
        match claimed(&pool, node).await {
            Ok(again) => connection = again,
            Err(LedgerError::NodeTaken(_)) => {
                tracing::error!(alert = "node_number_taken", node, "another process has this node's number");
                lost.send_replace(true);
                return;
            }
            Err(error) => tracing::warn!(%error, "the claim on the node's number is not renewed yet"),
        }
    }
}

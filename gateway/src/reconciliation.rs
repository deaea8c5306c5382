//! Each day of each network is held against the books when it is over: what the network says it has settled, and what the books
//! say that it owes. Differences stay listed until both say the same or somebody has explained them.
//!
//! Everything here can be done again at any point, and by two at once: rows are kept once each, and a comparison is one statement.

use std::time::Duration;

use kura_platform::clock;
use kura_wire::control::reconciliation::{DayCompared, ReconcileDay};
use kura_wire::notice::Network;
use kura_wire::settlement::ReadSettlement;
use kura_wire::vault::VaultErrorCode;
use time::{Date, UtcOffset};

use crate::app::App;
use crate::domain::reconciliation::count;
use crate::error::{ApiError, ApiResult};
use crate::store::reconciliation as store;
use crate::vault_client::VaultFailure;

/// How often it is looked whether a day is over.
const EVERY: Duration = Duration::from_secs(300);
/// A day is read so long after its end: what was under way then is in it.
const AFTER: time::Duration = time::Duration::minutes(10);
/// Days that are caught up with at the most.
const LOOK_BACK: time::Duration = time::Duration::days(30);

/// Reads and compares days that are over, for ever.
pub async fn run(app: App) {
    loop {
        for livemode in [false, true] {
            for network in Network::ALL {
                if let Err(error) = catch_up(&app, livemode, network).await {
                    tracing::warn!(
                        network = network.as_str(),
                        livemode,
                        code = error.code().as_str(),
                        "a day is not reconciled"
                    );
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn catch_up(app: &App, livemode: bool, network: Network) -> ApiResult<()> {
    let over = last_day_over();
    let done = store::last_complete(app.db.work(), livemode, network).await?;
    let mut next = done.map_or(over, |day| day.max(over.saturating_sub(LOOK_BACK)).next_day().unwrap_or(over));
    while next <= over {
        match day(app, ReconcileDay { livemode, network, day: next }).await {
            Err(Failed::NotConfigured) => return Ok(()),
            Err(Failed::Other(error)) => return Err(error),
            Ok(_) => {}
        }
        let Some(after) = next.next_day() else { break };
        next = after;
    }
    Ok(())
}

/// The newest day that is over.
fn last_day_over() -> Date {
    (clock::now() - AFTER).to_offset(UtcOffset::UTC).date().saturating_sub(time::Duration::days(1))
}

/// Why a day is not compared.
#[derive(Debug)]
pub enum Failed {
    /// There is no such network here.
    NotConfigured,
    /// The vault's, the database's.
    Other(ApiError),
}

impl<E: Into<ApiError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads what is new of a day and compares.
///
/// # Errors
/// [`Failed`]; what was read stays, and it goes on there the next time.
pub async fn day(app: &App, of: ReconcileDay) -> Result<DayCompared, Failed> {
    // Before the network is asked: a day that ends meanwhile was not read to its end.
    let complete = of.day <= last_day_over();
    let mut after = u64::try_from(store::last_sequence(app.db.work(), of).await?).unwrap_or(0);
    loop {
        let ReconcileDay { livemode, network, day } = of;
        let page = match app.vault.settlement(&ReadSettlement { livemode, network, day, after }).await {
            Err(VaultFailure::Refused(VaultErrorCode::NetworkNotConfigured)) => return Err(Failed::NotConfigured),
            page => page?,
        };
        let rows: Vec<_> = page.rows.iter().filter_map(count).collect();
        store::insert_rows(app.db.work(), of, &rows).await?;
        match page.rows.last() {
            Some(last) if page.has_more => after = last.sequence,
            _ => break,
        }
    }
    let at = clock::now();
    let mut tx = app.db.work().begin().await?;
    store::lock(&mut tx, of.livemode, of.network).await?;
    let found = store::compare(&mut tx, of, at).await?;
    let compared = store::mark_compared(&mut tx, of, complete, at).await?;
    tx.commit().await?;
    if found > 0 {
        tracing::error!(network = of.network.as_str(), livemode = of.livemode, day = %of.day, found, "the books and the network differ");
    }
    Ok(compared)
}

//! Puts the parts together and runs both listeners.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::DefaultBodyLimit;
use axum::{BoxError, Router};
use kura_platform::health::Health;
use kura_platform::tls::{Admin, Gateway};
use kura_platform::{clock, serve as listen};
use kura_wire::ids::NodeId;
use kura_wire::vault::VaultErrorCode;
use tower::ServiceBuilder;

use crate::acquirer::Acquirer;
use crate::commit::Committer;
use crate::config::{AcquirerConfig, Config};
use crate::crypto::identity::Identity;
use crate::crypto::keyring::KeyringSlot;
use crate::crypto::sealing_keys::SealingKeys;
use crate::custody::Custody;
use crate::cvc_store::{CAPACITY, CvcStore};
use crate::domain::{InFlight, Vault};
use crate::routes::control_plane::{self, Control};
use crate::routes::{Failure, data_plane};

/// The schema that this program knows.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/vault");

const MAX_BODY_LEN: usize = 16 * 1024;
const MAX_CONCURRENT: usize = 2048;
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Runs a node until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting, or breaks a listener.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let health = Health::starting();
    let vault = Arc::new(assemble(&config).await?);
    let data = listen::bind(config.data_plane)?;
    let control = listen::bind(config.control_plane)?;
    let handle = listen::handle_until_signal();
    tokio::spawn(keep_up(Arc::clone(&vault)));
    let data_routes = guarded(data_plane::router(Arc::clone(&vault)));
    let control_routes = guarded(control_plane::router(Control { vault, health: health.clone() }));
    health.set_ready(true);
    tracing::info!(data_plane = %config.data_plane, control_plane = %config.control_plane, "ready");
    tokio::try_join!(
        listen::mutual_tls(data, config.tls.server_for::<Gateway>()?, data_routes, handle.clone()),
        listen::mutual_tls(control, config.tls.server_for::<Admin>()?, control_routes, handle),
    )?;
    Ok(())
}

async fn assemble(config: &Config) -> anyhow::Result<Vault> {
    let node = NodeId::new(config.node).context("node must be below 1024")?;
    let identity = Identity::open(&config.identity_key)?;
    let custody = Custody::new(config, node, &identity)?;
    let pool = config.database.connect(&MIGRATIONS).await?;
    let keys = KeyringSlot::default();
    custody.unseal_without_shares(&pool, &keys).await?;
    let start = |acquirer: &Option<AcquirerConfig>| acquirer.as_ref().map(Acquirer::start).transpose();
    Ok(Vault {
        node,
        committer: Committer::start(pool.clone(), i16::try_from(config.node)?).await?,
        sealing_keys: SealingKeys::new(node, &identity, clock::now_ms())?,
        keys,
        custody,
        cvcs: CvcStore::new(CAPACITY)?,
        acquirer_test: start(&config.acquirer.test)?,
        acquirer_live: start(&config.acquirer.live)?,
        in_flight: InFlight::default(),
        identity,
        pool,
    })
}

async fn keep_up(vault: Arc<Vault>) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        vault.upkeep();
    }
}

/// A bound on bodies, and 503 before memory grows.
fn guarded(routes: Router) -> Router {
    let shed = ServiceBuilder::new()
        .layer(axum::error_handling::HandleErrorLayer::new(async |_: BoxError| Failure(VaultErrorCode::Overloaded)))
        .load_shed()
        .concurrency_limit(MAX_CONCURRENT);
    routes.layer(DefaultBodyLimit::max(MAX_BODY_LEN)).layer(shed)
}

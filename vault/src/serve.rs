//! Puts the parts together and runs both listeners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
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
use crate::config::{AcquirerConfig, Config, Environment, ServicesConfig};
use crate::crypto::identity::Identity;
use crate::crypto::keyring::KeyringSlot;
use crate::crypto::sealing_keys::SealingKeys;
use crate::custody::Custody;
use crate::cvc_store::{CAPACITY, CvcStore, MAX_HELD};
use crate::domain::exposed::Watchlist;
use crate::domain::{InFlight, Vault, sweep};
use crate::egress::Egress;
use crate::guard::Guard;
use crate::inventory::KeyFiles;
use crate::ledger::{Ledger, checkpoints, days};
use crate::memory::Memory;
use crate::rotation;
use crate::routes::control_plane::{self, Control};
use crate::routes::{Failure, data_plane};

/// The schema that this program knows.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/vault");

const MAX_BODY_LEN: usize = 16 * 1024;
const MAX_CONCURRENT: usize = 2048;
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
const FORGET_EVERY: Duration = Duration::from_millis(500);

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
    tokio::spawn(checkpoints::run(Arc::clone(&vault)));
    days::open(&vault.pool).await;
    tokio::spawn(days::run(vault.pool.clone()));
    tokio::spawn(forget_codes(Arc::clone(&vault)));
    let watchful = Arc::clone(&vault);
    tokio::spawn(async move { watchful.guard.keep_looking().await });
    let ledger = vault.ledger.clone();
    let last = Arc::clone(&vault);
    tokio::spawn(rotation::watch(Arc::clone(&vault)));
    tokio::spawn(sweep::follow_other_nodes(Arc::clone(&vault)));
    tokio::spawn(sweep::run(Arc::clone(&vault), config.sweeper.clone()));
    let data_routes = guarded(data_plane::router(Arc::clone(&vault)));
    let control_routes = guarded(control_plane::router(Control { vault, health: health.clone() }));
    health.set_ready(true);
    tracing::info!(data_plane = %config.data_plane, control_plane = %config.control_plane, "ready");
    let listening = async {
        tokio::try_join!(
            listen::mutual_tls(data, config.tls.server_for::<Gateway>()?, data_routes, handle.clone()),
            listen::mutual_tls(control, config.tls.server_for::<Admin>()?, control_routes, handle),
        )?;
        Ok(())
    };
    let ended = tokio::select! {
        ended = listening => ended,
        lost = ledger.lose_claim() => Ok(lost?),
    };
    tracing::info!(codes = last.cvcs.wipe(), "security codes wiped");
    ended
}

/// The parts of a node, put together; nothing listens yet.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn assemble(config: &Config) -> anyhow::Result<Vault> {
    let node = NodeId::new(config.node).context("node must be below 1024")?;
    // Before there is anything in it that is worth reading.
    let memory = Memory::lock(config.environment == Environment::Production)?;
    let cvcs = CvcStore::new(CAPACITY, held_for(config)?)?;
    let identity = Identity::open(&config.identity_key)?;
    let custody = Custody::new(config, node, &identity)?;
    let pool = config.database.connect(&MIGRATIONS).await?;
    let number = i16::try_from(config.node)?;
    let (ledger, growing) = Ledger::open(pool.clone(), number, &identity).await?;
    let keys = KeyringSlot::default();
    custody.unseal_without_shares(&pool, &keys).await?;
    let start = |acquirer: &Option<AcquirerConfig>| acquirer.as_ref().map(Acquirer::start).transpose();
    let reach = |services: &Option<ServicesConfig>| services.as_ref().map(Egress::new).transpose();
    Ok(Vault {
        node,
        committer: Committer::start(pool.clone(), number, growing),
        ledger,
        sealing_keys: SealingKeys::new(node, &identity, clock::now_ms())?,
        keys,
        custody,
        cvcs,
        acquirer_test: start(&config.acquirer.test)?,
        acquirer_live: start(&config.acquirer.live)?,
        services_test: reach(&config.services.test)?,
        services_live: reach(&config.services.live)?,
        in_flight: InFlight::default(),
        guard: Guard::start(pool.clone(), i16::try_from(config.node)?, &config.budgets).await?,
        memory,
        key_files: KeyFiles::of(config)?,
        watchlist: Watchlist::new(config.refuse_exposed_cards),
        identity,
        pool,
    })
}

/// How long codes are held. Tests don't wait for 15 minutes; production does not get to wait longer.
fn held_for(config: &Config) -> anyhow::Result<Duration> {
    let Some(configured) = config.cvc_hold_ms.map(Duration::from_millis) else { return Ok(MAX_HELD) };
    ensure!(config.environment == Environment::Development, "cvc_hold_ms is for environment = \"development\" only");
    ensure!(configured <= MAX_HELD, "cvc_hold_ms is 900000 (15 minutes) at the most");
    Ok(configured)
}

async fn forget_codes(vault: Arc<Vault>) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    loop {
        ticks.tick().await;
        vault.cvcs.sweep(Instant::now());
    }
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

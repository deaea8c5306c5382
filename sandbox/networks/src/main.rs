//! `kura-networks`: the payment networks, simulated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum_server::Handle;
use clap::{Parser, Subcommand};
use kura_networks::acquirer::{Acquirer, journal_failure};
use kura_networks::config::Config;
use kura_networks::courier::Courier;
use kura_networks::deposits::desk::Desk;
use kura_networks::services::{self, KuraVault};
use kura_networks::three_d_secure::{CHALLENGE_LIFE, Directory};
use kura_networks::{http, iso_server, settlement};
use kura_platform::{config, serve, telemetry};
use tokio::sync::watch;

const DRAIN: Duration = Duration::from_secs(5);

/// The payment networks, simulated: an acquirer over ISO 8583, its books over HTTP, other services over mutual TLS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, a TOML file.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs until told to stop.
    Serve,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    telemetry::init("networks");
    let config: Config = config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.command {
        Command::Serve => runtime.block_on(run(config)),
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let tls = iso_server::tls(&config.tls)?;
    let services_tls = config.services_tls.server_for::<KuraVault>()?;
    let challenge_life = config.challenge_life_ms.map_or(CHALLENGE_LIFE, Duration::from_millis);
    let (directory, cases_ended) =
        Directory::open(&config.journals.join("three_d_secure.jsonl"), &config.public_url, challenge_life)?;
    let (acquirer, books_ended) = Acquirer::open(&config.books, Arc::clone(&directory))?;
    let acquirer = Arc::new(acquirer);
    let (desk, desk_ended) = Desk::open(&config.journals.join("deposits.jsonl"), &config.public_url)?;
    let courier = config.notices.as_ref().map(Courier::new).transpose()?.map(Arc::new);
    let iso = serve::bind(config.iso8583_listener)?;
    let services_listener = serve::bind(config.services_listener)?;
    let http_listener = serve::bind(config.http_listener)?;
    let (asked, pages) =
        services::merge([directory.service(), desk.service(), settlement::service(Arc::clone(&acquirer))]);
    let (stop, stopped) = watch::channel(false);
    let web = Handle::new();
    tokio::spawn(stop_all_on_signal(stop, web.clone()));
    tokio::spawn(Arc::clone(&desk).expire());
    if let Some(courier) = courier {
        tokio::spawn(courier.run(Arc::clone(&desk)));
    }
    // The addresses as they are, since a configured port may be 0.
    let (iso8583, http_at) = (iso.local_addr()?, http_listener.local_addr()?);
    let services_at = services_listener.local_addr()?;
    let entries = acquirer.books().len();
    tracing::info!(%iso8583, http = %http_at, services = %services_at, entries, "ready");
    let serving = async {
        tokio::try_join!(
            iso_server::serve(iso, tls, Arc::clone(&acquirer), stopped),
            serve::mutual_tls(services_listener, services_tls, asked, web.clone()),
            serve::plain(http_listener, http::router(Arc::clone(&acquirer), pages), web),
        )
    };
    tokio::select! {
        served = serving => served.map(|_| ()).context("a listener broke"),
        failed = journal_failure(books_ended) => failed.context("the books' journal broke"),
        failed = journal_failure(cases_ended) => failed.context("the journal of 3-D Secure broke"),
        failed = journal_failure(desk_ended) => failed.context("the journal of deposits broke"),
    }
}

/// One listener for the signal, so that no server can miss what the other has heard.
async fn stop_all_on_signal(stop: watch::Sender<bool>, web: Handle<SocketAddr>) {
    if let Err(error) = kura_platform::shutdown_signal().await {
        tracing::error!(%error, "no signal handlers; stopping");
    }
    // Whoever has gone already needs no word.
    let _ = stop.send(true);
    web.graceful_shutdown(Some(DRAIN));
}

//! `kura-networks`: the payment networks, simulated.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kura_networks::acquirer::{Acquirer, journal_failure};
use kura_networks::config::Config;
use kura_networks::{http, iso_server};
use kura_platform::{config, serve, telemetry};
use tokio::sync::watch;

/// The payment networks, simulated: an acquirer over ISO 8583 and its books over HTTP.
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
    let (acquirer, journal_ended) = Acquirer::open(&config.books)?;
    let acquirer = Arc::new(acquirer);
    let iso = serve::bind(config.iso8583_listener)?;
    let http = serve::bind(config.http_listener)?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if let Err(error) = kura_platform::shutdown_signal().await {
            tracing::error!(%error, "no signal handlers; stopping");
        }
        // Whoever has gone already needs no word.
        let _ = stop.send(true);
    });
    let entries = acquirer.books().len();
    tracing::info!(iso8583 = %config.iso8583_listener, http = %config.http_listener, entries, "ready");
    let serving = async {
        tokio::try_join!(
            iso_server::serve(iso, tls, Arc::clone(&acquirer), stopped),
            serve::plain(http, http::router(Arc::clone(&acquirer)), serve::handle_until_signal()),
        )
    };
    tokio::select! {
        served = serving => served.map(|_| ()).context("a listener broke"),
        failed = journal_failure(journal_ended) => failed.context("the journal broke"),
    }
}

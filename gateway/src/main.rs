//! `kura-gateway --config FILE serve | migrate | add-merchant | add-key | …`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kura_gateway::app::App;
use kura_gateway::commands::KeyCommand;
use kura_gateway::config::Config;
use kura_gateway::edge::request_log;
use kura_gateway::secret::Secrets;
use kura_gateway::store::MIGRATIONS;
use kura_gateway::store::db::Db;
use kura_gateway::{billing, keys, merchants, reconciliation, recovery, signals, webhooks};
use kura_platform::database::DatabaseConfig;
use kura_platform::health::Health;
use kura_platform::{config, harden, serve, telemetry};
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "kura-gateway", version, about = "Kura's public zone: merchant API and checkout")]
struct Cli {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve,
    /// Bring the database to this program's schema, as the role that owns it.
    Migrate {
        /// The owner's connection, without a password.
        #[arg(long)]
        database_url: String,
        /// A file with the owner's password.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Add a merchant, and show its keys this once.
    AddMerchant {
        /// The merchant's name.
        #[arg(long)]
        name: String,
        /// An origin whose pages may show the card fields, such as https://shop.example. May be given more than once.
        #[arg(long = "origin")]
        origins: Vec<String>,
        /// Charge a card for the first time with its security code, or not at all.
        #[arg(long)]
        require_cvc: bool,
    },
    #[command(flatten)]
    Key(KeyCommand),
}

fn main() -> ExitCode {
    match try_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::FAILURE
        }
    }
}

fn try_main() -> Result<(), Failure> {
    harden::this_process()?;
    let cli = Cli::parse();
    telemetry::init("gateway");
    let config: Config = config::load(&cli.config)?;
    config.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve => run(config).await,
            Command::Migrate { database_url, password_file } => migrate(database_url, password_file).await,
            Command::AddMerchant { name, origins, require_cvc } => {
                add_merchant(config, &name, &origins, require_cvc).await
            }
            Command::Key(command) => about_key(config, command).await,
        }
    })
}

async fn run(config: Config) -> Result<(), Failure> {
    let health = Health::starting();
    let secrets = Secrets::read(&config.secret_file)?;
    let public = serve::bind(config.public_listener)?;
    let control = serve::bind(config.control_plane)?;
    let control_tls = config.tls.server_for::<kura_platform::tls::Admin>()?;
    let db = Db::connect(&config.database, &config.work_database).await?;
    let app = App::new(&config, db.clone(), secrets, health.clone())?;

    let handle = serve::handle_until_signal();
    let mut workers = JoinSet::new();
    workers.spawn(recovery::run(app.clone(), config.recovery.clone()));
    workers.spawn(recovery::authentications(app.clone(), config.recovery.clone()));
    workers.spawn(recovery::setups(app.clone(), config.recovery.clone()));
    for what in [
        billing::worker::What::Subscriptions,
        billing::worker::What::Invoices,
        billing::worker::What::Clocks,
        billing::worker::What::Sessions,
    ] {
        workers.spawn(billing::worker::run(app.clone(), config.recovery.clone(), what));
    }
    workers.spawn(recovery::tidy(app.clone()));
    workers.spawn(request_log::run(app.clone()));
    workers.spawn(webhooks::worker::run(app.clone(), config.webhooks.clone()));
    if app.webhooks_reach_loopback() {
        tracing::warn!("DEVELOPMENT MODE: webhooks may go to this machine itself, over http (webhooks.development)");
    }
    if let Some(ca) = &config.webhooks.ca {
        tracing::warn!(ca = %ca.display(), "webhooks also trust the authorities in this file (webhooks.ca), besides the public ones");
    }
    workers.spawn(reconciliation::run(app.clone()));
    workers.spawn(keys::write_uses(app.clone()));
    workers.spawn(signals::run(app.clone()));
    health.set_ready(true);
    tracing::info!(public = %config.public_listener, control = %config.control_plane, "ready");
    let serving = async {
        tokio::try_join!(
            serve::plain_limited(
                public,
                app.public_router(),
                handle.clone(),
                config.rate_limits.connections_per_address
            ),
            serve::mutual_tls(control, control_tls, app.control_router(), handle.clone()),
        )
    };
    tokio::select! {
        served = serving => served.map(drop)?,
        // They run for ever. Without them undecided payments would stay so: better to be started anew.
        ended = workers.join_next() => return Err(format!("a worker ended: {ended:?}").into()),
    }
    workers.shutdown().await;
    db.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn migrate(url: String, password_file: PathBuf) -> Result<(), Failure> {
    DatabaseConfig { url, password_file, max_connections: 1 }.migrate(&MIGRATIONS).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}

#[allow(clippy::print_stdout)] // This command's answer.
async fn add_merchant(config: Config, name: &str, origins: &[String], requires_cvc: bool) -> Result<(), Failure> {
    let secrets = Secrets::read(&config.secret_file)?;
    let db = Db::connect(&config.database, &config.work_database).await?;
    let made = merchants::add(db.work(), &secrets, name, origins, requires_cvc).await?;
    println!("{}", serde_json::to_string(&made)?);
    Ok(())
}

#[allow(clippy::print_stdout)] // This command's answer.
async fn about_key(config: Config, command: KeyCommand) -> Result<(), Failure> {
    let secrets = Secrets::read(&config.secret_file)?;
    let db = Db::connect(&config.database, &config.work_database).await?;
    println!("{}", command.run(db.work(), &secrets).await?);
    Ok(())
}

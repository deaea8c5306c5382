//! `kura-admin`: serves the console, migrates its database, invites people.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kura_admin::config::{Config, PublicOrigin};
use kura_admin::domain::role::Role;
use kura_admin::invite::{Invitation, invite};
use kura_admin::state::App;
use kura_admin::{routes, store, sweep, witness};
use kura_platform::database::DatabaseConfig;
use kura_platform::{harden, serve, telemetry};

#[derive(Parser)]
#[command(version, about = "Kura's console for operators")]
struct Arguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the console until SIGTERM.
    Serve,
    /// Bring the database's schema up to date, as the role that owns it.
    Migrate {
        /// The owner's address, without a password.
        #[arg(long)]
        database_url: String,
        /// A file that holds the owner's password and nothing else.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Print a one-use enrolment link, valid for 24 hours.
    Invite {
        /// The person's e-mail address, with which they will sign in.
        #[arg(long)]
        email: String,
        /// The person's name.
        #[arg(long)]
        name: String,
        /// viewer, support, operator, security_officer, custodian or administrator. The first person is an administrator.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// Let somebody who is enrolled choose a new password and a new passkey.
        #[arg(long)]
        again: bool,
    },
    /// Write what the witness kept of a vault node's access ledger, for `cargo kura ledger verify --witness`.
    ExportWitness {
        /// The vault node.
        #[arg(long, default_value_t = 0)]
        node: u16,
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    harden::this_process()?;
    let arguments = Arguments::parse();
    let config: Config = kura_platform::config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(arguments.command, config))
}

async fn run(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve => run_console(config).await,
        Command::Migrate { database_url, password_file } => {
            let owner = DatabaseConfig { url: database_url, password_file, max_connections: 1 };
            owner.migrate(&store::MIGRATIONS).await.context("migrating")
        }
        Command::Invite { email, name, role, again } => {
            let origin = PublicOrigin::new(&config.public_url)?;
            let pool = config.database.connect(&store::MIGRATIONS).await?;
            let link = invite(&pool, &origin, &Invitation { email, name, role, again }).await?;
            let line = serde_json::json!({ "enrolment": *link });
            writeln!(std::io::stdout(), "{line}").context("printing the link")
        }
        Command::ExportWitness { node, out } => {
            let pool = config.database.connect(&store::MIGRATIONS).await?;
            let file = std::io::BufWriter::new(std::fs::File::create_new(&out).context("making the file")?);
            let kept = witness::export(&pool, &witness::identity(&config)?, node, file).await?;
            let line = serde_json::json!({ "checkpoints": kept });
            writeln!(std::io::stdout(), "{line}").context("printing the count")
        }
    }
}

async fn run_console(config: Config) -> anyhow::Result<()> {
    telemetry::init("admin");
    let app = App::connect(&config).await?;
    let listener = serve::bind(config.listener)?;
    let handle = serve::handle_until_signal();
    let sweeper = tokio::spawn(sweep::run(app.pool.clone()));
    let watches = witness::start(&app, &config)?;
    app.health.set_ready(true);
    tracing::info!(listener = %config.listener, "ready");
    serve::plain(listener, routes::router(app.clone()), handle).await?;
    sweeper.abort();
    watches.iter().for_each(tokio::task::JoinHandle::abort);
    app.pool.close().await;
    Ok(())
}

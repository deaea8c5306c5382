//! `kura-vault`: runs a vault node, migrates its database, makes development keys.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use kura_platform::database::DatabaseConfig;
use kura_vault::config::{Config, Environment, KeyProviderConfig};
use kura_vault::crypto::dev_file;
use kura_vault::crypto::identity::Identity;
use kura_vault::serve;

/// All heap that this process frees is wiped first, that of libraries too: rustls opens a sealed box into a buffer of its own
/// before it gives us ours, and that one would keep a card until its memory is used again.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[derive(Parser)]
#[command(version, about = "Kura's card vault")]
struct Arguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node.
    Serve,
    /// Apply the migrations, as the role that owns the schema.
    Migrate {
        /// `postgres:///vault?host=/socket/dir&user=vault_owner`
        #[arg(long)]
        database_url: String,
        /// A file with that role's password.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Make identity and dev-file keys where they are missing, and print the identity's public key. Development only.
    MakeDevKeys,
}

fn main() -> anyhow::Result<()> {
    kura_platform::harden::this_process()?;
    let arguments = Arguments::parse();
    let config: Config = kura_platform::config::load(&arguments.config)?;
    match arguments.command {
        Command::Serve => {
            kura_platform::telemetry::init("vault");
            runtime()?
                .block_on(serve::run(config))
                .inspect_err(|error| tracing::error!(error = format!("{error:#}"), "stopped"))
        }
        Command::Migrate { database_url, password_file } => {
            let owner = DatabaseConfig { url: database_url, password_file, max_connections: 1 };
            Ok(runtime()?.block_on(owner.migrate(&serve::MIGRATIONS))?)
        }
        Command::MakeDevKeys => make_dev_keys(&config),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

#[allow(clippy::print_stdout)] // Its output is the answer.
fn make_dev_keys(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(config.environment == Environment::Development, "development only");
    Identity::create(&config.identity_key)?;
    if let KeyProviderConfig::DevFile { path } = &config.key_provider {
        dev_file::create(path)?;
    }
    println!("{}", Identity::open(&config.identity_key)?.public_key());
    Ok(())
}

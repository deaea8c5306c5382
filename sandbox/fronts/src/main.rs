//! `kura-fronts`: sample shops on Kura's public API.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kura_fronts::FrontsConfig;

#[derive(Parser)]
#[command(name = "kura-fronts", version, about = "Sample front systems on Kura's public API")]
struct Arguments {
    /// The configuration, TOML.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the fronts.
    Serve,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    kura_platform::telemetry::init("fronts");
    let config: FrontsConfig = kura_platform::config::load(&arguments.config)?;
    match arguments.command {
        Command::Serve => kura_fronts::serve(config).await.context("fronts stopped"),
    }
}

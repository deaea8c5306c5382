//! `cargo kura vault custodian-key`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use kura_custody::custodian_key::CustodianKey;

use crate::state::write_private;
use crate::terminal::{note, say};

/// Make a custodian's own key pair, on the custodian's own machine
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The new file, which stays with the custodian
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes the pair; prints the public half.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<ExitCode> {
    ensure!(!arguments.out.exists(), "{} exists; a key is never overwritten", arguments.out.display());
    let key = CustodianKey::generate()?;
    write_private(&arguments.out, key.reveal_as_file().as_bytes())?;
    note(&format!("  {} is yours alone; tell the public key to whoever makes the set:", arguments.out.display()));
    let public = key.public_key();
    say(&if json { serde_json::json!({ "public_key": public }).to_string() } else { public });
    Ok(ExitCode::SUCCESS)
}

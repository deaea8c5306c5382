//! `cargo kura vault init`

use std::process::ExitCode;

use anyhow::{Result, bail};
use kura_wire::custody::{CustodyStatus, PATH_CUSTODY};

use super::control::Control;
use super::shares::{NewSet, make_set};
use crate::terminal::note;

/// Make the first set of custodians: each gets one share of a new key, sealed to their own key
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    set: NewSet,
}

/// Makes the set. It becomes the active one when a threshold of its custodians unseals with it.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let status: CustodyStatus = control.get(PATH_CUSTODY, &()).await?;
    if status.active.is_some() {
        bail!("this vault has custodians; `cargo kura vault reshare` replaces them");
    }
    make_set(control, &arguments.set).await?;
    note("  it takes effect when a threshold of them has entered their shares: cargo kura vault unseal");
    Ok(ExitCode::SUCCESS)
}

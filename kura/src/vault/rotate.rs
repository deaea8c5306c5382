//! `cargo kura vault rotate kek|dek`

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use kura_wire::ids::MerchantId;
use kura_wire::keys::{KeyInventory, KeyPurpose, KeyState, PATH_KEYS};
use kura_wire::rotation::{PATH_ROTATIONS, Rotation, RotationKind, StartRotation};

use super::control::Control;
use super::rotation;
use crate::terminal::note;

/// Rows sealed anew in a second, where nobody says otherwise.
const ROWS_PER_SECOND: u32 = 80_000;

/// Rotate keys, online. A dry run unless --execute is given.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What is rotated
    kind: Kind,
    /// DEKs of this merchant alone
    #[arg(long, value_name = "MERCHANT")]
    merchant: Option<MerchantId>,
    /// DEKs of this class alone: card, konbini, payeasy, emoney, customer
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Seal no more rows anew in a second than this [default: 80000, which payments don't feel]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_second: Option<u32>,
    /// Seal as fast as the machine can, with payments waiting longer meanwhile
    #[arg(long, conflicts_with = "rows_per_second")]
    unlimited: bool,
    /// Let another kind of provider make the next KEK: dev-file, shamir, pkcs11
    #[arg(long, value_name = "KIND")]
    provider: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Stay until it is done
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// The key encryption key: all that it wraps is wrapped anew, then it is destroyed
    Kek,
    /// The data encryption keys: every row is sealed anew, then they are destroyed
    Dek,
}

/// Begins a rotation, or says what it would do.
pub(super) async fn run(control: &Control, arguments: Arguments) -> Result<ExitCode> {
    let wanted = StartRotation {
        kind: match arguments.kind {
            Kind::Kek => RotationKind::Kek,
            Kind::Dek => RotationKind::Dek,
        },
        merchant: arguments.merchant,
        class: arguments.class,
        rows_per_second: match arguments.kind {
            Kind::Dek if !arguments.unlimited => Some(arguments.rows_per_second.unwrap_or(ROWS_PER_SECOND)),
            _ => arguments.rows_per_second,
        },
        provider: arguments.provider,
    };
    if !arguments.execute {
        return dry_run(control, &wanted).await;
    }
    let begun: Rotation = control.post(PATH_ROTATIONS, &wanted).await?;
    if arguments.wait {
        return rotation::watch(control, begun.id).await;
    }
    rotation::show(control, &begun)
}

async fn dry_run(control: &Control, wanted: &StartRotation) -> Result<ExitCode> {
    let inventory: KeyInventory = control.get(PATH_KEYS, &()).await?;
    let of_kind =
        |purpose| inventory.keys.iter().filter(move |key| key.purpose == purpose && key.state == KeyState::Active);
    match wanted.kind {
        RotationKind::Kek => {
            for kek in of_kind(KeyPurpose::Kek) {
                let provider = wanted.provider.as_deref().unwrap_or(&kek.held_by);
                note(&format!("{} would be replaced by one of {provider}, and destroyed", kek.name));
            }
        }
        RotationKind::Dek => {
            let of_merchant = |merchant| wanted.merchant.is_none() || wanted.merchant == merchant;
            let of_class = |class: &Option<String>| wanted.class.is_none() || wanted.class == *class;
            let keys = of_kind(KeyPurpose::Dek).filter(|key| of_merchant(key.merchant) && of_class(&key.class)).count();
            note(&format!("{keys} DEKs would be replaced, every row under them sealed anew, and they destroyed"));
        }
    }
    note("Nothing was done: this was a dry run; add --execute.");
    Ok(ExitCode::SUCCESS)
}

//! `cargo kura vault erase record | merchant | older-than`

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use kura_platform::random;
use kura_wire::erasure::{Erase, EraseProgress, EraseScope, PATH_ERASE};
use kura_wire::ids::{MerchantId, RequestId};
use serde::Serialize;

use super::control::Control;
use crate::terminal::note;

/// What to erase.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One record: a card's token, a payer or a customer
    Record {
        /// Its id: tok_…, pm_…, pyr_… or cus_…
        id: String,
        /// Do it
        #[arg(long)]
        execute: bool,
    },
    /// All of a merchant: its keys are destroyed, its rows blanked. Nothing brings them back
    Merchant {
        /// Its id: mer_…
        id: MerchantId,
        /// The merchant's id once more, to execute it
        #[arg(long, value_name = "MERCHANT")]
        confirm: Option<String>,
        /// Do it
        #[arg(long)]
        execute: bool,
    },
    /// What a rule of retention covers and is older than so many days
    OlderThan {
        /// unused_token, spent_token, card, konbini, payeasy, emoney or customer
        #[arg(long)]
        rule: String,
        /// Days since its last use, change or making
        #[arg(long)]
        days: u32,
        /// Only this merchant's
        #[arg(long)]
        merchant: Option<MerchantId>,
        /// Do it
        #[arg(long)]
        execute: bool,
    },
}

#[derive(Serialize)]
struct Erased {
    executed: bool,
    request_id: RequestId,
    /// Records by rule.
    records: BTreeMap<String, u64>,
    keys: u64,
}

/// Walks all parts.
pub(super) async fn run(control: &Control, command: Command) -> Result<ExitCode> {
    let (scope, execute) = match command {
        Command::Record { id, execute } => (EraseScope::Record { record: id }, execute),
        Command::Merchant { id, confirm, execute } => (EraseScope::Merchant { merchant: id, confirm }, execute),
        Command::OlderThan { rule, days, merchant, execute } => {
            (EraseScope::OlderThan { rule, days, merchant }, execute)
        }
    };
    let request_id = RequestId::from_bytes(random::bytes());
    let mut erased = Erased { executed: execute, request_id, records: BTreeMap::new(), keys: 0 };
    let mut request = Erase { scope, execute, request_id, after: None };
    loop {
        let part: EraseProgress = control.post(PATH_ERASE, &request).await?;
        erased.keys += part.keys;
        part.records.into_iter().for_each(|(rule, count)| *erased.records.entry(rule).or_insert(0) += count);
        request.after = part.next;
        if request.after.is_none() {
            break;
        }
    }
    control.print(&erased, text)?;
    if !execute {
        note("a dry run: nothing was erased; add --execute");
    }
    Ok(ExitCode::SUCCESS)
}

fn text(erased: &Erased) -> String {
    let verb = if erased.executed { "erased" } else { "would be erased" };
    let mut lines: Vec<String> =
        erased.records.iter().map(|(rule, count)| format!("{rule}: {count} records {verb}")).collect();
    if erased.keys > 0 {
        lines.push(format!(
            "{} keys {}",
            erased.keys,
            if erased.executed { "destroyed" } else { "would be destroyed" }
        ));
    }
    if lines.is_empty() { "nothing to erase".to_owned() } else { lines.join("\n") }
}

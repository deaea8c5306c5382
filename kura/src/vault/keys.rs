//! `cargo kura vault keys`

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use kura_wire::keys::{KeyEntry, KeyInventory, PATH_KEYS};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

use super::control::Control;

/// Lists every key; fails when one is overdue.
pub(super) async fn run(control: &Control) -> Result<ExitCode> {
    let inventory: KeyInventory = control.get(PATH_KEYS, &()).await?;
    control.print(&inventory, text)?;
    let overdue = inventory.keys.iter().any(|key| key.overdue);
    Ok(if overdue { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn text(inventory: &KeyInventory) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["purpose", "key", "of", "state", "algorithm", "held by", "made", "uses", "ends", ""]);
    for key in &inventory.keys {
        table.add_row(row(key));
    }
    if let Some(uses) = table.column_mut(7) {
        uses.set_cell_alignment(CellAlignment::Right);
    }
    let left_out = match inventory.left_out {
        0 => String::new(),
        more => format!("\n{more} DEKs more"),
    };
    format!("{table}{left_out}")
}

fn row(key: &KeyEntry) -> [String; 10] {
    let of = match (&key.merchant, &key.class, key.version) {
        (Some(merchant), Some(class), Some(epoch)) => format!("{merchant} {class} {epoch}"),
        _ => String::new(),
    };
    [
        key.purpose.as_str().to_owned(),
        key.name.clone(),
        of,
        key.state.as_str().to_owned(),
        key.algorithm.clone(),
        key.held_by.clone(),
        day(key.made_at),
        key.uses.map(|uses| uses.to_string()).unwrap_or_default(),
        day(key.ends_at),
        if key.overdue { "OVERDUE".to_owned() } else { String::new() },
    ]
}

fn day(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.date().format(&Iso8601::DATE).ok()).unwrap_or_default()
}

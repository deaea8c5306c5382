//! `cargo kura vault erasures`

use std::process::ExitCode;

use anyhow::Result;
use kura_platform::signature;
use kura_wire::erasure::{Erasure, ErasureQuery, ErasureStatement, PATH_ERASURES, signed_bytes};
use serde::Serialize;

use super::control::Control;

#[derive(Serialize)]
struct Shown {
    id: i64,
    /// Whether the vault's identity signed exactly this.
    valid: bool,
    statement: Option<ErasureStatement>,
    /// What was signed, byte for byte.
    signed: String,
    signature: String,
}

/// Lists all, each checked; fails when one is not what the vault signed.
pub(super) async fn run(control: &Control) -> Result<ExitCode> {
    let identity = control.vault_identity();
    let mut shown: Vec<Shown> = Vec::new();
    loop {
        let after = shown.last().map_or(0, |last| last.id);
        let page: Vec<Erasure> = control.get(PATH_ERASURES, &ErasureQuery { after }).await?;
        if page.is_empty() {
            break;
        }
        shown.extend(page.into_iter().map(|erasure| check(identity, erasure)));
    }
    control.print(&shown, |shown| shown.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(if shown.iter().all(|erasure| erasure.valid) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(identity: &str, erasure: Erasure) -> Shown {
    let statement: Option<ErasureStatement> = serde_json::from_str(&erasure.statement).ok();
    let signed = signature::is_of(identity, &signed_bytes(&erasure.statement), &erasure.signature);
    Shown {
        id: erasure.id,
        valid: signed && statement.is_some(),
        statement,
        signed: erasure.statement,
        signature: erasure.signature,
    }
}

fn line(erasure: &Shown) -> String {
    let verdict = if erasure.valid { "signed " } else { "INVALID" };
    match &erasure.statement {
        None => format!("{verdict} {}", erasure.id),
        Some(said) => format!(
            "{verdict} {} {} {} {}: {} {} records, {} keys, by {} for {}, ids {}",
            erasure.id,
            said.at,
            said.scope,
            said.merchant,
            said.rule,
            said.records,
            said.keys,
            said.actor,
            said.request_id,
            said.ids_sha256
        ),
    }
}

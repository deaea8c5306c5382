//! `cargo kura ledger scope`: the exact set of opened records, by whom, when, by which requests or of which records.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use kura_wire::ids::{CardToken, MerchantId, RequestId};
use kura_wire::ledger::{PATH_SCOPE, Scope, Scoped, ScopedGroup, ScopedOpening};
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime};

use crate::terminal::{note, say};
use crate::vault::control::Control;

/// Say exactly which records were opened. All that is given must hold; give an actor, a beginning, a merchant, records or
/// requests at least.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The certificate that asked, such as gateway.kura.internal
    #[arg(long)]
    actor: Option<String>,
    /// From this moment (RFC 3339) or UTC day on
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this moment or UTC day
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Of this merchant
    #[arg(long, value_name = "MERCHANT")]
    merchant: Option<MerchantId>,
    /// Of the records in this file, one a line: tok_…, pm_…, card_… or 32 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// By this request (req_… or 32 hexadecimal digits); can be given more than once
    #[arg(long, value_name = "REQUEST")]
    request: Vec<String>,
    /// By the requests in this file, one a line
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Also list each opening, not only what they opened
    #[arg(long)]
    list: bool,
}

/// Asks, and prints all pages.
pub(crate) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let mut scope = scope(arguments)?;
    let mut answer: Scoped = control.post(PATH_SCOPE, &scope).await?;
    let mut has_more = answer.has_more && (arguments.list || control.is_json());
    while has_more {
        scope.after = answer.openings.last().map(|last| last.place);
        let next: Scoped = control.post(PATH_SCOPE, &scope).await?;
        has_more = next.has_more && !next.openings.is_empty();
        answer.openings.extend(next.openings);
    }
    if arguments.list || control.is_json() {
        answer.has_more = false;
    }
    control.print(&answer, |answer| text(answer, arguments.list))?;
    Ok(ExitCode::SUCCESS)
}

fn scope(arguments: &Arguments) -> Result<Scope> {
    let records = arguments.records.as_deref().map(|path| lines(path, record)).transpose()?;
    let mut requests: Vec<String> = arguments.request.iter().map(|text| request(text)).collect::<Result<_>>()?;
    if let Some(path) = &arguments.requests {
        requests.extend(lines(path, request)?);
    }
    let named = arguments.requests.is_some() || !arguments.request.is_empty();
    let scope = Scope {
        actor: arguments.actor.clone(),
        since: arguments.since.as_deref().map(moment).transpose()?,
        until: arguments.until.as_deref().map(moment).transpose()?,
        merchant: arguments.merchant,
        records,
        requests: named.then_some(requests),
        after: None,
    };
    let Scope { actor, since, merchant, records, requests, .. } = &scope;
    if actor.is_none() && since.is_none() && merchant.is_none() && records.is_none() && requests.is_none() {
        bail!("give --actor, --since, --merchant, --records, --request or --requests");
    }
    Ok(scope)
}

fn moment(text: &str) -> Result<OffsetDateTime> {
    if let Ok(day) = Date::parse(text, &Iso8601::DATE) {
        return Ok(day.midnight().assume_utc());
    }
    OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("{text} is neither a day nor a moment (RFC 3339)"))
}

fn lines(path: &Path, id: fn(&str) -> Result<String>) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(id).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A record, by its token or by its number.
fn record(text: &str) -> Result<String> {
    if let Ok(token) = text.parse::<CardToken>() {
        return Ok(hexadecimal(&token.record));
    }
    let number = text.rsplit('_').next().unwrap_or(text);
    number_of(number).with_context(|| format!("{text} is no record"))
}

fn request(text: &str) -> Result<String> {
    match text.parse::<RequestId>() {
        Ok(id) => Ok(hexadecimal(id.as_bytes())),
        Err(_) => number_of(text).with_context(|| format!("{text} is no request")),
    }
}

fn number_of(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|digit| *digit != '-').collect::<String>().to_lowercase();
    let is_number = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then_some(digits)
}

fn text(answer: &Scoped, list: bool) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["merchant", "class", "fields", "purpose", "openings", "records"]);
    for group in &answer.groups {
        let ScopedGroup { merchant, class, fields, purpose, openings, records, batches } = group;
        let records = if *batches { format!("{records} in batches") } else { records.to_string() };
        table.add_row([
            merchant.to_string(),
            class.clone(),
            fields.join(" "),
            purpose.clone(),
            openings.to_string(),
            records,
        ]);
    }
    let total: u64 = answer.groups.iter().map(|group| group.openings).sum();
    if list {
        answer.openings.iter().for_each(|opening| say(&line(opening)));
    } else if total > 0 {
        note("  --list shows each opening");
    }
    format!("{table}\n{total} openings")
}

fn line(opening: &ScopedOpening) -> String {
    let ScopedOpening { place, at, actor, request, merchant, class, record, records, purpose, .. } = opening;
    let what = if *records > 1 { format!("batch {record} of {records}") } else { format!("{class}_{record}") };
    format!("{}/{} {at} {actor} {request} {merchant} {what} {purpose}", place.node, place.sequence)
}

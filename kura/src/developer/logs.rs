//! `kura logs tail`: one's own requests, as they end.

use std::collections::HashMap;
use std::time::Duration;

use clap::Subcommand;
use kura_platform::clock;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Connection;
use super::client::Client;
use super::failure::Failure;
use crate::terminal::{Style, say};

const EVERY: Duration = Duration::from_secs(1);
/// A request is listed by when it came, and is there once it has ended.
const LONGEST_REQUEST_S: i64 = 90;
/// Pages of one look.
const MAX_PAGES: usize = 20;

/// Your requests to the API.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the newest, and those that follow
    Tail(Tail),
}

#[derive(Debug, clap::Args)]
struct Tail {
    #[command(flatten)]
    connection: Connection,
    /// How many of the past to begin with
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    lines: u8,
    /// Only of this method
    #[arg(long)]
    method: Option<String>,
    /// Only with this HTTP status
    #[arg(long)]
    status: Option<u16>,
    /// Only with this error code
    #[arg(long)]
    code: Option<String>,
    /// Show the past and end
    #[arg(long)]
    no_follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Shows them.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Command::Tail(tail) = arguments.command;
    let client = tail.connection.client()?;
    let began = clock::now().unix_timestamp();
    let mut seen: HashMap<String, i64> = HashMap::new();
    if tail.lines > 0 {
        let past = page(&client, &tail, &[("limit".to_owned(), tail.lines.to_string())]).await?.0;
        show(&tail, &mut seen, past);
    }
    if tail.no_follow {
        return Ok(());
    }
    loop {
        let since = clock::now().unix_timestamp() - LONGEST_REQUEST_S;
        let fresh = newer(&client, &tail, since.max(began)).await?;
        show(&tail, &mut seen, fresh);
        seen.retain(|_, created| *created >= since);
        tokio::time::sleep(EVERY).await;
    }
}

/// All since then, the newest first.
async fn newer(client: &Client, tail: &Tail, since: i64) -> Result<Vec<Value>, Failure> {
    let mut query = vec![("limit".to_owned(), "100".to_owned()), ("created[gte]".to_owned(), since.to_string())];
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let (mut found, more) = page(client, tail, &query).await?;
        let last = found.last().and_then(|log| log.get("id")).and_then(Value::as_str).map(str::to_owned);
        all.append(&mut found);
        let Some(last) = last.filter(|_| more) else { break };
        query.truncate(2);
        query.push(("starting_after".to_owned(), last));
    }
    Ok(all)
}

async fn page(client: &Client, tail: &Tail, query: &[(String, String)]) -> Result<(Vec<Value>, bool), Failure> {
    let mut query = query.to_vec();
    let wanted = [
        ("method", tail.method.as_ref().map(|method| method.to_ascii_uppercase())),
        ("status", tail.status.map(|status| status.to_string())),
        ("code", tail.code.clone()),
    ];
    query.extend(wanted.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let answer = client.get("/v1/request_logs", &query).await?;
    let logs = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok((logs, answer.get("has_more").and_then(Value::as_bool).unwrap_or(false)))
}

/// The oldest first, each once.
fn show(tail: &Tail, seen: &mut HashMap<String, i64>, logs: Vec<Value>) {
    for log in logs.into_iter().rev() {
        let id = log.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let created = log.get("created").and_then(Value::as_i64).unwrap_or_default();
        if seen.insert(id, created).is_none() {
            say(&if tail.json { log.to_string() } else { line(&log) });
        }
    }
}

fn line(log: &Value) -> String {
    let text = |name: &str| log.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| log.get(name).and_then(Value::as_i64).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(number("created")).ok().and_then(|at| at.format(&Rfc3339).ok());
    let (status, style) = (number("status"), Style::stdout());
    let shown = status.to_string();
    let shown = if status < 400 { style.good(&shown) } else { style.bad(&shown) };
    let line = format!(
        "{}  {shown}  {:<6} {}  {} ms  {}  {}",
        at.unwrap_or_default(),
        text("method"),
        text("path"),
        number("duration_ms"),
        text("id"),
        text("code")
    );
    line.trim_end().to_owned()
}

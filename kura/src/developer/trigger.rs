//! `kura trigger EVENT`: makes an event happen with real calls, and waits until it has.

use std::time::{Duration, Instant};

use kura_platform::clock;
use reqwest::Method;
use serde_json::Value;

use super::Connection;
use super::client::Client;
use super::failure::Failure;
use super::triggers::{Call, KNOWN};
use crate::terminal::{note, say};

const HAPPENS_WITHIN: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(300);

/// Make an event happen, with the calls that lead to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Which, such as payment_intent.succeeded
    #[arg(required_unless_present = "list")]
    event: Option<String>,
    /// List the events that can be triggered
    #[arg(long)]
    list: bool,
    /// The event itself, on one line
    #[arg(long)]
    json: bool,
}

/// Makes it happen.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.list {
        KNOWN.iter().for_each(|(event, _)| say(event));
        return Ok(());
    }
    let wanted = arguments.event.unwrap_or_default();
    let Some((event, calls)) = KNOWN.iter().find(|(event, _)| *event == wanted) else {
        let known = KNOWN.iter().map(|(event, _)| *event).collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!("no calls are known that lead to {wanted:?}; known are {known}")));
    };
    let client = arguments.connection.client()?;
    if client.key().contains("_live_") {
        return Err(Failure::Usage("events are triggered in test mode alone; use a test key".to_owned()));
    }
    let began = clock::now().unix_timestamp() - 1;
    let mut made = Vec::new();
    for call in *calls {
        made.push(make(&client, call, &made).await?);
    }
    let found = wait(&client, event, began, &made).await?;
    let id = found.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    say(&if arguments.json { found.to_string() } else { id });
    Ok(())
}

/// What a call made: the ids by which its events can be told from others'.
struct Made {
    object: Option<String>,
    request: Option<String>,
}

async fn make(client: &Client, call: &Call, made: &[Made]) -> Result<Made, Failure> {
    let first = made.first().and_then(|made| made.object.as_deref()).unwrap_or_default();
    let filled = |text: &str| text.replace("{0}", first);
    let path = filled(call.path);
    let form: Vec<(String, String)> =
        call.form.iter().map(|(name, value)| ((*name).to_owned(), filled(value))).collect();
    note(&format!("{} {path}", call.method));
    let method = if call.method == "DELETE" { Method::DELETE } else { Method::POST };
    let answer = client.ask(&method, &path, &form, None).await?;
    let request = answer.request_id.clone();
    // A refusal by the card is what some events are about.
    if answer.status == 402 {
        return Ok(Made { object: None, request });
    }
    let body = answer.succeeded()?;
    Ok(Made { object: body.get("id").and_then(Value::as_str).map(str::to_owned), request })
}

/// The event of this kind that these calls led to.
async fn wait(client: &Client, kind: &str, since: i64, made: &[Made]) -> Result<Value, Failure> {
    let query = [
        ("type".to_owned(), kind.to_owned()),
        ("created[gte]".to_owned(), since.to_string()),
        ("limit".to_owned(), "100".to_owned()),
    ];
    let began = Instant::now();
    while began.elapsed() < HAPPENS_WITHIN {
        let answer = client.get("/v1/events", &query).await?;
        let events = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        let of_ours = |event: &Value| {
            let text = event.to_string();
            let ids = made.iter().flat_map(|made| [&made.object, &made.request]).flatten();
            ids.into_iter().any(|id| text.contains(id.as_str()))
        };
        if let Some(found) = events.into_iter().find(of_ours) {
            return Ok(found);
        }
        tokio::time::sleep(EVERY).await;
    }
    Err(Failure::Other(format!("{kind} did not happen within {} s", HAPPENS_WITHIN.as_secs())))
}

//! `kura resource NAME OPERATION [ID]… [-d name=value]…`: any operation of the API, as the gateway describes itself.

use serde_json::Value;

use super::Connection;
use super::failure::Failure;
use super::openapi::{Operation, Resources, resources};
use crate::terminal::say;

/// Any operation of the API.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Such as customers; without it, all are listed
    resource: Option<String>,
    /// create, retrieve, update, list, delete, or an action such as confirm; without it, all are listed
    operation: Option<String>,
    /// The object's id, where the operation has one
    ids: Vec<String>,
    /// A parameter, with brackets for nesting: -d metadata[order]=A-1
    #[arg(short, long = "data", value_name = "NAME=VALUE", value_parser = parameter)]
    data: Vec<(String, String)>,
    /// The same request with the same key is done once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// On one line
    #[arg(long)]
    json: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("expected NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// Calls it, and prints the answer.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let document = arguments.connection.without_key()?.get("/openapi.json", &[]).await?;
    let known = resources(&document);
    let Some(resource) = &arguments.resource else {
        known.keys().for_each(|name| say(name));
        return Ok(());
    };
    let operations = known.get(resource).ok_or_else(|| unknown("resource", resource, known.keys()))?;
    let Some(name) = &arguments.operation else {
        list(&known, resource);
        return Ok(());
    };
    let operation = operations.get(name).ok_or_else(|| unknown("operation", name, operations.keys()))?;
    check_ids(operation, &arguments.ids)?;
    let path = operation.path_of(&arguments.ids);
    let key = arguments.idempotency_key.as_deref();
    let client = arguments.connection.client()?;
    let answer = client.call(&operation.method, &path, &arguments.data, key).await?;
    print(&answer, arguments.json);
    Ok(())
}

fn print(answer: &Value, on_one_line: bool) {
    let pretty = serde_json::to_string_pretty(answer).unwrap_or_default();
    say(&if on_one_line { answer.to_string() } else { pretty });
}

fn list(known: &Resources, resource: &str) {
    for (name, operation) in known.get(resource).into_iter().flatten() {
        let ids: String = (0..operation.ids()).map(|_| " ID").collect();
        say(&format!("{:<36} {}", format!("{name}{ids}"), operation.summary));
    }
}

fn check_ids(operation: &Operation, ids: &[String]) -> Result<(), Failure> {
    let plain = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if ids.len() != operation.ids() {
        return Err(Failure::Usage(format!("{} takes {} id(s), not {}", operation.path, operation.ids(), ids.len())));
    }
    if ids.iter().all(plain) {
        Ok(())
    } else {
        Err(Failure::Usage("an id is letters, digits and underscores".to_owned()))
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    Failure::Usage(format!("no {what} is called {name:?}; there are {known}"))
}

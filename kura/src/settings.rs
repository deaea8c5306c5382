//! The services' configuration files, and `--set` on top of them.
//!
//! A small TOML writer is enough here: strings, integers, booleans, lists and tables.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// One `--set service.key=value`.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    service: String,
    keys: Vec<String>,
    value: Value,
}

impl std::str::FromStr for Setting {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (path, value) = text.split_once('=').context("expected service.key=value")?;
        let mut keys = path.split('.').map(str::to_owned);
        let service = keys.next().unwrap_or_default();
        let keys: Vec<String> = keys.collect();
        let known = crate::services::NAMES.iter().chain(&crate::services::VAULT_NODES).any(|name| *name == service);
        if !known {
            bail!("no service is called {service:?}; there are {}", crate::services::NAMES.join(", "));
        }
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            bail!("expected service.key=value");
        }
        // Numbers, booleans, lists and quoted text are JSON as much as TOML; anything else is text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { service, keys, value })
    }
}

/// The service's configuration with what was `--set` for it, as TOML. What is set for `vault` is set for each of its nodes,
/// before what is set for one of them.
///
/// # Errors
/// When a setting goes below a value that is no table.
pub(crate) fn configuration(service: &str, mut content: Value, settings: &[Setting]) -> Result<String> {
    let program = crate::services::kind(service);
    let of_all = settings.iter().filter(|setting| program != service && setting.service == program);
    for setting in of_all.chain(settings.iter().filter(|setting| setting.service == service)) {
        put(&mut content, &setting.keys, setting.value.clone())
            .with_context(|| format!("--set {service}.{}", setting.keys.join(".")))?;
    }
    let Value::Object(table) = content else { bail!("a configuration is a table") };
    let mut out = String::from("# Written by `cargo kura up` on every start; `--set` changes a value.\n");
    write_table(&mut out, &[], &table)?;
    Ok(out)
}

fn put(content: &mut Value, keys: &[String], value: Value) -> Result<()> {
    let Some((key, rest)) = keys.split_first() else {
        *content = value;
        return Ok(());
    };
    let table = content.as_object_mut().context("a value stands where this path needs a table")?;
    put(table.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), rest, value)
}

fn write_table(out: &mut String, path: &[&str], table: &Map<String, Value>) -> Result<()> {
    let plain: Vec<_> = table.iter().filter(|(_, value)| !value.is_object()).collect();
    if !path.is_empty() && !plain.is_empty() {
        let _ = writeln!(out, "\n[{}]", path.join("."));
    }
    for (key, value) in plain {
        let _ = writeln!(out, "{key} = {}", inline(value)?);
    }
    for (key, value) in table {
        if let Value::Object(below) = value {
            let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            write_table(out, &path, below)?;
        }
    }
    Ok(())
}

fn inline(value: &Value) -> Result<String> {
    Ok(match value {
        // JSON's escapes are a part of TOML's basic strings; it leaves DEL, which TOML wants escaped.
        Value::String(text) => serde_json::to_string(text)?.replace('\u{7f}', "\\u007f"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items = items.iter().map(inline).collect::<Result<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) => {
            let pairs = table.iter().map(|(key, value)| Ok(format!("{key} = {}", inline(value)?)));
            format!("{{ {} }}", pairs.collect::<Result<Vec<_>>>()?.join(", "))
        }
        Value::Null => bail!("a configuration can't hold null"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Settings reach nested keys with their types, and only those of the named service.
    #[test]
    fn settings_are_merged() {
        let settings: Vec<Setting> =
            ["gateway.rate_limits.per_key_per_second=100000", "gateway.name=a b", "vault.node=7"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        let toml =
            configuration("gateway", json!({"url": "x\"y", "rate_limits": {"per_key_burst": 5}}), &settings).unwrap();
        assert!(toml.contains("url = \"x\\\"y\"\n"), "{toml}");
        assert!(toml.contains("name = \"a b\"\n"), "{toml}");
        assert!(toml.contains("[rate_limits]\nper_key_burst = 5\nper_key_per_second = 100000\n"), "{toml}");
        assert!(!toml.contains("node"), "{toml}");
    }

    /// A setting of the vault is every node's, unless one node has its own.
    #[test]
    fn nodes_of_the_vault_share_its_settings() {
        let settings: Vec<Setting> =
            ["vault-1.level=3", "vault.level=2"].iter().map(|text| text.parse().unwrap()).collect();
        let level = |service| configuration(service, json!({}), &settings).unwrap();
        assert!(level("vault").contains("level = 2\n"));
        assert!(level("vault-1").contains("level = 3\n"));
        assert!(level("vault-2").contains("level = 2\n"));
        assert!(!level("gateway").contains("level"));
    }

    /// A list may hold tables.
    #[test]
    fn lists_hold_tables() {
        let nodes = json!({"nodes": [{"node": 0, "address": "127.0.0.1:1"}, {"node": 1, "address": "127.0.0.1:2"}]});
        let toml = configuration("gateway", json!({ "vault": nodes }), &[]).unwrap();
        let expected = r#"nodes = [{ address = "127.0.0.1:1", node = 0 }, { address = "127.0.0.1:2", node = 1 }]"#;
        assert!(toml.contains(expected), "{toml}");
    }

    /// What can't be meant is refused with words that help.
    #[test]
    fn nonsense_settings_are_refused() {
        assert!("valut.node=7".parse::<Setting>().unwrap_err().to_string().contains("vault"));
        assert!("gateway=7".parse::<Setting>().is_err());
        let below_a_number = "gateway.node.deeper=1".parse::<Setting>().unwrap();
        assert!(configuration("gateway", json!({"node": 1}), &[below_a_number]).is_err());
    }
}

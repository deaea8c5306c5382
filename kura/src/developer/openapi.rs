//! What can be done, from the gateway's own description: so this program never knows less, or more, than the gateway.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

/// An operation on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// `POST`.
    pub(super) method: Method,
    /// With `{id}`.
    pub(super) path: String,
    /// In a few words.
    pub(super) summary: String,
}

impl Operation {
    /// How many ids stand in the path.
    pub(super) fn ids(&self) -> usize {
        self.path.matches('{').count()
    }

    /// The path with these ids in it.
    pub(super) fn path_of(&self, ids: &[String]) -> String {
        let mut ids = ids.iter();
        let fill = |part: &str| if part.starts_with('{') { ids.next().cloned() } else { Some(part.to_owned()) };
        self.path.split('/').map(fill).map(Option::unwrap_or_default).collect::<Vec<_>>().join("/")
    }
}

/// Resources, and the operations of each by their name.
pub(super) type Resources = BTreeMap<String, BTreeMap<String, Operation>>;

/// Reads the document.
pub(super) fn resources(document: &Value) -> Resources {
    let mut resources = Resources::new();
    let none = serde_json::Map::new();
    let paths = document.get("paths").and_then(Value::as_object).unwrap_or(&none);
    for (path, methods) in paths {
        for (method, described) in methods.as_object().unwrap_or(&none) {
            let Ok(verb) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else { continue };
            let answers = described.pointer("/responses/200/content/application~1json").is_some();
            if let (true, Some((resource, name))) = (answers, name(path, &verb, described)) {
                let summary = described.get("summary").and_then(Value::as_str).unwrap_or_default().to_owned();
                let operation = Operation { method: verb, path: path.clone(), summary };
                let known = resources.entry(resource).or_default();
                // `GET …/lines` and `POST …/lines` are two.
                let name =
                    if known.contains_key(&name) { format!("{}_{name}", method.to_ascii_lowercase()) } else { name };
                known.insert(name, operation);
            }
        }
    }
    resources
}

/// `/v1/customers/{id}` with `POST` is `customers update`; what stands behind the id is an action.
fn name(path: &str, method: &Method, described: &Value) -> Option<(String, String)> {
    let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let takes = |name: &str| {
        let parameters = described.get("parameters").and_then(Value::as_array);
        parameters.into_iter().flatten().any(|one| one.get("name").and_then(Value::as_str) == Some(name))
    };
    // Some resources have two words: `test_helpers/test_clocks`.
    let words = if parts.first() == Some(&"test_helpers") { 2 } else { 1 };
    let (resource, rest) = parts.split_at_checked(words)?;
    let verb = match (method.as_str(), rest.last()) {
        ("GET", None) if takes("limit") => "list",
        ("GET", _) => "retrieve",
        ("POST", None) => "create",
        ("POST", _) => "update",
        ("DELETE", _) => "delete",
        _ => return None,
    };
    let actions: Vec<&str> = rest.iter().copied().filter(|part| !part.starts_with('{')).collect();
    let ends_in_id = rest.last().is_none_or(|part| part.starts_with('{'));
    let name = match (actions.is_empty(), ends_in_id) {
        (true, _) => verb.to_owned(),
        (false, true) => format!("{verb}_{}", actions.join("_")),
        (false, false) if *method == Method::DELETE => format!("delete_{}", actions.join("_")),
        (false, false) => actions.join("_"),
    };
    Some((resource.join("/"), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(paths: &[(&str, &str)]) -> Resources {
        let mut document = json!({ "paths": {} });
        for (method, path) in paths {
            let listed = json!([{ "name": "limit" }]);
            let content = json!({ "200": { "content": { "application/json": {} } } });
            document["paths"][path][method] = json!({ "summary": "x", "parameters": listed, "responses": content });
        }
        resources(&document)
    }

    /// Operations have the names that people expect, whatever is added to the API.
    #[test]
    fn operations_are_named_by_their_path() {
        let found = described(&[
            ("post", "/v1/customers"),
            ("get", "/v1/customers"),
            ("get", "/v1/customers/{id}"),
            ("post", "/v1/customers/{id}"),
            ("delete", "/v1/customers/{id}"),
            ("get", "/v1/customers/{id}/payment_methods"),
            ("get", "/v1/customers/{id}/payment_methods/{payment_method}"),
            ("post", "/v1/payment_intents/{id}/confirm"),
            ("get", "/v1/balance"),
            ("post", "/v1/invoices/create_preview"),
            ("get", "/v1/invoices/{id}/lines"),
            ("post", "/v1/invoices/{id}/lines"),
            ("post", "/v1/test_helpers/test_clocks/{id}/advance"),
        ]);
        let names = |resource: &str| found[resource].keys().map(String::as_str).collect::<Vec<_>>();
        let customers =
            ["create", "delete", "list", "payment_methods", "retrieve", "retrieve_payment_methods", "update"];
        assert_eq!(names("customers"), customers);
        assert_eq!(names("payment_intents"), ["confirm"]);
        assert_eq!(names("invoices"), ["create_preview", "lines", "post_lines"]);
        assert_eq!(names("test_helpers/test_clocks"), ["advance"]);
        let one = &found["customers"]["retrieve_payment_methods"];
        assert_eq!(
            (one.ids(), one.path_of(&["a".into(), "b".into()]).as_str()),
            (2, "/v1/customers/a/payment_methods/b")
        );
    }

    /// A stream is nothing to call like the others.
    #[test]
    fn streams_are_left_out() {
        let document = json!({ "paths": { "/v1/events/stream": { "get": { "summary": "x", "responses": { "200": {
            "content": { "text/event-stream": {} } } } } } } });
        assert!(resources(&document).is_empty());
    }
}

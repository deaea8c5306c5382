//! `GET /docs/api`: the API reference, from the same document as `/openapi.json`. Without a script, written once.

use askama::Template;
use axum::body::Bytes;
use axum::response::Response;
use axum::{Router, routing::get};
use serde_json::Value;

use super::page;
use crate::app::App;

/// Its path.
pub const PATH: &str = "/docs/api";
/// How deep parameters within parameters are shown.
const MAX_DEPTH: usize = 4;

#[derive(Template)]
#[template(path = "reference.html")]
struct Reference {
    base: String,
    groups: Vec<Group>,
    objects: Vec<Object>,
}

struct Group {
    title: String,
    anchor: String,
    operations: Vec<Operation>,
}

struct Operation {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<Span>,
    right: String,
    parameters: Vec<Property>,
    answer: Kind,
    errors: Vec<(String, Vec<String>)>,
    curl: String,
}

struct Object {
    name: String,
    about: Vec<Span>,
    properties: Vec<Property>,
}

struct Property {
    name: String,
    required: bool,
    kind: Kind,
    about: Vec<Span>,
}

/// A piece of a sentence: words, or code.
struct Span {
    text: String,
    code: bool,
}

/// What stands between backticks is code.
fn spans(text: &str) -> Vec<Span> {
    let pieces =
        text.split('`').enumerate().map(|(place, piece)| Span { text: piece.to_owned(), code: place % 2 == 1 });
    pieces.filter(|span| !span.text.is_empty()).collect()
}

/// A type in words, and the object that it leads to.
#[derive(Default, Clone, PartialEq, Eq)]
struct Kind {
    words: String,
    object: String,
}

/// Its route.
pub fn router(document: &Value) -> Router<App> {
    let rendered = Reader { document }.reference().render();
    let page = match rendered {
        Ok(html) => Ok(Bytes::from(html)),
        Err(error) => Err(error.to_string()),
    };
    Router::new().route(PATH, get(move || async { serve(page) }))
}

fn serve(written: Result<Bytes, String>) -> Response {
    page(written.map_err(|error| askama::Error::Custom(error.into())))
}

/// Reads the document.
struct Reader<'a> {
    document: &'a Value,
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn entries<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn names(value: &Value, name: &str) -> Vec<String> {
    items(value, name).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn schema_of(content: &Value) -> &Value {
    let first = content.get("content").and_then(Value::as_object).and_then(|types| types.values().next());
    first.and_then(|content| content.get("schema")).unwrap_or(&Value::Null)
}

impl<'a> Reader<'a> {
    fn reference(&self) -> Reference {
        let base = items(self.document, "servers").next().map(|server| text(server, "url")).unwrap_or_default();
        let mut groups: Vec<Group> = Vec::new();
        for (path, verbs) in entries(self.document, "paths") {
            for verb in ["post", "get", "delete"] {
                let Some(operation) = verbs.get(verb) else { continue };
                let title = names(operation, "tags").into_iter().next().unwrap_or_default();
                let shown = self.operation(&base, verb, path, operation);
                match groups.iter_mut().find(|group| group.title == title) {
                    Some(group) => group.operations.push(shown),
                    None => {
                        let anchor = title.to_lowercase().replace(' ', "-");
                        groups.push(Group { title, anchor, operations: vec![shown] });
                    }
                }
            }
        }
        groups.sort_by(|one, other| one.title.cmp(&other.title));
        let objects = self.objects(&groups);
        Reference { base, groups, objects }
    }

    fn operation(&self, base: &str, verb: &str, path: &str, operation: &Value) -> Operation {
        let mut parameters = Vec::new();
        for parameter in items(operation, "parameters") {
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
            let place = match text(parameter, "in").as_str() {
                "path" => "In the path. ",
                "header" => "A header. ",
                _ => "",
            };
            let about = format!("{place}{}", text(parameter, "description"));
            self.property(&mut parameters, &text(parameter, "name"), required, schema, &about, 0);
        }
        let body = operation.get("requestBody").map_or(&Value::Null, schema_of);
        self.properties(&mut parameters, "", body, 0);
        // What must be there stands first.
        parameters.sort_by_key(|parameter| !parameter.required || parameter.name.contains('['));
        let responses = operation.get("responses").unwrap_or(&Value::Null);
        let errors =
            entries(operation, "responses").map(|(status, response)| (status.clone(), names(response, "x-kura-codes")));
        let mut description = text(operation, "description");
        if description.is_empty() {
            description = text(self.resolve(body), "description");
        }
        Operation {
            anchor: text(operation, "operationId"),
            method: verb.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "summary"),
            description: spans(&description),
            right: text(operation, "x-kura-right"),
            answer: self.answer(responses.get("200").map_or(&Value::Null, schema_of)),
            errors: errors.filter(|(_, codes)| !codes.is_empty()).collect(),
            curl: self.curl(base, verb, path, body),
            parameters,
        }
    }

    fn answer(&self, schema: &'a Value) -> Kind {
        let data = self.resolve(schema).pointer("/properties/data/items");
        match data {
            Some(item) => {
                let item = self.kind(item);
                Kind { words: format!("a page (object, url, has_more, data) of {}", item.words), ..item }
            }
            None => self.kind(schema),
        }
    }

    /// Follows a reference.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let path = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        path.and_then(|path| self.document.pointer(path)).unwrap_or(schema)
    }

    /// The schema without what makes it optional.
    fn inner(&self, schema: &'a Value) -> &'a Value {
        let mut real = items(schema, "anyOf").filter(|one| text(one, "type") != "null");
        match (real.next(), real.next()) {
            (Some(only), None) => only,
            _ => schema,
        }
    }

    fn properties(&self, into: &mut Vec<Property>, within: &str, schema: &'a Value, depth: usize) {
        let whole = self.resolve(self.inner(schema));
        let required = names(whole, "required");
        for (name, property) in entries(whole, "properties") {
            let full = if within.is_empty() { name.clone() } else { format!("{within}[{name}]") };
            self.property(into, &full, required.contains(name), property, &text(property, "description"), depth);
        }
    }

    fn property(
        &self,
        into: &mut Vec<Property>,
        name: &str,
        required: bool,
        schema: &'a Value,
        about: &str,
        depth: usize,
    ) {
        let about =
            if about.is_empty() { text(self.resolve(self.inner(schema)), "description") } else { about.to_owned() };
        into.push(Property { name: name.to_owned(), required, kind: self.kind(schema), about: spans(&about) });
        if depth < MAX_DEPTH {
            let inner = self.resolve(self.inner(schema));
            let (item, place) = match inner.get("items") {
                Some(items) => (self.resolve(self.inner(items)), "[0]"),
                None => (inner, ""),
            };
            self.properties(into, &format!("{name}{place}"), item, depth + 1);
            for choice in items(item, "oneOf").chain(items(item, "anyOf")) {
                self.properties(into, &format!("{name}{place}"), choice, depth + 1);
            }
        }
    }

    fn kind(&self, schema: &'a Value) -> Kind {
        let schema = self.inner(schema);
        let object = text(schema, "$ref").rsplit('/').next().unwrap_or_default().to_owned();
        let schema = self.resolve(schema);
        let words = self.words(schema);
        let is_object = schema.get("properties").is_some() || words == "object";
        if is_object && !object.is_empty() {
            return Kind { words: object.clone(), object };
        }
        match schema.get("items") {
            Some(items) => {
                let item = self.kind(items);
                let most = schema.get("maxItems").map(|most| format!(", {most} at the most")).unwrap_or_default();
                Kind { words: format!("list of {}{most}", item.words), ..item }
            }
            None => Kind { words, object: String::new() },
        }
    }

    fn words(&self, schema: &'a Value) -> String {
        let choices: Vec<String> = items(schema, "oneOf")
            .chain(items(schema, "anyOf"))
            .map(|one| self.resolve(one))
            .filter(|one| text(one, "type") != "null")
            .map(|one| match one.get("const").and_then(Value::as_str) {
                Some(word) => word.to_owned(),
                None => self.words(one),
            })
            .collect();
        if !choices.is_empty() {
            return choices.join(" | ");
        }
        let words = names(schema, "enum");
        if !words.is_empty() {
            return words.join(" | ");
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return word.to_owned();
        }
        let own = schema.get("type").map_or_else(String::new, |own| match own {
            Value::Array(all) => {
                all.iter().filter_map(Value::as_str).find(|own| *own != "null").unwrap_or("null").to_owned()
            }
            own => own.as_str().unwrap_or_default().to_owned(),
        });
        let range = |least: &str, most: &str, unit: &str| {
            let (least, most) = (schema.get(least), schema.get(most));
            match (least, most) {
                (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
                (None, Some(most)) => format!(", up to {most}{unit}"),
                (Some(least), None) => format!(", from {least}{unit}"),
                (None, None) => String::new(),
            }
        };
        match own.as_str() {
            "string" if schema.get("maxLength").and_then(Value::as_u64) == Some(0) => "empty".to_owned(),
            "string" => format!("string{}", range("minLength", "maxLength", " characters")),
            "integer" => format!("integer{}", range("minimum", "maximum", "")),
            "" => "any".to_owned(),
            other => other.to_owned(),
        }
    }

    /// Every object that an answer leads to.
    fn objects(&self, groups: &[Group]) -> Vec<Object> {
        let answers =
            groups.iter().flat_map(|group| &group.operations).map(|operation| operation.answer.object.clone());
        let mut wanted: Vec<String> = answers.filter(|name| !name.is_empty()).collect();
        let mut done: Vec<Object> = Vec::new();
        while let Some(name) = wanted.pop() {
            if done.iter().any(|object| object.name == name) {
                continue;
            }
            let Some(schema) = self.document.pointer(&format!("/components/schemas/{name}")) else { continue };
            let mut properties = Vec::new();
            self.of_answer(&mut properties, schema);
            wanted
                .extend(properties.iter().map(|property| property.kind.object.clone()).filter(|name| !name.is_empty()));
            done.push(Object { about: spans(&text(schema, "description")), name, properties });
        }
        done.sort_by(|one, other| one.name.cmp(&other.name));
        done
    }

    /// One level of an answer: what is within has its own place.
    fn of_answer(&self, into: &mut Vec<Property>, schema: &'a Value) {
        let choices = items(schema, "oneOf").chain(items(schema, "anyOf")).map(|one| self.resolve(one));
        for whole in std::iter::once(schema).chain(choices) {
            for (name, property) in entries(whole, "properties") {
                let about = text(property, "description");
                // What is always null is there for clients of other servers.
                if text(property, "type") != "null" && !into.iter().any(|known| known.name == *name) {
                    into.push(Property {
                        name: name.clone(),
                        required: false,
                        kind: self.kind(property),
                        about: spans(&about),
                    });
                }
            }
        }
    }

    fn curl(&self, base: &str, verb: &str, path: &str, body: &'a Value) -> String {
        let path = path.replace("{id}", &example_id(path)).replace("{payment_method}", "pm_YOUR_ID");
        let mut curl = format!("curl {base}{path} \\\n  -u sk_test_YOUR_KEY:");
        if verb == "delete" {
            curl.push_str(" \\\n  -X DELETE");
        }
        if verb == "post" {
            let mut sent = Vec::new();
            self.sample(&mut sent, "", body, 0);
            if sent.is_empty() {
                curl.push_str(" \\\n  -X POST");
            }
            for one in sent {
                curl.push_str(" \\\n  -d ");
                curl.push_str(&one);
            }
        }
        curl
    }

    fn sample(&self, into: &mut Vec<String>, within: &str, schema: &'a Value, depth: usize) {
        let whole = self.resolve(self.inner(schema));
        for name in names(whole, "required") {
            let property = whole.pointer(&format!("/properties/{name}")).unwrap_or(&Value::Null);
            let full = if within.is_empty() { name.clone() } else { format!("{within}[{name}]") };
            let inner = self.resolve(self.inner(property));
            if let Some(items) = inner.get("items") {
                let item = self.resolve(self.inner(items));
                if item.get("properties").is_some() && depth < MAX_DEPTH {
                    self.sample(into, &format!("{full}[0]"), item, depth + 1);
                } else {
                    into.push(format!("'{full}[]={}'", self.value(&name, item)));
                }
            } else if inner.get("properties").is_some() && depth < MAX_DEPTH {
                self.sample(into, &full, inner, depth + 1);
            } else if full.contains('[') {
                into.push(format!("'{full}={}'", self.value(&name, inner)));
            } else {
                into.push(format!("{full}={}", self.value(&name, inner)));
            }
        }
    }

    fn value(&self, name: &str, schema: &'a Value) -> String {
        let words = self.words(schema);
        let known = match name {
            "amount" | "unit_amount" => "1000",
            "currency" => "jpy",
            "customer" => "cus_YOUR_ID",
            "product" => "prod_YOUR_ID",
            "price" => "price_YOUR_ID",
            "name" => "Coffee",
            "url" | "success_url" => "https://shop.example/kura",
            "enabled_events" => "payment_intent.succeeded",
            "frozen_time" => "1800000000",
            _ => words.split(" | ").next().filter(|_| words.contains(" | ")).unwrap_or("VALUE"),
        };
        known.to_owned()
    }
}

/// `pi_YOUR_ID`, of the collection that the path names.
fn example_id(path: &str) -> String {
    let collection = path.split("/{id}").next().and_then(|head| head.rsplit('/').next()).unwrap_or_default();
    let prefix = match collection {
        "customers" => "cus",
        "charges" => "ch",
        "payment_intents" => "pi",
        "payment_methods" => "pm",
        "refunds" => "re",
        "setup_intents" => "seti",
        "events" => "evt",
        "webhook_endpoints" => "we",
        "products" => "prod",
        "prices" => "price",
        "subscriptions" => "sub",
        "subscription_items" => "si",
        "invoices" => "in",
        "invoiceitems" => "ii",
        "tokens" => "tok",
        "test_clocks" => "clock",
        "disputes" => "dp",
        "balance_transactions" => "txn",
        "request_logs" => "req",
        "sessions" => "cs",
        _ => "ID",
    };
    format!("{prefix}_YOUR_ID")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;
    use crate::endpoint::openapi;
    use crate::routes;

    /// Every endpoint has its place, with a summary, an example, its answer and its errors; every link leads somewhere.
    #[test]
    fn every_endpoint_has_its_place() {
        let (_, operations) = routes::api().into_parts();
        let document = openapi::document("http://localhost", &operations);
        let reference = Reader { document: &document }.reference();
        let shown: Vec<&Operation> = reference.groups.iter().flat_map(|group| &group.operations).collect();
        assert_eq!(shown.len(), operations.len());
        for one in &shown {
            assert!(!one.summary.is_empty() && one.curl.starts_with("curl http://localhost/v1/"), "{}", one.anchor);
            assert!(!one.answer.words.is_empty() && one.errors.len() > 4, "{}", one.anchor);
            assert!(!one.curl.contains('{'), "{}", one.curl);
            for (_, codes) in &one.errors {
                assert!(codes.iter().all(|code| Code::of_word(code).is_some()), "{}", one.anchor);
            }
        }
        let html = reference.render().unwrap();
        let ids: std::collections::HashSet<&str> =
            html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(ids.contains(link), "{link}");
        }
        assert!(!html.contains("<script") && !html.contains(" style="));
    }

    /// Whatever is taken and whatever is given is described by itself: no reference leads to nowhere, or out of the document.
    #[test]
    fn references_lead_somewhere() {
        let (_, operations) = routes::api().into_parts();
        let document = openapi::document("http://localhost", &operations);
        let written = document.to_string();
        for path in written.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(path.starts_with("/components/schemas/") && document.pointer(path).is_some(), "{path}");
        }
    }
}

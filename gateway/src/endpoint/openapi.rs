//! The OpenAPI 3.1 document, from the endpoints' own declarations.

use std::collections::{BTreeMap, HashMap};

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Operation;
use super::list::Sent as ListSent;
use super::rights::{KeyRule, Resource, right_word};
use crate::codes::{Code, ErrorType};

/// The document.
pub fn document(public_url: &str, operations: &[Operation]) -> Value {
    let settings = |path: &'static str| SchemaSettings::draft2020_12().with(|s| s.definitions_path = path.into());
    // What is sent and what is answered differ in what must be there, so each has its own generator.
    let mut taken = SchemaGenerator::new(settings(TAKEN).for_deserialize());
    let mut given = SchemaGenerator::new(settings(GIVEN).for_serialize());
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let described = describe(operation, &mut taken, &mut given);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(operation.method.to_ascii_lowercase(), described);
        }
    }
    let mut schemas = given.take_definitions(true);
    // One word may name what is taken and what is given: then the first is called a parameter.
    let taken = taken.take_definitions(true);
    let names: HashMap<String, String> = taken.keys().map(|name| (name.clone(), param_name(name, &schemas))).collect();
    let mut paths = Value::Object(paths);
    rename(&mut paths, &names);
    for (name, mut schema) in taken {
        rename(&mut schema, &names);
        schemas.insert(param_name(&name, &schemas), schema);
    }
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kura",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The merchant API of Kura. It keeps to the conventions of Stripe's API v1, so that Stripe's SDKs work \
                            with another base address; there is no affiliation with Stripe. Card data never enters it: the card \
                            fields of kura.js seal it in the shopper's browser, and the API takes the token.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "security": [{ "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "Your API key." },
                "basic": { "type": "http", "scheme": "basic", "description": "Your API key as the user name, no password." },
            },
        },
    })
}

const TAKEN: &str = "/components/taken";
const GIVEN: &str = "/components/schemas";

fn param_name(name: &str, given: &Map<String, Value>) -> String {
    if given.contains_key(name) { format!("{name}Param") } else { name.to_owned() }
}

/// Lets every reference to what is taken lead to where it stands in the end.
fn rename(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| match field {
            Value::String(path) if name == "$ref" => {
                let taken = path.strip_prefix('#').and_then(|path| path.strip_prefix(TAKEN)?.strip_prefix('/'));
                if let Some(name) = taken.and_then(|name| names.get(name)) {
                    *path = format!("#{GIVEN}/{name}");
                }
            }
            field => rename(field, names),
        }),
        _ => {}
    }
}

fn describe(operation: &Operation, taken: &mut SchemaGenerator, given: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(operation.path);
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.right.resource.title()],
        // What a restricted key needs.
        "x-kura-right": right_word(operation.right.resource, operation.right.access),
        "responses": responses(operation, (operation.answer)(given)),
    });
    let schema = inlined(taken, operation.parameters);
    if operation.method == "GET" || operation.method == "DELETE" {
        parameters.extend(query_parameters(&schema, taken));
        if operation.listed {
            let paging = inlined(taken, |generator| generator.subschema_for::<ListSent>());
            parameters.extend(query_parameters(&paging, taken));
        }
    }
    if (operation.method == "GET" || operation.method == "DELETE") && operation.content_type == "application/json" {
        parameters.push(json!({
            "name": "expand[]", "in": "query", "required": false, "description": EXPAND,
            "schema": { "type": "array", "items": { "type": "string" }, "maxItems": 20 },
            "style": "form", "explode": true,
        }));
    }
    if operation.method == "POST" {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same request with the same key is done once, for 24 hours.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    if let Value::Object(fields) = &mut described {
        if operation.method == "POST" {
            let schema = json!({ "schema": with_expand(schema) });
            let body =
                json!({ "content": { "application/x-www-form-urlencoded": schema, "application/json": schema } });
            fields.insert("requestBody".into(), body);
        }
        fields.insert("parameters".into(), parameters.into());
        if operation.right.key == KeyRule::Publishable {
            fields.insert(
                "description".into(),
                "With a publishable key, from a page of an origin that the key allows.".into(),
            );
        }
    }
    described
}

/// `post_v1_customers_id`: stable, and unique by construction.
fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches('/').replace(['{', '}'], "").replace('/', "_");
    format!("{}_{path}", operation.method.to_ascii_lowercase())
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_]+$" },
            })
        })
        .collect()
}

const EXPAND: &str =
    "Ids in the answer that are to be shown as whole objects, as paths: `customer`, `data.latest_charge`.";

/// A parameter type's own schema, not a reference to it.
fn inlined(generator: &mut SchemaGenerator, schema_of: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let schema = schema_of(generator).to_value();
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    named.and_then(|name| generator.definitions().get(name)).cloned().unwrap_or(schema)
}

/// The framework takes `expand` from every body before the endpoint's own type is read.
fn with_expand(mut schema: Value) -> Value {
    if let Value::Object(fields) = &mut schema
        && let Value::Object(properties) = fields.entry("properties").or_insert_with(|| json!({}))
    {
        let expand = json!({ "type": "array", "items": { "type": "string" }, "maxItems": 20, "description": EXPAND });
        properties.insert("expand".into(), expand);
    }
    schema
}

/// Each property of a parameter type is a parameter of the query.
fn query_parameters(whole: &Value, generator: &SchemaGenerator) -> Vec<Value> {
    let Some(Value::Object(properties)) = whole.get("properties") else { return Vec::new() };
    let required: Vec<&str> =
        whole.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let parameter = |(name, schema): (&String, &Value)| {
        json!({
            "name": if is_a(schema, "array", generator) { format!("{name}[]") } else { name.clone() }, "in": "query", "required": required.contains(&name.as_str()),
            "description": schema.get("description"), "schema": schema,
            "style": if is_a(schema, "object", generator) { "deepObject" } else { "form" }, "explode": true,
        })
    };
    properties.iter().map(parameter).collect()
}

/// Whether such a value can be of this type, wherever the schema says so.
fn is_a(schema: &Value, kind: &str, generator: &SchemaGenerator) -> bool {
    let own = match schema.get("type") {
        Some(Value::String(own)) => own == kind,
        Some(Value::Array(all)) => all.iter().any(|own| own == kind),
        _ => false,
    };
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let named = named.and_then(|name| generator.definitions().get(name));
    let any = schema.get("anyOf").and_then(Value::as_array);
    own || named.is_some_and(|named| is_a(named, kind, generator))
        || any.is_some_and(|any| any.iter().any(|one| is_a(one, kind, generator)))
}

/// One for each status that the endpoint can answer with, with the codes that stand behind it.
fn responses(operation: &Operation, answer: Schema) -> Value {
    let mut responses = Map::new();
    let content = json!({ operation.content_type: { "schema": answer } });
    responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content }));
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| concerns(**code, operation)) {
        by_status.entry(code.status().as_u16()).or_default().push(code.as_str());
    }
    for (status, codes) in by_status {
        let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        let description = format!("An error: {}.", codes.join(", "));
        responses.insert(
            status.to_string(),
            json!({ "description": description, "content": content, "x-kura-codes": codes }),
        );
    }
    Value::Object(responses)
}

/// Whether an endpoint can answer with this code.
fn concerns(code: Code, operation: &Operation) -> bool {
    let (posts, resource) = (operation.method == "POST", operation.right.resource);
    let pays = matches!(
        resource,
        Resource::PaymentIntents | Resource::SetupIntents | Resource::Subscriptions | Resource::Invoices
    );
    match code {
        Code::UrlUnknown | Code::MethodNotAllowed | Code::NoticeUnverified => false,
        Code::SecretKeyRequired => operation.right.key != KeyRule::Publishable,
        Code::PublishableKeyRequired | Code::OriginNotAllowed => operation.right.key == KeyRule::Publishable,
        Code::SealingKeyExpired | Code::SealedBoxInvalid | Code::SealedBoxExpired => {
            operation.right.key == KeyRule::Publishable
        }
        Code::AmountTooSmall | Code::AmountTooLarge => posts && (pays || resource == Resource::Refunds),
        // DELETE may have a body, which is read as POST's is.
        Code::ContentTypeUnsupported | Code::BodyTooLarge | Code::BodyTimeout | Code::BodyMalformed => true,
        Code::ChargeNotRefundable | Code::ChargeAlreadyRefunded => posts && resource == Resource::Refunds,
        Code::WebhookEndpointsTooMany => posts && resource == Resource::WebhookEndpoints,
        Code::TestClockAdvancing => operation.method != "GET",
        Code::CheckoutSessionUnexpectedState => posts && resource == Resource::CheckoutSessions,
        Code::InvoiceUnexpectedState => posts && resource == Resource::Invoices,
        Code::SubscriptionUnexpectedState => operation.method != "GET" && resource == Resource::Subscriptions,
        Code::SetupPaymentMethodMissing | Code::SetupIntentUnexpectedState => {
            posts && resource == Resource::SetupIntents
        }
        Code::PaymentMethodMissing
        | Code::PaymentIntentUnexpectedState
        | Code::AttemptExpired
        | Code::IncompatibleMethod => posts && resource == Resource::PaymentIntents,
        Code::CustomerMismatch
        | Code::PaymentMethodAlreadyAttached
        | Code::PaymentMethodNotReusable
        | Code::TokenAlreadyUsed
        | Code::VaultUnavailable => posts && resource != Resource::WebhookEndpoints,
        Code::MetadataTooLarge
        | Code::IdempotencyKeyReused
        | Code::IdempotencyKeyInUse
        | Code::IdempotencyKeyInvalid => posts,
        code if code.error_type() == ErrorType::Card => {
            posts && (pays || matches!(resource, Resource::Tokens | Resource::PaymentMethods | Resource::Refunds))
        }
        _ => true,
    }
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["type", "code", "message", "doc_url"],
                "properties": {
                    "type": { "enum": ["api_error", "card_error", "idempotency_error", "invalid_request_error", "rate_limit_error"] },
                    "code": { "type": "string" },
                    "decline_code": { "type": "string" },
                    "message": { "type": "string" },
                    "param": { "type": "string" },
                    "doc_url": { "type": "string" },
                    "request_log_url": { "type": "string" },
                },
            },
        },
    })
}

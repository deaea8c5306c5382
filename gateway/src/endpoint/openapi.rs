//! The OpenAPI 3.1 document, from the endpoints' own declarations.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Operation;
use super::list::Sent as ListSent;
use super::rights::{KeyRule, right_word};

/// The document.
pub fn document(public_url: &str, operations: &[Operation]) -> Value {
    let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    // What is sent and what is answered differ in what must be there, so each has its own generator.
    let mut taken = SchemaGenerator::new(settings().for_deserialize());
    let mut given = SchemaGenerator::new(settings().for_serialize());
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let described = describe(operation, &mut taken, &mut given);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(operation.method.to_ascii_lowercase(), described);
        }
    }
    let mut schemas = given.take_definitions(true);
    schemas.extend(taken.take_definitions(true));
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

fn describe(operation: &Operation, taken: &mut SchemaGenerator, given: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(operation.path);
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.right.resource.title()],
        // What a restricted key needs.
        "x-kura-right": right_word(operation.right.resource, operation.right.access),
        "responses": {
            "200": {
                "description": "Done.",
                "content": { operation.content_type: { "schema": (operation.answer)(given) } },
            },
            "default": {
                "description": "An error, with what to do about it.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    });
    let schema = inlined(taken, operation.parameters);
    if operation.method == "GET" || operation.method == "DELETE" {
        parameters.extend(query_parameters(&schema));
        if operation.listed {
            parameters.extend(query_parameters(&inlined(taken, |generator| generator.subschema_for::<ListSent>())));
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
fn query_parameters(whole: &Value) -> Vec<Value> {
    let Some(Value::Object(properties)) = whole.get("properties") else { return Vec::new() };
    let required: Vec<&str> =
        whole.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let parameter = |(name, schema): (&String, &Value)| {
        json!({
            "name": name, "in": "query", "required": required.contains(&name.as_str()),
            "description": schema.get("description"), "schema": schema,
            "style": if is_object(schema) { "deepObject" } else { "form" }, "explode": true,
        })
    };
    properties.iter().map(parameter).collect()
}

fn is_object(schema: &Value) -> bool {
    schema.get("$ref").is_some() || schema.get("anyOf").is_some_and(|any| any.to_string().contains("$ref"))
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

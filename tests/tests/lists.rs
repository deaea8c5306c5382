//! Lists are as quick among a million rows as among a thousand, on every page of them: shown by the plans that the database
//! really used for the gateway's statements, not by a clock.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::time::Duration;

use kura_tests::{Options, Stack};
use kura_wire::ids::{ChargeId, EventId, PaymentIntentId, RefundId, SubscriptionId, TestClockId};
use serde_json::Value;
use uuid::Uuid;

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
/// How often a list is asked for: after five times PostgreSQL may take to one plan for all.
const TIMES: usize = 7;
/// Pages of 8 KiB that one more level of a few indexes can add, and cold hint bits.
const MORE_PAGES: i64 = 12;

/// Rows of a page, at the most.
const SHOWN: usize = 11;
/// What a plan may be made of: walks along indexes, and what joins them row by row.
const STEPS: [&str; 6] = ["Index Scan", "Index Only Scan", "Limit", "Result", "Nested Loop", "Aggregate"];

/// A plan that the database used: which statement, how many pages it touched, and how.
#[derive(Debug)]
struct Plan {
    statement: String,
    pages: i64,
    nodes: Vec<String>,
}

/// Has the database write each plan of the gateway's into its log.
fn explain_everything(stack: &Stack) {
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_buffers = on",
        "auto_explain.log_format = 'json'",
    ] {
        stack.sql("gateway", &format!("ALTER ROLE gateway_app SET {setting}"));
    }
    stack.sql("gateway", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway_app'");
}

/// The plans in the log behind this place, of statements that read a list.
fn plans(log: &str) -> Vec<Plan> {
    all_plans(log).into_iter().filter(|plan| plan.statement.contains("::list")).collect()
}

/// The plans in the log behind this place.
fn all_plans(log: &str) -> Vec<Plan> {
    log.split("plan:\n")
        .skip(1)
        .filter_map(|text| {
            let text = text.replace("\n\t", "\n");
            let plan = serde_json::Deserializer::from_str(text.trim_start()).into_iter::<Value>().next()?.ok()?;
            let statement = plan["Query Text"].as_str()?;
            let head = statement.split("*/").next()?.trim_start_matches("/* ").trim().to_owned();
            let top = &plan["Plan"];
            let mut nodes = Vec::new();
            collect(top, &mut nodes);
            let pages = top["Shared Hit Blocks"].as_i64()? + top["Shared Read Blocks"].as_i64()?;
            Some(Plan { statement: head, pages, nodes })
        })
        .collect()
}

/// The kinds of all steps that a plan took, with what was read and thrown away.
fn collect(node: &Value, into: &mut Vec<String>) {
    if node["Actual Loops"] == 0 {
        return;
    }
    let removed = node["Rows Removed by Filter"].as_i64().unwrap_or(0);
    into.push(format!("{} -{removed}", node["Node Type"].as_str().unwrap_or_default()));
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, into);
    }
}

/// Fills the tables up to so many payments of the sample merchant, each with a charge, an event and every tenth with a refund. One
/// customer has every fiftieth of them.
fn fill(stack: &Stack, from: u32, to: u32) {
    let merchant = stack.sql("gateway", "SELECT merchant_id FROM customers LIMIT 1");
    let customer = stack.sql("gateway", "SELECT id FROM customers LIMIT 1");
    let card = stack.sql("gateway", "SELECT record FROM cards LIMIT 1");
    let made = "now() - interval '20 days' + n * interval '1 second'";
    let series = format!("generate_series({from}, {to} - 1) AS n");
    let id = |kind: &str| format!("md5('{kind}' || n)::uuid");
    stack.sql(
        "gateway",
        &format!(
            "SET session_replication_role = replica; SET synchronous_commit = off;
             INSERT INTO payment_intents (merchant_id, id, livemode, amount_minor, currency, status, capture_method,
                 customer_id, metadata, automatic_payment_methods, latest_charge_id, amount_received_minor, created_at)
             SELECT '{merchant}', {}, false, 1000, 'jpy', 'succeeded', 'automatic',
                 CASE WHEN n % 50 = 0 THEN '{customer}'::uuid END, '{{}}', true, {}, 1000, {made} FROM {series};
             INSERT INTO charges (merchant_id, id, livemode, payment_intent_id, attempt_id, status, amount_minor, currency,
                 amount_captured_minor, captured, card_record, metadata, created_at)
             SELECT '{merchant}', {}, false, {}, {}, 'succeeded', 1000, 'jpy', 1000, true, '{card}', '{{}}', {made} FROM {series};
             INSERT INTO refunds (merchant_id, id, livemode, payment_intent_id, charge_id, status, amount_minor, currency,
                 metadata, network_reference, created_at)
             SELECT '{merchant}', {}, false, {}, {}, 'succeeded', 100, 'jpy', '{{}}', 'X', {made} FROM {series} WHERE n % 10 = 0;
             INSERT INTO events (merchant_id, id, livemode, type, object, created_at)
             SELECT '{merchant}', {}, false, CASE WHEN n % 50 = 0 THEN 'charge.failed' ELSE 'charge.succeeded' END, '{{}}',
                 {made} FROM {series};
             ANALYZE payment_intents; ANALYZE charges; ANALYZE refunds; ANALYZE events;",
            id("pi"),
            id("ch"),
            id("ch"),
            id("pi"),
            id("at"),
            id("re"),
            id("pi"),
            id("ch"),
            id("evt"),
        ),
    );
}

/// The n-th row's id as the API has it.
fn named(stack: &Stack, kind: &str, n: u32) -> String {
    let id = stack.sql("gateway", &format!("SELECT md5('{kind}' || {n})::uuid"));
    let bytes = id.parse::<Uuid>().unwrap().into_bytes();
    match kind {
        "pi" => PaymentIntentId::from_bytes(bytes).to_string(),
        "ch" => ChargeId::from_bytes(bytes).to_string(),
        "re" => RefundId::from_bytes(bytes).to_string(),
        _ => EventId::from_bytes(bytes).to_string(),
    }
}

/// Every list, on its first page, in its middle both ways, from a moment on, and narrowed.
fn lists(stack: &Stack, rows: u32, customer: &str) -> Vec<String> {
    let middle = rows / 20 * 10;
    let mut paths = Vec::new();
    for (kind, path) in [("pi", "payment_intents"), ("ch", "charges"), ("re", "refunds"), ("evt", "events")] {
        let cursor = named(stack, kind, middle);
        paths.push(format!("/v1/{path}?limit=10"));
        paths.push(format!("/v1/{path}?limit=10&starting_after={cursor}"));
        paths.push(format!("/v1/{path}?limit=10&ending_before={cursor}"));
        let then = stack.sql(
            "gateway",
            &format!(
                "SELECT extract(epoch FROM created_at)::bigint FROM payment_intents WHERE id = md5('pi{middle}')::uuid"
            ),
        );
        paths.push(format!("/v1/{path}?limit=10&created%5Blt%5D={then}"));
    }
    paths.push(format!("/v1/payment_intents?limit=10&customer={customer}"));
    paths.push(format!("/v1/charges?payment_intent={}", named(stack, "pi", middle)));
    paths.push(format!("/v1/refunds?payment_intent={}", named(stack, "pi", middle)));
    paths.push(format!("/v1/refunds?charge={}", named(stack, "ch", middle)));
    paths.push("/v1/events?limit=10&type=charge.failed".into());
    paths
}

/// The plan of each list, by its path.
fn measure(stack: &Stack, paths: &[String]) -> Vec<(String, Plan)> {
    let sk = &stack.run().keys.sk_test;
    let ask = |path: &String| {
        let before = stack.log("postgres-main").len();
        for _ in 0..TIMES {
            let answer = stack.read(path, sk);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert!(!answer.json()["data"].as_array().unwrap().is_empty(), "{path}");
        }
        // The log's writer is a process of its own.
        for _ in 0..100 {
            let log = stack.log("postgres-main");
            let found = plans(&log[before..]);
            if found.len() >= TIMES {
                return (path.clone(), found.into_iter().last().unwrap());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no plans of {path} in the log");
    };
    paths.iter().map(ask).collect()
}

#[test]
fn lists_touch_as_much_among_a_million_rows_as_among_a_thousand() {
    let stack = &Stack::start(Options::default().unlimited());
    let sk = &stack.run().keys.sk_test;
    let customer = stack.post("/v1/customers", sk, &[]).json()["id"].as_str().unwrap().to_owned();
    let form = [("amount", "100"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    assert_eq!(stack.post("/v1/payment_intents", sk, &form).status, 200);
    explain_everything(stack);
    fill(stack, 0, FEW);
    let few = measure(stack, &lists(stack, FEW, &customer));
    fill(stack, FEW, MANY);
    let many = measure(stack, &lists(stack, MANY, &customer));
    compare(&few, &many);
}

/// The plans of many rows touch no more than those of few, and read nothing in vain.
fn compare(few: &[(String, Plan)], many: &[(String, Plan)]) {
    for ((few_path, few), (path, many)) in few.iter().zip(many) {
        println!(
            "{:<32} {:>5} pages of few rows, {:>5} of many  {:?}",
            many.statement, few.pages, many.pages, many.nodes
        );
        assert_eq!(few_path.split(['?', '=']).next(), path.split(['?', '=']).next());
        assert!(many.pages <= few.pages + MORE_PAGES, "{path}: {few:?} {many:?}");
        for node in &many.nodes {
            let (kind, removed) = node.split_once(" -").unwrap();
            assert!(STEPS.contains(&kind), "{path}: walks along indexes alone: {many:?}");
            // Beside each row that is shown, one may be looked at that says nothing of it.
            assert!(removed.parse::<usize>().unwrap() <= SHOWN, "{path}: nothing is read in vain: {many:?}");
        }
    }
}

/// So many rows of each table that is narrowed, of which the oldest are the rare ones.
const NARROWED: u32 = 100_000;
/// How many those are.
const RARE: u32 = 20;

/// Fills what can be narrowed. The oldest few are one customer's, one subscription's and one clock's, wait, and were refused.
fn fill_narrowed(stack: &Stack, from: u32, to: u32) {
    let merchant = stack.sql("gateway", "SELECT merchant_id FROM customers LIMIT 1");
    let customer = stack.sql("gateway", "SELECT id FROM customers ORDER BY created_at LIMIT 1");
    let made = "now() - interval '20 days' + n * interval '1 second'";
    let series = format!("generate_series({from}, {to} - 1) AS n");
    let rare = |rare: &str, usual: &str| format!("CASE WHEN n < {RARE} THEN {rare} ELSE {usual} END");
    let whose = rare(&format!("'{customer}'::uuid"), "md5('cus' || n)::uuid");
    let of_subscription = rare("md5('sub0')::uuid", "NULL");
    stack.sql(
        "gateway",
        &format!(
            "SET session_replication_role = replica; SET synchronous_commit = off;
             INSERT INTO subscriptions (merchant_id, id, livemode, customer_id, test_clock_id, status, currency, anchor_at,
                 period_start_at, period_end_at, trial_without_card, metadata, created_at)
             SELECT '{merchant}', md5('sub' || n)::uuid, false, {whose}, {clock}, {state}, 'jpy', {made}, {made},
                 {made} + interval '1 day', 'create_invoice', '{{}}', {made} FROM {series};
             INSERT INTO invoices (merchant_id, id, livemode, customer_id, subscription_id, status, billing_reason, currency,
                 total_minor, amount_due_minor, auto_advance, period_start_at, period_end_at, metadata, subscription_metadata,
                 created_at, finalized_at)
             SELECT '{merchant}', md5('in' || n)::uuid, false, {whose}, {of_subscription}, {owed}, 'manual', 'jpy', 1, 1, false,
                 {made}, {made}, '{{}}', '{{}}', {made}, {made} FROM {series};
             INSERT INTO invoice_lines (merchant_id, id, livemode, customer_id, invoice_id, place, amount_minor, quantity,
                 currency, proration, waited, period_start_at, period_end_at, metadata, created_at)
             SELECT '{merchant}', md5('il' || n)::uuid, false, {whose}, {on_invoice}, 0, 1, 1, 'jpy', false, true, {made},
                 {made}, '{{}}', {made} FROM {series};
             INSERT INTO checkout_sessions (merchant_id, id, livemode, mode, status, customer_id, currency, amount_minor, items,
                 success_url, locale, metadata, data, payment_intent_id, subscription_id, created_at, expires_at)
             SELECT '{merchant}', md5('cs' || n)::uuid, false, 'payment', {open}, {whose}, 'jpy', 1, '[]', 'https://shop.example/',
                 'auto', '{{}}', '{{}}', md5('pi' || n)::uuid, {of_subscription}, {made}, now() + interval '1 day' FROM {series};
             INSERT INTO request_logs (merchant_id, id, livemode, method, path, status, code, duration_ms, key_hint, created_at)
             SELECT '{merchant}', md5('req' || n)::uuid, false, {verb}, '/v1/customers/*', {status}, {code}, 1, 'sk_test_', {made}
                 FROM {series};
             ANALYZE subscriptions; ANALYZE invoices; ANALYZE invoice_lines; ANALYZE checkout_sessions; ANALYZE request_logs;",
            clock = rare("md5('clock')::uuid", "NULL"),
            state = rare("'past_due'", "'canceled'"),
            owed = rare("'open'", "'void'"),
            on_invoice = rare("NULL", "md5('in' || n)::uuid"),
            open = rare("'open'", "'expired'"),
            verb = rare("'DELETE'", "'GET'"),
            status = rare("404", "200"),
            code = rare("'resource_missing'", "NULL"),
        ),
    );
}

/// Lists by what few rows have go along those alone, though they are the oldest of all.
#[test]
fn narrowed_lists_walk_no_further() {
    let stack = &Stack::start(Options::default().unlimited());
    let sk = &stack.run().keys.sk_test;
    let customer = stack.post("/v1/customers", sk, &[]).json()["id"].as_str().unwrap().to_owned();
    explain_everything(stack);
    fill_narrowed(stack, 0, FEW);
    let hashed = |text: &str| stack.sql("gateway", &format!("SELECT md5('{text}')::uuid")).parse::<Uuid>().unwrap();
    let subscription = SubscriptionId::from_bytes(hashed("sub0").into_bytes());
    let clock = TestClockId::from_bytes(hashed("clock").into_bytes());
    let paths = [
        "subscriptions?limit=10".to_owned(),
        "subscriptions?status=past_due".to_owned(),
        "subscriptions?status=ended".to_owned(),
        "subscriptions?status=all".to_owned(),
        format!("subscriptions?customer={customer}"),
        format!("subscriptions?test_clock={clock}"),
        "invoices?limit=10".to_owned(),
        "invoices?status=open".to_owned(),
        format!("invoices?customer={customer}"),
        format!("invoices?subscription={subscription}"),
        "invoiceitems?limit=10".to_owned(),
        "invoiceitems?pending=true".to_owned(),
        format!("invoiceitems?customer={customer}"),
        "checkout/sessions?limit=10".to_owned(),
        "checkout/sessions?status=open".to_owned(),
        format!("checkout/sessions?customer={customer}"),
        format!("checkout/sessions?payment_intent={}", named(stack, "pi", 3)),
        format!("checkout/sessions?subscription={subscription}"),
        "request_logs?limit=10".to_owned(),
        "request_logs?code=resource_missing".to_owned(),
        "request_logs?status=404".to_owned(),
        "request_logs?method=DELETE".to_owned(),
    ]
    .map(|path| format!("/v1/{path}"));
    let few = measure(stack, &paths);
    fill_narrowed(stack, FEW, NARROWED);
    compare(&few, &measure(stack, &paths));
}

/// What a page names of one kind is looked up together, at every level of the paths that were asked for.
#[test]
fn expansions_look_up_all_of_a_kind_at_once() {
    let stack = &Stack::start(Options::default().unlimited());
    let sk = &stack.run().keys.sk_test;
    for _ in 0..6 {
        let customer = stack.post("/v1/customers", sk, &[]).json()["id"].as_str().unwrap().to_owned();
        let attached = stack.post("/v1/payment_methods/pm_card_visa/attach", sk, &[("customer", &*customer)]).json();
        let form = [
            ("amount", "100"),
            ("currency", "jpy"),
            ("customer", &*customer),
            ("payment_method", attached["id"].as_str().unwrap()),
            ("confirm", "true"),
        ];
        assert_eq!(stack.post("/v1/payment_intents", sk, &form).status, 200);
    }
    explain_everything(stack);
    let before = stack.log("postgres-main").len();
    let paths = ["data.customer", "data.latest_charge.balance_transaction", "data.payment_method.customer"];
    let path = paths.map(|path| format!("expand%5B%5D={path}")).join("&");
    let answer = stack.read(&format!("/v1/payment_intents?limit=6&{path}"), sk);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let shown = answer["data"].as_array().unwrap();
    assert_eq!(shown.len(), 6);
    for one in shown {
        assert_eq!(one["customer"]["object"], "customer");
        assert_eq!(one["latest_charge"]["balance_transaction"]["object"], "balance_transaction");
        assert_eq!(one["payment_method"]["customer"]["id"], one["customer"]["id"]);
    }
    // The log's writer is a process of its own.
    std::thread::sleep(Duration::from_secs(2));
    let log = stack.log("postgres-main");
    let heads: Vec<String> = all_plans(&log[before..]).into_iter().map(|plan| plan.statement).collect();
    for table in ["customers", "charges", "balance"] {
        let of = |what: &str| heads.iter().filter(|head| **head == format!("gateway {table}::{what}")).count();
        assert_eq!((of("find_many"), of("find")), (1, 0), "{table}: {heads:?}");
    }
}

//! Row-level security: what the gateway's roles see and change in its database, asked as those roles themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::Stack;

/// Tables with rows of merchants, with a column that anybody may read.
const TABLES: [&str; 12] = [
    "idempotency_keys",
    "customers",
    "cards",
    "payment_intents",
    "attempts",
    "charges",
    "refunds",
    "transfers",
    "timeline",
    "webhook_endpoints",
    "webhook_deliveries",
    "request_logs",
];

fn random_key() -> String {
    data_encoding::HEXLOWER.encode(&kura_platform::random::bytes::<8>())
}

/// A payment with everything around it, so that every table has rows of one merchant; another merchant that has none.
fn with_rows(stack: &Stack) -> (String, String) {
    let sk = &stack.run().keys.sk_test;
    let hook = [("url", "https://shop.example/hooks"), ("enabled_events[]", "customer.created")];
    let hook = stack.try_post("/v1/webhook_endpoints", sk, "of-rows", &hook).expect("an answer");
    assert_eq!(hook.status, 200, "{}", hook.text);
    let customer = stack.post("/v1/customers", sk, &[("description", "of this test")]);
    assert_eq!(customer.status, 200, "{}", customer.text);
    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = stack.try_post("/v1/payment_intents", sk, &random_key(), &form).expect("an answer");
    assert_eq!(paid.status, 200, "{}", paid.text);
    let charge = paid.json()["latest_charge"].as_str().unwrap().to_owned();
    let refund = stack.post("/v1/refunds", sk, &[("charge", charge.as_str()), ("amount", "100")]);
    assert_eq!(refund.status, 200, "{}", refund.text);
    let owner = stack.sql("gateway", "SELECT merchant_id FROM transfers LIMIT 1");
    stack.command("gateway", &["add-merchant", "--name", "Another Shop"]);
    let other = stack.sql("gateway", "SELECT id FROM merchants WHERE name = 'Another Shop' LIMIT 1");
    (owner, other)
}

/// The role that works for merchants sees the rows of the merchant that it was set to, none of any other, and none at all
/// before it was set; it can neither change nor make rows of another.
#[test]
fn a_merchants_rows_are_its_own() {
    let stack = Stack::shared();
    let (owner, other) = with_rows(stack);
    let seen = |merchant: &str, table: &str| {
        let set = format!("SELECT set_config('kura.merchant', '{merchant}', false)");
        let counted = stack.sql_as_service("gateway", &format!("{set}; SELECT count(*) FROM {table}")).expect(table);
        counted.lines().last().unwrap().parse::<i64>().unwrap()
    };
    for table in TABLES {
        assert!(seen(&owner, table) > 0, "{table}: its own");
        assert_eq!(seen(&other, table), 0, "{table}: another's");
        assert_eq!(seen("", table), 0, "{table}: nobody's");
        assert_eq!(stack.sql_as_service("gateway", &format!("SELECT count(*) FROM {table}")).unwrap(), "0", "{table}");
    }
    assert_eq!((seen(&owner, "merchants"), seen(&other, "merchants"), seen("", "merchants")), (1, 1, 0));
    let set = format!("SELECT set_config('kura.merchant', '{other}', false)");
    let as_other = |statement: &str| stack.sql_as_service("gateway", &format!("{set}; {statement}"));
    let changed = as_other(
        "WITH changed AS (UPDATE payment_intents SET description = 'x' RETURNING 1) SELECT count(*) FROM changed",
    );
    assert_eq!(changed.unwrap().lines().last(), Some("0"));
    let made = as_other(&format!(
        "INSERT INTO customers (merchant_id, id, livemode, metadata, created_at)
         VALUES ('{owner}', gen_random_uuid(), false, '{{}}', now())"
    ));
    assert!(made.unwrap_err().contains("violates row-level security policy"));
}

/// A table that has rows of merchants has the policies, and a new one must.
#[test]
fn every_table_with_rows_of_merchants_keeps_them_apart() {
    let stack = Stack::shared();
    let open = "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant_id'
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT (c.relrowsecurity AND EXISTS (
             SELECT FROM pg_policies p WHERE p.tablename = c.relname AND p.policyname = 'of_one_merchant'
                AND p.roles = '{gateway_app}' AND p.qual LIKE '%merchant_id%current_merchant%' AND p.with_check = p.qual))";
    assert_eq!(stack.sql("gateway", open), "");
    let bypassing = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'gateway%' AND (rolbypassrls OR rolsuper)";
    assert_eq!(stack.sql("gateway", bypassing), "");
    let other_ways = "SELECT tablename, policyname FROM pg_policies WHERE 'gateway_app' = ANY (roles) AND policyname <> 'of_one_merchant'
         OR 'public' = ANY (roles)";
    assert_eq!(stack.sql("gateway", other_ways), "");
}

/// The role of the gateway's own work crosses merchants, so it can do next to nothing: no amounts are changed, no books
/// written, no customer is read.
#[test]
fn the_role_that_crosses_merchants_can_do_little() {
    let stack = Stack::shared();
    with_rows(stack);
    let work = |statement: &str| stack.sql_as("gateway", "gateway_work", statement);
    assert!(
        work("SELECT count(*) FROM payment_intents WHERE status = 'succeeded'").unwrap().parse::<i64>().unwrap() > 0
    );
    for statement in [
        "SELECT * FROM customers",
        "SELECT metadata FROM payment_intents",
        "SELECT fingerprint FROM cards",
        "SELECT body FROM idempotency_keys",
        "SELECT secret_sealed FROM webhook_endpoints",
        "UPDATE webhook_endpoints SET url = 'https://thief.example/'",
        "SELECT answer FROM webhook_deliveries",
        "SELECT path FROM request_logs",
        "UPDATE request_logs SET status = 200",
        "UPDATE payment_intents SET status = 'succeeded'",
        "UPDATE attempts SET state = 'approved'",
        "INSERT INTO transfers SELECT * FROM transfers",
        "DELETE FROM timeline",
        "UPDATE api_keys SET merchant_id = merchant_id",
        "CREATE TABLE mine (a int)",
    ] {
        let refused = work(statement).expect_err(statement);
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
}

//! What must hold afterwards: bounds, books, the networks' own books, and what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_tests::Stack;
use kura_tests::planes::Plane;
use kura_wire::ids::PaymentIntentId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::Told;

/// The networks' notices are late by ten seconds at the most, and wait for a gateway that is down.
const HEARD_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn check(stack: &Stack, told: &Told) {
    networks_are_heard(stack, told);
    bounds_hold(stack);
    books_balance(stack);
    assert_eq!(theirs(stack), ours(stack), "the acquirer's books are ours");
    settlements_are_ours(stack);
    events_are_told_once(stack);
    for (payment, word) in &told.last_words {
        let now = stack.read(&format!("/v1/payment_intents/{payment}"), &stack.run().keys.sk_test).json();
        assert_eq!(now["status"], **word, "{payment}: what was said is so");
    }
}

/// Captured is at most what was authorized, refunded at most what was captured; payment, charge, refunds and books say the same;
/// a payment was authorized once at the most.
fn bounds_hold(stack: &Stack) {
    let none = |what: &str, statement: &str| assert_eq!(stack.sql("gateway", statement), "", "{what}");
    none(
        "captured beyond authorized, or refunded beyond captured",
        "SELECT id FROM charges WHERE amount_captured_minor + amount_released_minor > amount_minor
             OR amount_refunded_minor > amount_captured_minor",
    );
    none(
        "refunds that are not what the charge says",
        "SELECT c.id FROM charges c WHERE amount_refunded_minor <> (SELECT COALESCE(sum(amount_minor), 0) FROM refunds r
             WHERE r.charge_id = c.id AND r.status = 'succeeded')",
    );
    none(
        "payments that are not what their charges say",
        "SELECT p.id FROM payment_intents p LEFT JOIN LATERAL (SELECT sum(amount_captured_minor) AS taken, sum(amount_refunded_minor)
             AS given, count(*) AS yes FROM charges c WHERE c.payment_intent_id = p.id AND c.status = 'succeeded') c ON true
         WHERE p.amount_received_minor <> COALESCE(taken, 0) OR p.amount_refunded_minor <> COALESCE(given, 0)
            OR p.amount_refunding_minor <> 0 OR yes > 1 OR (p.status = 'succeeded') <> (COALESCE(taken, 0) > 0)
            OR p.status IN ('processing')",
    );
    none(
        "more disputed and refunded than captured",
        "SELECT c.id FROM charges c WHERE amount_refunded_minor + (SELECT COALESCE(sum(amount_minor), 0) FROM disputes d
             WHERE d.charge_id = c.id AND d.status <> 'won') > amount_captured_minor
             OR c.disputed <> EXISTS (SELECT FROM disputes d WHERE d.charge_id = c.id)",
    );
    none(
        "deposits that ended, and their payments",
        "SELECT d.id FROM deposits d JOIN attempts a ON a.merchant_id = d.merchant_id AND a.id = d.id
             JOIN payment_intents p ON p.merchant_id = d.merchant_id AND p.id = d.payment_intent_id
         WHERE d.state = 'asked' OR (d.state = 'waiting') <> (a.state = 'unresolved')
            OR (d.state = 'waiting') AND p.status <> 'requires_action'
            OR (d.state = 'paid') <> EXISTS (SELECT FROM charges c WHERE c.merchant_id = a.merchant_id AND c.attempt_id = a.id
                AND c.status = 'succeeded' AND c.amount_captured_minor = a.amount_minor)
            OR (d.state = 'ended') AND a.state NOT IN ('declined', 'reversed', 'unsent')",
    );
    none(
        "movements that nothing stands behind, or that are missing",
        "SELECT * FROM (
             SELECT CASE WHEN payer_id IS NULL THEN 'capture' ELSE 'deposit' END AS kind, c.amount_captured_minor AS amount, c.id
             FROM charges c WHERE captured
             UNION ALL SELECT 'refund', r.amount_minor, r.id FROM refunds r WHERE status = 'succeeded'
             UNION ALL SELECT 'unapplied', a.amount_minor, a.charge_id FROM deposits d
                 JOIN attempts a ON a.merchant_id = d.merchant_id AND a.id = d.id WHERE d.state = 'unapplied'
             UNION ALL SELECT 'dispute', d.amount_minor, d.id FROM disputes d
             UNION ALL SELECT 'dispute_reversal', d.amount_minor, d.id FROM disputes d WHERE status = 'won') AS said
         FULL JOIN (SELECT t.kind, t.amount_minor AS amount, t.source_id AS id FROM transfers t) AS booked
             ON booked.kind = said.kind AND booked.amount = said.amount AND booked.id = said.id
         WHERE booked.id IS NULL OR said.id IS NULL",
    );
    none("refunds that wait for nothing", "SELECT id FROM refunds WHERE status = 'pending'");
}

/// Each account's sum over all movements; all of them together are nothing; and the API shows the merchant what the books say.
fn books_balance(stack: &Stack) {
    let accounts = stack.sql(
        "gateway",
        "SELECT account, sum(amount) FROM (
             SELECT debit_account AS account, amount_minor AS amount FROM transfers
             UNION ALL SELECT credit_account, -amount_minor FROM transfers) AS moved GROUP BY account",
    );
    let accounts: BTreeMap<&str, i64> = accounts
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, sum)| (name, sum.parse().unwrap()))
        .collect();
    assert_eq!(accounts.values().sum::<i64>(), 0, "{accounts:?}");
    let kept = "SELECT COALESCE(sum(amount_received_minor - amount_refunded_minor), 0)
         - (SELECT COALESCE(sum(amount_minor), 0) FROM disputes WHERE status <> 'won') FROM payment_intents";
    let kept: i64 = stack.sql("gateway", kept).parse().unwrap();
    assert_eq!(-accounts.get("merchant_payable").copied().unwrap_or(0), kept);
    let balance = stack.read("/v1/balance", &stack.run().keys.sk_test).json();
    let sum =
        |name: &str| balance[name].as_array().unwrap().iter().map(|one| one["amount"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("available") + sum("pending"), kept, "{balance}");
}

/// Each deposit and each dispute stands with us as it stands at its network, and every dispute that was opened is known.
fn networks_are_heard(stack: &Stack, told: &Told) {
    let began = Instant::now();
    loop {
        let differing = [differing_deposits(stack), differing_disputes(stack, told)].concat();
        if differing.is_empty() {
            return;
        }
        assert!(began.elapsed() < HEARD_WITHIN, "{} differ, such as {}", differing.len(), differing[0]);
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn differing_deposits(stack: &Stack) -> Vec<String> {
    let rows = stack.sql(
        "gateway",
        "SELECT a.network_reference, d.method, d.state, a.amount_minor, (SELECT COALESCE(sum(r.amount_minor), 0) FROM attempts r
             WHERE r.merchant_id = a.merchant_id AND r.original_id = a.id AND r.kind = 'refund' AND r.state = 'approved')
         FROM deposits d JOIN attempts a ON a.merchant_id = d.merchant_id AND a.id = d.id",
    );
    let differs = |row: &&str| {
        let parts: Vec<&str> = row.split('|').collect();
        let theirs = stack.get(&format!("{}/deposits/acts/{}", stack.run().networks, parts[0]));
        if theirs.status == 404 {
            return (parts[2], parts[4]) != ("ended", "0");
        }
        let theirs = theirs.json();
        let standing = match parts[2] {
            "waiting" => &["waiting"][..],
            "paid" | "unapplied" => &["paid"],
            _ => &["expired", "refused", "withdrawn"],
        };
        let number = |name: &str| theirs[name].as_i64();
        let same = standing.iter().any(|word| theirs["standing"] == *word)
            && theirs["network"] == parts[1]
            && number("amount_minor") == parts[3].parse().ok()
            && number("given_back_minor") == parts[4].parse().ok();
        !same
    };
    rows.lines().filter(differs).map(str::to_owned).collect()
}

fn differing_disputes(stack: &Stack, told: &Told) -> Vec<String> {
    let rows = stack.sql("gateway", "SELECT case_number, status, amount_minor FROM disputes");
    let known: BTreeSet<&str> = rows.lines().filter_map(|row| row.split('|').next()).collect();
    let unknown = told.cases.iter().filter(|case| !known.contains(case.as_str())).cloned();
    let differs = |row: &&str| {
        let parts: Vec<&str> = row.split('|').collect();
        let theirs = stack.get(&format!("{}/disputes/acts/{}", stack.run().networks, parts[0])).json();
        let amount = theirs["amount_minor"].as_i64();
        theirs["state"] != parts[1]
            || amount != parts[2].parse().ok()
            || theirs["untold"] != 0
            || !told.cases.contains(parts[0])
    };
    unknown.chain(rows.lines().filter(differs).map(str::to_owned)).collect()
}

/// What each network says that it settled today is what we have on our books.
fn settlements_are_ours(stack: &Stack) {
    let plane = Plane::gateway_control(stack);
    for network in ["card", "konbini", "payeasy", "emoney"] {
        let asked = json!({ "livemode": false, "network": network, "day": clock::now().date().to_string() });
        assert_eq!(plane.post("/control/v1/reconciliation", &asked).0, 200, "{network}");
    }
    let open: Value = plane.get("/control/v1/reconciliation").1;
    assert_eq!(open["open_count"], 0, "{open}");
}

/// How much of everything there was.
pub(crate) fn counted(stack: &Stack) -> String {
    let of = |what: &str, statement: &str| {
        let rows = stack.sql("gateway", statement).replace('|', " ").lines().collect::<Vec<_>>().join(", ");
        format!("{what}: {rows}")
    };
    [
        of("payments", "SELECT status, count(*) FROM payment_intents GROUP BY 1 ORDER BY 1"),
        of("attempts", "SELECT kind, state, count(*) FROM attempts GROUP BY 1, 2 ORDER BY 1, 2"),
        of("deposits", "SELECT method, state, count(*) FROM deposits GROUP BY 1, 2 ORDER BY 1, 2"),
        of("refunds", "SELECT method, status, count(*) FROM refunds GROUP BY 1, 2 ORDER BY 1, 2"),
        of("disputes", "SELECT status, count(*) FROM disputes GROUP BY 1 ORDER BY 1"),
        of("movements", "SELECT kind, count(*), sum(amount_minor) FROM transfers GROUP BY 1 ORDER BY 1"),
        of("events", "SELECT count(*) FROM events"),
    ]
    .join("; ")
}

/// What holds at the acquirer: kind, reference, amount.
fn theirs(stack: &Stack) -> BTreeSet<(String, String, i64)> {
    let (mut all, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = stack.get(&format!("{}/acquirer/books?after={after}&limit=5000", stack.run().networks)).json();
        for entry in page["entries"].as_array().expect("entries") {
            after = entry["sequence"].as_i64().expect("a sequence");
            let text = |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned();
            let kind = text("kind");
            if entry["response_code"] == "00" && entry["reversed"] == false && kind != "reversal" {
                all.insert((kind, text("reference"), entry["amount_minor"].as_i64().expect("an amount")));
            }
        }
        if page["has_more"] != true {
            return all;
        }
    }
}

/// What holds with us: what was approved and not voided.
fn ours(stack: &Stack) -> BTreeSet<(String, String, i64)> {
    let rows = stack.sql(
        "gateway",
        "SELECT CASE WHEN kind <> 'authorize' THEN kind WHEN capture THEN 'purchase' ELSE 'authorization' END, network_reference,
                amount_minor
         FROM attempts a WHERE state = 'approved' AND kind <> 'void' AND payer_id IS NULL AND NOT EXISTS (SELECT FROM attempts v
             WHERE v.original_id = a.id AND v.kind = 'void' AND v.state = 'approved')",
    );
    let row = |row: &str| {
        let parts: Vec<&str> = row.split('|').collect();
        (parts[0].to_owned(), parts[1].to_owned(), parts[2].parse().unwrap())
    };
    rows.lines().map(row).collect()
}

/// Rows of a payment's id, a word and a number. The database has ids as bytes, events as they are shown.
fn rows(stack: &Stack, statement: &str) -> BTreeMap<(String, String), i64> {
    let shown = |id: &str| match id.parse::<Uuid>() {
        Ok(id) => PaymentIntentId::from_bytes(*id.as_bytes()).to_string(),
        Err(_) => id.to_owned(),
    };
    let row = |row: &str| {
        let parts: Vec<&str> = row.split('|').collect();
        ((shown(parts[0]), parts[1].to_owned()), parts[2].parse().unwrap())
    };
    stack.sql("gateway", statement).lines().map(row).collect()
}

/// What became of a payment and its attempts says which events there must be, and there are those, once each; and the newest one
/// that tells of the payment shows it as it is.
fn events_are_told_once(stack: &Stack) {
    let expected = rows(
        stack,
        "SELECT payment, type, count(*) FROM (
             SELECT id AS payment, 'payment_intent.created' AS type FROM payment_intents
             UNION ALL SELECT id, 'payment_intent.canceled' FROM payment_intents WHERE status = 'canceled'
             UNION ALL SELECT a.payment_intent_id, k.type FROM attempts a JOIN (VALUES
                 ('authorize', 'approved', true, 'charge.succeeded'), ('authorize', 'approved', true, 'payment_intent.succeeded'),
                 ('authorize', 'approved', false, 'charge.succeeded'),
                 ('authorize', 'approved', false, 'payment_intent.amount_capturable_updated'),
                 ('authorize', 'declined', NULL, 'charge.failed'), ('authorize', 'declined', NULL, 'payment_intent.payment_failed'),
                 ('authorize', 'reversed', NULL, 'payment_intent.payment_failed'),
                 ('capture', 'approved', NULL, 'charge.captured'), ('capture', 'approved', NULL, 'payment_intent.succeeded'),
                 ('void', 'approved', NULL, 'charge.refunded'),
                 ('refund', NULL, NULL, 'refund.created'),
                 ('refund', 'approved', NULL, 'refund.updated'), ('refund', 'approved', NULL, 'charge.refunded'),
                 ('refund', 'declined', NULL, 'refund.failed'), ('refund', 'reversed', NULL, 'refund.failed'),
                 ('refund', 'unsent', NULL, 'refund.failed')
             ) AS k (kind, state, capture, type)
                 ON k.kind = a.kind AND (k.state IS NULL OR k.state = a.state) AND (k.capture IS NULL OR k.capture = a.capture)
             UNION ALL SELECT payment_intent_id, 'payment_intent.requires_action' FROM deposits WHERE instructions IS NOT NULL
             UNION ALL SELECT d.payment_intent_id, k.type FROM deposits d JOIN (VALUES ('paid', 'charge.succeeded'),
                 ('paid', 'payment_intent.succeeded'), ('unapplied', 'payment_intent.deposit_unapplied')) AS k (state, type)
                 ON k.state = d.state
             -- One that ended with its payment's end is told of by that alone.
             UNION ALL SELECT t.payment_intent_id, 'payment_intent.payment_failed' FROM timeline t
                 JOIN deposits d ON d.merchant_id = t.merchant_id AND d.id = t.attempt_id
                 WHERE t.kind IN ('refused', 'expired', 'unsent', 'withdrawn')
             UNION ALL SELECT d.payment_intent_id, 'charge.dispute.' || k.type FROM disputes d JOIN (VALUES (NULL, 'created'),
                 (NULL, 'funds_withdrawn'), ('won', 'closed'), ('won', 'funds_reinstated'), ('lost', 'closed')) AS k (status, type)
                 ON k.status IS NULL OR k.status = d.status
             -- A decision may overtake the news that the evidence is read.
             UNION ALL SELECT payment_intent_id, 'charge.dispute.updated' FROM timeline WHERE kind = 'disputed' AND code = 'under_review'
             UNION ALL SELECT payment_intent_id, 'payment_intent.processing' FROM attempts WHERE told_processing AND kind <> 'refund'
             UNION ALL SELECT payment_intent_id, 'payment_intent.amount_capturable_updated' FROM attempts
                 WHERE told_processing AND kind IN ('capture', 'void') AND state <> 'approved'
         ) AS expected GROUP BY 1, 2",
    );
    let told = rows(
        stack,
        "SELECT COALESCE(object->>'payment_intent', object->>'id'), type, count(*) FROM events
         WHERE type LIKE 'payment_intent.%' OR type LIKE 'charge.%' OR type LIKE 'refund.%' GROUP BY 1, 2",
    );
    let differing: Vec<_> =
        expected.keys().chain(told.keys()).filter(|one| expected.get(one) != told.get(one)).collect();
    assert!(differing.is_empty(), "{} of {}, such as {:?}", differing.len(), expected.len(), &differing[..1]);

    let endings =
        "SELECT d.id FROM deposits d LEFT JOIN timeline t ON t.merchant_id = d.merchant_id AND t.attempt_id = d.id
             AND t.kind IN ('refused', 'expired', 'unsent', 'withdrawn')
         JOIN payment_intents p ON p.merchant_id = d.merchant_id AND p.id = d.payment_intent_id
         GROUP BY d.merchant_id, d.id, d.state, p.status
         HAVING count(t.id) > 1 OR (d.state = 'ended' AND count(t.id) = 0 AND p.status <> 'canceled')";
    assert_eq!(stack.sql("gateway", endings), "", "deposits end once");

    let now = rows(
        stack,
        "SELECT id, status, 0 FROM payment_intents
         WHERE status IN ('succeeded', 'canceled', 'requires_capture', 'requires_action')",
    );
    let last = rows(
        stack,
        "SELECT DISTINCT ON (object->>'id') object->>'id', object->>'status', 0 FROM events WHERE type LIKE 'payment_intent.%'
         ORDER BY object->>'id', created_at DESC, id DESC",
    );
    let wrong: Vec<_> = now.keys().filter(|one| !last.contains_key(one)).collect();
    assert!(wrong.is_empty(), "what was told last is not so: {wrong:?}");
}

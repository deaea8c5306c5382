//! The sweeper when something keeps it from its work: nothing is erased without its proof, nothing is lost to a node's death,
//! and the report says what is left.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_tests::held::{age, fresh_card, is_erased, store_customer, store_payer};
use kura_tests::planes::{OwnedGateway, kura_vault, new_merchant};
use kura_tests::{Options, Stack, wait_until};
use kura_wire::ids::{CardToken, PayerId};
use serde_json::{Value, json};
use uuid::Uuid;

/// Its sweeper looks at all records every second.
fn swept_every_second() -> Options {
    Options::default().set("vault.sweeper.pass_every_s=1").set("vault.sweeper.pause_ms=1")
}

fn row(stack: &Stack, table: &str, id: Uuid) -> String {
    stack.sql("vault", &format!("SELECT to_jsonb(t) FROM {table} AS t WHERE id = '{id}'"))
}

/// The proofs that one and the same transaction wrote with this row as it is now.
fn proofs_written_with(stack: &Stack, table: &str, id: Uuid) -> Vec<Value> {
    let proofs = format!("SELECT statement FROM erasures WHERE xmin = (SELECT xmin FROM {table} WHERE id = '{id}')");
    stack.sql("vault", &proofs).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// While proofs can't be written, neither the sweeper nor an operator erases anything, and the retention report fails. When
/// they can be again, each record goes in the transaction that writes its proof.
#[test]
fn without_a_proof_nothing_is_erased() {
    let stack = &Stack::start(swept_every_second());
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack));
    let card = owned.save(merchant, &fresh_card());
    let card = Uuid::from_bytes(card["token"].as_str().unwrap().parse::<CardToken>().unwrap().record);
    let customer = Uuid::from_bytes(*store_customer(&owned.plane, merchant).as_bytes());
    let payer = store_payer(&owned.plane, merchant, "konbini");
    let records =
        [("cards", card, "card", 1095), ("customers", customer, "customer", 1095), ("payers", payer, "konbini", 180)];
    stack.sql("vault", "REVOKE INSERT ON erasures FROM vault_app");
    for (table, id, _, limit) in records {
        age(stack, table, id, limit + 2);
    }
    let before = records.map(|(table, id, ..)| row(stack, table, id));
    let rested = || {
        let log = stack.log("vault");
        let tried = |table: &str| {
            let so = |line: &&str| line.contains("the sweeper rests") && line.contains(&format!("\"{table}\""));
            log.lines().filter(so).count()
        };
        records.map(|(table, ..)| tried(table)).into_iter().min().unwrap()
    };
    wait_until("the sweeper to have tried everything twice", || rested() >= 2);
    let by_hand =
        kura_vault(stack, &["erase", "record", &PayerId::from_bytes(payer.into_bytes()).to_string(), "--execute"], "");
    assert!(!by_hand.success, "{by_hand:?}");
    assert_eq!(records.map(|(table, id, ..)| row(stack, table, id)), before);
    assert_eq!(stack.sql("vault", "SELECT (SELECT count(*) FROM erasures), sum(erased) FROM sweeps"), "0|0");

    // Long ago the last pass ended; what came to its time since then was never swept.
    stack.sql("vault", "UPDATE sweeps SET last_started_at = now() - interval '9 days'");
    let report = kura_vault(stack, &["retention"], "");
    let overdue = |report: &Value| {
        report["held"].as_array().unwrap().iter().map(|held| held["overdue"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((report.success, overdue(&report.json())), (false, 3), "{report:?}");

    stack.sql("vault", "GRANT INSERT ON erasures TO vault_app");
    wait_until("the sweeper", || records.iter().all(|(table, id, ..)| is_erased(stack, table, *id)));
    for (table, id, rule, _) in records {
        let [proof] = &proofs_written_with(stack, table, id)[..] else { panic!("one proof for {table}") };
        let said = (&proof["scope"], &proof["rule"], &proof["records"]);
        assert_eq!(said, (&json!("age"), &json!(rule), &json!(1)), "{proof}");
    }
    assert!(kura_vault(stack, &["erasures"], "").success, "each proof is valid");
    assert_eq!(stack.sql("vault", "SELECT (SELECT count(*) FROM erasures), sum(erased) FROM sweeps"), "3|3");
    wait_until("a whole pass", || kura_vault(stack, &["retention"], "").success);
}

/// Of two nodes one sweeps, and the other leaves it alone. The one dies when it has blanked a record and not yet proven it: the
/// record is whole again, and the other node erases it, with a proof of its own.
#[test]
fn the_other_node_goes_on_when_the_sweeping_one_dies() {
    let stack = &Stack::start(swept_every_second().vault_nodes(2).spare("vault"));
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack));
    let payer = store_payer(&owned.plane, merchant, "konbini");
    // Node 0 takes its time between blanking and proof, less than what a statement is given.
    stack.sql(
        "vault",
        "CREATE FUNCTION hesitate() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(4); RETURN NEW; END';
         CREATE TRIGGER hesitate BEFORE INSERT ON erasures
             FOR EACH ROW WHEN (NEW.actor LIKE '%node 0') EXECUTE FUNCTION hesitate()",
    );
    let connections = |condition: &str| {
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = 'vault_app' AND {condition}");
        stack.sql("vault", &count).parse::<u32>().unwrap()
    };
    // So that it is node 0 that begins.
    stack.pause("vault-1");
    age(stack, "payers", payer, 181);
    let before = row(stack, "payers", payer);
    wait_until("node 0 to be at it", || connections("wait_event = 'PgSleep'") == 1);
    stack.go_on("vault-1");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(connections("wait_event_type = 'Lock'"), 0, "node 1 doesn't even try");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(connections("wait_event = 'PgSleep'"), 1, "node 0 is still at it");
    stack.kill9("vault");
    assert_eq!(row(stack, "payers", payer), before);
    wait_until("node 1 to erase it", || is_erased(stack, "payers", payer));
    let [proof] = &proofs_written_with(stack, "payers", payer)[..] else { panic!("one proof") };
    assert_eq!(proof["actor"], "sweeper of vault node 1");
    assert_eq!(stack.sql("vault", "SELECT (SELECT count(*) FROM erasures), sum(erased) FROM sweeps"), "1|1");
}

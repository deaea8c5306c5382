//! The access ledger of a whole Kura: paid, exported and verified; then attacked by who owns the vault's database, without and
//! with the vault's own key; and killed, again and again, while openings are being written.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_ledger::note::{Checkpoint, PublicIdentity, origin_of};
use kura_ledger::opening::Opening;
use kura_ledger::proof::{includes, is_consistent};
use kura_ledger::tree::{Compact, Edge, Hash, Tile};
use kura_platform::random;
use kura_tests::ledger::{Control, identity_key, run_ledger, sign};
use kura_tests::{Options, Stack, program, workspace};
use kura_wire::ledger as wire;
use serde_json::{Value, json};

const WITNESSED_WITHIN: Duration = Duration::from_secs(20);
const KILLS: usize = 20;
const SHOPPERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

fn try_to_pay(stack: &Stack, key: &str) -> Option<u16> {
    let form = [("amount", "900"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, key, &form)?;
    Some(paid.status)
}

fn pay(stack: &Stack, times: usize) {
    for _ in 0..times {
        let key = format!("{:032x}", u128::from_be_bytes(random::bytes()));
        assert_eq!(try_to_pay(stack, &key), Some(200));
    }
}

fn until(what: &str, within: Duration, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < within, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn rows(stack: &Stack) -> u64 {
    stack.sql("vault", "SELECT COALESCE(max(sequence), 0) FROM openings").parse().unwrap()
}

/// Waits until the vault has signed all its rows and the console has seen it.
fn witnessed(stack: &Stack) {
    until("the witness", WITNESSED_WITHIN, || {
        let kept = stack.sql("admin", "SELECT COALESCE(max(size), 0) FROM witness_checkpoints");
        kept.parse::<u64>().unwrap() == rows(stack)
    });
}

fn findings(stack: &Stack) -> String {
    stack.sql("admin", "SELECT string_agg(kind, ' ' ORDER BY id) FROM witness_findings")
}

struct Verified {
    code: i32,
    findings: Vec<String>,
    report: Value,
}

/// A file that isn't there yet.
fn new_file(stack: &Stack, name: &str) -> PathBuf {
    let number = u64::from_be_bytes(random::bytes());
    stack.state().join(format!("{name}-{number:016x}"))
}

fn export(stack: &Stack, more: &[&str]) -> PathBuf {
    let file = new_file(stack, "ledger");
    let (code, said) = run_ledger(stack, &[&["export", "--out", file.to_str().unwrap()], more].concat());
    assert_eq!(code, 0, "{said}");
    file
}

fn witness(stack: &Stack) -> PathBuf {
    let file = new_file(stack, "witness");
    let (code, said) = run_ledger(stack, &["witness", "--out", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    file
}

fn verify(stack: &Stack, file: &Path, witness: Option<&Path>) -> Verified {
    let mut arguments = vec!["verify", "--json", file.to_str().unwrap()];
    if let Some(witness) = witness {
        arguments.extend(["--witness", witness.to_str().unwrap()]);
    }
    let (code, said) = run_ledger(stack, &arguments);
    let report: Value = serde_json::from_str(&said).unwrap_or_default();
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    Verified { code, findings: findings.iter().map(|text| text.as_str().unwrap().to_owned()).collect(), report }
}

/// What a superuser does to the vault's database and undoes again.
fn tampered(stack: &Stack, statement: &str) -> Vec<String> {
    let copy = "CREATE TABLE IF NOT EXISTS public.before_tampering AS SELECT * FROM openings";
    stack.sql("vault", copy);
    stack.sql("vault", statement);
    let found = verify(stack, &export(stack, &[]), None);
    stack.sql(
        "vault",
        "DELETE FROM openings; INSERT INTO openings SELECT * FROM before_tampering; DROP TABLE before_tampering",
    );
    assert_eq!(found.code, 2, "{statement}: {}", found.report);
    found.findings
}

/// Paid, exported, verified: intact, alone and with the witness, whole and from a later row. Each change that who owns the
/// vault's database makes to its rows is named; the ledger put back is intact again.
#[test]
fn what_an_owner_of_the_database_changes_is_named() {
    let stack = &Stack::start(Options::default());
    pay(stack, 6);
    witnessed(stack);
    pay(stack, 6);
    witnessed(stack);
    let last = rows(stack);
    assert!(last >= 12, "{last}");
    let (file, kept) = (export(stack, &[]), witness(stack));
    let whole = verify(stack, &file, Some(&kept));
    assert_eq!((whole.code, whole.findings.as_slice()), (0, [].as_slice()), "{}", whole.report);
    assert_eq!(whole.report["rows"], json!(last));
    assert!(whole.report["witnessed"].as_u64().unwrap() >= 2);
    let part = verify(stack, &export(stack, &["--since", "5"]), Some(&kept));
    assert_eq!((part.code, &part.report["rows"]), (0, &json!(last - 4)), "{}", part.report);
    assert_eq!(part.report["root"], whole.report["root"]);
    let today = stack.sql("vault", "SELECT (now() AT TIME ZONE 'UTC')::date");
    assert_eq!(verify(stack, &export(stack, &["--since", &today]), None).code, 0);
    not_an_export_can_not_be_read(stack);
    the_migration_hashes_as_the_vault_does(stack);
    proofs_hold(stack, last);

    let altered = tampered(stack, "UPDATE openings SET actor = 'nobody' WHERE sequence = 3");
    assert_eq!(altered, ["row 3 was altered: its columns don't give its leaf's hash"]);
    let deleted = tampered(stack, "DELETE FROM openings WHERE sequence = 4");
    assert_eq!(deleted[0], "row 4 missing: removed");
    let swapped = "UPDATE openings SET sequence = CASE sequence WHEN 2 THEN 5 ELSE 2 END, day = day + 1, at = at + interval '1 day'
                   WHERE sequence IN (2, 5)";
    let reordered = tampered(stack, swapped);
    assert_eq!(reordered[0], "row 2 was altered: its columns don't give its leaf's hash");
    let columns =
        "at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id, leaf_hash";
    let insert = |sequence: u64, days: u32| {
        format!(
            "INSERT INTO openings (node, sequence, day, {columns}) SELECT node, {sequence}, day + {days}, at + interval '{days} days',
             actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id, leaf_hash
             FROM openings WHERE sequence = 3"
        )
    };
    let doubled = tampered(stack, &insert(6, 1));
    assert!(doubled.iter().any(|found| found == "row 6 is there twice: inserted"), "{doubled:?}");
    let added = tampered(stack, &insert(last + 1, 0));
    assert!(
        added.iter().any(|found| found.starts_with(&format!("no checkpoint vouches for row {}", last + 1))),
        "{added:?}"
    );
    let unsigned = "UPDATE openings SET leaf_hash = sha256('') WHERE sequence = 2";
    assert_eq!(tampered(stack, unsigned)[0], "row 2 was altered: its columns don't give its leaf's hash");
    assert_eq!(verify(stack, &export(stack, &[]), Some(&kept)).code, 0, "put back, it is intact");
    scopes_are_exact(stack);
    the_services_own_role_can_only_append(stack);
    days_are_made_ahead(stack);
    assert_eq!(findings(stack), "");
}

fn not_an_export_can_not_be_read(stack: &Stack) {
    let file = stack.state().join("no-export");
    std::fs::write(&file, "not an export").unwrap();
    assert_eq!(verify(stack, &file, None).code, 1);
    assert_eq!(verify(stack, &stack.state().join("no-file"), None).code, 1);
    let kept = witness(stack);
    assert_eq!(verify(stack, &kept, None).code, 1, "a witness's file is no export");
}

/// Rows that were written before there was a tree got their leaves' hashes from the migration: its SQL gives the vault's own.
fn the_migration_hashes_as_the_vault_does(stack: &Stack) {
    let migration = std::fs::read_to_string(workspace().join("migrations/vault/0006_ledger.sql")).unwrap();
    let between = |begin: &str, end: &str| {
        let begin = migration.find(begin).unwrap();
        &migration[begin..begin + migration[begin..].find(end).unwrap()]
    };
    let functions = between("CREATE FUNCTION pg_temp.put", "ALTER TABLE openings RENAME");
    let hash = between("sha256('\\x00'", "\n  FROM openings_unpartitioned");
    let count = format!("{functions} SELECT count(*) > 0 AND bool_and(leaf_hash = {hash}) FROM openings");
    assert_eq!(stack.sql("vault", &count), "t");
}

/// Any two sizes are proven consistent, and any row included, by the control plane.
fn proofs_hold(stack: &Stack, last: u64) {
    let control = Control::of(stack);
    let mut leaves = Vec::new();
    let mut tree = Compact::default();
    let mut roots = vec![tree.root()];
    for (stored, leaf) in control.rows() {
        assert_eq!(Opening::decode(&leaf).unwrap().leaf_hash(), stored);
        tree.push(stored);
        roots.push(tree.root());
        leaves.push(leaf);
    }
    let proof = |path: &str, query: &Value| -> Vec<Hash> {
        let proof: wire::Proof = control.get(path, query);
        proof.hashes.iter().map(|hash| Hash::parse(hash).unwrap()).collect()
    };
    for second in 1..=last {
        for first in 1..=second {
            let hashes = proof(wire::PATH_CONSISTENCY, &json!({ "first": first, "second": second }));
            let root = |size: u64| &roots[usize::try_from(size).unwrap()];
            assert!(is_consistent((root(first), first), (root(second), second), &hashes), "{first} {second}");
            let hashes = proof(wire::PATH_INCLUSION, &json!({ "sequence": first, "size": second }));
            let leaf = &leaves[usize::try_from(first - 1).unwrap()];
            assert!(includes(root(second), second, first - 1, leaf, &hashes), "{first} {second}");
        }
    }
}

fn scoped(stack: &Stack, arguments: &[&str]) -> Value {
    let (code, said) = run_ledger(stack, &[&["scope", "--json"], arguments].concat());
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap()
}

/// By actor, record and request: the openings that there were, and none besides.
fn scopes_are_exact(stack: &Stack) {
    let all = stack.sql("vault", "SELECT count(*) FROM openings WHERE actor = 'gateway.kura.internal'");
    let by_actor = scoped(stack, &["--actor", "gateway.kura.internal"]);
    assert_eq!(by_actor["openings"].as_array().unwrap().len().to_string(), all);
    let group = &by_actor["groups"][0];
    assert_eq!(
        (&group["class"], &group["fields"], &group["purpose"]),
        (&json!("card"), &json!(["pan"]), &json!("authorize"))
    );
    assert_eq!(scoped(stack, &["--actor", "nobody"])["groups"], json!([]));
    assert_eq!(scoped(stack, &["--since", "2999-01-01"])["groups"], json!([]));
    let wanted = stack.sql("vault", "SELECT record_id FROM openings WHERE sequence IN (2, 9) ORDER BY sequence");
    let file = stack.state().join("records");
    std::fs::write(&file, wanted.clone() + "\n" + wanted.lines().next().unwrap()).unwrap();
    let by_record = scoped(stack, &["--records", file.to_str().unwrap()]);
    let records: Vec<String> = wanted.lines().map(|record| record.replace('-', "")).collect();
    let found = by_record["openings"].as_array().unwrap();
    assert!(found.iter().all(|opening| records.iter().any(|record| opening["record"] == json!(record))), "{by_record}");
    assert!(found.len() >= 2, "{by_record}");
    let request = stack.sql("vault", "SELECT request_id FROM openings WHERE sequence = 4");
    let by_request = scoped(stack, &["--request", &request]);
    assert_eq!(by_request["openings"][0]["place"]["sequence"], json!(4));
    assert_eq!(by_request["openings"].as_array().unwrap().len(), 1);
    assert_eq!(run_ledger(stack, &["scope"]).0, 1, "the whole ledger is no scope");
}

fn the_services_own_role_can_only_append(stack: &Stack) {
    for statement in [
        "UPDATE openings SET leaf_hash = leaf_hash",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET note = note",
        "DELETE FROM ledger_tiles",
        "UPDATE ledger_tiles SET hashes = hashes",
        "TRUNCATE openings_default",
        "ALTER TABLE openings DETACH PARTITION openings_default",
        "DELETE FROM ledger_heads",
        "CREATE TABLE openings_2000_01_01 PARTITION OF openings FOR VALUES FROM ('2000-01-01') TO ('2000-01-02')",
    ] {
        let refused = stack.sql_as_service("vault", statement).expect_err(statement);
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{statement}: {refused}");
    }
    for statement in ["UPDATE witness_checkpoints SET note = note", "DELETE FROM witness_findings"] {
        let refused = stack.sql_as_service("admin", statement).expect_err(statement);
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
}

/// Today's rows are in today's partition, a week is there already; a row of a day without one is kept all the same, and is an
/// alert; and nobody makes years of partitions through the one function that may.
fn days_are_made_ahead(stack: &Stack) {
    let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'openings'::regclass";
    assert_eq!(stack.sql("vault", count), "9", "eight days and the default");
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM openings_default"), "0");
    for call in ["open_ledger_days(current_date + 400, 1)", "open_ledger_days(current_date, 4000)"] {
        assert!(stack.sql_as_service("vault", &format!("SELECT {call}")).is_err(), "{call}");
    }
    stack.sql(
        "vault",
        "INSERT INTO openings SELECT 77, 1, day + 30, at + interval '30 days', actor, request_id, merchant_id, record_id, class, records,
         fields, purpose, attempt_id, leaf_hash FROM openings WHERE sequence = 1",
    );
    let stray = stack.sql_as_service("vault", "SELECT open_ledger_days(current_date, 31)").unwrap();
    assert_eq!(stray, "1", "it stands in the default partition, and its day gets none");
    assert_eq!(stack.sql("vault", count), "32", "the other 31 days have theirs");
}

/// Rewrites the ledger from a row on, as its database's owner would: the column, all hashes, tiles.
fn rewrite(stack: &Stack, sequence: u64, actor: &str) -> Vec<(u64, Hash)> {
    let control = Control::of(stack);
    let (mut edge, mut tiles, mut roots) = (Edge::default(), Vec::<Tile>::new(), Vec::new());
    for (_, leaf) in control.rows() {
        let mut row = Opening::decode(&leaf).unwrap();
        if row.sequence == sequence {
            row.actor = actor.to_owned();
            let hash = row.leaf_hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            stack.sql(
                "vault",
                &format!("UPDATE openings SET actor = '{actor}', leaf_hash = '\\x{hash}' WHERE sequence = {sequence}"),
            );
        }
        edge.push(row.leaf_hash(), &mut tiles);
        roots.push((row.sequence, edge.root()));
    }
    assert!(tiles.is_empty(), "few enough rows for no tile");
    roots
}

/// Who owns the vault's database and rewrites a row with its hash can't sign the new history: the first checkpoint after it
/// names the second in which it was. The vault itself does not start on it. Who has the vault's key as well can sign, and the
/// export is then fine in itself; the witness alone, another zone, contradicts it: offline, and at once when the vault serves it.
#[test]
fn a_rewritten_history_is_caught_and_a_signed_one_by_the_witness() {
    let stack = &Stack::start(Options::default().restart());
    for _ in 0..3 {
        pay(stack, 3);
        witnessed(stack);
    }
    let kept = witness(stack);
    let roots = rewrite(stack, 5, "nobody");
    let found = verify(stack, &export(stack, &[]), None);
    assert_eq!(found.code, 2);
    assert!(found.findings[0].contains("don't give the root that the vault signed at"), "{:?}", found.findings);
    let named: Vec<u64> = found.findings[0].split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(named[0] <= 5 && named[1] >= 5 && named[1] - named[0] < 9, "{:?}", found.findings);

    let identity = identity_key(stack);
    let old = stack.sql("vault", "SELECT size FROM checkpoints ORDER BY size");
    for size in old.lines().map(|size| size.parse::<u64>().unwrap()) {
        let root = roots.iter().find(|(sequence, _)| *sequence == size).unwrap().1;
        let note = sign(&identity, &Checkpoint { origin: origin_of(0), size, root });
        let hash = root.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let update = format!("UPDATE checkpoints SET note = '{note}', root_hash = '\\x{hash}' WHERE size = {size}");
        stack.sql("vault", &update);
    }
    let fork = export(stack, &[]);
    let alone = verify(stack, &fork, None);
    assert_eq!((alone.code, alone.findings.as_slice()), (0, [].as_slice()), "consistent in itself, and signed");
    let caught = verify(stack, &fork, Some(&kept));
    assert_eq!(caught.code, 2);
    assert!(caught.findings[0].starts_with("forked: the witness kept root "), "{:?}", caught.findings);
    until("the witness's finding", WITNESSED_WITHIN, || findings(stack).contains("inconsistent"));
    assert!(stack.log("admin").contains("access_ledger_inconsistent"));
    // Restarted, the vault believes the forged checkpoint, and goes on; what it signs is still contradicted.
    stack.kill9_and_wait("vault");
    pay(stack, 1);
    until("the fork to grow", WITNESSED_WITHIN, || {
        stack.sql("admin", "SELECT count(DISTINCT size) FROM witness_findings WHERE kind = 'inconsistent'") != "1"
    });
    let before = stack.sql("admin", "SELECT max(size) FROM witness_checkpoints");
    assert_eq!(before, old.lines().last().unwrap(), "nothing of the fork was kept as good");
}

/// A ledger that isn't what was signed is not gone on with: the vault refuses to start, and says why.
#[test]
fn a_vault_does_not_start_on_a_ledger_that_it_did_not_sign() {
    let stack = &Stack::start(Options::default().restart());
    pay(stack, 4);
    witnessed(stack);
    let second = second_vault(stack);
    assert!(second.contains("another vault process runs as node 0 on this database"), "{second}");
    pay(stack, 1);
    witnessed(stack);
    stack.sql("vault", "DELETE FROM openings WHERE sequence = 5; UPDATE ledger_heads SET size = 4");
    stack.kill9("vault");
    let refused = "5 rows were signed and 4 are left";
    until("the refusal", PATIENCE, || stack.log("vault").contains(refused));
    assert!(stack.sql("vault", "SELECT string_agg(DISTINCT kind, ' ') FROM alerts").contains("ledger_inconsistent"));
}

/// What a second process under the same node number says.
fn second_vault(stack: &Stack) -> String {
    let config = stack.state().join("vault/vault.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let planes: String = text
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((plane @ ("data_plane" | "control_plane"), _)) => format!("{plane} = \"127.0.0.1:0\"\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let other = stack.state().join("vault/second.toml");
    std::fs::write(&other, planes).unwrap();
    let mut vault = Command::new(program("kura-vault"));
    let output = vault.arg("--config").arg(other).arg("serve").output().expect("kura-vault");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Killed at random moments under payments, and held up by locks and slow statements: every attempt that was sent has its row,
/// no sequence is there twice or missing, the tree is what was signed, and the witness has nothing to say.
#[test]
fn killed_and_held_up_the_ledger_loses_and_doubles_nothing() {
    let options = Options::default()
        .unlimited()
        .set("gateway.recovery.every_ms=200")
        .set("gateway.recovery.after_ms=1500")
        .restart();
    let stack = &Stack::start(options);
    let (stop, paid) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for shopper in 0..SHOPPERS {
            let (stop, paid) = (&stop, &paid);
            scope.spawn(move || {
                for turn in 0.. {
                    let key = format!("shopper-{shopper}-{turn}");
                    while !stop.load(Ordering::Relaxed) {
                        if try_to_pay(stack, &key).is_some_and(|status| status == 200) {
                            paid.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(30));
                    }
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let stops = StopOnDrop(&stop);
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(300 + 2 * u64::from(random::bytes::<1>()[0])));
            stack.kill9_and_wait("vault");
        }
        held_up(stack);
        until("payments to go through", PATIENCE, || paid.load(Ordering::Relaxed) > KILLS);
        drop(stops);
    });
    pay(stack, 1);
    println!("{KILLS} kills; {} payments, {} rows", paid.load(Ordering::Relaxed), rows(stack));
    let without_row = "SELECT count(*) FROM attempts WHERE kind IN ('authorize', 'purchase')
                       AND NOT EXISTS (SELECT FROM openings WHERE openings.attempt_id = attempts.id)";
    assert_eq!(stack.sql("vault", without_row), "0", "no opening without its row");
    let doubled =
        "SELECT count(*) FROM (SELECT attempt_id FROM openings GROUP BY attempt_id HAVING count(*) > 1) AS twice";
    assert_eq!(stack.sql("vault", doubled), "0", "no row twice");
    let whole = "SELECT count(*) = max(sequence) AND count(*) = (SELECT size FROM ledger_heads) FROM openings";
    assert_eq!(stack.sql("vault", whole), "t", "no gap");
    witnessed(stack);
    let verified = verify(stack, &export(stack, &[]), Some(&witness(stack)));
    assert_eq!((verified.code, verified.findings.as_slice()), (0, [].as_slice()), "{}", verified.report);
    let silent_only = "SELECT count(*) FROM witness_findings WHERE kind <> 'silent'";
    assert_eq!(stack.sql("admin", silent_only), "0", "{}", findings(stack));
}

/// Locks that outlast the writer's patience, and its connections cut in the middle of whatever they are doing.
fn held_up(stack: &Stack) {
    for table in ["ledger_heads", "openings", "attempts"] {
        stack.sql("vault", &format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT"));
        std::thread::sleep(Duration::from_millis(300));
    }
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(200));
        stack.sql("vault", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'vault_app'");
    }
    std::thread::sleep(Duration::from_secs(1));
}

/// A commit that is on disk and whose answer was lost, as when the connection dies behind it: the writer finds its rows and goes
/// on after them. The payment succeeds, its opening has one row, and so has the next one's.
#[test]
fn a_commit_whose_answer_was_lost_is_gone_on_from() {
    let stack = &Stack::start(Options::default());
    let sk = &stack.run().keys.sk_test;
    let card = stack.post("/v1/payment_methods", sk, &[("type", "card"), ("card[token]", "tok_visa")]).json();
    let card = card["id"].as_str().expect("a saved card");
    let form = [("amount", "900"), ("currency", "jpy"), ("payment_method", card), ("confirm", "true")];
    let configure = |statement: &str| {
        stack.sql("vault", statement);
        stack.sql("vault", "SELECT pg_reload_conf()");
    };
    // One before: a block of the budget is in memory then, and the writer's is the only commit that follows.
    assert_eq!(stack.post("/v1/payment_intents", sk, &form).json()["status"], "succeeded");
    witnessed(stack);
    let waiting = "FROM pg_stat_activity WHERE usename = 'vault_app' AND wait_event = 'SyncRep'";
    std::thread::scope(|scope| {
        // Commits are then on disk, and wait for a standby that isn't there before they say so.
        configure("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        let paying = scope.spawn(|| stack.post("/v1/payment_intents", sk, &form));
        until("the commit", PATIENCE, || stack.sql("vault", &format!("SELECT count(*) > 0 {waiting}")) == "t");
        stack.sql("vault", &format!("SELECT pg_terminate_backend(pid) {waiting}"));
        configure("ALTER SYSTEM RESET synchronous_standby_names");
        let paid = paying.join().expect("a thread").json();
        // The outcome's commit may have been hit as well: then nobody knows it yet, and the payment is settled a little later.
        let path = format!("/v1/payment_intents/{}", paid["id"].as_str().expect("a payment"));
        until("the payment", PATIENCE, || stack.read(&path, sk).json()["status"] == "succeeded");
    });
    assert!(stack.log("vault").contains("commit failed"), "the answer was lost");
    let again = stack.post("/v1/payment_intents", sk, &form).json();
    assert_eq!(again["status"], "succeeded", "{again}");
    assert_eq!(stack.sql("vault", "SELECT count(*), max(sequence), count(DISTINCT attempt_id) FROM openings"), "3|3|3");
    witnessed(stack);
    assert_eq!(verify(stack, &export(stack, &[]), None).code, 0);
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Silence is a finding, once.
#[test]
fn a_silent_vault_is_a_finding() {
    let stack = &Stack::start(Options::default().set("admin.witness.silent_after_ms=2000"));
    pay(stack, 1);
    witnessed(stack);
    let identity = PublicIdentity::parse(&Control::of(stack).identity()).unwrap();
    assert!(identity.verifier_key(&origin_of(0)).starts_with("kura.internal/vault/access/0+"));
    assert_eq!(findings(stack), "");
    stack.pause("vault");
    until("the finding", WITNESSED_WITHIN, || findings(stack) == "silent");
    stack.go_on("vault");
    pay(stack, 1);
    witnessed(stack);
    assert_eq!(findings(stack), "silent");
}

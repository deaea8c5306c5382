//! Import and rotation with the vault killed under them, one node or two: what was acknowledged is there, and what was begun is
//! finished.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use kura_tests::key_material::open_all;
use kura_tests::{Options, Stack, block_on, generated, wait_until};
use kura_wire::ids::{CardToken, ImportId};
use kura_wire::import::MAX_BATCH_ROWS;
use serde_json::Value;

const CARDS: u32 = 20_000;
const BATCHES: u32 = CARDS / MAX_BATCH_ROWS;

fn count(stack: &Stack, table: &str) -> u32 {
    stack.sql("vault", &format!("SELECT count(*) FROM {table}")).parse().unwrap()
}

/// Starts an import; its cards come through a pipe.
fn import(stack: &Stack, to: &Path, more: &[&str]) -> (Child, ChildStdin) {
    let merchant = stack.run().merchants.main.clone();
    let mut command = stack.operator(&["import", "--merchant", &merchant]);
    command.args(more).stdin(Stdio::piped()).stdout(File::create(to).unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let pipe = child.stdin.take().unwrap();
    (child, pipe)
}

fn rotation(stack: &Stack) -> Value {
    stack.ask_operator(&["rotation"]).0
}

fn pay(stack: &Stack, key: &str, token: &str) -> (u16, Value) {
    let form = [("amount", "700"), ("currency", "jpy"), ("payment_method", token), ("confirm", "true")];
    let answer = stack.post("/v1/payment_intents", key, &form);
    (answer.status, answer.json())
}

/// Every token's record opens to the number that it was imported with, and there is no record besides them.
fn assert_all_open(stack: &Stack, tokens: &[(u32, String)]) {
    let record = |token: &str| token.parse::<CardToken>().expect("a token").record;
    let mut expected: HashMap<[u8; 16], u32> = tokens.iter().map(|(card, token)| (record(token), *card)).collect();
    assert_eq!(expected.len(), tokens.len(), "no token was given twice");
    let rows = block_on(open_all(stack, |record, digits| {
        let card = expected.remove(&record).expect("a record with a token");
        assert_eq!(digits, Some(generated::number(card).as_bytes()), "{card}");
    }));
    assert_eq!((rows, expected.len()), (tokens.len(), 0));
}

/// The importing program is killed, then the vault under its successor, then the vault under a rotation: all cards are there
/// once, each opens to its own number after its keys were replaced, and the old keys are gone.
#[test]
fn killed_in_mid_import_and_mid_rotation_nothing_is_lost() {
    let stack = &Stack::start(Options::default().restart());
    let (cards, tokens) = (stack.state().join("cards.csv"), stack.state().join("tokens.csv"));
    generated::write_csv(&cards, CARDS);
    import_with_kills(stack, &cards, &tokens);
    let tokens = generated::read_tokens(&tokens);
    assert_eq!(tokens.len(), CARDS as usize);
    assert_all_open(stack, &tokens);
    imported_tokens_are_their_merchants(stack, &tokens);
    rotate_kek(stack);
    rotate_deks_with_kills(stack);
    let (began, found) = (Instant::now(), generated::read_tokens(&stack.state().join("tokens.csv")));
    assert_all_open(stack, &found);
    println!("opened {} in {:?}", found.len(), began.elapsed());
    let (status, paid) = pay(stack, &stack.run().keys.sk_test, &tokens[7].1);
    assert_eq!((status, &paid["status"]), (200, &Value::from("succeeded")), "{paid}");
    assert_eq!(count(stack, "alerts"), 0);
}

fn import_with_kills(stack: &Stack, cards: &Path, tokens: &Path) {
    let file = std::fs::read(cards).unwrap();
    let (half, rest) = file.split_at(file.len() / 2);
    let (mut first, mut pipe) = import(stack, tokens, &[]);
    pipe.write_all(half).unwrap();
    wait_until("two batches", || count(stack, "import_batches") >= 2);
    first.kill().unwrap();
    first.wait().unwrap();
    let acknowledged = std::fs::read_to_string(tokens).unwrap();
    let before = count(stack, "import_batches");
    assert!(before < BATCHES, "killed in its middle");
    let id = stack.sql("vault", "SELECT id FROM imports").parse::<uuid::Uuid>().unwrap();
    let id = ImportId::from_bytes(id.into_bytes()).to_string();

    let (again, mut pipe) = import(stack, tokens, &["--resume", &id]);
    pipe.write_all(half).unwrap();
    // What was taken before is answered again; then come new batches, and the vault dies under the rest.
    let (more, last) = rest.split_at(rest.len() / 2);
    pipe.write_all(more).unwrap();
    wait_until("more batches", || count(stack, "import_batches") > before.max(4));
    let old = stack.kill9("vault");
    pipe.write_all(last).unwrap();
    drop(pipe);
    stack.wait_restarted("vault", old);
    let done = again.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(count(stack, "import_batches"), BATCHES);
    let all = std::fs::read_to_string(tokens).unwrap();
    // The last line may have been cut off by the kill.
    let whole = acknowledged.rsplit_once('\n').map_or("", |(whole, _)| whole);
    assert!(all.starts_with(whole), "what was answered before is answered again");

    let (finished, pipe) = import(stack, &stack.state().join("none.csv"), &["--resume", &id]);
    drop(pipe);
    assert!(!finished.wait_with_output().unwrap().status.success(), "a finished import takes no more");
    assert_eq!(stack.sql("vault", "SELECT DISTINCT length(secret_wrapped) FROM imports"), "0", "its secret is gone");
}

/// An imported token pays at once, for its own merchant alone.
fn imported_tokens_are_their_merchants(stack: &Stack, tokens: &[(u32, String)]) {
    let keys = &stack.run().keys;
    let (card, token) = &tokens[11];
    assert_eq!(pay(stack, &keys.other_sk_test, token).0, 404, "another merchant's");
    let (status, paid) = pay(stack, &keys.sk_test, token);
    assert_eq!((status, &paid["status"]), (200, &Value::from("succeeded")), "{paid}");
    let read = stack.read(&format!("/v1/payment_methods/{token}"), &keys.sk_test).json();
    assert_eq!(read["card"]["last4"], generated::number(*card)[12..], "{read}");
    assert_eq!(pay(stack, &keys.other_sk_test, token).0, 404, "another merchant's, now that the gateway knows it");
    let mut other_node: CardToken = tokens[12].1.parse().unwrap();
    other_node.node = kura_wire::ids::NodeId::new(9).unwrap();
    assert_eq!(pay(stack, &keys.sk_test, &other_node.to_string()).0, 404, "a node that did not import it");
    let read = stack.read(&format!("/v1/payment_methods/{}", tokens[13].1), &keys.sk_test);
    assert_eq!(read.status, 200, "reading adopts it too: {}", read.text);
}

fn rotate_kek(stack: &Stack) {
    let said = stack.operate(&["rotate", "kek"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("dry run"));
    assert_eq!(count(stack, "rotations"), 0, "a dry run does nothing");
    let (done, said) = stack.ask_operator(&["rotate", "kek", "--execute", "--wait"]);
    assert_eq!((&done["running"], &done["items_damaged"]), (&false.into(), &0.into()), "{done} {said}");
    let keks = stack.sql("vault", "SELECT version, state, length(material) > 0 FROM keks ORDER BY version");
    assert_eq!(keks, "1|destroyed|f\n2|active|t");
    let elsewhere = "SELECT count(*) FROM deks WHERE kek_version <> 2 AND state <> 'destroyed'";
    assert_eq!(stack.sql("vault", elsewhere), "0");
    assert_eq!(stack.sql("vault", "SELECT DISTINCT kek_version FROM root_secrets"), "2");
    // A node that starts now has the new KEK alone.
    stack.kill9_and_wait("vault");
}

fn rotate_deks_with_kills(stack: &Stack) {
    let (begun, said) = stack.ask_operator(&["rotate", "dek", "--rows-per-second", "4000", "--execute"]);
    assert_eq!(begun["running"], true, "{begun} {said}");
    let (_, refused) = stack.ask_operator(&["rotate", "kek", "--execute"]);
    assert!(refused.contains("in conflict"), "one at a time: {refused}");
    wait_until("some rows", || rotation(stack)["items_done"].as_u64().unwrap_or(0) > 1000);
    let under_way = rotation(stack);
    assert!(under_way["seconds_left"].as_u64().is_some_and(|left| (1..60).contains(&left)), "{under_way}");
    let old = stack.kill9("vault");
    stack.wait_restarted("vault", old);
    let at_the_kill = stack.sql("vault", "SELECT items_done FROM rotations WHERE state = 'running'");
    let at_the_kill: u64 = at_the_kill.parse().expect("killed in its middle");
    assert!(at_the_kill < u64::from(CARDS));
    wait_until("it to go on", || rotation(stack)["items_done"].as_u64().unwrap_or(0) > at_the_kill);
    let (done, said) = stack.ask_operator(&["rotation", "--unlimited", "--wait"]);
    assert_eq!((&done["running"], &done["items_damaged"]), (&false.into(), &0.into()), "{done} {said}");
    assert!(done["items_done"].as_u64() >= Some(u64::from(CARDS)), "{done}");
    println!("rotation: {done}");
    let keys = stack.sql("vault", "SELECT DISTINCT state, length(dek_wrapped) > 0 FROM deks ORDER BY 1");
    assert_eq!(keys, "active|t\ndestroyed|f", "the old keys are gone");
    let mine = "SELECT count(*) FROM cards JOIN deks ON deks.id = key_id WHERE deks.state <> 'active'";
    assert_eq!(stack.sql("vault", mine), "0");
    // Batches that were opened and not written before the kill are in the ledger all the same.
    let recorded = "SELECT sum(records) >= (SELECT sum(items_done) FROM rotations WHERE kind = 'dek') FROM openings
                    WHERE purpose = 'reseal' AND request_id IN (SELECT id FROM rotations)";
    assert_eq!(stack.sql("vault", recorded), "t", "no opening without its ledger row");
    let fields = stack.sql("vault", "SELECT DISTINCT fields, class, actor FROM openings WHERE purpose = 'reseal'");
    assert_eq!(fields, "{pan,holder}|card|vault.kura.internal");
}

/// How often a process has begun to work on a rotation.
fn begun(stack: &Stack, name: &str) -> usize {
    stack.log(name).matches("\"rotating\"").count()
}

/// Of two nodes one rotates and the other waits, also when the one stands still. When the one's connection is cut, its lock is
/// free, and the other goes on where it was; the one then waits in its turn, and goes on when the other is killed. All cards
/// are there and open.
#[test]
fn two_nodes_take_turns_at_a_rotation() {
    let stack = &Stack::start(Options::default().vault_nodes(2).spare("vault").spare("vault-1"));
    let (cards, tokens) = (stack.state().join("cards.csv"), stack.state().join("tokens.csv"));
    generated::write_csv(&cards, CARDS);
    let (import, mut pipe) = import(stack, &tokens, &[]);
    pipe.write_all(&std::fs::read(&cards).unwrap()).unwrap();
    drop(pipe);
    assert!(import.wait_with_output().unwrap().status.success());
    let tokens = generated::read_tokens(&tokens);

    let (begun_one, said) = stack.ask_operator(&["rotate", "dek", "--rows-per-second", "2000", "--execute"]);
    assert_eq!(begun_one["running"], true, "{begun_one} {said}");
    let done = || stack.sql("vault", "SELECT items_done FROM rotations").parse::<u64>().unwrap();
    wait_until("some rows", || done() > 1000);
    let nodes = ["vault", "vault-1"];
    let at_work = nodes.map(|name| begun(stack, name));
    let (one, other) = if at_work[0] == 1 { (nodes[0], nodes[1]) } else { (nodes[1], nodes[0]) };
    assert_eq!((begun(stack, one), begun(stack, other)), (1, 0), "{at_work:?}");
    stack.pause(one);
    let stood_at = done();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((done(), begun(stack, other)), (stood_at, 0), "nobody works without the lock");

    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = 'vault')
               AND objid::bigint = hashtext('kura rotation')::bigint & 4294967295";
    assert_eq!(stack.sql("vault", cut), "1", "one node has the lock");
    wait_until("the other to begin", || begun(stack, other) == 1);
    stack.go_on(one);
    wait_until("the one to notice", || stack.log(one).contains("the rotation will be tried again"));
    let taken_over_at = done();
    wait_until("the other to get on", || done() > taken_over_at.max(stood_at) + 1000);
    assert_eq!((begun(stack, one), begun(stack, other)), (1, 1), "the one waits");

    stack.kill9(other);
    let left_at = done();
    assert!(left_at < u64::from(CARDS), "killed in its middle");
    wait_until("the one to go on", || begun(stack, one) == 2 && done() > left_at);
    let (ended, said) = stack.ask_operator(&["rotation", "--unlimited", "--wait"]);
    assert_eq!((&ended["running"], &ended["items_damaged"]), (&false.into(), &0.into()), "{ended} {said}");
    let by_node =
        "SELECT string_agg(DISTINCT node::text, ',' ORDER BY node::text) FROM openings WHERE purpose = 'reseal'";
    assert_eq!(stack.sql("vault", by_node), "0,1");
    assert_eq!(stack.sql("vault", "SELECT DISTINCT state FROM deks JOIN cards ON deks.id = key_id"), "active");
    assert_all_open(stack, &tokens);
    let (status, paid) = pay(stack, &stack.run().keys.sk_test, &tokens[7].1);
    assert_eq!((status, &paid["status"]), (200, &Value::from("succeeded")), "{paid}");
}

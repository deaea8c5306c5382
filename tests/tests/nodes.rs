//! Two vault nodes side by side: what each alone can do, and what is lost when one dies. Only security codes are.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_shopper::{TypedCard, seal};
use kura_tests::planes::kura_vault;
use kura_tests::{Answer, Options, Stack, VaultPeer, wait_until};
use kura_wire::ids::MerchantId;
use kura_wire::sealed_box::{SealingKey, SealingKeySet, SignedKeySet, Suite};
use serde_json::{Value, json};

const PAN: &str = "4242424242424242";

fn two_nodes() -> Stack {
    Stack::start(
        Options::default()
            .vault_nodes(2)
            .spare("vault-1")
            .set("gateway.recovery.every_ms=200")
            .set("gateway.recovery.after_ms=1500"),
    )
}

/// Who pays: a merchant's two keys.
struct Merchant {
    pk: String,
    sk: String,
}

fn sample(stack: &Stack) -> Merchant {
    Merchant { pk: stack.run().keys.pk_test.clone(), sk: stack.run().keys.sk_test.clone() }
}

/// A merchant who insists on the security code.
fn strict(stack: &Stack) -> Merchant {
    let origin = stack.run().fronts.clone();
    let arguments = ["add-merchant", "--name", "Strict Shop", "--origin", &origin, "--require-cvc"];
    let printed = stack.command("gateway", &arguments);
    let made: Value = printed.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("keys");
    let key = |name: &str| made[name].as_str().expect("a key").to_owned();
    Merchant { pk: key("pk_test"), sk: key("sk_test") }
}

/// Sends a box that was sealed to this key.
fn send_box(stack: &Stack, merchant: &Merchant, key: &SealingKey) -> Answer {
    let card = TypedCard::new(PAN, "123");
    let sealed = seal(key, &card, &merchant.pk, &stack.run().fronts, clock::now_ms()).unwrap();
    stack.post_json("/v1/tokens", &merchant.pk, &json!({ "card": { "sealed_box": sealed } }))
}

fn tokenize(stack: &Stack, merchant: &Merchant, key: &SealingKey) -> String {
    let answer = send_box(stack, merchant, key);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["id"].as_str().expect("a token").to_owned()
}

fn pay(stack: &Stack, merchant: &Merchant, token: &str) -> Answer {
    let card = [("payment_method_data[type]", "card"), ("payment_method_data[card][token]", token)];
    let form = [[("amount", "1200"), ("currency", "jpy")], card].concat();
    stack.post("/v1/payment_intents", &merchant.sk, &[form.as_slice(), &[("confirm", "true")]].concat())
}

fn pay_saved(stack: &Stack, merchant: &Merchant, method: &str, capture: &str) -> Answer {
    let form = [("amount", "1200"), ("currency", "jpy"), ("confirm", "true"), ("payment_method", method)];
    stack.post("/v1/payment_intents", &merchant.sk, &[form.as_slice(), &[("capture_method", capture)]].concat())
}

/// What the network said of the security code, as the charge has it.
fn cvc_check(stack: &Stack, merchant: &Merchant, paid: &Answer) -> Value {
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("succeeded")), "{}", paid.text);
    let charge = paid.json()["latest_charge"].as_str().expect("a charge").to_owned();
    let charge = stack.read(&format!("/v1/charges/{charge}"), &merchant.sk).json();
    charge["payment_method_details"]["card"]["checks"]["cvc_check"].clone()
}

/// The key that shoppers are given at this moment.
fn offered(stack: &Stack) -> SealingKey {
    let set: SignedKeySet =
        serde_json::from_str(&stack.get(&format!("{}/checkout/sealing_keys", stack.run().gateway)).text).unwrap();
    let keys: SealingKeySet = serde_json::from_str(&set.payload).unwrap();
    keys.keys.into_iter().find(|key| key.suite == Suite::X25519).unwrap()
}

/// Purchases and captures that the acquirer approved and has not taken back.
fn acquirer_books(stack: &Stack) -> BTreeMap<String, i64> {
    let page = stack.get(&format!("{}/acquirer/books?limit=5000", stack.run().networks)).json();
    let entries = page["entries"].as_array().expect("entries").iter();
    let standing = entries.filter(|entry| {
        ["purchase", "authorization"].contains(&entry["kind"].as_str().unwrap())
            && entry["response_code"] == "00"
            && entry["reversed"] == false
    });
    standing
        .map(|entry| (entry["reference"].as_str().unwrap().to_owned(), entry["amount_minor"].as_i64().unwrap()))
        .collect()
}

fn our_books(stack: &Stack) -> BTreeMap<String, i64> {
    let rows = stack.sql(
        "gateway",
        "SELECT network_reference, amount_minor FROM attempts WHERE kind = 'authorize' AND state = 'approved'",
    );
    rows.lines().filter_map(|row| row.split_once('|')).map(|(at, sum)| (at.to_owned(), sum.parse().unwrap())).collect()
}

fn entries_of(stack: &Stack, reference: &str) -> Vec<Value> {
    let booked = stack.get(&format!("{}/acquirer/books?reference={reference}", stack.run().networks)).json();
    booked["entries"].as_array().expect("entries").clone()
}

/// Shoppers are given both nodes' keys in turn, and each payment goes to the node that holds its security code, also after the
/// card was saved. Then node 1 is killed: what it held is lost, and nothing else is. A merchant who can do without is paid
/// without; one who insists is told to ask again; a box for the dead node is sealed anew; captures and refunds go on; what
/// was under way is found out by the other node; and the acquirer's books are ours.
#[test]
fn a_nodes_death_loses_security_codes_and_nothing_else() {
    let stack = &two_nodes();
    let (merchant, strict) = (sample(stack), strict(stack));
    let keys = [VaultPeer::new(stack, 0).sealing_key(), VaultPeer::new(stack, 1).sealing_key()];
    let mut nodes: Vec<u16> = (0..4).map(|_| offered(stack).node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [0, 0, 1, 1], "both nodes' keys are offered in turn");

    for key in &keys {
        for _ in 0..3 {
            let paid = pay(stack, &merchant, &tokenize(stack, &merchant, key));
            assert_eq!(cvc_check(stack, &merchant, &paid), "pass", "node {} has the code", key.node);
        }
        let paid = pay(stack, &strict, &tokenize(stack, &strict, key));
        assert_eq!(cvc_check(stack, &strict, &paid), "pass", "node {}", key.node);
        let form = [("type", "card"), ("card[token]", &tokenize(stack, &merchant, key))];
        let saved = stack.post("/v1/payment_methods", &merchant.sk, &form.map(|(name, value)| (name, value as &str)));
        let saved = saved.json()["id"].as_str().expect("a saved card").to_owned();
        let paid = pay_saved(stack, &merchant, &saved, "automatic");
        assert_eq!(cvc_check(stack, &merchant, &paid), "pass", "node {}, saved", key.node);
        let again = pay_saved(stack, &merchant, &saved, "automatic");
        assert_eq!(cvc_check(stack, &merchant, &again), Value::Null, "a code is for one payment");
    }
    let by_node = stack.sql("vault", "SELECT string_agg(DISTINCT node::text, ',' ORDER BY node::text) FROM openings");
    assert_eq!(by_node, "0,1");

    let held = [tokenize(stack, &merchant, &keys[1]), tokenize(stack, &strict, &keys[1])];
    let to_capture = pay_saved(stack, &merchant, "pm_card_visa", "manual").json()["id"].as_str().unwrap().to_owned();
    let to_refund = pay(stack, &merchant, &tokenize(stack, &merchant, &keys[1])).json()["id"].clone();
    let cards = stack.sql("vault", "SELECT count(*) FROM cards");
    let lost = VaultPeer::new(stack, 1).test_card("answerLost");
    let lost = lost.as_str().unwrap();
    let booked_before = our_books(stack);
    stack.kill9("vault-1");
    // What the gateway writes to a connection that is about to end may have arrived, so that payment would be under way.
    wait_until("node 1 to be gone", || stack.log("up").contains("vault-1 died"));

    let paid = pay(stack, &merchant, &held[0]);
    assert_eq!(cvc_check(stack, &merchant, &paid), Value::Null, "without the code, which is gone");
    let refused = pay(stack, &strict, &held[1]);
    let error = refused.json()["error"].clone();
    assert_eq!((refused.status, &error["type"], &error["code"]), (402, &json!("card_error"), &json!("cvc_required")));
    let refused = stack.sql(
        "gateway",
        "SELECT network_reference FROM attempts WHERE state = 'unsent' ORDER BY created_at DESC LIMIT 1",
    );
    assert_eq!(entries_of(stack, &refused), Vec::<Value>::new(), "nothing was sent");

    let sealed_for_the_dead = send_box(stack, &merchant, &keys[1]);
    assert_eq!(sealed_for_the_dead.json()["error"]["code"], "sealing_key_expired", "{}", sealed_for_the_dead.text);
    for _ in 0..4 {
        assert_eq!(offered(stack).node, 0, "the dead node's keys are given to nobody");
    }
    let again = pay(stack, &strict, &tokenize(stack, &strict, &offered(stack)));
    assert_eq!(cvc_check(stack, &strict, &again), "pass", "entered once more");

    let captured = stack.post(&format!("/v1/payment_intents/{to_capture}/capture"), &merchant.sk, &[]);
    assert_eq!(captured.json()["status"], "succeeded", "{}", captured.text);
    let refund = stack.post("/v1/refunds", &merchant.sk, &[("payment_intent", to_refund.as_str().unwrap())]);
    assert_eq!(refund.json()["status"], "succeeded", "{}", refund.text);
    for _ in 0..6 {
        let paid = pay_saved(stack, &merchant, "pm_card_visa", "automatic");
        assert_eq!(paid.json()["status"], "succeeded", "{}", paid.text);
    }
    assert!(stack.sql("vault", "SELECT count(*) FROM cards").parse::<i64>().unwrap() >= cards.parse::<i64>().unwrap());
    assert!(lost.starts_with("pm_") && our_books(stack).len() > booked_before.len());
    wait_until("all attempts to be settled", || {
        stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") == "0"
    });
    assert_eq!(acquirer_books(stack), our_books(stack), "the acquirer's books are ours");
}

/// A merchant who insists on the security code gets it at a card's first charge and is not asked again. Of a card without one
/// that was entered here nothing is sent; a card that came by import, and can't have one, is charged without, so that what is
/// due every month goes on.
#[test]
fn who_insists_on_codes_can_charge_imported_cards() {
    let stack = Stack::shared();
    let strict = strict(stack);
    let owner =
        stack.sql("gateway", "SELECT id FROM merchants WHERE name = 'Strict Shop' ORDER BY created_at DESC LIMIT 1");
    let bytes = data_encoding::HEXLOWER.decode(owner.replace('-', "").as_bytes()).unwrap();
    let merchant = MerchantId::from_bytes(bytes.try_into().unwrap());
    let key = VaultPeer::new(stack, 0).sealing_key();
    let save = |token: &str| {
        let saved = stack.post("/v1/payment_methods", &strict.sk, &[("type", "card"), ("card[token]", token)]);
        saved.json()["id"].as_str().unwrap_or_else(|| panic!("{}", saved.text)).to_owned()
    };
    let saved = save(&tokenize(stack, &strict, &key));
    assert_eq!(cvc_check(stack, &strict, &pay_saved(stack, &strict, &saved, "automatic")), "pass");
    assert_eq!(cvc_check(stack, &strict, &pay_saved(stack, &strict, &saved, "automatic")), Value::Null);
    let openings = || stack.sql("vault", &format!("SELECT count(*) FROM openings WHERE merchant_id = '{owner}'"));
    let before = openings();
    let card = TypedCard { cvc: None, ..TypedCard::new(PAN, "") };
    let sealed = seal(&key, &card, &strict.pk, &stack.run().fronts, clock::now_ms()).unwrap();
    let entered = stack.post_json("/v1/tokens", &strict.pk, &json!({ "card": { "sealed_box": sealed } })).json();
    let refused = pay_saved(stack, &strict, &save(entered["id"].as_str().unwrap()), "automatic");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (402, &json!("cvc_required")), "{}", refused.text);
    assert_eq!(openings(), before, "it was not even opened");

    let file = format!("reference,number,exp_month,exp_year,name\nold-1,{PAN},12,2035,\n");
    let imported = kura_vault(stack, &["import", "--merchant", &merchant.to_string()], &file);
    let token =
        imported.out.lines().find_map(|line| line.strip_prefix("old-1,")).unwrap_or_else(|| panic!("{imported:?}"));
    for _ in 0..2 {
        assert_eq!(cvc_check(stack, &strict, &pay_saved(stack, &strict, token, "automatic")), Value::Null);
    }
}

/// Two payments of one saved card at the same moment, each to be made with the security code or not at all: one has it, and of
/// the other nothing is sent, though the code was there when it was asked.
#[test]
fn a_code_serves_one_of_two_payments_at_once() {
    let stack = Stack::shared();
    let node = &VaultPeer::new(stack, 0);
    let merchant = sample(stack);
    for _ in 0..5 {
        let token = tokenize(stack, &merchant, &node.sealing_key());
        let form = [("type", "card"), ("card[token]", token.as_str())];
        let saved = &stack.post("/v1/payment_methods", &merchant.sk, &form).json()["id"];
        let start = &Barrier::new(2);
        let ask = || {
            let (attempt, reference) = VaultPeer::attempt();
            let body = json!({ "context": node.context(), "attempt": attempt, "network_reference": reference,
                "token": saved, "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true, "cvc": "require" });
            start.wait();
            (node.post(kura_wire::vault::PATH_AUTHORIZE, &body).1, reference)
        };
        let answers = std::thread::scope(|scope| [scope.spawn(ask), scope.spawn(ask)].map(|one| one.join().unwrap()));
        let (paid, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(said, _)| said["outcome"] == "approved");
        assert_eq!((paid.len(), refused.len()), (1, 1), "{answers:?}");
        assert_eq!(paid[0].0["cvc_check"], "pass");
        assert_eq!(refused[0].0, json!({ "code": "cvc_required" }));
        assert_eq!(entries_of(stack, &refused[0].1), Vec::<Value>::new(), "nothing was sent");
    }
}

/// How long a code may be used is counted at the node that has it, from when it was entered: neither saving the card nor asking
/// the other node, which never has it, makes it last, and a node that stood still meanwhile does not use it when it wakes.
/// Past its time it is as with no code at all.
#[test]
fn a_codes_time_is_over_on_each_node() {
    const HELD_MS: u64 = 4000;
    let stack = &Stack::start(Options::default().vault_nodes(2).set(&format!("vault.cvc_hold_ms={HELD_MS}")));
    no_node_holds_longer(stack, HELD_MS);
    let (merchant, strict) = (sample(stack), strict(stack));
    let nodes = [VaultPeer::new(stack, 0), VaultPeer::new(stack, 1)];
    let attempts = || stack.sql("vault", "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM openings)");
    for (name, node, other) in [("vault", &nodes[0], &nodes[1]), ("vault-1", &nodes[1], &nodes[0])] {
        let key = node.sealing_key();
        let enter = |who: &Merchant| (tokenize(stack, who, &key), Instant::now());
        let save = |who: &Merchant, token: &str| {
            let saved = stack.post("/v1/payment_methods", &who.sk, &[("type", "card"), ("card[token]", token)]);
            saved.json()["id"].as_str().unwrap_or_else(|| panic!("{}", saved.text)).to_owned()
        };
        let until = |began: Instant, ms: u64| {
            std::thread::sleep((began + Duration::from_millis(ms)).saturating_duration_since(Instant::now()));
        };
        let lacks_code = |paid: &Answer| {
            assert_eq!(
                (paid.status, &paid.json()["error"]["code"]),
                (402, &json!("cvc_required")),
                "{name}: {}",
                paid.text
            );
        };
        let (in_time, _) = enter(&strict);
        assert_eq!(cvc_check(stack, &strict, &pay(stack, &strict, &in_time)), "pass", "{name}");

        let (kept, began) = enter(&strict);
        let (lenient, _) = enter(&merchant);
        let (asked_for, last) = enter(&merchant);
        until(began, HELD_MS / 2);
        let (kept, asked_for) = (save(&strict, &kept), save(&merchant, &asked_for));
        let (attempt, reference) = VaultPeer::attempt();
        let insisting = json!({ "context": other.context(), "attempt": attempt, "network_reference": reference,
            "token": asked_for, "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true, "cvc": "require" });
        let answer = other.post(kura_wire::vault::PATH_AUTHORIZE, &insisting);
        assert_eq!(answer.1, json!({ "code": "cvc_required" }), "the other node never has it");
        // At the moment at which its time is over, in whatever part of half a second the sweep comes by.
        until(last, HELD_MS);
        let before = attempts();
        lacks_code(&pay_saved(stack, &strict, &kept, "automatic"));
        let answer = node.post(kura_wire::vault::PATH_AUTHORIZE, &insisting);
        assert_eq!(answer.1, json!({ "code": "cvc_required" }), "{name}");
        assert_eq!(attempts(), before, "nothing was opened, nothing begun");
        assert_eq!(cvc_check(stack, &merchant, &pay(stack, &merchant, &lenient)), Value::Null, "{name}: without it");

        let (stopped, began) = enter(&strict);
        stack.pause(name);
        until(began, HELD_MS + 100);
        stack.go_on(name);
        lacks_code(&pay(stack, &strict, &stopped));
    }
}

/// A node that is to hold codes for more than 15 minutes does not start.
fn no_node_holds_longer(stack: &Stack, held_ms: u64) {
    let config = std::fs::read_to_string(stack.state().join("vault/vault.toml")).unwrap();
    let too_long = stack.state().join("too-long.toml");
    std::fs::write(&too_long, config.replace(&format!("cvc_hold_ms = {held_ms}"), "cvc_hold_ms = 900001")).unwrap();
    let output =
        Command::new(kura_tests::program("kura-vault")).arg("--config").arg(too_long).arg("serve").output().unwrap();
    assert!(!output.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("900000 (15 minutes) at the most"), "{said}");
}

/// A node that is told to end wipes the codes that it holds before it does.
#[test]
fn a_stopped_node_wipes_its_codes() {
    let stack = &two_nodes();
    let merchant = sample(stack);
    let key = VaultPeer::new(stack, 1).sealing_key();
    for _ in 0..3 {
        tokenize(stack, &merchant, &key);
    }
    stack.terminate("vault-1");
    wait_until("node 1 to end", || !stack.run_now().pids.contains_key("vault-1"));
    let log = stack.log("vault-1");
    let said = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let wiped: Vec<Value> = said.filter(|event| event["message"] == "security codes wiped").collect();
    assert_eq!(wiped.len(), 1, "{log}");
    assert_eq!(wiped[0]["codes"], 3);
}

/// An authorization that is on its way at one node is left alone by the other, which takes it back only when that one can't
/// be at it any more. Taken back while its approval is on the way, it is reversed at the network and on record, and the node
/// that hears the approval doesn't claim it.
#[test]
fn one_node_does_not_take_back_what_the_other_is_at() {
    let stack = &two_nodes();
    let nodes = [VaultPeer::new(stack, 0), VaultPeer::new(stack, 1)];
    let silent = nodes[1].test_card("networkTimeout");
    let (attempt, reference) = VaultPeer::attempt();
    std::thread::scope(|scope| {
        let began = Instant::now();
        let asking = scope.spawn(|| nodes[1].authorize(&silent, attempt, &reference));
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..3 {
            assert_eq!(nodes[0].resolve(attempt), (200, json!({ "outcome": "unknown" })), "node 1 may be at it");
            assert_eq!(nodes[1].resolve(attempt), (200, json!({ "outcome": "unknown" })), "node 1 is at it");
        }
        assert!(began.elapsed() < Duration::from_secs(4), "asked while it was on its way");
        assert_eq!(entries_of(stack, &reference), Vec::<Value>::new(), "nobody took it back");
        assert_eq!(asking.join().unwrap().1["outcome"], "unknown");
    });
    wait_until("node 0 to take it back", || nodes[0].resolve(attempt).1["outcome"] == "reversed");

    let approved = nodes[1].test_card("visa");
    let (attempt, reference) = VaultPeer::attempt();
    stack.hold_still("networks", true);
    let told = std::thread::scope(|scope| {
        let asking = scope.spawn(|| nodes[1].authorize(&approved, attempt, &reference));
        // What another node writes down before it tells the network to take it back; then it died.
        let id = attempt.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let took =
            format!("UPDATE attempts SET reversing = true WHERE id = '{id}' AND outcome IS NULL RETURNING 'took'");
        wait_until("the attempt to be on record", || stack.sql("vault", &took).contains("took"));
        stack.hold_still("networks", false);
        asking.join().unwrap()
    });
    assert_eq!(told, (200, json!({ "outcome": "unknown" })), "its approval counts no more");
    assert_eq!(entries_of(stack, &reference)[0]["reversed"], false);
    assert_eq!(nodes[1].resolve(attempt).1["outcome"], "reversed");
    assert_eq!(entries_of(stack, &reference)[0]["reversed"], true, "record and network agree");
}

/// With too little lockable memory for the security codes the vault does not start, and says which limit to raise.
#[test]
fn without_locked_memory_it_does_not_start() {
    let stack = Stack::shared();
    let vault = kura_tests::program("kura-vault");
    let output = Command::new("setpriv")
        .args(["--bounding-set=-ipc_lock", "prlimit", "--memlock=65536:65536"])
        .arg(vault)
        .arg("--config")
        .arg(stack.state().join("vault/vault.toml"))
        .arg("serve")
        .output()
        .expect("setpriv and prlimit of util-linux");
    assert!(!output.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("RLIMIT_MEMLOCK is 65536 bytes"), "{said}");
}

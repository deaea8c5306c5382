//! The vault killed at random moments while cards are tokenized, imported and paid with, and keys are rotated: what was
//! acknowledged is there and opens to its own number, no opening lacks its row, and the tree is what was signed.
//!
//! Twelve kills in every run of the tests; `KURA_KILLS=200` for as many as one likes.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::HashMap;
use std::fs::File;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kura_platform::redact::luhn;
use kura_platform::{clock, random};
use kura_shopper::{TypedCard, checked_key, seal};
use kura_tests::key_material::open_all;
use kura_tests::ledger::run_ledger;
use kura_tests::{Options, Stack, block_on, generated, wait_until};
use kura_wire::ids::CardToken;
use kura_wire::sealed_box::Suite;
use serde_json::{Value, json};

const KILLS: usize = 12;
const TOKENIZERS: usize = 3;
/// Cards of one import.
const CARDS: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(30);

/// Record and number of each card that was acknowledged.
type Acknowledged = Mutex<HashMap<[u8; 16], String>>;

fn random_visa() -> String {
    let body = format!("45{:013}", u64::from_be_bytes(random::bytes()) % 10_000_000_000_000);
    (0..10).map(|check| format!("{body}{check}")).find(|number| luhn(number.as_bytes())).unwrap()
}

fn remember(acknowledged: &Acknowledged, token: &str, number: String) {
    let record = token.parse::<CardToken>().expect("a token").record;
    let before = acknowledged.lock().unwrap().insert(record, number);
    assert!(before.is_none(), "no token is given twice");
}

/// One card through the gateway; nothing when the vault died over it.
fn tokenize(stack: &Stack, acknowledged: &Acknowledged) -> Option<()> {
    let run = stack.run();
    let number = random_visa();
    let ask = |request: reqwest::RequestBuilder| -> Option<Value> {
        block_on(async { serde_json::from_str(&request.send().await.ok()?.text().await.ok()?).ok() })
    };
    let keys = ask(Stack::http().get(format!("{}/checkout/sealing_keys", run.gateway)))?;
    let key = checked_key(&serde_json::from_value(keys).ok()?, &run.vault_identity, Suite::X25519).ok()?;
    let card = TypedCard::new(&number, "737");
    let sealed = seal(&key, &card, &run.keys.pk_test, &run.fronts, clock::now_ms()).unwrap();
    let request = Stack::http().post(format!("{}/v1/tokens", run.gateway)).bearer_auth(&run.keys.pk_test);
    let answer = ask(request.json(&json!({ "card": { "sealed_box": sealed } })))?;
    remember(acknowledged, answer["id"].as_str()?, number);
    Some(())
}

/// One import to its end; what its file of tokens says is acknowledged, however it ended.
fn import(stack: &Stack, turn: usize, acknowledged: &Acknowledged) -> bool {
    let (cards, tokens) = (stack.state().join("cards.csv"), stack.state().join(format!("tokens-{turn}.csv")));
    let merchant = stack.run().merchants.main.clone();
    let mut command = stack.operator(&["import", "--merchant", &merchant]);
    command.stdin(File::open(cards).unwrap()).stdout(File::create(&tokens).unwrap()).stderr(Stdio::null());
    let whole = command.status().expect("the operator's program").success();
    if std::fs::metadata(&tokens).unwrap().len() == 0 {
        return false;
    }
    for (card, token) in generated::read_tokens(&tokens) {
        remember(acknowledged, &token, generated::number(card));
    }
    whole
}

fn pay(stack: &Stack, key: &str) -> bool {
    let form = [("amount", "900"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, key, &form);
    paid.is_some_and(|paid| paid.status == 200)
}

fn rotate(stack: &Stack, what: &str) -> bool {
    let (done, _) = stack.ask_operator(&["rotate", what, "--execute", "--wait"]);
    done["running"] == false
}

/// Does it again and again until it is told to stop; counts how often it succeeded.
fn repeat(stop: &AtomicBool, done: &AtomicUsize, mut once: impl FnMut(usize) -> bool) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        if once(turn) {
            done.fetch_add(1, Ordering::Relaxed);
        } else {
            std::thread::sleep(PAUSE);
        }
        turn += 1;
    }
}

/// Sets the flag when it is dropped: a panic must not leave the others at work.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn killed_at_random_moments_the_vault_loses_nothing_that_it_acknowledged() {
    let stack = &Stack::start(Options::default().unlimited().restart());
    let kills = std::env::var("KURA_KILLS").map_or(KILLS, |kills| kills.parse().expect("KURA_KILLS is a number"));
    generated::write_csv(&stack.state().join("cards.csv"), CARDS);
    let (acknowledged, stop) = (&Acknowledged::default(), &AtomicBool::new(false));
    let [tokens, imports, payments, rotations] = &[const { AtomicUsize::new(0) }; 4];
    std::thread::scope(|scope| {
        for _ in 0..TOKENIZERS {
            scope.spawn(|| repeat(stop, tokens, |_| tokenize(stack, acknowledged).is_some()));
        }
        scope.spawn(|| repeat(stop, imports, |turn| import(stack, turn, acknowledged)));
        scope.spawn(|| repeat(stop, payments, |turn| pay(stack, &format!("payment-{turn}"))));
        scope.spawn(|| repeat(stop, rotations, |turn| rotate(stack, if turn % 4 == 3 { "kek" } else { "dek" })));
        let _stops_the_others = StopOnDrop(stop);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(300 + 2 * u64::from(random::bytes::<1>()[0])));
            stack.kill9_and_wait("vault");
        }
        let count = |done: &AtomicUsize| done.load(Ordering::Relaxed);
        wait_until("work of every kind", || count(tokens) > kills && count(payments) > 0 && count(rotations) > 0);
    });
    let (last, said) = stack.ask_operator(&["rotation", "--wait"]);
    assert_eq!((&last["running"], &last["items_damaged"]), (&false.into(), &0.into()), "{last} {said}");
    let counted = [tokens, imports, payments, rotations].map(|count| count.load(Ordering::Relaxed));
    let [tokens, imports, payments, rotations] = counted;
    println!("{kills} kills; {tokens} tokens, {imports} imports, {payments} payments, {rotations} rotations");
    assert_acknowledged_open(stack, acknowledged);
    assert_ledger_is_whole(stack);
}

fn assert_acknowledged_open(stack: &Stack, acknowledged: &Acknowledged) {
    let mut expected = std::mem::take(&mut *acknowledged.lock().unwrap());
    let all = expected.len();
    let rows = block_on(open_all(stack, |record, digits| {
        let digits = digits.expect("every card opens");
        // A card whose answer was cut off is there too, and nobody's loss.
        if let Some(number) = expected.remove(&record) {
            assert_eq!(digits, number.as_bytes());
        }
    }));
    println!("{all} acknowledged, {rows} there");
    assert_eq!(expected.len(), 0, "acknowledged, and not there");
    let alerts = "SELECT count(*) FROM alerts WHERE kind LIKE '%unopenable'";
    assert_eq!(stack.sql("vault", alerts), "0");
}

fn assert_ledger_is_whole(stack: &Stack) {
    let without_row = "SELECT count(*) FROM attempts WHERE kind IN ('authorize', 'purchase')
                       AND NOT EXISTS (SELECT FROM openings WHERE openings.attempt_id = attempts.id)";
    assert_eq!(stack.sql("vault", without_row), "0", "no opening without its row");
    let unrecorded = "SELECT count(*) FROM rotations WHERE kind = 'dek' AND items_done >
                      (SELECT COALESCE(sum(records), 0) FROM openings WHERE request_id = rotations.id)";
    assert_eq!(stack.sql("vault", unrecorded), "0", "no reseal without its row");
    let whole = "SELECT count(*) = max(sequence) AND count(*) = (SELECT size FROM ledger_heads) FROM openings";
    assert_eq!(stack.sql("vault", whole), "t", "no gap, and none twice");
    let [ledger, witness] = ["ledger", "witness"].map(|name| stack.state().join(format!("{name}.export")));
    let (ledger, witness) = (ledger.to_str().unwrap(), witness.to_str().unwrap());
    for arguments in
        [&["export", "--out", ledger][..], &["witness", "--out", witness], &["verify", ledger, "--witness", witness]]
    {
        let (code, said) = run_ledger(stack, arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
    }
}

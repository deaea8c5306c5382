//! Payments without a card, from the vault's data plane to the networks and back: each outcome; nothing asked twice; nothing opened
//! without a row; the payer's data at the network and nowhere else; killed in between, nothing lost.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_platform::{clock, random};
use kura_tests::linked::LinkedVault;
use kura_tests::search::{self, Needle};
use kura_tests::{Options, Stack, VaultPeer, block_on};
use kura_wire::deposit as wire;
use kura_wire::ids::{AttemptId, PayerId};
use kura_wire::{payer, settlement};
use serde_json::{Value, json};
use uuid::Uuid;

/// One request at one method.
#[derive(Clone)]
struct Deposit {
    method: &'static str,
    payer: PayerId,
    attempt: AttemptId,
    reference: String,
    amount: u64,
}

fn peer(stack: &Stack) -> VaultPeer {
    VaultPeer::new(stack, 0)
}

fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

fn fields(method: &str, tag: &str) -> Value {
    match method {
        "emoney" => json!({ "email": format!("{tag}@example.jp") }),
        "payeasy" => {
            json!({ "name": format!("山田 {tag}"), "phone": "0312345678", "address": format!("架空県{tag}市") })
        }
        _ => json!({ "name": format!("山田 {tag}"), "phone": "09012345678", "email": format!("{tag}@example.jp") }),
    }
}

fn tag() -> String {
    random::bytes::<8>().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

impl Deposit {
    /// Of a new payer.
    fn new(peer: &VaultPeer, method: &'static str, amount: u64) -> Self {
        Self::of(peer, method, amount, &tag())
    }

    fn of(peer: &VaultPeer, method: &'static str, amount: u64, tag: &str) -> Self {
        let payer = PayerId::from_bytes(random::bytes());
        let body =
            json!({ "context": peer.context(), "payer": payer, "method": method, "fields": fields(method, tag) });
        let (status, stored) = peer.post(payer::PATH_STORE_PAYER, &body);
        assert_eq!(status, 200, "{stored}");
        let (attempt, reference) = VaultPeer::attempt();
        Self { method, payer, attempt, reference, amount }
    }

    fn body(&self, peer: &VaultPeer) -> Value {
        let expires = (clock::now() + Duration::from_secs(86_400)).replace_nanosecond(0).unwrap();
        let mut body = json!({
            "context": peer.context(), "attempt": self.attempt, "network_reference": self.reference,
            "method": self.method, "payer": self.payer, "expires_at": rfc3339(expires),
            "money": { "amount_minor": self.amount, "currency": "JPY" },
        });
        if self.method == "emoney" {
            body["return_url"] = json!("https://shop.example/back");
        }
        body
    }

    fn request(&self, peer: &VaultPeer) -> Value {
        let (status, told) = peer.post(wire::PATH_REQUEST, &self.body(peer));
        assert_eq!(status, 200, "{told}");
        told
    }

    fn about(&self, peer: &VaultPeer, path: &str) -> Value {
        let (status, told) = peer.post(path, &json!({ "context": peer.context(), "attempt": self.attempt }));
        assert_eq!(status, 200, "{told}");
        told
    }

    fn find(&self, peer: &VaultPeer) -> Value {
        self.about(peer, wire::PATH_FIND)
    }

    fn give_back(&self, peer: &VaultPeer, attempt: &(AttemptId, String), amount: u64) -> Value {
        let body = json!({ "context": peer.context(), "attempt": attempt.0, "network_reference": attempt.1,
            "original": self.attempt, "money": { "amount_minor": amount, "currency": "JPY" } });
        let (status, told) = peer.post(wire::PATH_GIVE_BACK, &body);
        assert_eq!(status, 200, "{told}");
        told
    }

    /// What the payer does.
    fn act(&self, stack: &Stack, act: &str, body: &Value) -> Value {
        let url = format!("{}/deposits/acts/{}/{act}", stack.run().networks, self.reference);
        block_on(async { Stack::http().post(url).json(body).send().await.unwrap().json().await.unwrap() })
    }

    /// What the network has; `null` when it has nothing.
    fn at_network(&self, stack: &Stack) -> Value {
        stack.get(&format!("{}/deposits/acts/{}", stack.run().networks, self.reference)).json()
    }

    /// The ledger's rows: purpose, fields, attempt.
    fn openings(&self, stack: &Stack) -> String {
        let record = uuid(self.payer.as_bytes());
        stack.sql(
            "vault",
            &format!("SELECT purpose, class, fields, attempt_id FROM openings WHERE record_id = '{record}'"),
        )
    }
}

fn rfc3339(at: time::OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// Each method: asked for, paid, found; asked for again it is the same one, opened once and asked for once.
#[test]
fn each_method_is_asked_for_once_and_paid() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    for (method, place, opened) in [
        ("konbini", "familymart", "{name,phone,email}"),
        ("payeasy", "bank", "{name,phone,address}"),
        ("emoney", "wallet", "{email}"),
    ] {
        let deposit = Deposit::new(&peer, method, 1200);
        let waiting = deposit.request(&peer);
        assert_eq!((&waiting["state"], &waiting["instructions"]["method"]), (&json!("waiting"), &json!(method)));
        assert_eq!(deposit.request(&peer), waiting);
        assert_eq!(deposit.find(&peer), waiting);
        let attempt = uuid(deposit.attempt.as_bytes());
        assert_eq!(deposit.openings(stack), format!("deposit|{method}|{opened}|{attempt}"));
        assert_eq!(deposit.act(stack, "pay", &json!({}))["became"], "done");
        let paid = deposit.find(&peer);
        assert_eq!((&paid["state"], &paid["place"]), (&json!("paid"), &json!(place)), "{paid}");
        assert_eq!(deposit.request(&peer), paid);
        assert_eq!(deposit.about(&peer, wire::PATH_WITHDRAW), paid, "too late");
    }
}

/// Another amount, payer, reference or merchant under one attempt id is refused; so is a payer of another method or merchant.
#[test]
fn an_attempt_is_one_request() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let deposit = Deposit::new(&peer, "konbini", 1200);
    deposit.request(&peer);
    let other = Deposit::new(&peer, "konbini", 1200);
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = deposit.body(&peer);
        change(&mut body);
        let (status, told) = peer.post(wire::PATH_REQUEST, &body);
        (status, told["code"].as_str().unwrap_or_default().to_owned())
    };
    let mismatch = (409, "attempt_mismatch".to_owned());
    assert_eq!(refused(&|body| body["money"]["amount_minor"] = json!(1300)), mismatch);
    assert_eq!(refused(&|body| body["payer"] = json!(other.payer)), mismatch);
    assert_eq!(refused(&|body| body["network_reference"] = json!(other.reference)), mismatch);
    assert_eq!(refused(&|body| body["context"]["merchant"] = json!(stack.run().merchants.other)), mismatch);
    let unknown = (404, "payer_unknown".to_owned());
    let fresh = |change: &dyn Fn(&mut Value)| {
        refused(&|body| {
            let (attempt, reference) = VaultPeer::attempt();
            (body["attempt"], body["network_reference"]) = (json!(attempt), json!(reference));
            change(body);
        })
    };
    assert_eq!(fresh(&|body| body["context"]["merchant"] = json!(stack.run().merchants.other)), unknown);
    assert_eq!(fresh(&|body| body["method"] = json!("payeasy")), unknown);
    assert_eq!(fresh(&|body| body["payer"] = json!(PayerId::from_bytes(random::bytes()))), unknown);
    let malformed = (400, "malformed".to_owned());
    assert_eq!(fresh(&|body| body["network_reference"] = json!("../../refunds")), malformed);
    assert_eq!(fresh(&|body| body["return_url"] = json!("https://shop.example")), malformed);
    assert_eq!(fresh(&|body| body["confirmation_number"] = json!("abc")), malformed);
    let (status, told) = peer.post(
        wire::PATH_FIND,
        &json!({ "context": { "request_id": deposit.body(&peer)["context"]["request_id"], "livemode": false,
                 "merchant": stack.run().merchants.other }, "attempt": deposit.attempt }),
    );
    assert_eq!((status, &told["code"]), (404, &json!("attempt_unknown")));
    assert_eq!(other.openings(stack), "", "a payer that no request named was not opened");
}

/// Withdrawn it can't be paid; asked about before it came, or withdrawn, it never comes.
#[test]
fn what_is_withdrawn_never_comes() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let deposit = Deposit::new(&peer, "konbini", 1200);
    deposit.request(&peer);
    assert_eq!(deposit.about(&peer, wire::PATH_WITHDRAW)["state"], "withdrawn");
    assert_eq!(deposit.act(stack, "pay", &json!({ "late": true }))["became"], "closed");
    for path in [wire::PATH_FIND, wire::PATH_WITHDRAW] {
        let never = Deposit::new(&peer, "payeasy", 1200);
        assert_eq!(never.about(&peer, path)["state"], "not_made");
        assert_eq!(never.request(&peer)["state"], "not_made");
        assert_eq!(never.openings(stack), "");
        assert_eq!(never.at_network(stack), Value::Null);
    }
}

/// Refusals of the network, at once and by the shopper; the end of time; money that comes late.
#[test]
fn each_end_is_told() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let declined = Deposit::new(&peer, "konbini", 1904);
    assert_eq!(declined.request(&peer), json!({ "state": "refused", "reason": "declined" }));
    assert_eq!(declined.find(&peer), json!({ "state": "refused", "reason": "declined" }));
    let refused = Deposit::new(&peer, "emoney", 1200);
    refused.request(&peer);
    refused.act(stack, "refuse", &json!({}));
    assert_eq!(refused.find(&peer), json!({ "state": "refused", "reason": "shopper_refused" }));
    let late = Deposit::new(&peer, "konbini", 1200);
    late.request(&peer);
    late.act(stack, "expire", &json!({}));
    assert_eq!(late.find(&peer)["state"], "expired");
    late.act(stack, "pay", &json!({ "late": true }));
    assert_eq!(late.find(&peer)["state"], "paid");
}

/// The wish of the merchant, and what stands on the receipt, reach the network.
#[test]
fn wishes_reach_the_network() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let deposit = Deposit::new(&peer, "konbini", 1200);
    let mut body = deposit.body(&peer);
    (body["confirmation_number"], body["description"]) = (json!("0901234567"), json!("コーヒー豆"));
    let told = peer.post(wire::PATH_REQUEST, &body).1;
    assert_eq!(told["instructions"]["stores"][2]["confirmation_number"], "0901234567");
    let known = deposit.at_network(stack);
    assert_eq!((&known["description"], &known["expires_at"]), (&json!("コーヒー豆"), &body["expires_at"]));
}

/// A lost answer is found; a lost request is made never to come. Neither is sent again, and each opened its payer once.
#[test]
fn lost_messages_are_found_out() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let lost = Deposit::new(&peer, "konbini", 1905);
    assert_eq!(lost.request(&peer)["state"], "unknown");
    assert_eq!(lost.request(&peer)["state"], "waiting");
    assert_eq!(lost.openings(stack).lines().count(), 1);
    let never = Deposit::new(&peer, "konbini", 1906);
    assert_eq!(never.request(&peer)["state"], "unknown");
    assert_eq!(never.at_network(stack), Value::Null);
    assert_eq!(never.find(&peer)["state"], "not_made");
    assert_eq!(never.request(&peer)["state"], "not_made");
    assert_eq!(never.openings(stack).lines().count(), 1);
    let journal = std::fs::read_to_string(stack.state().join("networks/deposits.jsonl")).unwrap();
    let foreseen = format!("{{\"foreseen\":{{\"reference\":\"{}\"", never.reference);
    assert!(journal.contains(&foreseen), "the network would still take it");
}

/// Money goes back in parts, each once, and never more than came; a lost answer is found by asking again.
#[test]
fn money_is_given_back() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let deposit = Deposit::new(&peer, "konbini", 1200);
    deposit.request(&peer);
    let early = VaultPeer::attempt();
    assert_eq!(deposit.give_back(&peer, &early, 100), "refused", "nothing was paid");
    deposit.act(stack, "pay", &json!({}));
    assert_eq!(deposit.give_back(&peer, &early, 100), "refused");
    let first = VaultPeer::attempt();
    assert_eq!(deposit.give_back(&peer, &first, 700), "accepted");
    assert_eq!(deposit.give_back(&peer, &first, 700), "accepted");
    assert_eq!(deposit.give_back(&peer, &VaultPeer::attempt(), 501), "refused");
    assert_eq!(deposit.give_back(&peer, &VaultPeer::attempt(), 500), "accepted");
    assert_eq!(deposit.at_network(stack)["given_back_minor"], 1200);
    let body = json!({ "context": peer.context(), "attempt": first.0, "network_reference": first.1,
        "original": deposit.attempt, "money": { "amount_minor": 1, "currency": "JPY" } });
    assert_eq!(peer.post(wire::PATH_GIVE_BACK, &body).0, 409);
    let lost = Deposit::new(&peer, "emoney", 1908);
    lost.request(&peer);
    lost.act(stack, "pay", &json!({}));
    let back = VaultPeer::attempt();
    assert_eq!(lost.give_back(&peer, &back, 1000), "unknown");
    assert_eq!(lost.give_back(&peer, &back, 1000), "accepted");
    assert_eq!(lost.at_network(stack)["given_back_minor"], 1000);
    let stubborn = Deposit::new(&peer, "payeasy", 1907);
    stubborn.request(&peer);
    stubborn.act(stack, "pay", &json!({}));
    assert_eq!(stubborn.give_back(&peer, &VaultPeer::attempt(), 1), "refused");
    let card = json!({ "context": peer.context(), "attempt": VaultPeer::attempt().0, "network_reference": "000000000000",
        "original": VaultPeer::attempt().0, "money": { "amount_minor": 1, "currency": "JPY" } });
    assert_eq!(peer.post(wire::PATH_GIVE_BACK, &card).1["code"], "attempt_unknown");
}

/// A request whose answer was lost is paid before anybody asked what became of it: the network told the gateway. Its money goes back
/// all the same, once, and what was never paid gives nothing.
#[test]
fn money_of_a_request_without_an_answer_is_given_back() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let lost = Deposit::new(&peer, "konbini", 3905);
    assert_eq!(lost.request(&peer)["state"], "unknown");
    assert_eq!(lost.act(stack, "pay", &json!({}))["became"], "done");
    let outcome =
        format!("SELECT COALESCE(outcome, 'none') FROM attempts WHERE id = '{}'", uuid(lost.attempt.as_bytes()));
    assert_eq!(stack.sql("vault", &outcome), "none", "nobody asked");
    let back = VaultPeer::attempt();
    assert_eq!(lost.give_back(&peer, &back, 3905), "accepted");
    assert_eq!(lost.give_back(&peer, &back, 3905), "accepted");
    assert_eq!(lost.at_network(stack)["given_back_minor"], 3905);
    assert_eq!(stack.sql("vault", &outcome), "approved");

    let never = Deposit::new(&peer, "konbini", 3906);
    assert_eq!(never.request(&peer)["state"], "unknown");
    let (attempt, reference) = VaultPeer::attempt();
    let body = json!({ "context": peer.context(), "attempt": attempt, "network_reference": reference,
        "original": never.attempt, "money": { "amount_minor": 1, "currency": "JPY" } });
    assert_eq!(peer.post(wire::PATH_GIVE_BACK, &body).1["code"], "attempt_unknown");
    assert_eq!(never.find(&peer)["state"], "not_made");
}

/// Planted names and addresses reach the network's journal, and lie in no other file, table, log or dump; what lies in the
/// open elsewhere would be found.
#[test]
fn payers_reach_the_network_and_nothing_else() {
    let (stack, peer) = (Stack::shared(), peer(Stack::shared()));
    let planted = tag();
    for method in ["konbini", "payeasy", "emoney"] {
        let deposit = Deposit::of(&peer, method, 1200, &planted);
        assert_eq!(deposit.request(&peer)["state"], "waiting");
        deposit.act(stack, "pay", &json!({}));
        deposit.give_back(&peer, &VaultPeer::attempt(), 10);
        deposit.find(&peer);
    }
    for database in ["vault", "gateway"] {
        stack.sql(database, "CHECKPOINT");
    }
    let found = search::on_disk(stack, &Needle::text(&planted));
    assert!(!found.is_empty());
    assert!(found.iter().all(|place| place.contains("networks/deposits.jsonl")), "{found:?}");
}

/// A canary among payers is refused as if by the network: nothing is opened or sent, and the purpose is frozen until a person
/// releases it.
#[test]
fn a_canary_stops_the_thief() {
    let stack = Stack::start(Options::default());
    let peer = peer(&stack);
    let before = Deposit::new(&peer, "konbini", 1200);
    assert_eq!(before.request(&peer)["state"], "waiting");
    let canary = Deposit::new(&peer, "emoney", 1200);
    let linked = LinkedVault::new(&stack);
    let hash = linked.keyring().fingerprints.canary(canary.payer.as_bytes());
    let merchant = uuid(peer.merchant.as_bytes());
    block_on(linked.vault.guard.watch(hash.to_vec(), merchant, false)).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(canary.request(&peer), json!({ "state": "refused", "reason": "declined" }));
    assert_eq!(canary.openings(&stack), "");
    assert_eq!(canary.at_network(&stack), Value::Null);
    let next = Deposit::new(&peer, "konbini", 1200);
    let (status, told) = peer.post(wire::PATH_REQUEST, &next.body(&peer));
    assert_eq!((status, &told["code"]), (503, &json!("purpose_frozen")));
    assert_eq!(next.openings(&stack), "");
    let freezes: Value = serde_json::from_str(&stack.vault(&["freezes", "--json"]).unwrap()).unwrap();
    assert_eq!((&freezes[0]["purpose"], &freezes[0]["reason"]), (&json!("deposit"), &json!("canary_used")));
}

/// No more payers are opened than the budget has.
#[test]
fn openings_have_a_budget() {
    let budget = r#"vault.budgets=[{"peer":"gateway.kura.internal","purpose":"deposit","per_minute":100,"per_day":3}]"#;
    let stack = Stack::start(Options::default().set(budget));
    let peer = peer(&stack);
    for _ in 0..3 {
        let deposit = Deposit::new(&peer, "emoney", 1200);
        assert_eq!(deposit.request(&peer)["state"], "waiting");
        assert_eq!(deposit.request(&peer)["state"], "waiting", "asking again costs nothing");
    }
    let beyond = Deposit::new(&peer, "emoney", 1200);
    assert_eq!(peer.post(wire::PATH_REQUEST, &beyond.body(&peer)).1["code"], "purpose_frozen");
    assert_eq!(beyond.openings(&stack), "");
}

/// All rows of today's settlement, page after page.
fn settlement(peer: &VaultPeer, network: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let body =
            json!({ "livemode": false, "network": network, "day": clock::now().date().to_string(), "after": after });
        let (status, page) = peer.post(settlement::PATH_SETTLEMENT, &body);
        assert_eq!(status, 200, "{page}");
        rows.extend(page["rows"].as_array().unwrap().iter().cloned());
        after = rows.last().map_or(0, |row| row["sequence"].as_u64().unwrap());
        if page["has_more"] == false {
            return rows;
        }
    }
}

/// A day's settlement at the vault is what the network's own journal has: of cards and of deposits.
#[test]
fn settlements_are_what_the_networks_have() {
    let stack = Stack::start(Options::default());
    let peer = peer(&stack);
    let card = peer.test_card("visa");
    let (paid, reference) = VaultPeer::attempt();
    assert_eq!(peer.authorize(&card, paid, &reference).1["outcome"], "approved");
    assert_eq!(peer.authorize(&peer.test_card("chargeDeclined"), VaultPeer::attempt().0, "DECLINED0001").0, 200);
    let (back, back_reference) = VaultPeer::attempt();
    let refund = json!({ "context": peer.context(), "attempt": back, "network_reference": back_reference,
        "original": paid, "money": { "amount_minor": 400, "currency": "JPY" } });
    assert_eq!(peer.post(kura_wire::vault::PATH_REFUND, &refund).1["outcome"], "approved");
    let shown = |rows: Vec<Value>| -> Vec<Value> {
        rows.iter().map(|row| json!([row["kind"], row["network_reference"], row["original"], row["money"]])).collect()
    };
    let yen = |amount: u64| json!({ "amount_minor": amount, "currency": "JPY" });
    assert_eq!(
        shown(settlement(&peer, "card")),
        [json!(["payment", reference, null, yen(1500)]), json!(["refund", back_reference, reference, yen(400)])]
    );
    let books = stack.get(&format!("{}/acquirer/totals", stack.run().networks)).json();
    assert_eq!((&books["jpy"]["captured"], &books["jpy"]["refunded"]), (&json!(1500), &json!(400)));
    for method in ["konbini", "payeasy", "emoney"] {
        let deposit = Deposit::new(&peer, method, 1200);
        deposit.request(&peer);
        Deposit::new(&peer, method, 1300).request(&peer);
        deposit.act(&stack, "pay", &json!({}));
        let back = VaultPeer::attempt();
        deposit.give_back(&peer, &back, 200);
        assert_eq!(
            shown(settlement(&peer, method)),
            [
                json!(["payment", deposit.reference, null, yen(1200)]),
                json!(["refund", back.1, deposit.reference, yen(200)])
            ],
            "{method}"
        );
    }
    let live = json!({ "livemode": true, "network": "card", "day": "2026-11-25" });
    assert_eq!(peer.post(settlement::PATH_SETTLEMENT, &live).1["code"], "network_not_configured");
}

/// Killed while a request is under way, vault or network, it is there once afterwards; and while the network is away nothing is
/// asked for.
#[test]
fn killed_in_between_nothing_is_lost_or_doubled() {
    let stack = Stack::start(Options::default().restart());
    let peer = peer(&stack);
    let under_way = |victim: &str| {
        let deposit = Deposit::new(&peer, "konbini", 2905);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| VaultPeer::new(&stack, 0).try_post(wire::PATH_REQUEST, &deposit.body(&peer)));
            wait_until("the network to have it", || deposit.at_network(&stack) != Value::Null);
            stack.kill9_and_wait(victim);
            asking.join().expect("no panic");
        });
        wait_until("the vault to find it", || deposit.find(&peer)["state"] == "waiting");
        assert_eq!(deposit.openings(&stack).lines().count(), 1, "{victim}");
        assert_eq!(deposit.request(&peer)["state"], "waiting");
        deposit
    };
    under_way("vault");
    let deposit = under_way("networks");
    deposit.act(&stack, "pay", &json!({}));
    let back = VaultPeer::attempt();
    assert_eq!(deposit.give_back(&peer, &back, 900), "accepted");
    stack.kill9_and_wait("networks");
    wait_until("the line to be up again", || deposit.find(&peer)["state"] == "paid");
    assert_eq!(deposit.give_back(&peer, &back, 900), "accepted");
    assert_eq!(deposit.at_network(&stack)["given_back_minor"], 900);
    let journal = std::fs::read_to_string(stack.state().join("networks/deposits.jsonl")).unwrap();
    assert_eq!(journal.matches("\"requested\"").count(), 2);
}

fn wait_until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

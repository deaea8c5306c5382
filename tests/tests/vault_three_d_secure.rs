//! 3-D Secure and verification, as whoever holds the gateway's certificate asks the vault: each outcome, one question for each
//! authentication, no opening without its row, and proofs that are of one payment.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_platform::random;
use kura_tests::issuer::{Challenge, journal, times_asked};
use kura_tests::{Options, Stack, VaultPeer};
use kura_wire::ids::{AuthenticationId, CardToken};
use serde_json::{Value, json};

fn new_id() -> AuthenticationId {
    AuthenticationId::from_bytes(random::bytes())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn openings(stack: &Stack, id: AuthenticationId) -> String {
    let rows = format!("SELECT purpose, fields, records FROM openings WHERE attempt_id = '{}'", hex(id.as_bytes()));
    stack.sql("vault", &rows)
}

/// Passes the challenge of an authentication that was asked for.
fn pass(peer: &VaultPeer, token: &Value, id: AuthenticationId, pays: bool) {
    let (status, asked) = peer.authenticate(token, id, pays);
    assert_eq!((status, &asked["state"]), (200, &json!("challenge")), "{asked}");
    assert_eq!(Challenge::at(asked["url"].as_str().unwrap()).confirm(), "http://localhost:9/3d_secure/return");
    let (_, ended) = peer.find_authentication(id);
    assert_eq!((&ended["result"], &ended["flow"]), (&json!("authenticated"), &json!("challenge")), "{ended}");
}

/// Every outcome is told, and told again; the directory was asked once, and one opening is on record. The authentication value
/// is in no row and no answer.
#[test]
fn each_outcome_is_asked_for_once() {
    let stack = Stack::shared();
    let peer = VaultPeer::new(stack, 0);
    for (card, result, eci) in [
        ("visa", "not_supported", Value::Null),
        ("threeDSecureOptional", "authenticated", json!("05")),
        ("threeDSecureFrictionless", "authenticated", json!("05")),
        ("threeDSecureFrictionlessMastercard", "authenticated", json!("02")),
        ("threeDSecureAttempted", "attempt_acknowledged", json!("06")),
        ("threeDSecureUnavailable", "unavailable", json!("07")),
        ("threeDSecureFailed", "failed", Value::Null),
        ("threeDSecureRejected", "rejected", Value::Null),
    ] {
        let (token, id) = (peer.test_card(card), new_id());
        let (status, asked) = peer.authenticate(&token, id, true);
        assert_eq!(status, 200, "{card}: {asked}");
        assert_eq!(
            (&asked["state"], &asked["result"], &asked["eci"]),
            (&json!("ended"), &json!(result), &eci),
            "{card}"
        );
        assert_eq!(asked["flow"], "frictionless");
        assert_eq!(peer.authenticate(&token, id, true), (200, asked.clone()));
        assert_eq!(peer.find_authentication(id), (200, asked.clone()));
        assert_eq!(times_asked(stack, &id.to_string()), 1, "{card}");
        assert_eq!(openings(stack, id), "authenticate|{pan}|1", "{card}");
    }
    for card in ["threeDSecure2Required", "authenticationRequired", "authenticationRequiredOnSetup"] {
        let (token, id) = (peer.test_card(card), new_id());
        pass(&peer, &token, id, true);
        assert_eq!(peer.authenticate(&token, id, true), peer.find_authentication(id));
        assert_eq!(times_asked(stack, &id.to_string()), 1, "{card}");
        assert_eq!(openings(stack, id), "authenticate|{pan}|1", "{card}");
    }
    let given_up = new_id();
    let (_, asked) = peer.authenticate(&peer.test_card("threeDSecure2Required"), given_up, true);
    Challenge::at(asked["url"].as_str().unwrap()).cancel();
    assert_eq!(peer.find_authentication(given_up).1["result"], "failed");

    let values: Vec<String> = journal(stack)
        .iter()
        .flat_map(|line| [line["begun"]["value"].clone(), line["ended"]["value"].clone()])
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect();
    assert!(values.len() >= 6, "{values:?}");
    let rows =
        stack.sql("vault", "SELECT a::text FROM authentications a") + &stack.sql("vault", "SELECT a FROM attempts a");
    assert!(!values.iter().any(|value| rows.contains(value.as_str())), "a value that proves something is in a row");
}

/// What is not the same question, not this merchant's, or not there, is refused and opens nothing.
#[test]
fn another_question_under_the_same_id_is_refused() {
    let stack = Stack::shared();
    let (peer, mut other) = (VaultPeer::new(stack, 0), VaultPeer::new(stack, 0));
    other.merchant = stack.run().merchants.other.parse().unwrap();
    let (token, id) = (peer.test_card("threeDSecureFrictionless"), new_id());
    assert_eq!(peer.find_authentication(id), (404, json!({ "code": "authentication_unknown" })));
    let stranger = new_id();
    assert_eq!(other.authenticate(&token, stranger, true), (404, json!({ "code": "token_unknown" })));
    assert_eq!(openings(stack, stranger), "");
    assert_eq!(peer.authenticate(&token, id, true).0, 200);
    let mismatch = json!({ "code": "attempt_mismatch" });
    assert_eq!(peer.authenticate(&token, id, false).1, mismatch);
    assert_eq!(peer.authenticate(&peer.test_card("visa"), id, true).1, mismatch);
    assert_eq!(other.find_authentication(id), (404, json!({ "code": "authentication_unknown" })));
    assert_eq!(openings(stack, id), "authenticate|{pan}|1");
}

/// A card that wants a proof is declined without, approved with, once; the network has it on its books. What was proven over
/// another amount, by another card, or not at all, goes nowhere.
#[test]
fn a_proof_is_of_one_payment() {
    let stack = Stack::shared();
    let peer = VaultPeer::new(stack, 0);
    let (token, id) = (peer.test_card("threeDSecure2Required"), new_id());
    let declined = |said: &(u16, Value)| (said.1["outcome"].clone(), said.1["decline_code"].clone());
    let wants = (json!("declined"), json!("authentication_required"));
    assert_eq!(declined(&peer.authorize_with(&token, &json!({}))), wants);
    pass(&peer, &token, id, true);
    let unknown = (404, json!({ "code": "authentication_unknown" }));
    let other_card = peer.test_card("threeDSecureFrictionless");
    for (token, more) in [
        (&token, json!({ "authentication": id, "money": { "amount_minor": 1501, "currency": "JPY" } })),
        (&token, json!({ "authentication": id, "money": { "amount_minor": 1500, "currency": "USD" } })),
        (&token, json!({ "authentication": new_id() })),
        (&other_card, json!({ "authentication": id })),
    ] {
        assert_eq!(peer.authorize_with(token, &more), unknown, "{more}");
    }
    let failed = new_id();
    let refused_card = peer.test_card("threeDSecureFailed");
    assert_eq!(peer.authenticate(&refused_card, failed, true).1["result"], "failed");
    assert_eq!(peer.authorize_with(&refused_card, &json!({ "authentication": failed })), unknown);
    let open = new_id();
    assert_eq!(peer.authenticate(&token, open, true).1["state"], "challenge");
    assert_eq!(peer.authorize_with(&token, &json!({ "authentication": open })), unknown);
    assert_eq!(peer.verify(&token, Some(id)), unknown, "a payment's proof is none of a set-up");

    let (attempt, reference) = VaultPeer::attempt();
    let named = json!({ "authentication": id, "attempt": attempt, "network_reference": reference });
    let paid = peer.authorize_with(&token, &named);
    assert_eq!(paid.1["outcome"], "approved", "{}", paid.1);
    assert_eq!(peer.authorize_with(&token, &named), paid, "asked again, it is told again");
    let unnamed = json!({ "attempt": attempt, "network_reference": reference });
    assert_eq!(peer.authorize_with(&token, &unnamed).1, json!({ "code": "attempt_mismatch" }));
    let booked = stack.get(&format!("{}/acquirer/books?reference={reference}", stack.run().networks)).json();
    let transaction = peer.find_authentication(id).1["transaction_id"].clone();
    assert_eq!(booked["entries"][0]["authentication"], transaction);
    assert_eq!(declined(&peer.authorize_with(&token, &json!({ "authentication": id }))), wants, "a proof counts once");
}

/// What the issuer acknowledged is a proof; what it could not find out, and who takes no part, is none, and goes on.
#[test]
fn who_vouches_is_told_to_the_network() {
    let peer = VaultPeer::new(Stack::shared(), 0);
    for (card, without, with) in [
        ("threeDSecureAttempted", "declined", "approved"),
        ("threeDSecureUnavailable", "approved", "approved"),
        ("visa", "approved", "approved"),
        ("threeDSecureRequiredChargeDeclined", "declined", "declined"),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", "declined", "declined"),
    ] {
        let (token, id) = (peer.test_card(card), new_id());
        assert_eq!(peer.authorize_with(&token, &json!({})).1["outcome"], without, "{card}");
        if card.ends_with("Declined") || card.ends_with("Funds") {
            pass(&peer, &token, id, true);
        } else {
            assert_eq!(peer.authenticate(&token, id, true).1["state"], "ended", "{card}");
        }
        let said = peer.authorize_with(&token, &json!({ "authentication": id })).1;
        assert_eq!(said["outcome"], with, "{card}: {said}");
        assert_ne!(said["decline_code"], "authentication_required", "{card}");
    }
}

/// A single-use token that was declined for want of a proof may be used once more; its code was sent and is gone. What is asked
/// again is told again and uses nothing up.
#[test]
fn a_token_without_its_proof_is_given_back_once() {
    let stack = Stack::shared();
    let peer = VaultPeer::new(stack, 0);
    let token = peer.single_use("threeDSecure2Required");
    let (attempt, reference) = VaultPeer::attempt();
    let first = json!({ "attempt": attempt, "network_reference": reference });
    let declined = peer.authorize_with(&token, &first);
    assert_eq!(
        (&declined.1["decline_code"], &declined.1["cvc_check"]),
        (&json!("authentication_required"), &json!("pass"))
    );
    assert_eq!(peer.authorize_with(&token, &first), declined);
    assert_eq!(peer.resolve(attempt), declined);
    let id = new_id();
    pass(&peer, &token, id, true);
    let paid = peer.authorize_with(&token, &json!({ "authentication": id })).1;
    assert_eq!((&paid["outcome"], &paid["cvc_check"]), (&json!("approved"), &json!("unavailable")), "{paid}");
    assert_eq!(peer.authorize_with(&token, &first), declined);
    let used = (409, json!({ "code": "token_used" }));
    assert_eq!(peer.authorize_with(&token, &json!({})), used);
    assert_eq!(peer.authenticate(&token, new_id(), true), used);

    let twice = peer.single_use("threeDSecure2Required");
    for decline_code in ["authentication_required", "authentication_required"] {
        assert_eq!(peer.authorize_with(&twice, &json!({})).1["decline_code"], decline_code);
    }
    assert_eq!(peer.authorize_with(&twice, &json!({})), used, "given back once");
    let plainly = peer.single_use("chargeDeclined");
    assert_eq!(peer.authorize_with(&plainly, &json!({})).1["outcome"], "declined");
    assert_eq!(peer.authorize_with(&plainly, &json!({})), used, "other declines give nothing back");
}

/// A verification asks, sends the code along and moves nothing; a proven one sets the card up for what the merchant charges by
/// itself, unless the issuer wants to be asked each time.
#[test]
fn a_verified_card_is_charged_by_the_merchant() {
    let stack = Stack::shared();
    let peer = VaultPeer::new(stack, 0);
    let by_itself = json!({ "initiator": "merchant" });
    let single = peer.single_use("visa");
    let verified = peer.verify(&single, None).1;
    assert_eq!((&verified["outcome"], &verified["cvc_check"]), (&json!("approved"), &json!("pass")), "{verified}");
    assert_eq!(peer.verify(&single, None).1["cvc_check"], "unavailable", "the code is wiped");
    assert_eq!(peer.authorize_with(&single, &json!({})).1["outcome"], "approved", "the token is not used up");
    assert_eq!(peer.verify(&peer.test_card("chargeDeclined"), None).1["outcome"], "declined");

    // The simulator knows set-ups by merchant and last four, so this merchant is one of its own.
    let mut peer = VaultPeer::new(stack, 0);
    peer.merchant = kura_wire::ids::MerchantId::from_bytes(random::bytes());
    for (card, before, after) in [
        ("authenticationRequiredOnSetup", "declined", "approved"),
        ("authenticationRequired", "declined", "declined"),
        ("threeDSecure2Required", "approved", "approved"),
    ] {
        let (token, id) = (peer.test_card(card), new_id());
        assert_eq!(peer.authorize_with(&token, &by_itself).1["outcome"], before, "{card}");
        assert_eq!(peer.verify(&token, None).1["decline_code"], "authentication_required", "{card}");
        pass(&peer, &token, id, false);
        assert_eq!(peer.verify(&token, Some(id)).1["outcome"], "approved", "{card}");
        assert_eq!(peer.authorize_with(&token, &by_itself).1["outcome"], after, "{card}");
        assert_eq!(peer.authorize_with(&token, &json!({})).1["outcome"], "declined", "{card}: the shopper is there");
    }
    let verified =
        "SELECT DISTINCT purpose FROM openings JOIN attempts ON attempts.id = attempt_id WHERE kind = 'verify'";
    assert_eq!(stack.sql("vault", verified), "verify");
    let unopened = "SELECT count(*) FROM attempts WHERE kind IN ('verify', 'purchase', 'authorize') AND NOT EXISTS
                    (SELECT FROM openings WHERE openings.attempt_id = attempts.id)";
    assert_eq!(stack.sql("vault", unopened), "0");
}

/// The use of a canary is answered like a card that isn't its holder's; nothing is opened, nobody is asked, and nobody is asked
/// about any card any more.
#[test]
fn a_canary_stops_the_thief() {
    let stack = &Stack::start(Options::default());
    let peer = VaultPeer::new(stack, 0);
    let (known, known_id) = (peer.test_card("threeDSecureFrictionless"), new_id());
    let before = peer.authenticate(&known, known_id, true);
    stack.vault(&["canary", "make", "--merchant", &stack.run().merchants.main, "--count", "1"]).unwrap();
    let record = stack.sql("vault", "SELECT id FROM cards WHERE saved_at IS NOT NULL ORDER BY created_at LIMIT 1");
    let record: [u8; 16] =
        data_encoding::HEXLOWER.decode(record.replace('-', "").as_bytes()).unwrap().try_into().unwrap();
    let real: CardToken = known.as_str().unwrap().parse().unwrap();
    let (canary, id) = (json!(CardToken { record, ..real }), new_id());
    let (status, said) = peer.authenticate(&canary, id, true);
    assert_eq!((status, &said["result"]), (200, &json!("failed")), "{said}");
    assert_eq!(peer.authenticate(&canary, id, true), (status, said));
    assert_eq!(times_asked(stack, &id.to_string()), 0);
    assert_eq!(openings(stack, id), "");
    let frozen = new_id();
    assert_eq!(peer.authenticate(&known, frozen, true), (503, json!({ "code": "purpose_frozen" })));
    assert_eq!((times_asked(stack, &frozen.to_string()), openings(stack, frozen)), (0, String::new()));
    assert_eq!(peer.authenticate(&known, known_id, true), before, "what is on record is told");
    let alerts: Value = serde_json::from_str(&stack.vault(&["alerts", "--json"]).unwrap()).unwrap();
    assert_eq!(
        (&alerts[0]["kind"], &alerts[0]["purpose"]),
        (&json!("canary_used"), &json!("authenticate")),
        "{alerts}"
    );
}

/// The directory stalls, dies, and the vault dies over a question: it is asked once at the most, opened once at the most, and
/// ends, with what the directory says, or without it where it surely was not asked.
#[test]
fn no_question_is_asked_twice() {
    let stack = &Stack::start(Options::default().restart().set("vault.services.test.response_timeout_ms=1500"));
    let peer = VaultPeer::new(stack, 0);
    let token = peer.test_card("threeDSecureFrictionless");
    let until_ended = |id| {
        let began = Instant::now();
        loop {
            let (_, said) = VaultPeer::new(stack, 0).find_authentication(id);
            if said["state"] == "ended" {
                return said["result"].as_str().unwrap().to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };

    let stalled = new_id();
    stack.pause("networks");
    assert_eq!(peer.authenticate(&token, stalled, true).1["state"], "unknown");
    assert_eq!(peer.authenticate(&token, stalled, true).1["state"], "unknown");
    stack.go_on("networks");
    let result = until_ended(stalled);
    let times = times_asked(stack, &stalled.to_string());
    assert!(matches!((result.as_str(), times), ("authenticated", 1) | ("unavailable", 0)), "{result} {times}");
    assert_eq!(openings(stack, stalled), "authenticate|{pan}|1");

    let killed = new_id();
    stack.pause("networks");
    let old = std::thread::scope(|scope| {
        let asking =
            scope.spawn(|| std::panic::catch_unwind(|| VaultPeer::new(stack, 0).authenticate(&token, killed, true)));
        std::thread::sleep(Duration::from_millis(700));
        let old = stack.kill9("vault");
        let _ = asking.join();
        old
    });
    stack.go_on("networks");
    stack.wait_restarted("vault", old);
    let result = until_ended(killed);
    let times = times_asked(stack, &killed.to_string());
    assert!(matches!((result.as_str(), times), ("authenticated", 1) | ("unavailable", 0 | 1)), "{result} {times}");
    assert_eq!(openings(stack, killed), "authenticate|{pan}|1");
    let _ = VaultPeer::new(stack, 0).authenticate(&token, killed, true);
    assert_eq!(openings(stack, killed), "authenticate|{pan}|1");

    let peer = VaultPeer::new(stack, 0);
    let challenged = new_id();
    let (_, asked) = peer.authenticate(&peer.test_card("threeDSecure2Required"), challenged, true);
    stack.kill9_and_wait("networks");
    Challenge::at(asked["url"].as_str().unwrap()).confirm();
    assert_eq!(until_ended(challenged), "authenticated");
}

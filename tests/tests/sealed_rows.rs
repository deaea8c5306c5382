//! Sealed rows, attacked by someone who owns the vault's database: what was moved or changed does not open, and is reported.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::Stack;
use kura_wire::ids::CardToken;
use serde_json::Value;

/// A saved test card; its record in the vault.
fn saved_card(stack: &Stack, name: &str) -> (String, String) {
    let made = stack.post(
        "/v1/payment_methods",
        &stack.run().keys.sk_test,
        &[("type", "card"), ("card[token]", &format!("tok_{name}"))],
    );
    assert_eq!(made.status, 200, "{}", made.text);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let token: CardToken = id.parse().expect("a card token");
    let record: String = token.record.iter().map(|byte| format!("{byte:02x}")).collect();
    (id, record)
}

fn pay(stack: &Stack, payment_method: &str) -> (u16, Value) {
    let paid = stack.post(
        "/v1/payment_intents",
        &stack.run().keys.sk_test,
        &[("amount", "1200"), ("currency", "jpy"), ("payment_method", payment_method), ("confirm", "true")],
    );
    (paid.status, paid.json())
}

/// Alerts about a card.
fn alerts(stack: &Stack, record: &str) -> u32 {
    let count = "SELECT count(*) FROM alerts WHERE kind = 'sealed_data_unopenable' AND record_id";
    stack.sql("vault", &format!("{count} = '{record}'")).parse().expect("a count")
}

/// Two rows whose sealed numbers were swapped: neither pays any more, each attempt is an alert, the network hears nothing.
/// Swapped back, both pay again, which shows that nothing else kept them from paying.
#[test]
fn swapped_rows_do_not_open() {
    let stack = Stack::shared();
    let (first, first_record) = saved_card(stack, "visa");
    let (second, second_record) = saved_card(stack, "mastercard");
    let swap = || {
        stack.sql(
            "vault",
            &format!(
                "UPDATE cards SET pan_sealed = other.pan_sealed FROM cards other
                 WHERE (cards.id, other.id) IN (('{first_record}', '{second_record}'), ('{second_record}', '{first_record}'))"
            ),
        )
    };
    swap();
    for card in [&first, &second] {
        let (status, body) = pay(stack, card);
        assert_eq!(status, 500, "{body}");
        assert_eq!(body["error"]["type"], "api_error");
    }
    assert_eq!((alerts(stack, &first_record), alerts(stack, &second_record)), (1, 1));
    assert!(stack.log("vault").contains("sealed_data_unopenable"));
    let sent = format!(
        "SELECT count(*) FROM attempts WHERE card_id IN ('{first_record}', '{second_record}') AND outcome <> 'reversed'"
    );
    assert_eq!(stack.sql("vault", &sent), "0", "nothing was sent");
    swap();
    for card in [&first, &second] {
        assert_eq!(pay(stack, card).1["status"], "succeeded");
    }
}

/// One changed byte, wherever it stands in the sealed value, and the card does not open; the original bytes back, it does.
#[test]
fn a_changed_byte_does_not_open() {
    let stack = Stack::shared();
    let (card, record) = saved_card(stack, "visa");
    let length: usize =
        stack.sql("vault", &format!("SELECT length(pan_sealed) FROM cards WHERE id = '{record}'")).parse().unwrap();
    for place in [0, 1, 8, 9, 20, 21, length / 2, length - 1] {
        let flip = format!(
            "UPDATE cards SET pan_sealed = set_byte(pan_sealed, {place}, get_byte(pan_sealed, {place}) # 1) WHERE id = '{record}'"
        );
        stack.sql("vault", &flip);
        let before = alerts(stack, &record);
        let (status, body) = pay(stack, &card);
        assert_eq!(status, 500, "byte {place}: {body}");
        assert_eq!(alerts(stack, &record), before + 1, "byte {place}");
        stack.sql("vault", &flip);
    }
    assert_eq!(pay(stack, &card).1["status"], "succeeded");
}

/// Every number that was opened has its row in the access ledger, written before the network was asked, naming who and why;
/// the service's own role can neither change nor delete one.
#[test]
fn every_opening_has_its_ledger_row() {
    let stack = Stack::shared();
    let (card, record) = saved_card(stack, "jcb");
    let paid = pay(stack, &card).1;
    assert_eq!(paid["status"], "succeeded");
    let row = stack.sql(
        "vault",
        &format!("SELECT actor, purpose, fields, count(*) OVER () FROM openings WHERE record_id = '{record}'"),
    );
    assert_eq!(row, "gateway.kura.internal|authorize|{pan}|1");
    let order = stack.sql(
        "vault",
        "SELECT count(*) FROM attempts JOIN openings ON openings.attempt_id = attempts.id
         WHERE attempts.decided_at < openings.at",
    );
    assert_eq!(order, "0");
    for statement in [
        "UPDATE openings SET actor = 'nobody'",
        "DELETE FROM openings",
        "TRUNCATE openings",
        "DELETE FROM cards",
        "UPDATE cards SET merchant_id = merchant_id",
        "CREATE TABLE loot (pan text)",
        "DROP TABLE cards",
    ] {
        let refused = stack.sql_as_service("vault", statement).expect_err(statement);
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{statement}: {refused}");
    }
}

//! Disputes between the acquirer and the vault: opened by the issuer, answered through the vault, decided, and in the settlement.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_platform::clock;
use kura_tests::{Stack, VaultPeer, block_on, wait_until};
use kura_wire::ids::AttemptId;
use kura_wire::{dispute, settlement};
use serde_json::{Value, json};

/// A payment of 1,500 yen by card.
fn paid(peer: &VaultPeer) -> (AttemptId, String) {
    let (attempt, reference) = VaultPeer::attempt();
    let (status, told) = peer.authorize(&peer.test_card("visa"), attempt, &reference);
    assert_eq!((status, &told["outcome"]), (200, &json!("approved")), "{told}");
    (attempt, reference)
}

fn act(stack: &Stack, path: &str, body: &Value) -> Value {
    let url = format!("{}/disputes/acts/{path}", stack.run().networks);
    block_on(async { Stack::http().post(url).json(body).send().await.unwrap().json().await.unwrap() })
}

/// Opens one; gives its case number.
fn open(stack: &Stack, reference: &str, amount: Option<u64>) -> String {
    let opened = act(stack, "open", &json!({ "reference": reference, "reason": "fraudulent", "amount_minor": amount }));
    assert_eq!(opened["became"], "done", "{opened}");
    opened["dispute"].as_str().unwrap().to_owned()
}

fn show(stack: &Stack, case: &str) -> Value {
    stack.get(&format!("{}/disputes/acts/{case}", stack.run().networks)).json()
}

fn say(peer: &VaultPeer, case: &str, original: AttemptId, submission: AttemptId, answer: &Value) -> (u16, Value) {
    let body = json!({ "context": peer.context(), "attempt": submission, "original": original, "dispute": case,
                       "answer": answer });
    peer.post(dispute::PATH_ANSWER, &body)
}

fn submission() -> AttemptId {
    VaultPeer::attempt().0
}

/// Evidence reaches the issuer, once; it decides for the merchant, and the settlement has the money gone and back.
#[test]
fn a_dispute_is_won() {
    let (stack, peer) = (Stack::shared(), VaultPeer::new(Stack::shared(), 0));
    let (attempt, reference) = paid(&peer);
    let case = open(stack, &reference, Some(1000));
    assert_eq!(show(stack, &case)["state"], "needs_response");
    assert_eq!(act(stack, &format!("{case}/decide"), &json!({ "won": true }))["became"], "too_late");
    let (evidence, first) = (json!({ "answer": "evidence", "text": "署名のある受領書です。" }), submission());
    assert_eq!(say(&peer, &case, attempt, first, &evidence), (200, json!("accepted")));
    assert_eq!(say(&peer, &case, attempt, first, &evidence), (200, json!("accepted")), "asked again");
    assert_eq!(say(&peer, &case, attempt, submission(), &json!({ "answer": "accept" })), (200, json!("too_late")));
    let known = show(stack, &case);
    assert_eq!((&known["state"], &known["version"]), (&json!("under_review"), &json!(2)));
    assert_eq!(known["evidence"], "署名のある受領書です。");
    assert_eq!(act(stack, &format!("{case}/decide"), &json!({ "won": true }))["became"], "done");
    let body = json!({ "livemode": false, "network": "card", "day": clock::now().date().to_string() });
    let page = peer.post(settlement::PATH_SETTLEMENT, &body).1;
    let of_case = page["rows"].as_array().unwrap().iter().filter(|row| row["network_reference"] == json!(case));
    let rows: Vec<Value> =
        of_case.map(|row| json!([row["kind"], row["original"], row["money"]["amount_minor"]])).collect();
    assert_eq!(rows, [json!(["chargeback", reference, 1000]), json!(["chargeback_reversal", reference, 1000])]);
}

/// Giving in loses it; so does silence. What nobody charged can't be disputed, and nothing more than stands.
#[test]
fn a_dispute_is_lost() {
    let (stack, peer) = (Stack::shared(), VaultPeer::new(Stack::shared(), 0));
    let (attempt, reference) = paid(&peer);
    let case = open(stack, &reference, None);
    assert_eq!(show(stack, &case)["amount_minor"], 1500);
    let more = json!({ "reference": reference, "reason": "duplicate" });
    assert_eq!(act(stack, "open", &more)["became"], "too_much");
    assert_eq!(say(&peer, &case, attempt, submission(), &json!({ "answer": "accept" })), (200, json!("accepted")));
    assert_eq!(show(stack, &case)["state"], "lost");
    let (attempt, reference) = paid(&peer);
    let soon = json!({ "reference": reference, "reason": "unrecognized", "respond_within_s": 0 });
    let case = act(stack, "open", &soon)["dispute"].as_str().unwrap().to_owned();
    wait_until("its time to be over", || show(stack, &case)["state"] == "lost");
    let late = json!({ "answer": "evidence", "text": "x" });
    assert_eq!(say(&peer, &case, attempt, submission(), &late), (200, json!("too_late")));
    let nothing = json!({ "reference": "NOTHINGTHERE", "reason": "general" });
    assert_eq!(act(stack, "open", &nothing)["became"], "not_found");
}

/// Evidence may be as long as it says, in any letters.
#[test]
fn long_evidence_arrives_whole() {
    let (stack, peer) = (Stack::shared(), VaultPeer::new(Stack::shared(), 0));
    let (attempt, reference) = paid(&peer);
    let case = open(stack, &reference, None);
    let say_this =
        |text: &str| say(&peer, &case, attempt, submission(), &json!({ "answer": "evidence", "text": text }));
    let text = "𩸽".repeat(dispute::MAX_EVIDENCE_LEN);
    assert_eq!(say_this(&format!("{text}x")).0, 400);
    assert_eq!(say_this(&text), (200, json!("accepted")));
    assert_eq!(show(stack, &case)["evidence"], json!(text));
}

/// Only who was paid may answer, about the payment that is disputed; a case number is no path.
#[test]
fn only_the_merchant_answers() {
    let (stack, peer) = (Stack::shared(), VaultPeer::new(Stack::shared(), 0));
    let (attempt, reference) = paid(&peer);
    let (other, _) = paid(&peer);
    let case = open(stack, &reference, None);
    let accept = json!({ "answer": "accept" });
    assert_eq!(say(&peer, &case, other, submission(), &accept), (200, json!("not_found")), "another payment");
    let mut stranger = VaultPeer::new(stack, 0);
    stranger.merchant = stack.run().merchants.other.parse().unwrap();
    let (status, told) = say(&stranger, &case, attempt, submission(), &accept);
    assert_eq!((status, &told["code"]), (404, &json!("attempt_unknown")));
    for wrong in ["../../deposits", "DP000000000000", "DP00/0000000"] {
        let (status, told) = say(&peer, wrong, attempt, submission(), &accept);
        assert_eq!((status, &told["code"]), (400, &json!("malformed")), "{wrong}");
    }
    let empty = json!({ "answer": "evidence", "text": "" });
    assert_eq!(say(&peer, &case, attempt, submission(), &empty).0, 400);
    assert_eq!(show(stack, &case)["state"], "needs_response");
}

/// The page opens and decides without a script, in both languages, and shows evidence as text.
#[test]
fn the_issuers_page_works_with_forms() {
    let (stack, peer) = (Stack::shared(), VaultPeer::new(Stack::shared(), 0));
    let (attempt, reference) = paid(&peer);
    let page = format!("{}/disputes", stack.run().networks);
    let send = |path: &str, form: &[(&str, &str)]| -> String {
        let request = Stack::http().post(format!("{page}{path}?lang=en")).form(form);
        block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    assert!(
        send("", &[("reference", "nonsense"), ("reason", "general"), ("amount", "")]).contains("no charged payment")
    );
    let opened = send("", &[("reference", &reference), ("reason", "general"), ("amount", "700")]);
    assert!(opened.contains("Done.") && opened.contains("¥700") && opened.contains(&reference), "{opened}");
    let before = opened.split("/decide?lang=en").next().unwrap();
    let case = &before[before.len() - 12..];
    let text = json!({ "answer": "evidence", "text": "<script>alert(1)</script>" });
    assert_eq!(say(&peer, case, attempt, submission(), &text).1, "accepted");
    let shown = stack.get(&format!("{page}?lang=ja"));
    assert!(shown.text.contains("審査中") && !shown.text.contains("<script"));
    let policy = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    send(&format!("/{case}/decide"), &[("won", "false")]);
    assert_eq!(show(stack, case)["state"], "lost");
}

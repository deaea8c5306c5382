//! Payments without a card, from the merchant's request to the books: at a convenience store, by bank, from a wallet.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use kura_platform::standard_webhooks::{ID, SIGNATURE, Secret, TIMESTAMP};
use kura_tests::{Answer, Stack, block_on, wait_until};
use serde_json::{Value, json};

const NAME: &str = "預金 花子";
const PHONE: &str = "09087654321";
const EMAIL: &str = "hanako.deposit@example.jp";

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Answer {
    stack.post(path, &stack.run().keys.sk_test, form)
}

fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// A confirmed payment over so many yen, by this method.
fn pay(stack: &Stack, method: &str, amount: u32, more: &[(&str, &str)]) -> Value {
    let amount = amount.to_string();
    let mut form = vec![
        ("amount", amount.as_str()),
        ("currency", "jpy"),
        ("confirm", "true"),
        ("payment_method_data[type]", method),
        ("payment_method_types[]", method),
        ("payment_method_types[]", "card"),
    ];
    match method {
        "emoney" => form.push(("payment_method_data[billing_details][email]", EMAIL)),
        _ => form.extend([
            ("payment_method_data[billing_details][name]", NAME),
            ("payment_method_data[billing_details][phone]", PHONE),
        ]),
    }
    form.extend(more);
    ok(&post(stack, "/v1/payment_intents", &form))
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

fn read(stack: &Stack, path: &str) -> Value {
    ok(&stack.read(path, &stack.run().keys.sk_test))
}

fn intent(stack: &Stack, intent: &Value) -> Value {
    read(stack, &format!("/v1/payment_intents/{}", id(intent)))
}

fn until(stack: &Stack, payment: &Value, status: &str) -> Value {
    wait_until(&format!("{status} of {}", id(payment)), || intent(stack, payment)["status"] == status);
    intent(stack, payment)
}

/// The reference by which the network knows the payment's newest request.
fn reference(stack: &Stack, payment: &Value) -> String {
    let hex = stack.sql(
        "gateway",
        &format!(
            "SELECT a.network_reference FROM attempts a JOIN timeline t ON t.attempt_id = a.id
             WHERE a.kind = 'deposit' AND a.amount_minor = {} ORDER BY a.created_at DESC LIMIT 1",
            payment["amount"]
        ),
    );
    assert_eq!(hex.len(), 12, "{hex}");
    hex
}

/// The reference by which the network knows the request of this payment.
fn reference_of(stack: &Stack, payment: &Value) -> String {
    let id: kura_wire::ids::PaymentIntentId = id(payment).parse().unwrap();
    let id = uuid::Uuid::from_bytes(*id.as_bytes());
    let find = "SELECT network_reference FROM attempts WHERE kind = 'deposit' AND payment_intent_id";
    stack.sql("gateway", &format!("{find} = '{id}'"))
}

/// What a payer does, over the simulator's interface for tests.
fn act(stack: &Stack, path: &str, body: &Value) -> Value {
    let url = format!("{}/deposits/acts/{path}", stack.run().networks);
    let answer = block_on(async { Stack::http().post(url).json(body).send().await.unwrap().json().await });
    answer.unwrap()
}

/// One event of each of these kinds about the payment, in this order.
fn told(stack: &Stack, payment: &Value) -> Vec<String> {
    let all = read(stack, "/v1/events?limit=100")["data"].as_array().unwrap().clone();
    let about = |event: &&Value| {
        let object = &event["data"]["object"];
        object["id"] == payment["id"] || object["payment_intent"] == payment["id"]
    };
    all.iter().rev().filter(about).map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn booked(stack: &Stack, payment: &Value) -> String {
    stack.sql(
        "gateway",
        &format!("SELECT string_agg(t.kind || ' ' || t.debit_account || '>' || t.credit_account || ' ' || t.amount_minor, ', ' ORDER BY t.created_at)
                  FROM transfers t JOIN attempts a ON a.merchant_id = t.merchant_id AND a.id = t.attempt_id
                  WHERE a.payment_intent_id = (SELECT payment_intent_id FROM attempts WHERE network_reference = '{}')",
                 reference(stack, payment)),
    )
}

/// At a convenience store: numbers for each chain, a voucher, the money in the books once, and part of it back.
#[test]
fn a_shopper_pays_at_a_convenience_store() {
    let stack = Stack::shared();
    let options = [
        ("payment_method_options[konbini][confirmation_number]", "12345678901"),
        ("payment_method_options[konbini][expires_after_days]", "5"),
        ("payment_method_options[konbini][product_description]", "お茶セット"),
    ];
    let payment = pay(stack, "konbini", 4_980, &options);
    assert_eq!(payment["status"], "requires_action", "{payment}");
    let details = &payment["next_action"]["konbini_display_details"];
    let store = &details["stores"]["lawson"];
    assert!(store["payment_code"].as_str().unwrap().len() >= 6, "{payment}");
    assert_eq!(details["stores"]["familymart"]["confirmation_number"], "12345678901");
    let shown = stack.get(details["hosted_voucher_url"].as_str().unwrap());
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains(store["payment_code"].as_str().unwrap()) && shown.text.contains("4,980"));

    // Who pays comes back masked, and stands nowhere else.
    let method = read(stack, &format!("/v1/payment_methods/{}", payment["payment_method"].as_str().unwrap()));
    assert_eq!(method["type"], "konbini");
    let billing = method["billing_details"].to_string();
    assert!(!billing.contains(NAME) && !billing.contains(PHONE) && billing.contains('*'), "{billing}");
    let dump = stack.sql(
        "gateway",
        "SELECT p::text FROM payers p UNION ALL SELECT e::text FROM events e UNION ALL SELECT d::text FROM deposits d",
    );
    assert!(!dump.contains("花子") && !dump.contains(PHONE));

    let number = store["payment_code"].as_str().unwrap().replace('-', "");
    let became = act(stack, "pay", &json!({ "network": "konbini", "number": number }));
    assert_eq!(became["became"], "done", "{became}");
    let paid = until(stack, &payment, "succeeded");
    assert_eq!((paid["amount_received"].as_i64(), paid["next_action"].is_null()), (Some(4_980), true));
    let charge = read(stack, &format!("/v1/charges/{}", paid["latest_charge"].as_str().unwrap()));
    assert_eq!(charge["payment_method_details"]["konbini"]["store"]["chain"], "lawson", "{charge}");
    assert_eq!(booked(stack, &payment), "deposit konbini_receivable>merchant_payable 4980");

    let refund = ok(&post(stack, "/v1/refunds", &[("payment_intent", id(&payment)), ("amount", "980")]));
    assert_eq!(
        (refund["status"].as_str(), refund["destination_details"]["type"].as_str()),
        (Some("succeeded"), Some("konbini"))
    );
    let too_much = post(stack, "/v1/refunds", &[("payment_intent", id(&payment)), ("amount", "4001")]);
    assert_eq!(too_much.status, 400, "{}", too_much.text);
    ok(&post(stack, "/v1/refunds", &[("payment_intent", id(&payment))]));
    assert_eq!(
        booked(stack, &payment),
        "deposit konbini_receivable>merchant_payable 4980, refund merchant_payable>konbini_receivable 980, \
         refund merchant_payable>konbini_receivable 4000"
    );
    assert_eq!(
        told(stack, &payment)[..4],
        ["payment_intent.created", "payment_intent.requires_action", "charge.succeeded", "payment_intent.succeeded"]
    );
    let at_network =
        stack.get(&format!("{}/deposits/acts/{}", stack.run().networks, reference(stack, &payment))).json();
    assert_eq!(at_network["given_back_minor"], 4_980, "the network's books equal ours");
    assert_eq!(at_network["description"], "お茶セット");
}

/// By bank: three numbers, and a voucher of ours with them.
#[test]
fn a_shopper_pays_by_bank() {
    let stack = Stack::shared();
    let payment = pay(
        stack,
        "payeasy",
        12_310,
        &[
            ("payment_method_data[billing_details][address][postal_code]", "150-0002"),
            ("payment_method_data[billing_details][address][line1]", "渋谷1-2-3"),
        ],
    );
    let details = &payment["next_action"]["payeasy_display_details"];
    assert_eq!(details["collecting_agency_number"].as_str().map(str::len), Some(5), "{payment}");
    assert_eq!(details["confirmation_number"].as_str().map(str::len), Some(6));
    let number = details["customer_number"].as_str().unwrap();
    let shown = stack.get(details["hosted_voucher_url"].as_str().unwrap()).text;
    assert!(shown.contains(details["confirmation_number"].as_str().unwrap()) && shown.contains("収納機関番号"));
    act(stack, &format!("{}/pay", reference(stack, &payment)), &json!({}));
    until(stack, &payment, "succeeded");
    assert_eq!(booked(stack, &payment), "deposit payeasy_receivable>merchant_payable 12310");
    assert!(number.len() >= 11);
    assert!(stack.get(details["hosted_voucher_url"].as_str().unwrap()).text.contains("お支払いを確認しました"));
}

/// From the wallet: its page approves, and the shopper comes back to the merchant's.
#[test]
fn a_shopper_pays_from_a_wallet() {
    let stack = Stack::shared();
    let back = format!("{}/docs/errors?order=7", stack.run().gateway);
    let payment = pay(stack, "emoney", 2_340, &[("return_url", &back)]);
    let redirect = &payment["next_action"]["redirect_to_url"];
    let wallet = redirect["url"].as_str().unwrap();
    assert!(wallet.starts_with(&stack.run().networks), "{payment}");
    assert_eq!(redirect["return_url"], back);
    assert!(stack.get(wallet).text.contains("2,340"));
    act(stack, &format!("{}/pay", reference(stack, &payment)), &json!({}));
    until(stack, &payment, "succeeded");
    let deposit = stack
        .sql("gateway", &format!("SELECT id FROM attempts WHERE network_reference = '{}'", reference(stack, &payment)));
    let deposit = kura_wire::ids::AttemptId::from_bytes(deposit.parse::<uuid::Uuid>().unwrap().into_bytes());
    let url = format!("{}/wallet/{deposit}/return", stack.run().gateway);
    let landed = block_on(async { Stack::http().get(url).send().await.unwrap().url().to_string() });
    assert_eq!(landed, format!("{back}&payment_intent={}&redirect_status=succeeded", id(&payment)));

    let refused = pay(stack, "emoney", 2_350, &[]);
    act(stack, &format!("{}/refuse", reference(stack, &refused)), &json!({}));
    let refused = until(stack, &refused, "requires_payment_method");
    assert_eq!(refused["last_payment_error"]["code"], "payment_method_provider_decline");
    assert_eq!(refused["last_payment_error"]["payment_method"]["type"], "emoney");
}

/// Time runs out, and the money comes all the same: it pays what is unpaid; what was paid otherwise leaves it apart, in the books.
#[test]
fn money_may_come_late() {
    let stack = Stack::shared();
    let payment = pay(stack, "konbini", 3_110, &[]);
    let its = reference(stack, &payment);
    act(stack, &format!("{its}/expire"), &json!({}));
    let expired = until(stack, &payment, "requires_payment_method");
    assert_eq!(expired["last_payment_error"]["code"], "payment_intent_payment_attempt_expired");
    act(stack, &format!("{its}/pay"), &json!({ "late": true }));
    let paid = until(stack, &payment, "succeeded");
    assert_eq!(paid["amount_received"], 3_110);
    assert_eq!(booked(stack, &payment), "deposit konbini_receivable>merchant_payable 3110");

    let otherwise = pay(stack, "konbini", 3_120, &[]);
    let its = reference(stack, &otherwise);
    act(stack, &format!("{its}/expire"), &json!({}));
    until(stack, &otherwise, "requires_payment_method");
    ok(&post(stack, &format!("/v1/payment_intents/{}/confirm", id(&otherwise)), &[("payment_method", "pm_card_visa")]));
    act(stack, &format!("{its}/pay"), &json!({ "late": true }));
    wait_until("the money to be booked apart", || booked(stack, &otherwise).contains("unapplied"));
    assert_eq!(
        booked(stack, &otherwise),
        "capture acquirer_receivable>merchant_payable 3120, unapplied konbini_receivable>unapplied_deposits 3120"
    );
    assert_eq!(intent(stack, &otherwise)["amount_received"], 3_120, "paid once");
    let told = told(stack, &otherwise);
    assert_eq!(told.iter().filter(|kind| *kind == "payment_intent.deposit_unapplied").count(), 1, "{told:?}");
}

/// A merchant calls it off: the numbers can't be paid any more. A shopper who was quicker has paid.
#[test]
fn what_is_called_off_cannot_be_paid() {
    let stack = Stack::shared();
    let payment = pay(stack, "konbini", 5_510, &[]);
    let its = reference(stack, &payment);
    let canceled = ok(&post(stack, &format!("/v1/payment_intents/{}/cancel", id(&payment)), &[]));
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(act(stack, &format!("{its}/pay"), &json!({ "late": true }))["became"], "closed");

    // Five seconds pass until the notice comes; the merchant cancels before.
    let quick = pay(stack, "konbini", 5_902, &[]);
    act(stack, &format!("{}/pay", reference(stack, &quick)), &json!({}));
    let refused = post(stack, &format!("/v1/payment_intents/{}/cancel", id(&quick)), &[]);
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (400, Some("payment_intent_unexpected_state"))
    );
    assert_eq!(intent(stack, &quick)["status"], "succeeded");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(
        booked(stack, &quick),
        "deposit konbini_receivable>merchant_payable 5902",
        "the late notice books nothing"
    );
}

/// Notices come twice, and requests' answers get lost: everything happens once.
#[test]
fn everything_happens_once() {
    let stack = Stack::shared();
    let twice = pay(stack, "konbini", 7_901, &[]);
    act(stack, &format!("{}/pay", reference(stack, &twice)), &json!({}));
    until(stack, &twice, "succeeded");
    let lost = pay(stack, "payeasy", 7_905, &[]);
    let lost = until(stack, &lost, "requires_action");
    assert_eq!(lost["next_action"]["type"], "payeasy_display_details");
    let never = pay(stack, "konbini", 7_906, &[]);
    let never = until(stack, &never, "requires_payment_method");
    assert_eq!(never["last_payment_error"]["code"], "processing_error");
    let refused = pay(stack, "konbini", 7_904, &[]);
    assert_eq!(refused["last_payment_error"]["code"], "payment_method_provider_decline", "{refused}");
    let back = pay(stack, "konbini", 7_908, &[]);
    act(stack, &format!("{}/pay", reference(stack, &back)), &json!({}));
    until(stack, &back, "succeeded");
    let refund = ok(&post(stack, "/v1/refunds", &[("payment_intent", id(&back))]));
    wait_until("the refund to be known", || {
        read(stack, &format!("/v1/refunds/{}", id(&refund)))["status"] == "succeeded"
    });
    assert_eq!(booked(stack, &twice), "deposit konbini_receivable>merchant_payable 7901");
    assert_eq!(
        booked(stack, &back),
        "deposit konbini_receivable>merchant_payable 7908, refund merchant_payable>konbini_receivable 7908"
    );
    let nothing = pay(stack, "konbini", 7_907, &[]);
    act(stack, &format!("{}/pay", reference(stack, &nothing)), &json!({}));
    until(stack, &nothing, "succeeded");
    let refund = ok(&post(stack, "/v1/refunds", &[("payment_intent", id(&nothing))]));
    assert_eq!(refund["status"], "failed", "{refund}");
    assert_eq!(intent(stack, &nothing)["amount_received"], 7_907);
    let told = told(stack, &twice);
    let succeeded = told.iter().filter(|kind| *kind == "payment_intent.succeeded").count();
    assert_eq!(succeeded, 1, "{told:?}");
}

/// A notice to this network's door: what was signed, what is sent, how many seconds ago, as which message.
fn send_as(stack: &Stack, path: &str, secret: &Secret, (signed, sent): (&Value, &Value), age: i64, id: &str) -> u16 {
    let second = kura_platform::clock::now().unix_timestamp() - age;
    let signature = secret.sign("msg_1", second, signed.to_string().as_bytes());
    let request = Stack::http()
        .post(format!("{}/networks/{path}/notices", stack.run().gateway))
        .header(ID, id)
        .header(TIMESTAMP, second.to_string())
        .header(SIGNATURE, signature)
        .header("content-type", "application/json")
        .body(sent.to_string());
    block_on(async { request.send().await.unwrap().status().as_u16() })
}

fn secret_of(stack: &Stack, network: &str) -> Secret {
    Secret::read(&stack.state().join(format!("notices/{network}.secret"))).unwrap()
}

/// The network's word that a konbini payment was paid.
fn paid_notice(stack: &Stack, id: &str, payment: &Value) -> Value {
    json!({
        "id": id, "method": "konbini", "kind": "paid", "network_reference": reference_of(stack, payment),
        "money": { "amount_minor": payment["amount"], "currency": "JPY" }, "at": "2026-11-25T00:00:00Z",
    })
}

/// Nobody but the network can say that money is there: not without its signature, not with an old one, not of another sum, not of what is
/// not that network's.
#[test]
fn only_the_network_says_that_money_is_there() {
    let stack = Stack::shared();
    let payment = pay(stack, "konbini", 6_610, &[]);
    let notice = paid_notice(stack, "forged-1", &payment);
    let (real, other) = (secret_of(stack, "konbini"), secret_of(stack, "payeasy"));
    let send =
        |path: &str, secret: &Secret, body: &Value, age: i64| send_as(stack, path, secret, (body, body), age, "msg_1");
    assert_eq!(send("konbini", &other, &notice, 0), 401, "another network's secret");
    assert_eq!(send("konbini", &Secret::parse(&Secret::draw()).unwrap(), &notice, 0), 401, "a stranger's");
    assert_eq!(send("konbini", &real, &notice, 600), 401, "ten minutes old");
    assert_eq!(send("konbini", &real, &notice, -600), 401, "ten minutes ahead");
    assert_eq!(send_as(stack, "konbini", &real, (&notice, &notice), 0, "msg_2"), 401, "another message's signature");
    assert_eq!(send("payeasy", &other, &notice, 0), 400, "of another network");
    assert_eq!(send("card", &other, &notice, 0), 401);
    assert_eq!(send("nowhere", &real, &notice, 0), 404);
    let mut wrong = notice.clone();
    wrong["method"] = json!("payeasy");
    assert_eq!(send("payeasy", &other, &wrong, 0), 404, "a network tells of its own deposits");
    wrong = notice.clone();
    wrong["kind"] = json!("expired");
    assert_eq!(send_as(stack, "konbini", &real, (&notice, &wrong), 0, "msg_1"), 401, "altered on the way");
    wrong = notice.clone();
    wrong["money"]["amount_minor"] = json!(66_100);
    assert_eq!(send("konbini", &real, &wrong, 0), 400, "another sum");
    wrong = notice.clone();
    wrong["money"] = json!({ "amount_minor": 6_610, "currency": "USD" });
    assert_eq!(send("konbini", &real, &wrong, 0), 400, "other money");
    wrong = notice.clone();
    wrong["network_reference"] = json!("AAAAAAAAAAAA");
    assert_eq!(send("konbini", &real, &wrong, 0), 404, "nobody's");
    let by_card = [("amount", "6610"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let by_card = ok(&post(stack, "/v1/payment_intents", &by_card));
    let charge: kura_wire::ids::ChargeId = by_card["latest_charge"].as_str().unwrap().parse().unwrap();
    let charge = uuid::Uuid::from_bytes(*charge.as_bytes());
    wrong["network_reference"] =
        stack.sql("gateway", &format!("SELECT network_reference FROM attempts WHERE charge_id = '{charge}'")).into();
    assert_eq!(send("konbini", &real, &wrong, 0), 404, "a card's payment");
    assert_eq!(intent(stack, &payment)["status"], "requires_action");
}

/// Whose money it is, the reference says: nothing of this merchant's is paid by a notice about another merchant's deposit.
#[test]
fn a_deposit_is_its_merchants() {
    let stack = Stack::shared();
    let (real, payment) = (secret_of(stack, "konbini"), pay(stack, "konbini", 6_615, &[]));
    let theirs = [
        ("amount", "6615"),
        ("currency", "jpy"),
        ("confirm", "true"),
        ("payment_method_data[type]", "konbini"),
        ("payment_method_types[]", "konbini"),
        ("payment_method_data[billing_details][name]", NAME),
        ("payment_method_data[billing_details][phone]", PHONE),
    ];
    let theirs = ok(&stack.post("/v1/payment_intents", &stack.run().keys.other_sk_test, &theirs));
    let notice = paid_notice(stack, "forged-2", &theirs);
    assert_eq!(send_as(stack, "konbini", &real, (&notice, &notice), 0, "msg_1"), 204);
    let path = format!("/v1/payment_intents/{}", id(&theirs));
    assert_eq!(ok(&stack.read(&path, &stack.run().keys.other_sk_test))["status"], "succeeded");
    assert_eq!(intent(stack, &payment)["status"], "requires_action");
}

/// A notice that was heard once says nothing the second time, and what comes after the end changes nothing.
#[test]
fn a_notice_is_heard_once() {
    let stack = Stack::shared();
    let payment = pay(stack, "konbini", 6_612, &[]);
    let (notice, real) = (paid_notice(stack, "forged-6", &payment), secret_of(stack, "konbini"));
    let send = |body: &Value| send_as(stack, "konbini", &real, (body, body), 0, "msg_1");
    assert_eq!(send(&notice), 204);
    let after = |what: &str| {
        let told = told(stack, &payment);
        let id: kura_wire::ids::PaymentIntentId = id(&payment).parse().unwrap();
        let id = uuid::Uuid::from_bytes(*id.as_bytes());
        let entries = stack.sql("gateway", &format!("SELECT count(*) FROM timeline WHERE payment_intent_id = '{id}'"));
        let heard = stack.sql(
            "gateway",
            &format!(
                "SELECT count(*) FROM notices n JOIN attempts a ON a.id = n.attempt_id
             WHERE a.payment_intent_id = '{id}'"
            ),
        );
        assert_eq!(intent(stack, &payment)["status"], "succeeded", "{what}");
        assert_eq!(booked(stack, &payment), "deposit konbini_receivable>merchant_payable 6612", "{what}");
        (told, entries, heard)
    };
    let once = after("heard once");
    assert_eq!(send(&notice), 204, "heard before");
    let mut late = notice.clone();
    late["kind"] = json!("expired");
    assert_eq!(send(&late), 204, "under an id that was heard before");
    assert_eq!(after("heard again"), once);
    // Under ids of their own they are heard, and say nothing new.
    for (id, kind) in [("forged-7", "paid"), ("forged-8", "expired"), ("forged-9", "refused")] {
        (late["id"], late["kind"]) = (json!(id), json!(kind));
        assert_eq!(send(&late), 204);
    }
    // What was heard under an id is not heard again, not even of another payment.
    let waiting = pay(stack, "konbini", 6_611, &[]);
    let mut elsewhere = late.clone();
    elsewhere["id"] = json!("forged-8");
    elsewhere["kind"] = json!("expired");
    elsewhere["network_reference"] = reference_of(stack, &waiting).into();
    elsewhere["money"]["amount_minor"] = json!(6_611);
    assert_eq!(send(&elsewhere), 204);
    assert_eq!(intent(stack, &waiting)["status"], "requires_action");
    let (told, entries, heard) = after("heard otherwise");
    assert_eq!((told, entries, heard.as_str()), (once.0, once.1, "4"));
}

/// What the networks' rules forbid is said at once.
#[test]
fn rules_are_said_at_once() {
    let stack = Stack::shared();
    let refused = |form: &[(&str, &str)]| {
        let mut whole = vec![("amount", "1000"), ("currency", "jpy"), ("confirm", "true")];
        whole.retain(|(name, _)| form.iter().all(|(other, _)| other != name));
        whole.extend(form);
        let answer = post(stack, "/v1/payment_intents", &whole);
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status, 400, "{form:?} {error}");
        (error["code"].as_str().unwrap().to_owned(), error["param"].as_str().unwrap_or_default().to_owned())
    };
    let konbini = [
        ("payment_method_data[type]", "konbini"),
        ("payment_method_data[billing_details][name]", NAME),
        ("payment_method_data[billing_details][phone]", PHONE),
    ];
    let with = |more: &[(&'static str, &'static str)]| refused(&[&konbini[..], more].concat());
    assert_eq!(with(&[("amount", "119")]).0, "amount_too_small");
    assert_eq!(with(&[("amount", "300001")]).0, "amount_too_large");
    assert_eq!(with(&[("capture_method", "manual")]).0, "payment_intent_incompatible_payment_method");
    assert_eq!(with(&[("off_session", "true")]).0, "payment_intent_incompatible_payment_method");
    assert_eq!(with(&[("payment_method_types[]", "card")]).0, "payment_intent_incompatible_payment_method");
    assert_eq!(with(&[("payment_method_options[konbini][confirmation_number]", "0000000000")]).0, "parameter_invalid");
    assert_eq!(with(&[("payment_method_options[konbini][expires_at]", "1")]).0, "parameter_invalid");
    assert_eq!(with(&[("currency", "usd")]).0, "payment_intent_incompatible_payment_method");
    let nobody = [("payment_method_data[type]", "konbini")];
    assert_eq!(refused(&nobody), ("parameter_missing".into(), "payment_method_data[billing_details]".into()));
    let nameless = [konbini[0], konbini[2]];
    assert_eq!(refused(&nameless).0, "parameter_missing");
}

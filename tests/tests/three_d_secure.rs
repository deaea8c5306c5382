//! 3-D Secure and set-ups through the merchant API, as a shop and its shopper go through them.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_tests::issuer::{Challenge, go_back, times_asked};
use kura_tests::{Answer, Options, Stack};
use serde_json::{Value, json};

const RETURN_URL: &str = "https://shop.example/done?cart=7";

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Answer {
    stack.post(path, &stack.run().keys.sk_test, form)
}

fn get(stack: &Stack, path: &str) -> Value {
    let answer = stack.read(path, &stack.run().keys.sk_test);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// A payment of 1,500 yen, confirmed.
fn pay(stack: &Stack, method: &str, more: &[(&str, &str)]) -> Answer {
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("payment_method", method),
        ("confirm", "true"),
        ("payment_method_types[]", "card"),
    ];
    post(stack, "/v1/payment_intents", &[form.as_slice(), more].concat())
}

fn on_session(stack: &Stack, method: &str, more: &[(&str, &str)]) -> Answer {
    pay(stack, method, &[&[("return_url", RETURN_URL)], more].concat())
}

/// The page of ours that the shopper is sent to.
fn page_of(intent: &Value) -> String {
    assert_eq!(intent["status"], "requires_action", "{intent}");
    assert_eq!(intent["next_action"]["type"], "redirect_to_url");
    assert_eq!(intent["next_action"]["redirect_to_url"]["return_url"], RETURN_URL);
    intent["next_action"]["redirect_to_url"]["url"].as_str().unwrap().to_owned()
}

fn back_with(name: &str, id: &Value, outcome: &str) -> String {
    format!("{RETURN_URL}&{name}={}&redirect_status={outcome}", id.as_str().unwrap())
}

fn kinds_of(stack: &Stack, id: &Value) -> Vec<String> {
    let listed = get(stack, "/v1/events?limit=100");
    let about = listed["data"].as_array().unwrap().iter().filter(|event| {
        let object = &event["data"]["object"];
        object["id"] == *id || object["payment_intent"] == *id
    });
    let mut kinds: Vec<String> = about.map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

fn proof_of(stack: &Stack, intent: &Value) -> Value {
    let charge = get(stack, &format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap()));
    charge["payment_method_details"]["card"]["three_d_secure"].clone()
}

fn wait_for(what: &str, within: Duration, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < within, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The network asks for a proof, the shopper gives it on the bank's page, comes back, and the payment has succeeded: one charge,
/// one event for each change, and the charge says who vouched.
#[test]
fn a_challenged_payment_succeeds() {
    let stack = Stack::shared();
    for (method, asked_for) in [
        ("pm_card_threeDSecure2Required", "automatic"),
        ("pm_card_authenticationRequired", "automatic"),
        ("pm_card_threeDSecureOptional", "challenge"),
    ] {
        let asked = [("payment_method_options[card][request_three_d_secure]", asked_for)];
        let begun = on_session(stack, method, &asked);
        assert_eq!(begun.status, 200, "{}", begun.text);
        let begun = begun.json();
        let path = format!("/v1/payment_intents/{}", begun["id"].as_str().unwrap());
        assert_eq!((&begun["latest_charge"], &begun["last_payment_error"]), (&Value::Null, &Value::Null), "{begun}");
        let back = Challenge::at(&page_of(&begun)).confirm();
        assert_eq!(go_back(&back), back_with("payment_intent", &begun["id"], "succeeded"));
        let paid = get(stack, &path);
        assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(1500)), "{method}");
        assert_eq!(paid["next_action"], Value::Null);
        let proof = proof_of(stack, &paid);
        assert_eq!((&proof["result"], &proof["authentication_flow"]), (&json!("authenticated"), &json!("challenge")));
        assert_eq!((&proof["electronic_commerce_indicator"], &proof["version"]), (&json!("05"), &json!("2.2.0")));
        assert!(proof["transaction_id"].is_string(), "{proof}");
        assert_eq!(go_back(&back), back_with("payment_intent", &begun["id"], "succeeded"), "coming back twice is once");
        assert_eq!(
            kinds_of(stack, &begun["id"]),
            [
                "charge.succeeded",
                "payment_intent.created",
                "payment_intent.requires_action",
                "payment_intent.succeeded"
            ],
            "{method}"
        );
        assert_eq!(
            get(stack, &format!("/v1/charges?payment_intent={}", begun["id"].as_str().unwrap()))["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

/// What needs no question goes on at once, with whoever vouched on the charge; what the issuer refuses is a 402.
#[test]
fn what_needs_no_question_goes_on() {
    let stack = Stack::shared();
    let any = [("payment_method_options[card][request_three_d_secure]", "any")];
    for (method, more, proof) in [
        ("pm_card_threeDSecureFrictionless", &[][..], json!(["authenticated", "frictionless", "05"])),
        ("pm_card_threeDSecureFrictionlessMastercard", &[][..], json!(["authenticated", "frictionless", "02"])),
        ("pm_card_threeDSecureAttempted", &[][..], json!(["attempt_acknowledged", "frictionless", "06"])),
        ("pm_card_threeDSecureOptional", &any[..], json!(["authenticated", "frictionless", "05"])),
        ("pm_card_threeDSecureUnavailable", &any[..], json!(["processing_error", Value::Null, "07"])),
        ("pm_card_visa", &any[..], json!(["not_supported", Value::Null, Value::Null])),
        ("pm_card_visa", &[][..], Value::Null),
    ] {
        let paid = on_session(stack, method, more).json();
        assert_eq!(paid["status"], "succeeded", "{method}: {paid}");
        let said = proof_of(stack, &paid);
        let brief = match said {
            Value::Null => Value::Null,
            said => json!([said["result"], said["authentication_flow"], said["electronic_commerce_indicator"]]),
        };
        assert_eq!(brief, proof, "{method}");
    }
    for method in ["pm_card_threeDSecureFailed", "pm_card_threeDSecureRejected"] {
        let refused = on_session(stack, method, &any);
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, &error["code"]), (402, &json!("payment_intent_authentication_failure")), "{error}");
        let intent = &error["payment_intent"];
        assert_eq!((&intent["status"], &intent["latest_charge"]), (&json!("requires_payment_method"), &Value::Null));
        assert_eq!(intent["last_payment_error"]["code"], "payment_intent_authentication_failure");
        assert_eq!(kinds_of(stack, &intent["id"]), ["payment_intent.created", "payment_intent.payment_failed"]);
    }
}

/// Who gives up, and who is proven and has no money, is not charged; the payment can be tried again with another card.
#[test]
fn a_challenge_that_brings_nothing_leaves_the_payment_open() {
    let stack = Stack::shared();
    let begun = on_session(stack, "pm_card_threeDSecure2Required", &[]).json();
    let back = Challenge::at(&page_of(&begun)).cancel();
    assert_eq!(go_back(&back), back_with("payment_intent", &begun["id"], "failed"));
    let path = format!("/v1/payment_intents/{}", begun["id"].as_str().unwrap());
    let failed = get(stack, &path);
    assert_eq!(failed["status"], "requires_payment_method");
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");
    let again = post(stack, &format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).json();
    assert_eq!(again["status"], "succeeded", "{again}");

    for (method, decline_code) in [
        ("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_threeDSecureRequiredChargeDeclined", "generic_decline"),
    ] {
        let begun = on_session(stack, method, &[]).json();
        let back = Challenge::at(&page_of(&begun)).confirm();
        assert_eq!(go_back(&back), back_with("payment_intent", &begun["id"], "failed"), "{method}");
        let failed = get(stack, &format!("/v1/payment_intents/{}", begun["id"].as_str().unwrap()));
        assert_eq!(failed["status"], "requires_payment_method");
        assert_eq!(failed["last_payment_error"]["decline_code"], decline_code);
    }
}

/// A payment that waits for the shopper can be called off; the shopper who then proves it pays nothing. It can be captured later,
/// and it is not confirmed a second time meanwhile.
#[test]
fn a_waiting_payment_is_called_off_or_captured() {
    let stack = Stack::shared();
    let begun = on_session(stack, "pm_card_threeDSecure2Required", &[]).json();
    let path = format!("/v1/payment_intents/{}", begun["id"].as_str().unwrap());
    assert_eq!(post(stack, &format!("{path}/confirm"), &[]).status, 400);
    let page = Challenge::at(&page_of(&begun));
    assert_eq!(post(stack, &format!("{path}/cancel"), &[]).json()["status"], "canceled");
    assert_eq!(go_back(&page.confirm()), back_with("payment_intent", &begun["id"], "failed"));
    let after = get(stack, &path);
    assert_eq!((&after["status"], &after["latest_charge"]), (&json!("canceled"), &Value::Null));

    let begun = on_session(stack, "pm_card_threeDSecure2Required", &[("capture_method", "manual")]).json();
    go_back(&Challenge::at(&page_of(&begun)).confirm());
    let path = format!("/v1/payment_intents/{}", begun["id"].as_str().unwrap());
    assert_eq!(get(stack, &path)["status"], "requires_capture");
    assert_eq!(post(stack, &format!("{path}/capture"), &[]).json()["status"], "succeeded");
}

/// A card's token and its code: the code goes with the question that is declined, the token with the one that is not.
#[test]
fn a_token_is_charged_after_its_proof() {
    let stack = Stack::shared();
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("confirm", "true"),
        ("return_url", RETURN_URL),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][token]", "tok_threeDSecure2Required"),
    ];
    let begun = post(stack, "/v1/payment_intents", &form);
    assert_eq!(begun.status, 200, "{}", begun.text);
    let begun = begun.json();
    assert_eq!(
        go_back(&Challenge::at(&page_of(&begun)).confirm()),
        back_with("payment_intent", &begun["id"], "succeeded")
    );
    let any = ("payment_method_options[card][request_three_d_secure]", "any");
    let begun = post(stack, "/v1/payment_intents", &[form.as_slice(), &[any]].concat()).json();
    go_back(&Challenge::at(&page_of(&begun)).confirm());
    let paid = get(stack, &format!("/v1/payment_intents/{}?expand[]=latest_charge", begun["id"].as_str().unwrap()));
    assert_eq!(paid["status"], "succeeded");
    assert_eq!(
        paid["latest_charge"]["payment_method_details"]["card"]["checks"]["cvc_check"], "pass",
        "sent once, with the charge"
    );
}

/// A card is set up with its shopper there, and charged without; one that wasn't is declined, and nobody is asked.
#[test]
fn a_card_that_was_set_up_is_charged_without_its_shopper() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[]).json()["id"].as_str().unwrap().to_owned();
    let set_up = |method: &str| {
        let form = [
            ("customer", customer.as_str()),
            ("payment_method", method),
            ("confirm", "true"),
            ("return_url", RETURN_URL),
        ];
        let begun = post(stack, "/v1/setup_intents", &form);
        assert_eq!(begun.status, 200, "{}", begun.text);
        let begun = begun.json();
        let back = Challenge::at(&page_of(&begun)).confirm();
        assert_eq!(go_back(&back), back_with("setup_intent", &begun["id"], "succeeded"));
        let kept = get(stack, &format!("/v1/setup_intents/{}", begun["id"].as_str().unwrap()));
        assert_eq!((&kept["status"], &kept["next_action"]), (&json!("succeeded"), &Value::Null), "{kept}");
        assert_eq!(
            kinds_of(stack, &begun["id"]),
            ["setup_intent.created", "setup_intent.requires_action", "setup_intent.succeeded"]
        );
        kept["payment_method"].as_str().unwrap().to_owned()
    };
    let off_session = |method: &str| pay(stack, method, &[("customer", &customer), ("off_session", "true")]);
    let not_set_up = off_session("pm_card_authenticationRequired");
    let error = not_set_up.json()["error"].clone();
    assert_eq!((not_set_up.status, &error["code"]), (402, &json!("authentication_required")), "{error}");
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    assert_eq!(error["decline_code"], "authentication_required");

    let kept = set_up("pm_card_authenticationRequiredOnSetup");
    let method = get(stack, &format!("/v1/payment_methods/{kept}"));
    assert_eq!(method["customer"], json!(customer));
    let paid = off_session(&kept).json();
    assert_eq!((&paid["status"], proof_of(stack, &paid)), (&json!("succeeded"), Value::Null), "{paid}");
    let form = [("customer", customer.as_str()), ("return_url", RETURN_URL)];
    let there = pay(stack, &kept, &form).json();
    page_of(&there);

    let always = set_up("pm_card_authenticationRequired");
    assert_eq!(off_session(&always).json()["error"]["code"], "authentication_required");
}

/// A set-up's whole life: made, confirmed without a question, refused, given up, called off, listed, changed.
#[test]
fn set_ups_live_whole() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[]).json()["id"].as_str().unwrap().to_owned();
    let made = post(stack, "/v1/setup_intents", &[("customer", &customer), ("metadata[order]", "7")]).json();
    assert_eq!((&made["status"], &made["usage"]), (&json!("requires_payment_method"), &json!("off_session")), "{made}");
    let path = format!("/v1/setup_intents/{}", made["id"].as_str().unwrap());
    assert_eq!(post(stack, &format!("{path}/confirm"), &[]).status, 400);
    let changed = post(stack, &path, &[("payment_method", "pm_card_visa"), ("description", "for later")]).json();
    assert_eq!((&changed["status"], &changed["description"]), (&json!("requires_confirmation"), &json!("for later")));
    let kept = post(stack, &format!("{path}/confirm"), &[]).json();
    assert_eq!((&kept["status"], &kept["metadata"]["order"]), (&json!("succeeded"), &json!("7")), "{kept}");
    assert_eq!(kinds_of(stack, &made["id"]), ["setup_intent.created", "setup_intent.succeeded"]);
    assert_eq!(post(stack, &format!("{path}/cancel"), &[]).status, 400);

    for (method, more, code, decline_code) in [
        ("pm_card_chargeDeclined", None, "card_declined", json!("generic_decline")),
        ("pm_card_threeDSecureFailed", Some("any"), "setup_intent_authentication_failure", Value::Null),
    ] {
        let mut form = vec![("customer", customer.as_str()), ("payment_method", method), ("confirm", "true")];
        form.extend(more.map(|when| ("payment_method_options[card][request_three_d_secure]", when)));
        let refused = post(stack, "/v1/setup_intents", &form);
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, &error["code"]), (402, &json!(code)), "{error}");
        assert_eq!(error.get("decline_code").cloned().unwrap_or_default(), decline_code);
        let setup = &error["setup_intent"];
        assert_eq!(
            (&setup["status"], &setup["last_setup_error"]["code"]),
            (&json!("requires_payment_method"), &json!(code))
        );
        assert_eq!(kinds_of(stack, &setup["id"]), ["setup_intent.created", "setup_intent.setup_failed"]);
    }

    let form = [("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true"), ("return_url", RETURN_URL)];
    let given_up = post(stack, "/v1/setup_intents", &form).json();
    assert_eq!(
        go_back(&Challenge::at(&page_of(&given_up)).cancel()),
        back_with("setup_intent", &given_up["id"], "failed")
    );
    let path = format!("/v1/setup_intents/{}", given_up["id"].as_str().unwrap());
    assert_eq!(get(stack, &path)["last_setup_error"]["code"], "setup_intent_authentication_failure");
    let called_off = post(stack, "/v1/setup_intents", &form).json();
    let page = Challenge::at(&page_of(&called_off));
    let path = format!("/v1/setup_intents/{}", called_off["id"].as_str().unwrap());
    let canceled = post(stack, &format!("{path}/cancel"), &[("cancellation_reason", "abandoned")]).json();
    assert_eq!((&canceled["status"], &canceled["next_action"]), (&json!("canceled"), &Value::Null));
    assert_eq!(go_back(&page.confirm()), back_with("setup_intent", &called_off["id"], "failed"));
    assert_eq!(get(stack, &path)["status"], "canceled");

    let listed = get(stack, &format!("/v1/setup_intents?customer={customer}"));
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["has_more"]), (3, &json!(false)), "{listed}");
}

/// A repeated request is answered with what its first run began, and the issuer is asked once.
#[test]
fn a_repeated_confirmation_asks_once() {
    let stack = Stack::shared();
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_threeDSecure2Required"),
        ("confirm", "true"),
        ("return_url", RETURN_URL),
    ];
    let key = format!("3ds-{}", data_encoding::HEXLOWER.encode(&kura_platform::random::bytes::<8>()));
    let first = stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, &key, &form).unwrap().json();
    let again = stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, &key, &form).unwrap().json();
    assert_eq!(first, again);
    let page = page_of(&first);
    assert_eq!(times_asked(stack, page.rsplit('/').next().unwrap()), 1);
    let nobody = stack.get(&format!("{}/3d_secure/3ds_00000000000000000000000000", stack.run().gateway));
    assert_eq!(nobody.status, 404, "{}", nobody.text);
}

/// A challenge that nobody answers is over in its time, and the payment with it, without the shopper's help. A shopper who
/// answers and does not come back has paid all the same. The gateway dies over it, and goes on.
#[test]
fn who_does_not_come_back_is_looked_for() {
    let options = Options::default().restart().set("networks.challenge_life_ms=6000");
    let stack = &Stack::start(options);
    let abandoned = on_session(stack, "pm_card_threeDSecure2Required", &[]).json();
    let not_back = on_session(stack, "pm_card_threeDSecure2Required", &[]).json();
    let setup = [("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true"), ("return_url", RETURN_URL)];
    let setup = post(stack, "/v1/setup_intents", &setup).json();
    Challenge::at(&page_of(&not_back)).confirm();
    Challenge::at(&page_of(&setup)).confirm();
    stack.kill9_and_wait("gateway");
    let status = |kind: &str, intent: &Value| {
        get(stack, &format!("/v1/{kind}_intents/{}", intent["id"].as_str().unwrap()))["status"].clone()
    };
    let within = Duration::from_secs(60);
    wait_for("the shopper who paid", within, || status("payment", &not_back) == "succeeded");
    wait_for("the shopper who set up", within, || status("setup", &setup) == "succeeded");
    wait_for("the shopper who went away", within, || status("payment", &abandoned) == "requires_payment_method");
    let failed = get(stack, &format!("/v1/payment_intents/{}", abandoned["id"].as_str().unwrap()));
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");
}

/// A confirmation that met an outage of the vault is repeated with its key, and goes on, for a payment as for a set-up. A shop
/// that insists on the security code has it sent with the charge, or where the proof is asked for, before it; and without it
/// there is no charge, whoever goes on with the payment.
#[test]
fn an_outage_is_gone_on_with() {
    let stack = &Stack::start(Options::default().restart());
    let any = ("payment_method_options[card][request_three_d_secure]", "any");
    let payment = [("amount", "1500"), ("currency", "jpy"), ("confirm", "true"), ("return_url", RETURN_URL), any];
    let setup = [("confirm", "true"), ("return_url", RETURN_URL), any];
    let methods = ["pm_card_threeDSecureOptional", "pm_card_threeDSecureFrictionless"].map(|name| {
        // Made before the outage, so that the vault is needed for the issuer alone.
        let made = on_session(stack, name, &[any]).json();
        assert_eq!(made["status"], "succeeded", "{made}");
        made["payment_method"].as_str().unwrap().to_owned()
    });
    let old = stack.kill9("vault");
    let mut asked = Vec::new();
    for (path, form, method) in
        [("/v1/payment_intents", payment.as_slice(), &methods[0]), ("/v1/setup_intents", setup.as_slice(), &methods[1])]
    {
        let form = [form, &[("payment_method", method.as_str())]].concat();
        let key = format!("outage-{path}");
        let first = stack.try_post(path, &stack.run().keys.sk_test, &key, &form).unwrap();
        asked.push((path, form.clone(), key, first.status));
    }
    stack.wait_restarted("vault", old);
    assert!(asked.iter().any(|(.., status)| *status == 503), "{asked:?}");
    for (path, form, key, _) in &asked {
        wait_for("the vault", Duration::from_secs(20), || {
            let again = stack.try_post(path, &stack.run().keys.sk_test, key, form).unwrap();
            again.status == 200 && again.json()["status"] == "succeeded"
        });
    }

    stack.sql("gateway", "UPDATE merchants SET requires_cvc = true");
    let token = |more: &[(&str, &str)]| {
        let form = [
            ("amount", "1500"),
            ("currency", "jpy"),
            ("confirm", "true"),
            ("return_url", RETURN_URL),
            ("payment_method_data[type]", "card"),
            ("payment_method_data[card][token]", "tok_threeDSecure2Required"),
        ];
        post(stack, "/v1/payment_intents", &[form.as_slice(), more].concat()).json()
    };
    let checked = token(&[]);
    let back = go_back(&Challenge::at(&page_of(&checked)).confirm());
    assert_eq!(
        back,
        back_with("payment_intent", &checked["id"], "succeeded"),
        "its code was sent with the first question"
    );
    let forgotten = token(&[any]);
    let way = Challenge::at(&page_of(&forgotten)).confirm();
    stack.kill9_and_wait("vault");
    assert_eq!(go_back(&way), back_with("payment_intent", &forgotten["id"], "failed"));
    let failed = get(stack, &format!("/v1/payment_intents/{}", forgotten["id"].as_str().unwrap()));
    assert_eq!(
        (&failed["latest_charge"], &failed["last_payment_error"]["code"]),
        (&Value::Null, &json!("cvc_required"))
    );
}

//! Payers, customers, and cards that change under their tokens: what is kept, what is shown, and what opens what.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::OnceLock;

use kura_platform::random;
use kura_platform::redact::luhn;
use kura_shopper::TypedCard;
use kura_tests::linked::{LinkedVault, column};
use kura_tests::planes::{OwnedGateway, Plane, context, kura_vault, new_merchant};
use kura_tests::search::{self, Needle};
use kura_tests::{Options, Stack, block_on};
use kura_vault::crypto::field::{DataClass, Place, Sealed};
use kura_vault::store::deks;
use kura_wire::ids::{AttemptId, CardToken, CustomerId, MerchantId, PayerId, RequestId};
use kura_wire::{exposed, payer, vault as wire};
use serde_json::{Value, json};
use uuid::Uuid;

/// The node inside of this program; one, since the ledger's numbers are a node's own.
fn linked() -> &'static LinkedVault {
    static LINKED: OnceLock<LinkedVault> = OnceLock::new();
    LINKED.get_or_init(|| LinkedVault::new(Stack::shared()))
}

fn attempt() -> AttemptId {
    AttemptId::from_bytes(random::bytes())
}

fn request() -> RequestId {
    RequestId::from_bytes(random::bytes())
}

/// A Visa number that nothing else uses, and that the simulated issuer approves.
fn fresh_pan() -> String {
    let body = format!("453957{:09}", u64::from_be_bytes(random::bytes()) % 1_000_000_000);
    (0..10).map(|check| format!("{body}{check}")).find(|number| luhn(number.as_bytes())).unwrap()
}

fn card(number: &str) -> TypedCard {
    TypedCard { cvc: None, ..TypedCard::new(number, "") }
}

fn unique() -> String {
    random::bytes::<6>().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

fn record_of(token: &Value) -> [u8; 16] {
    token.as_str().unwrap().parse::<CardToken>().unwrap().record
}

fn store_payer(plane: &Plane, merchant: MerchantId, method: &str, fields: &Value) -> (u16, Value) {
    store_payer_as(plane, merchant, method, fields, PayerId::from_bytes(random::bytes()))
}

fn store_payer_as(plane: &Plane, merchant: MerchantId, method: &str, fields: &Value, id: PayerId) -> (u16, Value) {
    let body = json!({ "context": context(merchant), "payer": id, "method": method, "fields": fields });
    plane.post(payer::PATH_STORE_PAYER, &body)
}

fn payer_id(stored: &Value) -> PayerId {
    stored["payer"].as_str().expect("an id").parse().unwrap()
}

/// Each kind of payer comes back masked, and opens whole for who holds a receipt: the ledger's row is there before. For
/// another merchant or class the same receipt opens nothing.
#[test]
fn payers_come_back_masked_and_open_with_a_receipt_alone() {
    let (plane, merchant) = (Plane::data(Stack::shared()), new_merchant());
    let konbini = json!({ "name": "山田 太郎", "phone": "090-1234-5678", "email": "Hanako@Example.jp" });
    let (status, stored) = store_payer(&plane, merchant, "konbini", &konbini);
    assert_eq!(status, 200, "{stored}");
    let masked = json!({ "name": "山*** 太***", "phone": "***-****-5678", "email": "H***@E***.jp" });
    assert_eq!(stored["masked"], masked);
    let payeasy = json!({ "name": "鈴木", "phone": "０３−１２３４−５６７８", "postcode": "100-0001", "address": "東京都千代田区" });
    let (status, other) = store_payer(&plane, merchant, "payeasy", &payeasy);
    assert_eq!(status, 200, "{other}");
    let masked = json!({ "name": "鈴***", "phone": "***-****-5678", "postcode": "1**-****", "address": "東***" });
    assert_eq!(other["masked"], masked);

    let (vault, record) = (&linked().vault, *payer_id(&stored).as_bytes());
    let receipt = |class| linked().receipt(merchant, record, class);
    let keyring = vault.keys.keyring().expect("it is open");
    let whose = |merchant| wire::Context { request_id: request(), merchant, livemode: false };
    let open = |class, merchant| block_on(vault.open_payer(&keyring, receipt(class), class, &whose(merchant)));
    let opened = open(DataClass::Konbini, merchant).expect("it opens");
    assert_eq!(opened.name.as_ref().unwrap().as_str(), "山田 太郎");
    assert_eq!(opened.phone.as_ref().unwrap().as_str(), "09012345678");
    assert_eq!(opened.email.as_ref().unwrap().as_str(), "Hanako@Example.jp");
    let unknown = Some(wire::VaultErrorCode::PayerUnknown);
    assert_eq!(open(DataClass::Payeasy, merchant).err(), unknown);
    assert_eq!(open(DataClass::Konbini, new_merchant()).err(), unknown);
    let live = wire::Context { livemode: true, ..whose(merchant) };
    let other_mode = block_on(vault.open_payer(&keyring, receipt(DataClass::Konbini), DataClass::Konbini, &live));
    assert_eq!(other_mode.err(), unknown, "a mode has its own payers");
    let id = Uuid::from_bytes(record);
    let rows = Stack::shared().sql("vault", &format!("SELECT count(*) FROM openings WHERE record_id = '{id}'"));
    assert_eq!(rows, "4", "a row for each receipt");
}

/// Asked twice under one id, the first payer is kept and told of; another merchant or method gets nothing under it.
#[test]
fn a_payer_is_kept_once_under_the_gateways_id() {
    let (plane, merchant) = (Plane::data(Stack::shared()), new_merchant());
    let id = PayerId::from_bytes(random::bytes());
    let first = json!({ "name": "山田", "phone": "09012345678" });
    let other = json!({ "name": "鈴木", "phone": "09087654321" });
    let stored = store_payer_as(&plane, merchant, "konbini", &first, id);
    assert_eq!(stored.0, 200, "{}", stored.1);
    assert_eq!(stored.1["payer"], json!(id));
    assert_eq!(store_payer_as(&plane, merchant, "konbini", &other, id), stored);
    for (merchant, method) in [(new_merchant(), "konbini"), (merchant, "payeasy")] {
        let (status, refused) = store_payer_as(&plane, merchant, method, &first, id);
        assert_eq!((status, refused["code"].as_str()), (404, Some("payer_unknown")));
    }
}

/// What breaks a rule is refused in the field's own word, and nothing is kept of it.
#[test]
fn payers_are_checked() {
    let (plane, merchant) = (Plane::data(Stack::shared()), new_merchant());
    for (method, fields, code) in [
        ("konbini", json!({ "name": " ", "phone": "09012345678" }), "name_invalid"),
        ("konbini", json!({ "name": "a", "phone": "0901" }), "phone_invalid"),
        ("konbini", json!({ "name": "a" }), "payer_field_missing"),
        ("konbini", json!({ "name": "a", "phone": "09012345678", "address": "b" }), "payer_field_unexpected"),
        ("payeasy", json!({ "name": "a", "phone": "09012345678", "postcode": "1" }), "postcode_invalid"),
        ("emoney", json!({ "email": "nobody" }), "email_invalid"),
    ] {
        let (status, refused) = store_payer(&plane, merchant, method, &fields);
        assert_eq!((status, refused["code"].as_str()), (422, Some(code)), "{fields}");
    }
    let (status, refused) = store_payer(&plane, merchant, "konbini", &json!({ "pan": "4242" }));
    assert_eq!((status, refused["code"].as_str()), (400, Some("malformed")));
    let owner = Uuid::from_bytes(*merchant.as_bytes());
    let kept = Stack::shared().sql("vault", &format!("SELECT count(*) FROM payers WHERE merchant_id = '{owner}'"));
    assert_eq!(kept, "0");
}

/// A thief of the konbini key, who relabels it as he likes, opens no field of any Pay-easy payer; with the right key each
/// of them opens, and the konbini key opens the konbini payers.
#[test]
fn the_konbini_key_opens_no_payeasy_row() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let plane = Plane::data(stack);
    let fields = |extra: Value| {
        let mut fields = json!({ "name": "山田", "phone": "09012345678" });
        fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        fields
    };
    let mut payeasy = Vec::new();
    let mut konbini = Vec::new();
    for _ in 0..10 {
        let address = json!({ "postcode": "1000001", "address": "東京都" });
        payeasy.push(*payer_id(&store_payer(&plane, merchant, "payeasy", &fields(address)).1).as_bytes());
        let email = json!({ "email": "a@b.example" });
        konbini.push(*payer_id(&store_payer(&plane, merchant, "konbini", &fields(email)).1).as_bytes());
    }
    let place = |column, record, class| Place { table: "payers", column, record, merchant, class };
    let mut controls = 0;
    for record in &payeasy {
        for name in ["name_sealed", "phone_sealed", "postcode_sealed", "address_sealed"] {
            let sealed = column(stack, "payers", name, record);
            assert!(linked().open(place(name, record, DataClass::Payeasy), &sealed).is_some(), "the right key opens");
            controls += 1;
            assert!(linked().open(place(name, record, DataClass::Konbini), &sealed).is_none());
            let id = Sealed::from_column(sealed.clone()).key_id().unwrap();
            let stolen = linked().relabelled(stack, merchant, DataClass::Konbini, id);
            for class in [DataClass::Payeasy, DataClass::Konbini] {
                assert!(stolen.open(place(name, record, class), &Sealed::from_column(sealed.clone())).is_err());
            }
        }
    }
    assert_eq!(controls, 40);
    for record in &konbini {
        let sealed = Sealed::from_column(column(stack, "payers", "name_sealed", record));
        let stolen = linked().relabelled(stack, merchant, DataClass::Konbini, sealed.key_id().unwrap());
        assert!(
            stolen.open(place("name_sealed", record, DataClass::Konbini), &sealed).is_ok(),
            "it is the konbini key"
        );
    }
}

fn customer(stack: &Stack, key: &str, form: &[(&str, &str)]) -> Value {
    let made = stack.post("/v1/customers", key, form);
    assert_eq!(made.status, 200, "{}", made.text);
    made.json()
}

fn listed(stack: &Stack, key: &str, email: &str) -> Vec<String> {
    // As clients do it: letters and digits stand for themselves. Escaped, a row of digits can look like a card number's.
    let escape =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let email: String = email.bytes().map(escape).collect();
    let list = stack.read(&format!("/v1/customers?email={email}"), key);
    assert_eq!(list.status, 200, "{}", list.text);
    list.json()["data"].as_array().unwrap().iter().map(|customer| customer["id"].as_str().unwrap().to_owned()).collect()
}

/// Through the merchants' API: a customer comes back masked, is found by its address however it is written, and by its own
/// merchant alone, whose index of an address has nothing in common with another's.
#[test]
fn customers_are_found_by_email_by_their_own_merchant() {
    let (stack, keys) = (Stack::shared(), &Stack::shared().run().keys);
    let tag = unique();
    let email = format!("Taro.{tag}@Example.JP");
    let form = [("name", "山田 太郎"), ("email", email.as_str()), ("phone", "090-1234-5678")];
    let made = customer(stack, &keys.sk_test, &form);
    let shown = [&made["name"], &made["email"], &made["phone"]].map(|value| value.as_str().unwrap());
    assert_eq!(shown, ["山*** 太***", "T***@E***.JP", "***-****-5678"]);
    let id = made["id"].as_str().unwrap().to_owned();
    for spelling in [email.clone(), email.to_lowercase(), format!(" taro.{tag}＠ＥＸＡＭＰＬＥ.jp ")] {
        assert_eq!(listed(stack, &keys.sk_test, &spelling), [id.as_str()], "{spelling}");
    }
    assert!(listed(stack, &keys.sk_test, &format!("x{email}")).is_empty());
    assert!(listed(stack, &keys.other_sk_test, &email).is_empty());

    let others = customer(stack, &keys.other_sk_test, &form)["id"].as_str().unwrap().to_owned();
    assert_eq!(listed(stack, &keys.other_sk_test, &email), [others.as_str()]);
    assert_eq!(listed(stack, &keys.sk_test, &email), [id.as_str()]);
    let hash = |id: &str| column(stack, "customers", "email_hash", id.parse::<CustomerId>().unwrap().as_bytes());
    assert_eq!(hash(&id).len(), 32);
    assert_ne!(hash(&id), hash(&others), "one address, two merchants, nothing in common");

    let refused = stack.post("/v1/customers", &keys.sk_test, &[("email", "nobody")]);
    assert_eq!((refused.status, refused.json()["error"]["param"].as_str()), (400, Some("email")), "{}", refused.text);
    let all = stack.read("/v1/customers?limit=1", &keys.sk_test).json();
    assert_eq!((all["data"].as_array().unwrap().len(), &all["url"]), (1, &json!("/v1/customers")));
}

/// The same request twice makes one customer, and the second is told of the first.
#[test]
fn a_customer_is_stored_once() {
    let (plane, merchant) = (Plane::data(Stack::shared()), new_merchant());
    let id = CustomerId::from_bytes(random::bytes());
    let store = |merchant, name: &str| {
        let body = json!({ "context": context(merchant), "customer": id, "fields": { "name": name } });
        plane.post(payer::PATH_STORE_CUSTOMER, &body)
    };
    assert_eq!(store(merchant, "山田").1["masked"]["name"], "山***");
    assert_eq!(store(merchant, "鈴木").1["masked"]["name"], "山***");
    let (status, refused) = store(new_merchant(), "鈴木");
    assert_eq!((status, refused["code"].as_str()), (404, Some("customer_unknown")));
}

/// Some fields change and others stay, also when the key was rotated in between: what stays is then opened with a row in the
/// ledger, and sealed under the new key. The index follows the address. Erased, nothing is left and nothing comes back.
#[test]
fn a_customer_changes_and_is_erased() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let plane = Plane::data(stack);
    let id = CustomerId::from_bytes(random::bytes());
    let ask = |path: &str, more: Value| {
        let mut body = json!({ "context": context(merchant), "customer": id });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        plane.post(path, &body)
    };
    let find = |email: &str| {
        plane.post(payer::PATH_FIND_CUSTOMERS, &json!({ "context": context(merchant), "email": email })).1
    };
    let fields = json!({ "name": "山田", "email": "old@b.example", "phone": "0312345678", "address": "東京都" });
    assert_eq!(ask(payer::PATH_STORE_CUSTOMER, json!({ "fields": fields })).0, 200);
    let (status, changed) =
        ask(payer::PATH_UPDATE_CUSTOMER, json!({ "set": { "email": "new@b.example" }, "unset": ["phone"] }));
    let masked = json!({ "name": "山***", "email": "n***@b***.example", "address": "東***" });
    assert_eq!((status, &changed["masked"]), (200, &masked));
    assert_eq!((find("old@b.example"), find("new@b.example")), (json!([]), json!([id])));

    let owner = Uuid::from_bytes(*merchant.as_bytes());
    let keyring = linked().keyring();
    let active = block_on(deks::find_active(&linked().vault.pool, owner, "customer")).unwrap().expect("a key").id;
    block_on(keyring.deks.next_epoch(merchant, DataClass::Customer, active)).unwrap();
    let (status, changed) = ask(payer::PATH_UPDATE_CUSTOMER, json!({ "set": { "name": "鈴木" } }));
    assert_eq!((status, changed["masked"]["name"].as_str()), (200, Some("鈴***")));
    let open = |name: &'static str| {
        let class = DataClass::Customer;
        let place = Place { table: "customers", column: name, record: id.as_bytes(), merchant, class };
        let sealed = column(stack, "customers", name, id.as_bytes());
        assert_ne!(Sealed::from_column(sealed.clone()).key_id(), Some(active), "{name} is under the new key");
        linked().open(place, &sealed)
    };
    assert_eq!(open("name_sealed").as_deref(), Some("鈴木"));
    assert_eq!(open("email_sealed").as_deref(), Some("new@b.example"));
    assert_eq!(open("address_sealed").as_deref(), Some("東京都"));
    let record = Uuid::from_bytes(*id.as_bytes());
    let openings = format!("SELECT purpose, fields FROM openings WHERE record_id = '{record}'");
    assert_eq!(stack.sql("vault", &openings), "customer_update|{email,address}");
    assert_eq!(find("new@b.example"), json!([id]));

    assert_eq!(ask(payer::PATH_ERASE_CUSTOMER, json!({})), (200, json!({ "erased": true })));
    assert_eq!(ask(payer::PATH_ERASE_CUSTOMER, json!({})), (200, json!({ "erased": false })));
    assert_eq!(find("new@b.example"), json!([]));
    assert_eq!(ask(payer::PATH_UPDATE_CUSTOMER, json!({ "set": { "name": "x" } })).0, 404);
    assert_eq!(ask(payer::PATH_STORE_CUSTOMER, json!({ "fields": { "name": "x" } })).0, 404, "an id is used once");
}

/// E-money payers are found by their address, by merchant and method.
#[test]
fn payers_are_found_by_email() {
    let (plane, merchant) = (Plane::data(Stack::shared()), new_merchant());
    let (_, stored) = store_payer(&plane, merchant, "emoney", &json!({ "email": "a@b.example" }));
    let find = |merchant, method: &str| {
        let body = json!({ "context": context(merchant), "method": method, "email": " A@B.example" });
        plane.post(payer::PATH_FIND_PAYERS, &body).1
    };
    assert_eq!(find(merchant, "emoney"), json!([stored["payer"]]));
    assert_eq!(find(merchant, "konbini"), json!([]));
    assert_eq!(find(new_merchant(), "emoney"), json!([]));
}

/// Planted names, numbers and addresses are in no file, table, log or dump afterwards; what lies in the open is found.
#[test]
fn payers_lie_nowhere_in_the_open() {
    let stack = Stack::shared();
    let (plane, tag) = (Plane::data(stack), unique());
    let (name, email) = (format!("植木 {tag}"), format!("planted.{tag}@example.jp"));
    let number = u64::from_be_bytes(random::bytes()) % 100_000_000;
    let (phone, address) = (format!("090{number:08}"), format!("架空県{tag}市1-2-3"));
    let merchant = new_merchant();
    let konbini = json!({ "name": name, "phone": phone, "email": email });
    assert_eq!(store_payer(&plane, merchant, "konbini", &konbini).0, 200);
    let payeasy = json!({ "name": name, "phone": phone, "postcode": "9998877", "address": address });
    assert_eq!(store_payer(&plane, merchant, "payeasy", &payeasy).0, 200);
    assert_eq!(store_payer(&plane, merchant, "emoney", &json!({ "email": email })).0, 200);
    // As JSON: in a form, the digits of an encoded name and of the number may look like a card's together, by chance.
    let person = json!({ "name": name, "email": email, "phone": phone });
    let made = stack.post_json("/v1/customers", &stack.run().keys.sk_test, &person);
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(listed(stack, &stack.run().keys.sk_test, &email).len(), 1);
    for database in ["vault", "gateway"] {
        stack.sql(database, "CHECKPOINT");
    }
    for planted in [&name, &tag, &phone, &email, &address] {
        assert_eq!(search::on_disk(stack, &Needle::text(planted)), Vec::<String>::new(), "{planted}");
    }
    let control = format!("sichtbar.{}@example.jp", unique());
    stack.sql("vault", &format!("CREATE TABLE loot (email text); INSERT INTO loot VALUES ('{control}'); CHECKPOINT"));
    let found = search::on_disk(stack, &Needle::text(&control)).join("\n");
    stack.sql("vault", "DROP TABLE loot");
    for place in ["/base/", "/pg_wal/", "dump of vault"] {
        assert!(found.contains(place), "not found in {place}; found only:\n{found}");
    }
}

/// 64 shoppers type one number at once: all succeed, with one fingerprint and as many tokens; another expiry is the same
/// card, another merchant's fingerprint is not.
#[test]
fn one_number_many_times_at_once() {
    let (owned, merchant) = (OwnedGateway::new(Stack::shared()), new_merchant());
    let number = fresh_pan();
    let bodies: Vec<Value> = (0..64)
        .map(|n| owned.tokenize_body(merchant, &TypedCard { exp_year: 2030 + n % 10, ..card(&number) }))
        .collect();
    let answers = block_on(async {
        let tasks: Vec<_> = bodies
            .into_iter()
            .map(|body| {
                let plane = owned.plane.clone();
                tokio::spawn(async move { plane.post_async(wire::PATH_TOKENIZE, &body).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.expect("an answer"));
        }
        answers
    });
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let distinct = |pick: fn(&Value) -> &Value| {
        let texts: std::collections::BTreeSet<String> =
            answers.iter().map(|(_, made)| pick(made).to_string()).collect();
        texts.len()
    };
    assert_eq!(distinct(|made| &made["token"]), 64);
    assert_eq!(distinct(|made| &made["card"]["fingerprint"]), 1);
    let elsewhere = owned.tokenize(new_merchant(), &card(&number));
    assert_ne!(elsewhere["card"]["fingerprint"], answers[0].1["card"]["fingerprint"]);
}

/// A spent token never pays again and never gets another card; the same attempt asked again is answered the same.
#[test]
fn a_spent_token_keeps_its_card() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let owned = OwnedGateway::new(stack);
    let made = owned.tokenize(merchant, &card(&fresh_pan()));
    let (token, first) = (&made["token"], attempt());
    let before = column(stack, "cards", "pan_sealed", &record_of(token));
    let (status, paid) = owned.authorize(merchant, token, first);
    assert_eq!((status, paid["outcome"].as_str()), (200, Some("approved")), "{paid}");
    assert_eq!(owned.authorize(merchant, token, first).1, paid, "asked again");
    let (status, refused) = owned.authorize(merchant, token, attempt());
    assert_eq!((status, refused["code"].as_str()), (409, Some("token_used")));

    let saved = token.as_str().unwrap().replacen("tok_", "pm_", 1);
    let csv = format!(
        "token,number,exp_month,exp_year\n{},{},12,2034\n{saved},{},12,2034\n",
        token.as_str().unwrap(),
        fresh_pan(),
        fresh_pan()
    );
    let updated = kura_vault(stack, &["account-update"], &csv);
    assert!(!updated.success);
    let refused: Vec<_> =
        updated.json()["refused"].as_array().unwrap().iter().map(|line| line["code"].clone()).collect();
    assert_eq!(refused, ["token_unknown", "token_unknown"]);
    let again = owned.tokenize(merchant, &card(&fresh_pan()));
    assert_ne!(again["token"], *token);
    assert_eq!(column(stack, "cards", "pan_sealed", &record_of(token)), before, "the row is as it was");
}

/// A card that expired comes again with a new date: a new token, the same fingerprint, and the old one stays as it was.
#[test]
fn an_expired_card_comes_again() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let (owned, number) = (OwnedGateway::new(stack), fresh_pan());
    let old = owned.save(merchant, &card(&number));
    let record = Uuid::from_bytes(record_of(&old["token"]));
    stack.sql("vault", &format!("UPDATE cards SET exp_year = 2020 WHERE id = '{record}'"));
    let row =
        format!("SELECT exp_year, encode(pan_sealed, 'hex'), saved_at, spent_by FROM cards WHERE id = '{record}'");
    let before = stack.sql("vault", &row);
    let new = owned.save(merchant, &TypedCard { exp_year: 2031, ..card(&number) });
    assert_ne!(new["token"], old["token"]);
    assert_eq!(new["card"]["fingerprint"], old["card"]["fingerprint"]);
    assert_eq!(new["card"]["exp_year"], 2031);
    assert_eq!(stack.sql("vault", &row), before);
}

/// What the vault's history says of a card, oldest first: whether the number changed, from which file.
fn history(stack: &Stack, token: &Value) -> String {
    let record = Uuid::from_bytes(record_of(token));
    let columns = "source, old_fingerprint_hash <> new_fingerprint_hash, length(old_fingerprint_hash), actor";
    stack.sql("vault", &format!("SELECT {columns} FROM account_updates WHERE record_id = '{record}' ORDER BY id"))
}

/// A replaced card pays under its old token: the next charge goes out with the new number. Both fingerprints follow the
/// number; a new expiry alone keeps them; the history has a row for each. Bad lines are told by number, without the number.
#[test]
fn a_card_is_replaced_under_its_token() {
    let (stack, keys) = (Stack::shared(), &Stack::shared().run().keys);
    let made =
        stack.post("/v1/payment_methods", &keys.sk_test, &[("type", "card"), ("card[token]", "tok_visa")]).json();
    let token = &made["id"];
    let pay = || {
        let form =
            [("amount", "900"), ("currency", "jpy"), ("payment_method", token.as_str().unwrap()), ("confirm", "true")];
        stack.post("/v1/payment_intents", &keys.sk_test, &form).json()
    };
    assert_eq!(pay()["status"], "succeeded");
    let update = |source: &str, number: &str, year: u16| {
        let csv = format!("token,number,exp_month,exp_year\n{},{number},11,{year}\n", token.as_str().unwrap());
        let ran = kura_vault(stack, &["account-update", "--source", source], &csv);
        assert!(ran.success, "{ran:?}");
        ran.json()
    };
    let shown = || {
        let record = Uuid::from_bytes(record_of(token));
        let columns = "last_four, exp_month, exp_year, merchant_fingerprint, encode(fingerprint_hash, 'hex')";
        stack.sql("vault", &format!("SELECT {columns} FROM cards WHERE id = '{record}'"))
    };
    let print = |row: &str| row.split('|').skip(3).map(str::to_owned).collect::<Vec<_>>();
    let first = shown();
    // The simulated issuer knows this one as stolen, and says so.
    assert_eq!(update("july.csv", "4000000000009979", 2033)["done"], 1);
    let second = shown();
    assert!(second.starts_with("9979|11|2033|"), "{second}");
    assert_ne!(print(&first)[0], print(&second)[0]);
    assert_ne!(print(&first)[1], print(&second)[1]);
    assert_eq!(pay()["error"]["decline_code"], "stolen_card", "the new number went out");
    assert_eq!(update("august.csv", "4000000000009979", 2034)["done"], 1);
    assert_eq!(update("september.csv", "", 2035)["done"], 1);
    assert_eq!(update("september.csv", "", 2035)["unchanged"], 1);
    assert!(shown().starts_with("9979|11|2035|"));
    assert_eq!(print(&shown()), print(&second), "a new date is the same card");
    assert_eq!(update("october.csv", "4242424242424242", 2035)["done"], 1);
    assert_eq!(print(&shown()), print(&first));
    assert_eq!(pay()["status"], "succeeded");
    let actor = "admin.kura.internal";
    let rows = [("july", "t"), ("august", "f"), ("september", "f"), ("october", "t")];
    let rows = rows.map(|(file, changed)| format!("{file}.csv|{changed}|32|{actor}"));
    assert_eq!(history(stack, token), rows.join("\n"));

    let csv = format!(
        "token,number,exp_month,exp_year\n{},4242424242424241,12,2034\nnobody,,1,2030\n",
        token.as_str().unwrap()
    );
    let ran = kura_vault(stack, &["account-update"], &csv);
    assert!(!ran.success && !ran.out.contains("42424242") && !ran.err.contains("42424242"), "{ran:?}");
    let refused = json!([{ "line": 2, "code": "card_number_incorrect" }, { "line": 3, "code": "token_unknown" }]);
    assert_eq!(ran.json()["refused"], refused);
}

/// The cardholder's name outlives a replacement under another key than it was sealed with, and the ledger knows that it was
/// opened for that.
#[test]
fn a_replaced_card_keeps_its_holder() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let owned = OwnedGateway::new(stack);
    let saved = owned.save(merchant, &TypedCard { name: Some("TARO YAMADA".to_owned()), ..card(&fresh_pan()) });
    let record = record_of(&saved["token"]);
    let owner = Uuid::from_bytes(*merchant.as_bytes());
    let active = block_on(deks::find_active(&linked().vault.pool, owner, "card")).unwrap().expect("a key").id;
    block_on(linked().keyring().deks.next_epoch(merchant, DataClass::Card, active)).unwrap();
    let number = fresh_pan();
    let csv = format!("token,number,exp_month,exp_year\n{},{number},12,2034\n", saved["token"].as_str().unwrap());
    assert!(kura_vault(stack, &["account-update"], &csv).success);
    let open = |name: &'static str| {
        let place = Place { table: "cards", column: name, record: &record, merchant, class: DataClass::Card };
        linked().open(place, &column(stack, "cards", name, &record))
    };
    assert_eq!((open("holder_sealed").as_deref(), open("pan_sealed")), (Some("TARO YAMADA"), Some(number)));
    let id = Uuid::from_bytes(record);
    let row = stack.sql("vault", &format!("SELECT purpose, fields FROM openings WHERE record_id = '{id}'"));
    assert_eq!(row, "account_update|{holder}");
}

fn exposed_alerts(stack: &Stack, merchant: MerchantId) -> String {
    let owner = Uuid::from_bytes(*merchant.as_bytes());
    stack.sql(
        "vault",
        &format!("SELECT count(*) FROM alerts WHERE kind = 'exposed_card_used' AND merchant_id = '{owner}'"),
    )
}

/// A listed card that is tokenized or used is flagged, once for a merchant and day, and goes on paying; one that is not
/// listed is not. The number itself is kept nowhere.
#[test]
fn an_exposed_card_is_flagged() {
    let (stack, merchant) = (Stack::shared(), new_merchant());
    let (owned, control) = (OwnedGateway::new(stack), Plane::control(stack));
    let (number, other, source) = (fresh_pan(), fresh_pan(), format!("police {}", unique()));
    let before = owned.save(merchant, &card(&number));
    let added =
        kura_vault(stack, &["watchlist", "add", "--source", &source], &format!("{number}\n12345\n\n{number}\n"));
    assert_eq!(added.json()["done"], 1, "{added:?}");
    assert_eq!(added.json()["refused"], json!([{ "line": 2, "code": "card_number_incorrect" }]));
    assert_eq!(exposed_alerts(stack, merchant), "0");
    let shown = |token: &Value| control.get(&format!("{}?token={}", exposed::PATH_CARD, token.as_str().unwrap())).1;
    assert_eq!(shown(&before["token"])["exposed"], true);

    let (status, paid) = owned.authorize(merchant, &before["token"], attempt());
    assert_eq!((status, paid["outcome"].as_str()), (200, Some("approved")), "it is flagged, not blocked");
    assert_eq!(exposed_alerts(stack, merchant), "1");
    owned.authorize(merchant, &before["token"], attempt());
    owned.tokenize(merchant, &card(&number));
    assert_eq!(exposed_alerts(stack, merchant), "1", "once for a card and day");
    let elsewhere = new_merchant();
    owned.tokenize(elsewhere, &card(&number));
    assert_eq!(exposed_alerts(stack, elsewhere), "1");
    let innocent = owned.save(merchant, &card(&other));
    assert_eq!(shown(&innocent["token"])["exposed"], false);
    assert_eq!(exposed_alerts(stack, merchant), "1");

    let list = kura_vault(stack, &["watchlist", "list"], "").json();
    let row = list.as_array().unwrap().iter().find(|row| row["source"] == source.as_str()).expect("the source").clone();
    assert_eq!((&row["cards"], &row["uses"]), (&json!(1), &json!(2)));
    assert_eq!(search::on_disk(stack, &Needle::pan(&number)), Vec::<String>::new());
    let remove = |more: &[&str]| kura_vault(stack, &[&["watchlist", "remove", "--source", &source], more].concat(), "");
    assert_eq!(remove(&[]).json()["cards"], 1);
    assert_eq!(shown(&before["token"])["exposed"], true, "that was a dry run");
    assert_eq!(remove(&["--execute"]).json()["cards"], 1);
    assert_eq!(shown(&before["token"])["exposed"], false);
    assert!(!remove(&["--execute"]).success);
    assert!(kura_vault(stack, &["status"], "").success, "a flagged card is no damage to sealed data");
}

/// Where the configuration says so, a listed card is refused, when it comes in and when it is used; an attempt that was made
/// before is still told as it was.
#[test]
fn an_exposed_card_can_be_refused() {
    let stack = Stack::start(Options::default().set("vault.refuse_exposed_cards=true"));
    let (owned, merchant, number) = (OwnedGateway::new(&stack), new_merchant(), fresh_pan());
    let saved = owned.save(merchant, &card(&number));
    let first = attempt();
    let paid = owned.authorize(merchant, &saved["token"], first);
    assert_eq!(paid.1["outcome"], "approved");
    assert!(kura_vault(&stack, &["watchlist", "add", "--source", "issuer"], &number).success);
    let refused = owned.authorize(merchant, &saved["token"], attempt());
    assert_eq!((refused.0, refused.1["code"].as_str()), (422, Some("exposed_card_refused")));
    assert_eq!(owned.authorize(merchant, &saved["token"], first), paid);
    let (status, refused) = owned.plane.post(wire::PATH_TOKENIZE, &owned.tokenize_body(merchant, &card(&number)));
    assert_eq!((status, refused["code"].as_str()), (422, Some("exposed_card_refused")));
    assert_eq!(exposed_alerts(&stack, merchant), "1");
    owned.tokenize(merchant, &card(&fresh_pan()));
}

/// A batch that was sealed for one purpose or source does not open for another.
#[test]
fn a_batch_is_bound_to_its_purpose() {
    let control = Plane::control(Stack::shared());
    let sealed = json!({ "key_id": "hk000x", "enc": "AAAA", "ciphertext": "AAAA", "sealed_at_ms": 0 });
    for path in [exposed::PATH_WATCHLIST, exposed::PATH_ACCOUNT_UPDATES] {
        let (status, refused) = control.post(path, &json!({ "source": "x", "sealed": sealed }));
        assert_eq!((status, refused["code"].as_str()), (400, Some("box_unopenable")));
    }
}

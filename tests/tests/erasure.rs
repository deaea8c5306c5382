//! Erasure and retention: what is erased is gone, what proves it can be checked, and what was not meant stays.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use kura_platform::random;
use kura_platform::signature::is_of;
use kura_tests::held::{self, fresh_card, store_customer, store_payer};
use kura_tests::linked::{LinkedVault, column};
use kura_tests::planes::{OwnedGateway, Plane, Ran, context, identity, kura_vault, new_merchant};
use kura_tests::{Options, Stack};
use kura_vault::crypto::field::{DataClass, Place};
use kura_vault::domain::sweep;
use kura_wire::erasure::signed_bytes;
use kura_wire::ids::{AttemptId, CardToken, MerchantId, PayerId};
use kura_wire::vault as wire;
use serde_json::{Value, json};
use uuid::Uuid;

/// A Kura whose sweeper is never at rest for long, and takes few records at a time.
fn stack() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    SHARED.get_or_init(|| {
        let options = Options::default().set("vault.sweeper.pass_every_s=1").set("vault.sweeper.rows_per_step=7");
        Stack::start(options.set("vault.sweeper.pause_ms=1"))
    })
}

/// The node inside of this program.
fn linked() -> &'static LinkedVault {
    static LINKED: OnceLock<LinkedVault> = OnceLock::new();
    LINKED.get_or_init(|| LinkedVault::new(stack()))
}

fn attempt() -> AttemptId {
    AttemptId::from_bytes(random::bytes())
}

fn card_id(made: &Value) -> Uuid {
    Uuid::from_bytes(made["token"].as_str().unwrap().parse::<CardToken>().unwrap().record)
}

fn uuid(merchant: MerchantId) -> Uuid {
    Uuid::from_bytes(*merchant.as_bytes())
}

fn is_erased(table: &str, id: Uuid) -> bool {
    held::is_erased(stack(), table, id)
}

/// All of a row but what an erased one may keep, as text: what is left of it.
fn left_of(table: &str, id: Uuid) -> String {
    let row = format!(
        "SELECT string_agg(key || '=' || value, ',' ORDER BY key) FROM {table} AS t, jsonb_each_text(to_jsonb(t))
         WHERE t.id = '{id}' AND value <> '' AND value <> '\\x' AND value <> '0'
           AND key NOT IN ('id', 'merchant_id', 'livemode', 'class', 'created_at', 'updated_at', 'erased_at', 'saved_at',
                           'spent_by')"
    );
    stack().sql("vault", &row)
}

/// The proofs for a merchant, as `kura vault erasures` tells them.
fn proofs(merchant: MerchantId) -> Vec<Value> {
    let ran = kura_vault(stack(), &["erasures"], "");
    let all = ran.json();
    let of = |proof: &&Value| proof["statement"]["merchant"] == json!(merchant);
    all.as_array().unwrap().iter().filter(of).cloned().collect()
}

fn sha256(ids: &[Uuid]) -> String {
    let mut ids: Vec<[u8; 16]> = ids.iter().map(|id| *id.as_bytes()).collect();
    ids.sort_unstable();
    digest(&SHA256, &ids.concat()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn erase(arguments: &[&str]) -> Ran {
    kura_vault(stack(), &[&["erase"], arguments].concat(), "")
}

fn wait_for(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One record of each kind: a dry run says what would go and leaves it; the erasure leaves nothing that identifies, and a
/// proof of exactly that record; the token is then unknown, and a merchant's other card pays.
#[test]
fn a_record_is_erased_with_proof() {
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack()));
    let (card, other) = (owned.save(merchant, &fresh_card()), owned.save(merchant, &fresh_card()));
    let token = card["token"].as_str().unwrap();
    let customer = store_customer(&owned.plane, merchant);
    let konbini = store_payer(&owned.plane, merchant, "konbini");
    let payeasy = store_payer(&owned.plane, merchant, "payeasy");
    let payer_text = |id: Uuid| PayerId::from_bytes(id.into_bytes()).to_string();
    let records = [
        ("cards", card_id(&card), token.to_owned(), "card"),
        ("customers", Uuid::from_bytes(*customer.as_bytes()), customer.to_string(), "customer"),
        ("payers", konbini, payer_text(konbini), "konbini"),
        ("payers", payeasy, payer_text(payeasy), "payeasy"),
    ];
    for (table, id, name, rule) in &records {
        assert_ne!(left_of(table, *id), "", "there is something to erase");
        let told = erase(&["record", name]);
        assert_eq!(told.json()["records"], json!({ *rule: 1 }), "{told:?}");
        assert!(told.err.contains("dry run") && !is_erased(table, *id));
        let erased = erase(&["record", name, "--execute"]);
        assert_eq!(erased.json()["records"], json!({ *rule: 1 }), "{erased:?}");
        assert!(is_erased(table, *id));
        assert_eq!(left_of(table, *id), "", "{table}");
        assert!(!erase(&["record", name, "--execute"]).success, "it is no more");
        let proof = proofs(merchant).pop().expect("a proof");
        let said = &proof["statement"];
        assert_eq!((&proof["valid"], &said["scope"], &said["rule"]), (&json!(true), &json!("record"), &json!(rule)));
        assert_eq!((&said["records"], said["ids_sha256"].as_str()), (&json!(1), Some(sha256(&[*id]).as_str())));
        assert_eq!(
            (&said["actor"], &said["request_id"]),
            (&json!("admin.kura.internal"), &erased.json()["request_id"])
        );
        let (signed, signature) = (proof["signed"].as_str().unwrap(), proof["signature"].as_str().unwrap());
        assert!(is_of(&identity(stack()), &signed_bytes(signed), signature));
        let forged = signed.replace("\"records\":1", "\"records\":0");
        assert!(!is_of(&identity(stack()), &signed_bytes(&forged), signature));
    }
    let (status, refused) = owned.authorize(merchant, &card["token"], attempt());
    assert_eq!((status, refused["code"].as_str()), (404, Some("token_unknown")));
    let body = json!({ "context": context(merchant), "token": token.replacen("pm_", "tok_", 1) });
    assert_eq!(owned.plane.post(wire::PATH_ATTACH, &body).0, 404);
    assert_eq!(owned.authorize(merchant, &other["token"], attempt()).1["outcome"], "approved");
}

/// An altered proof is told as such; the service's role can alter none, delete no record, and call no row erased that is
/// not blank.
#[test]
fn proofs_and_rows_are_held_by_the_database() {
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack()));
    let made = owned.save(merchant, &fresh_card());
    assert!(erase(&["record", made["token"].as_str().unwrap(), "--execute"]).success);
    let of = format!("WHERE merchant_id = '{}'", uuid(merchant));
    stack().sql("vault", &format!("UPDATE erasures SET statement = replace(statement, 'admin.', 'nadim.') {of}"));
    assert_eq!(proofs(merchant)[0]["valid"], false);
    assert!(!kura_vault(stack(), &["erasures"], "").success);
    stack().sql("vault", &format!("UPDATE erasures SET statement = replace(statement, 'nadim.', 'admin.') {of}"));
    assert_eq!(proofs(merchant)[0]["valid"], true);
    for statement in [
        "DELETE FROM erasures",
        "UPDATE erasures SET records = 0",
        "DELETE FROM cards",
        "DELETE FROM payers",
        "DELETE FROM customers",
        "DELETE FROM account_updates",
        "UPDATE payers SET merchant_id = merchant_id",
        "INSERT INTO retention VALUES ('x', 1, now())",
    ] {
        let refused = stack().sql_as_service("vault", statement).expect_err(statement);
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
    store_payer(&owned.plane, merchant, "konbini");
    store_customer(&owned.plane, merchant);
    owned.save(merchant, &fresh_card());
    for table in ["cards", "payers", "customers"] {
        let statement = format!("UPDATE {table} SET erased_at = now() {of} AND erased_at IS NULL");
        let refused = stack().sql_as_service("vault", &statement).expect_err(table);
        assert!(refused.contains("erased_is_blank"), "{refused}");
    }
}

/// Table, column, class, record, sealed value.
type DumpedValue = (&'static str, &'static str, DataClass, [u8; 16], Vec<u8>);

/// A merchant's sealed values, as a thief of an old dump has them.
fn old_dump(merchant: MerchantId) -> Vec<DumpedValue> {
    let columns = [
        ("cards", "pan_sealed", "'card'"),
        ("cards", "holder_sealed", "'card'"),
        ("payers", "name_sealed", "class"),
        ("payers", "phone_sealed", "class"),
        ("payers", "email_sealed", "class"),
        ("payers", "postcode_sealed", "class"),
        ("payers", "address_sealed", "class"),
        ("customers", "name_sealed", "'customer'"),
        ("customers", "phone_sealed", "'customer'"),
        ("customers", "email_sealed", "'customer'"),
        ("customers", "address_sealed", "'customer'"),
    ];
    let mut dump = Vec::new();
    for (table, name, class) in columns {
        let rows = stack().sql(
            "vault",
            &format!("SELECT id, {class} FROM {table} WHERE merchant_id = '{}' AND {name} IS NOT NULL", uuid(merchant)),
        );
        for row in rows.lines() {
            let (id, class) = row.split_once('|').unwrap();
            let record = id.parse::<Uuid>().unwrap().into_bytes();
            dump.push((table, name, DataClass::parse(class).unwrap(), record, column(stack(), table, name, &record)));
        }
    }
    dump
}

fn opened(merchant: MerchantId, dump: &[DumpedValue]) -> usize {
    let opens = |(table, column, class, record, sealed): &DumpedValue| {
        let place = Place { table, column, record, merchant, class: *class };
        linked().open(place, sealed).is_some()
    };
    dump.iter().filter(|value| opens(value)).count()
}

/// A merchant's erasure destroys its keys on every node within seconds: an old dump and the KEK then open none of its records,
/// of which all opened before. Its rows are blank, its tokens unknown; another merchant's records open, and it pays.
#[test]
fn a_merchant_is_shredded() {
    let (merchant, neighbour, owned) = (new_merchant(), new_merchant(), OwnedGateway::new(stack()));
    let fill = |merchant| {
        for method in ["konbini", "payeasy", "emoney"] {
            store_payer(&owned.plane, merchant, method);
        }
        store_customer(&owned.plane, merchant);
        [owned.save(merchant, &fresh_card()), owned.tokenize(merchant, &fresh_card())]
    };
    let (cards, neighbours) = (fill(merchant), fill(neighbour));
    let (dump, neighbours_dump) = (old_dump(merchant), old_dump(neighbour));
    assert_eq!((dump.len(), opened(merchant, &dump)), (16, 16), "the KEK and the keys open all of it");
    static FOLLOWS: OnceLock<()> = OnceLock::new();
    FOLLOWS.get_or_init(|| {
        let vault = Arc::clone(&linked().vault);
        kura_tests::block_on(async { drop(tokio::spawn(sweep::follow_other_nodes(vault))) });
    });

    let id = merchant.to_string();
    let told = erase(&["merchant", &id]).json();
    let records = json!({ "card": 1, "customer": 1, "emoney": 1, "konbini": 1, "payeasy": 1, "unused_token": 1 });
    assert_eq!((&told["records"], &told["keys"], &told["executed"]), (&records, &json!(5), &json!(false)));
    for confirm in [vec![], vec!["--confirm", "mer_wrong"]] {
        let refused = erase(&[vec!["merchant", &id, "--execute"], confirm].concat());
        assert!(!refused.success && refused.err.contains("not confirmed"), "{refused:?}");
    }
    assert_eq!(opened(merchant, &dump), 16, "nothing was erased yet");
    let erased = erase(&["merchant", &id, "--execute", "--confirm", &id]).json();
    assert_eq!((&erased["records"], &erased["keys"], &erased["executed"]), (&records, &json!(5), &json!(true)));
    wait_for("the other node to drop the keys", || opened(merchant, &dump) == 0);
    let wrapped = format!("SELECT count(*) FROM deks WHERE merchant_id = '{}' AND dek_wrapped <> ''", uuid(merchant));
    assert_eq!(stack().sql("vault", &wrapped), "0");
    for (table, _, _, record, _) in &dump {
        assert_eq!(left_of(table, Uuid::from_bytes(*record)), "");
    }
    assert_eq!(owned.authorize(merchant, &cards[0]["token"], attempt()).0, 404);

    let proofs = proofs(merchant);
    assert!(proofs.iter().all(|proof| proof["valid"] == true && proof["statement"]["scope"] == "merchant"));
    let sum = |what: &str| proofs.iter().map(|proof| proof["statement"][what].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("records"), sum("keys")), (6, 5));

    assert_eq!(opened(neighbour, &neighbours_dump), 16);
    assert_eq!(owned.authorize(neighbour, &neighbours[0]["token"], attempt()).1["outcome"], "approved");
    let paid = stack().post(
        "/v1/payment_intents",
        &stack().run().keys.sk_test,
        &[("amount", "1200"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")],
    );
    assert_eq!(paid.json()["status"], "succeeded", "{}", paid.text);
}

/// An erasure that was cut off after the keys is ended by the sweeper.
#[test]
fn the_sweeper_ends_a_merchants_erasure() {
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack()));
    let saved = owned.save(merchant, &fresh_card());
    let konbini = store_payer(&owned.plane, merchant, "konbini");
    // The first part alone: it looks at the cards, and goes no further.
    let request_id = kura_wire::ids::RequestId::from_bytes(random::bytes());
    let scope = json!({ "scope": "merchant", "merchant": merchant, "confirm": merchant });
    let body = json!({ "scope": scope, "execute": true, "request_id": request_id });
    let (status, part) = Plane::control(stack()).post(kura_wire::erasure::PATH_ERASE, &body);
    assert_eq!((status, &part["keys"], part["next"]["table"].as_str()), (200, &json!(2), Some("payers")), "{part}");
    wait_for("the sweeper", || is_erased("payers", konbini));
    assert!(is_erased("cards", card_id(&saved)));
}

fn age(table: &str, id: Uuid, days: i64) {
    held::age(stack(), table, id, days);
}

/// The sweeper erases what is past its time and nothing else: of each rule one record just past it and one just before;
/// a saved card that was used of late is kept however old it is. Each erasure has its proof.
#[test]
fn the_sweeper_erases_what_is_past_its_time() {
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack()));
    let unused = || card_id(&owned.tokenize(merchant, &fresh_card()));
    let spent = || {
        let made = owned.tokenize(merchant, &fresh_card());
        assert_eq!(owned.authorize(merchant, &made["token"], attempt()).1["outcome"], "approved");
        card_id(&made)
    };
    let saved = || card_id(&owned.save(merchant, &fresh_card()));
    let payer = |method| store_payer(&owned.plane, merchant, method);
    let customer = || Uuid::from_bytes(*store_customer(&owned.plane, merchant).as_bytes());
    let used = owned.save(merchant, &fresh_card());
    assert_eq!(owned.authorize(merchant, &used["token"], attempt()).1["outcome"], "approved");
    let used = card_id(&used);
    let pairs = [
        ("cards", 1, "unused_token", [unused(), unused()]),
        ("cards", 30, "spent_token", [spent(), spent()]),
        ("cards", 1095, "card", [saved(), saved()]),
        ("payers", 180, "konbini", [payer("konbini"), payer("konbini")]),
        ("payers", 180, "payeasy", [payer("payeasy"), payer("payeasy")]),
        ("payers", 180, "emoney", [payer("emoney"), payer("emoney")]),
        ("customers", 1095, "customer", [customer(), customer()]),
    ];
    age("cards", used, 2000);
    for (table, limit, _, [old, young]) in &pairs {
        age(table, *young, limit - 1);
        age(table, *old, limit + 1);
    }
    wait_for("the sweeper", || pairs.iter().all(|(table, _, _, [old, _])| is_erased(table, *old)));
    let passes = || stack().sql("vault", "SELECT min(passes) FROM sweeps").parse::<i64>().unwrap();
    let before = passes();
    wait_for("two more passes", || passes() >= before + 2);
    assert!(!is_erased("cards", used), "it was used a moment ago");
    for (table, _, rule, [old, young]) in &pairs {
        assert!(!is_erased(table, *young), "{rule}: its time is not over");
        let proofs = proofs(merchant);
        let of_rule: Vec<_> = proofs.iter().filter(|proof| proof["statement"]["rule"] == *rule).collect();
        assert_eq!(of_rule.len(), 1, "{rule}: {proofs:?}");
        let said = &of_rule[0]["statement"];
        assert_eq!((&of_rule[0]["valid"], &said["scope"]), (&json!(true), &json!("age")));
        assert_eq!((&said["records"], said["ids_sha256"].as_str()), (&json!(1), Some(sha256(&[*old]).as_str())));
        assert!(said["actor"].as_str().unwrap().starts_with("sweeper of vault node "));
    }
}

/// By hand and by age: the dry run counts exactly what the execution takes, of that rule and merchant alone.
#[test]
fn what_is_older_than_so_many_days_is_erased() {
    let (merchant, owned) = (new_merchant(), OwnedGateway::new(stack()));
    let old: Vec<Uuid> = (0..9).map(|_| store_payer(&owned.plane, merchant, "konbini")).collect();
    let others = [store_payer(&owned.plane, merchant, "payeasy"), store_payer(&owned.plane, new_merchant(), "konbini")];
    let young = store_payer(&owned.plane, merchant, "konbini");
    old.iter().chain(&others).for_each(|id| age("payers", *id, 100));
    let used = owned.save(merchant, &fresh_card());
    owned.authorize(merchant, &used["token"], attempt());
    age("cards", card_id(&used), 100);
    let id = merchant.to_string();
    let run = |rule: &str, more: &[&str]| {
        erase(&[&["older-than", "--rule", rule, "--days", "90", "--merchant", &id], more].concat()).json()
    };
    assert_eq!(run("konbini", &[])["records"], json!({ "konbini": 9 }));
    assert!(!old.iter().any(|id| is_erased("payers", *id)));
    assert_eq!(run("konbini", &["--execute"])["records"], json!({ "konbini": 9 }));
    assert!(old.iter().all(|id| is_erased("payers", *id)));
    assert!(!others.iter().chain([&young]).any(|id| is_erased("payers", *id)));
    assert_eq!(run("card", &["--execute"])["records"], json!({}), "used a moment ago");
    let [proof] = &proofs(merchant)[..] else { panic!("one proof") };
    assert_eq!(
        (&proof["statement"]["records"], proof["statement"]["ids_sha256"].as_str()),
        (&json!(9), Some(sha256(&old).as_str()))
    );
}

/// The report is made of the real catalogue: every sealed, masked and hashed column with its reason, no column for a security
/// code, and nothing overdue. A column that somebody adds shows up, and so does a record that was not swept in time.
#[test]
fn the_retention_report_tells_the_truth() {
    let merchant = new_merchant();
    let konbini = store_payer(&Plane::data(stack()), merchant, "konbini");
    let passes = || stack().sql("vault", "SELECT min(passes) FROM sweeps").parse::<i64>().unwrap();
    wait_for("a pass", || passes() > 0);
    let ran = kura_vault(stack(), &["retention"], "");
    let report = ran.json();
    assert!(ran.success, "{}", ran.out);
    assert_eq!((&report["security_code_columns"], &report["unexplained_columns"]), (&json!([]), &json!([])));
    let columns: Vec<&str> =
        report["columns"].as_array().unwrap().iter().map(|column| column["column"].as_str().unwrap()).collect();
    let sealed = stack().sql(
        "vault",
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name ~ '(_sealed|_masked)$' AND table_name !~ '^held_'",
    );
    assert!(sealed.lines().count() >= 20);
    for column in
        sealed.lines().chain(["cards.bin", "cards.last_four", "cards.fingerprint_hash", "customers.email_hash"])
    {
        assert!(columns.contains(&column), "{column}");
    }
    let held = |report: &Value| {
        let rows = report["held"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["merchant"] == json!(merchant)).expect("the merchant's")
    };
    let row = held(&report);
    assert_eq!(
        (&row["rule"], &row["records"], &row["limit_days"], &row["overdue"]),
        (&json!("konbini"), &json!(1), &json!(180), &json!(0))
    );

    stack().sql("vault", "ALTER TABLE cards ADD COLUMN cvv2 text, ADD COLUMN email_masked text");
    let ran = kura_vault(stack(), &["retention"], "");
    stack().sql("vault", "ALTER TABLE cards DROP COLUMN cvv2, DROP COLUMN email_masked");
    assert!(!ran.success);
    assert_eq!(ran.json()["security_code_columns"], json!(["cards.cvv2"]));
    assert_eq!(ran.json()["unexplained_columns"], json!(["cards.email_masked"]));

    // Somebody else has the sweeper's place for a while.
    let stopped = "SELECT pg_advisory_lock(7253911302); SELECT pg_sleep(6)";
    let sleeper = std::thread::spawn(move || stack().sql("vault", stopped));
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait_for("the lock", || stack().sql("vault", asleep) == "1");
    age("payers", konbini, 200);
    wait_for("a record that is overdue", || {
        let ran = kura_vault(stack(), &["retention"], "");
        !ran.success && held(&ran.json())["overdue"] == 1
    });
    sleeper.join().unwrap();
    wait_for("the sweeper", || is_erased("payers", konbini));
    // What other tests of this program let grow old is overdue until the sweeper comes by, and every report says so.
    wait_for("nothing to be overdue", || kura_vault(stack(), &["retention"], "").success);

    let told = kura_vault(stack(), &["retention", "--set", "emoney=90"], "");
    assert!(told.err.contains("dry run"));
    // To what it was: other tests of this program count on it.
    let changed = || stack().sql("vault", "SELECT days, changed_at FROM retention WHERE rule = 'emoney'");
    let before = changed();
    assert!(before.starts_with("180|"));
    let set = || kura_vault(stack(), &["retention", "--set", "emoney=180", "--execute"], "").success;
    wait_for("it to be set, and nothing overdue", set);
    assert!(changed().starts_with("180|") && changed() != before);
    assert!(!kura_vault(stack(), &["retention", "--set", "emoney=0", "--execute"], "").success);
}

//! Keys under attack and under rotation, on a real database: what was swapped is refused and reported, what is retired seals
//! nothing, what does not open is left alone, and no write is lost under a reseal.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kura_platform::database::PgPool;
use kura_platform::tls::{TlsConfig, Vault};
use kura_platform::{clock, random};
use kura_shopper::{checked_key, seal_bound};
use kura_tests::key_material::{database, keyring, open_all};
use kura_tests::{Stack, block_on};
use kura_vault::commit::{Committer, Inserted};
use kura_vault::crypto::field::{DataClass, FieldKey, Place, Sealed};
use kura_vault::crypto::identity::Identity;
use kura_vault::ledger::Ledger;
use kura_vault::rotation::tables::Table;
use kura_vault::store::cards::CardRow;
use kura_vault::store::deks;
use kura_vault::store::reseal::{self, Pages, Resealed};
use kura_wire::ids::{CardToken, ImportId, MerchantId};
use kura_wire::import::{ImportBatch, ImportRow, ImportedBatch, import_aad};
use kura_wire::sealed_box::{SignedKeySet, Suite};
use serde_json::{Value, json};
use uuid::Uuid;

const EVERY_PAGE: Pages = Pages { from: 0, to: 1 << 20 };

/// Keys are everybody's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A saved test card of the merchant of this key; its token and its record.
fn saved_card(stack: &Stack, key: &str) -> (String, String) {
    let made = stack.post("/v1/payment_methods", key, &[("type", "card"), ("card[token]", "tok_visa")]);
    assert_eq!(made.status, 200, "{}", made.text);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let token: CardToken = id.parse().expect("a card token");
    (id, Uuid::from_bytes(token.record).to_string())
}

fn pay(stack: &Stack, key: &str, token: &str) -> u16 {
    let form = [("amount", "700"), ("currency", "jpy"), ("payment_method", token), ("confirm", "true")];
    stack.post("/v1/payment_intents", key, &form).status
}

fn alerts(stack: &Stack, kind: &str) -> u32 {
    stack.sql("vault", &format!("SELECT count(*) FROM alerts WHERE kind = '{kind}'")).parse().unwrap()
}

fn active_dek(stack: &Stack, merchant: MerchantId) -> i64 {
    let merchant = Uuid::from_bytes(*merchant.as_bytes());
    let find =
        format!("SELECT id FROM deks WHERE merchant_id = '{merchant}' AND data_class = 'card' AND state = 'active'");
    stack.sql("vault", &find).parse().expect("one active key")
}

fn rotate(stack: &Stack, arguments: &[&str]) -> Value {
    let (done, said) = stack.ask_operator(&[&["rotate"], arguments, &["--execute", "--wait"]].concat());
    assert_eq!(done["running"], false, "{done} {said}");
    done
}

/// A wrapped DEK in another's row, a DEK relabelled to another merchant, class or epoch: none unwraps, and each is an alert.
/// Put right, it unwraps.
#[test]
fn a_swapped_or_relabelled_dek_is_refused() {
    let _alone = alone();
    let stack = Stack::shared();
    let run = stack.run();
    let [main, other]: [MerchantId; 2] = [run.merchants.main.parse().unwrap(), run.merchants.other.parse().unwrap()];
    saved_card(stack, &run.keys.sk_test);
    saved_card(stack, &run.keys.other_sk_test);
    let (mine, theirs) = (active_dek(stack, main), active_dek(stack, other));
    let opens = |merchant, class, id| {
        block_on(async {
            let pool = database(stack).await;
            let keys = keyring(stack, &pool).await.expect("the KEK is right");
            keys.deks.for_opening(merchant, class, id).await.map(drop)
        })
    };
    let refused = |merchant, class, id| {
        let before = alerts(stack, "wrapped_key_unopenable");
        let error = opens(merchant, class, id).expect_err("it must not unwrap");
        assert!(error.is_unopenable(), "{error}");
        assert_eq!(alerts(stack, "wrapped_key_unopenable"), before + 1);
    };
    let swap = format!(
        "UPDATE deks SET dek_wrapped = other.dek_wrapped FROM deks other
         WHERE (deks.id, other.id) IN (({mine}, {theirs}), ({theirs}, {mine}))"
    );
    stack.sql("vault", &swap);
    refused(main, DataClass::Card, mine);
    refused(other, DataClass::Card, theirs);
    stack.sql("vault", &swap);
    for (label, back, merchant, class) in [
        (
            format!("merchant_id = '{}', epoch = 77", Uuid::from_bytes(*other.as_bytes())),
            "epoch = 1",
            other,
            DataClass::Card,
        ),
        ("data_class = 'konbini'".to_owned(), "data_class = 'card'", main, DataClass::Konbini),
        ("epoch = 78".to_owned(), "epoch = 1", main, DataClass::Card),
    ] {
        let restore = format!("SELECT epoch FROM deks WHERE id = {mine}");
        let epoch = stack.sql("vault", &restore);
        let own = Uuid::from_bytes(*main.as_bytes());
        stack.sql("vault", &format!("UPDATE deks SET state = 'retired', {label} WHERE id = {mine}"));
        refused(merchant, class, mine);
        let back = back.replace("epoch = 1", &format!("epoch = {epoch}"));
        stack.sql(
            "vault",
            &format!("UPDATE deks SET merchant_id = '{own}', state = 'active', {back} WHERE id = {mine}"),
        );
    }
    assert!(opens(main, DataClass::Card, mine).is_ok());
    assert!(opens(other, DataClass::Card, theirs).is_ok());
    // Under its own label, but asked for by another.
    assert!(opens(other, DataClass::Card, mine).expect_err("not theirs").is_unopenable());
}

/// The material of two KEKs, swapped: no node opens them, and it is an alert. Then the old one is rotated away.
#[test]
fn swapped_kek_material_is_refused() {
    let _alone = alone();
    let stack = Stack::shared();
    saved_card(stack, &stack.run().keys.sk_test);
    let load = || {
        block_on(async {
            let pool = database(stack).await;
            keyring(stack, &pool).await.map(drop)
        })
    };
    let new = block_on(async {
        let pool = database(stack).await;
        keyring(stack, &pool).await.expect("keys").keks.rotate(None).await.expect("a new KEK")
    });
    let swap = format!(
        "UPDATE keks SET material = other.material FROM keks other
         WHERE (keks.version, other.version) IN (({new}, {new} - 1), ({new} - 1, {new}))"
    );
    stack.sql("vault", &swap);
    let before = alerts(stack, "wrapped_key_unopenable");
    assert!(load().is_err());
    assert!(alerts(stack, "wrapped_key_unopenable") > before);
    stack.sql("vault", &swap);
    load().expect("put right");
    let done = rotate(stack, &["kek"]);
    assert_eq!(done["items_damaged"], 0, "{done}");
    let left = "SELECT count(*) FROM keks WHERE state <> 'destroyed'";
    assert_eq!(stack.sql("vault", left), "1");
    let (card, _) = saved_card(stack, &stack.run().keys.sk_test);
    assert_eq!(pay(stack, &stack.run().keys.sk_test, &card), 200);
}

fn card_under(key: &FieldKey, merchant: MerchantId) -> CardRow {
    let record: [u8; 16] = random::bytes();
    let place = Place { table: "cards", column: "pan_sealed", record: &record, merchant, class: DataClass::Card };
    CardRow {
        id: Uuid::from_bytes(record),
        merchant_id: Uuid::from_bytes(*merchant.as_bytes()),
        livemode: false,
        key_id: key.id(),
        pan_sealed: key.seal(place, b"4242424242424242").unwrap(),
        holder_sealed: None,
        fingerprint_hash: vec![0; 32],
        merchant_fingerprint: "none".to_owned(),
        brand: "visa",
        bin: "424242".to_owned(),
        last_four: "4242".to_owned(),
        exp_month: 12,
        exp_year: 2035,
        created_at: clock::now(),
        saved_at: None,
    }
}

/// The writer of a node that the stack doesn't have, and that node's ledger.
async fn writer(stack: &Stack, pool: &PgPool, node: i16) -> (Ledger, Committer) {
    let identity = Identity::open(&stack.state().join("vault/identity.pem")).expect("the identity");
    let (ledger, growing) = Ledger::open(pool.clone(), node, &identity).await.expect("a ledger");
    (ledger, Committer::start(pool.clone(), node, growing))
}

/// A row under a key that was retired meanwhile is refused by the database, whichever node sealed it; and a key counts as
/// settled only when every statement that could still see it as active is over, one that has not written yet included.
#[test]
fn a_retired_key_seals_nothing() {
    let _alone = alone();
    let stack = Stack::shared();
    let merchant = MerchantId::from_bytes(random::bytes());
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let (_ledger, committer) = writer(stack, &pool, 900).await;
        let key = keys.deks.for_sealing(merchant, DataClass::Card, 2).await.expect("a key");
        let (early, late) = (card_under(&key, merchant), card_under(&key, merchant));
        assert_eq!(committer.insert_card(early).await, Ok(Inserted::Done));
        let mut seeing = pool.begin().await.expect("a transaction");
        reseal::begin_snapshot(&mut seeing).await.expect("a view");
        reseal::count_card_pages(&mut *seeing).await.expect("the view is taken");
        keys.deks.next_epoch(merchant, DataClass::Card, key.id()).await.expect("the next epoch");
        assert_eq!(committer.insert_card(late).await, Ok(Inserted::KeyRetired));
        let mut connection = pool.acquire().await.expect("a connection");
        assert!(!deks::hold_active(&mut connection, key.id()).await.expect("an answer"), "nor does COPY get it");
        assert!(!deks::reserve_seals(&pool, key.id(), 1).await.expect("an answer"));
        for _ in 0..5 {
            assert_eq!(deks::list_settled(&pool, &[key.id()]).await.expect("an answer"), [0_i64; 0]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        seeing.rollback().await.expect("the view ends");
        let began = Instant::now();
        while deks::list_settled(&pool, &[key.id()]).await.expect("an answer").is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "it never settles");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let owner = Uuid::from_bytes(*merchant.as_bytes());
    stack.sql("vault", &format!("DELETE FROM cards WHERE merchant_id = '{owner}'"));
}

/// A row that somebody writes while its reseal waits for it stays as they wrote it.
#[test]
fn a_concurrent_write_is_not_lost() {
    let _alone = alone();
    let stack = Stack::shared();
    let merchant = MerchantId::from_bytes(random::bytes());
    let (row, new_key, pool) = block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let (_ledger, committer) = writer(stack, &pool, 901).await;
        let key = keys.deks.for_sealing(merchant, DataClass::Card, 1).await.expect("a key");
        assert_eq!(committer.insert_card(card_under(&key, merchant)).await, Ok(Inserted::Done));
        keys.deks.next_epoch(merchant, DataClass::Card, key.id()).await.expect("the next epoch");
        keys.deks.forget(key.id());
        let new_key = keys.deks.for_sealing(merchant, DataClass::Card, 1).await.expect("its successor").id();
        let mut rows = reseal::list_cards(&pool, EVERY_PAGE, &[key.id()]).await.expect("rows");
        (rows.remove(0), new_key, pool)
    });
    let written = std::thread::scope(|scope| {
        let write = format!(
            "BEGIN; UPDATE cards SET key_id = {new_key}, holder_sealed = '\\x77' WHERE id = '{}'; SELECT pg_sleep(1.2); COMMIT",
            row.id
        );
        let writer = scope.spawn(move || stack.sql("vault", &write));
        std::thread::sleep(Duration::from_millis(500));
        let stale = Resealed {
            at: row.at.clone(),
            id: row.id,
            old_key: row.key_id,
            new_key,
            sealed: vec![Some(Sealed::from_column(vec![9; 60])), None],
        };
        let written = block_on(async {
            let mut connection = pool.acquire().await.expect("a connection");
            reseal::update_cards(&mut connection, &[stale]).await.expect("it waits its turn")
        });
        writer.join().expect("the writer");
        written
    });
    let read = format!("SELECT key_id, holder_sealed, ctid FROM cards WHERE id = '{}'", row.id);
    let now = stack.sql("vault", &read);
    assert_eq!(written, 0);
    assert!(now.starts_with(&format!("{new_key}|\\x77|")), "{now}");
    // Even where the row lies again at the place that it was read at: it is under another key.
    let at = now.rsplit('|').next().expect("a place").to_owned();
    let sealed = vec![Some(Sealed::from_column(vec![9; 60])), None];
    let stale = Resealed { at, id: row.id, old_key: row.key_id, new_key, sealed };
    let written = block_on(async {
        let mut connection = pool.acquire().await.expect("a connection");
        reseal::update_cards(&mut connection, &[stale]).await.expect("nothing in its way")
    });
    assert_eq!((written, stack.sql("vault", &read)), (0, now));
    let owner = Uuid::from_bytes(*merchant.as_bytes());
    stack.sql("vault", &format!("DELETE FROM cards WHERE merchant_id = '{owner}'"));
}

/// A row that does not open is one alert, stays as it is, and keeps its key alive; all others go on. Mended, the next
/// rotation takes it along, and the key goes.
#[test]
fn what_does_not_open_is_left_as_it_is() {
    let _alone = alone();
    let stack = Stack::shared();
    let run = stack.run();
    let (key, other) = (run.keys.other_sk_test.as_str(), run.merchants.other.as_str());
    let cards: Vec<(String, String)> = (0..3).map(|_| saved_card(stack, key)).collect();
    let old = active_dek(stack, other.parse().unwrap());
    let (broken_token, broken) = &cards[1];
    let flip = format!(
        "UPDATE cards SET pan_sealed = set_byte(pan_sealed, 30, get_byte(pan_sealed, 30) # 1) WHERE id = '{broken}'"
    );
    stack.sql("vault", &flip);
    let read = format!("SELECT key_id, pan_sealed FROM cards WHERE id = '{broken}'");
    let (before, raised) = (stack.sql("vault", &read), alerts(stack, "sealed_data_unopenable"));
    let done = rotate(stack, &["dek", "--merchant", other]);
    assert_eq!(done["items_damaged"], 1, "{done}");
    assert_eq!(stack.sql("vault", &read), before, "it stays as it is");
    assert_eq!(alerts(stack, "sealed_data_unopenable"), raised + 1);
    let state = format!("SELECT state FROM deks WHERE id = {old}");
    assert_eq!(stack.sql("vault", &state), "retired");
    assert_eq!(pay(stack, key, &cards[0].0), 200, "the others go on");
    stack.sql("vault", &flip);
    assert_eq!(pay(stack, key, broken_token), 200, "its old key still opens it");
    let done = rotate(stack, &["dek", "--merchant", other, "--class", "card"]);
    assert_eq!(done["items_damaged"], 0, "{done}");
    assert_eq!(stack.sql("vault", &state), "destroyed");
    assert_eq!(pay(stack, key, broken_token), 200);
}

/// Cards that are made and paid with while all keys are rotated again and again: none is refused, none is lost.
#[test]
fn cards_made_under_rotations_are_not_lost() {
    let _alone = alone();
    let stack = Stack::shared();
    let key = stack.run().keys.sk_test.as_str();
    let stop = AtomicBool::new(false);
    let made: usize = std::thread::scope(|scope| {
        let shoppers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let (token, _) = saved_card(stack, key);
                        assert_eq!(pay(stack, key, &token), 200);
                        made += 1;
                        // Below the rate of a key.
                        std::thread::sleep(Duration::from_millis(60));
                    }
                    made
                })
            })
            .collect();
        for kind in ["dek", "kek", "dek", "dek"] {
            assert_eq!(rotate(stack, &[kind])["items_damaged"], 0);
        }
        stop.store(true, Ordering::Relaxed);
        shoppers.into_iter().map(|shopper| shopper.join().expect("a shopper")).sum()
    });
    assert!(made > 10, "only {made} cards were made");
    let mut closed = 0;
    block_on(open_all(stack, |_, digits| closed += usize::from(digits.is_none())));
    assert_eq!(closed, 0);
    let unrecorded = "SELECT count(*) FROM rotations WHERE kind = 'dek' AND items_done >
                      (SELECT COALESCE(sum(records), 0) FROM openings WHERE request_id = rotations.id AND purpose = 'reseal')";
    assert_eq!(stack.sql("vault", unrecorded), "0", "a batch was opened without its row in the ledger");
}

/// Every table with a sealed column is among those that a rotation reseals: a key would be destroyed under one that isn't.
#[test]
fn every_sealed_table_is_resealed() {
    let tables = block_on(async {
        let pool = database(Stack::shared()).await;
        reseal::list_sealed_tables(&pool).await.expect("tables")
    });
    let mut known: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(tables, known);
}

/// The inventory names every kind of key with its age and uses; one that is used beyond its time is marked, and the command
/// says so.
#[test]
fn the_inventory_is_of_this_moment() {
    let _alone = alone();
    let stack = Stack::shared();
    saved_card(stack, &stack.run().keys.sk_test);
    let of = |inventory: &Value, purpose: &str| -> Vec<Value> {
        let keys = inventory["keys"].as_array().expect("keys").iter();
        keys.filter(|key| key["purpose"] == purpose).cloned().collect()
    };
    let (inventory, _) = stack.ask_operator(&["keys"]);
    for (purpose, least) in
        [("vault_identity", 1), ("kek", 1), ("dek", 1), ("root_secret", 1), ("sealing_key", 2), ("tls_certificate", 2)]
    {
        let found = of(&inventory, purpose);
        assert!(found.len() >= least, "{purpose}: {inventory}");
        assert!(found.iter().all(|key| key["made_at"].is_string() && key["overdue"] == false), "{found:?}");
    }
    let active: Vec<Value> = of(&inventory, "dek").into_iter().filter(|key| key["state"] == "active").collect();
    assert!(active.iter().any(|key| key["uses"].as_u64() > Some(0)), "{active:?}");
    assert!(stack.operate(&["keys"]).status.success());
    let id = active_dek(stack, stack.run().merchants.main.parse().unwrap());
    let age = |days: i32| {
        stack.sql("vault", &format!("UPDATE deks SET created_at = created_at - interval '{days} days' WHERE id = {id}"))
    };
    age(400);
    let listed = stack.operate(&["keys"]);
    age(-400);
    assert!(!listed.status.success());
    assert!(String::from_utf8_lossy(&listed.stdout).contains("OVERDUE"));
}

/// The vault's control plane, with the console's certificate.
struct Console<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
    base: String,
}

impl<'a> Console<'a> {
    fn of(stack: &'a Stack) -> Self {
        let file = |name: &str| stack.run().tls["admin"].join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let address = stack.run().control["vault"];
        let http = tls.http_client::<Vault>(address, Duration::from_secs(30)).unwrap();
        Self { stack, http, base: TlsConfig::base_url::<Vault>(address) }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        block_on(async {
            let answer = self.http.post(format!("{}{path}", self.base)).json(body).send().await.expect("an answer");
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        })
    }

    fn import(&self, keep_expired: bool) -> ImportId {
        let merchant = &self.stack.run().merchants.main;
        let wanted = json!({ "merchant": merchant, "livemode": false, "keep_expired": keep_expired });
        let (status, import) = self.post("/control/v1/imports", &wanted);
        assert_eq!(status, 200, "{import}");
        import["id"].as_str().expect("an id").parse().expect("an import's id")
    }

    fn seal(&self, import: ImportId, number: u32, rows: &[ImportRow<&str, &str>]) -> ImportBatch {
        let keys: SignedKeySet = block_on(async {
            let asked = self.http.get(format!("{}/control/v1/import_keys", self.base)).send().await.expect("an answer");
            asked.json().await.expect("keys")
        });
        let key = checked_key(&keys, &self.stack.run().vault_identity, Suite::X25519).expect("signed keys");
        let (count, sealed_at_ms) = (u32::try_from(rows.len()).unwrap(), clock::now_ms());
        let aad = import_aad(import, number, count, sealed_at_ms);
        let (enc, ciphertext) = seal_bound(&key, &aad, &serde_json::to_vec(rows).unwrap()).expect("a box");
        ImportBatch { number, rows: count, key_id: key.key_id, enc, ciphertext, sealed_at_ms }
    }

    fn take(&self, import: ImportId, batch: &ImportBatch) -> (u16, Value) {
        self.post(&format!("/control/v1/imports/{import}/batches"), &serde_json::to_value(batch).unwrap())
    }
}

/// A batch that is sent again is answered as before; the same number with other rows is refused; a box opens for its own
/// import and number only; a row that is no card has a code.
#[test]
fn a_batch_is_known_again() {
    let _alone = alone();
    let stack = Stack::shared();
    let console = Console::of(stack);
    let import = console.import(false);
    let rows = [
        ImportRow(1, "4242424242424242", 12, 2035, Some("Taro Yamada")),
        ImportRow(2, "4242424242424241", 12, 2035, None),
        ImportRow(3, "5555555555554444", 1, 2020, None),
        ImportRow(4, "5555555555554444", 13, 2035, None),
        ImportRow(5, "5555555555554444", 1, 2035, None),
    ];
    let first = console.seal(import, 0, &rows);
    let (status, answer) = console.take(import, &first);
    assert_eq!(status, 200, "{answer}");
    let taken: ImportedBatch = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(taken.tokens.len(), 2);
    let refused = json!([
        { "row": 2, "code": "card_number_incorrect" },
        { "row": 3, "code": "card_expired" },
        { "row": 4, "code": "expiry_month_invalid" },
    ]);
    assert_eq!(answer["refused"], refused);
    assert_eq!(console.take(import, &first), (200, answer.clone()), "sent again");
    assert_eq!(console.take(import, &console.seal(import, 0, &rows)), (200, answer), "sealed and sent again");
    assert_eq!(console.take(import, &console.seal(import, 0, &rows[..4])), (409, json!({ "code": "conflict" })));
    let other_number = ImportBatch { number: 1, ..first.clone() };
    assert_eq!(console.take(import, &other_number), (400, json!({ "code": "box_unopenable" })));
    let other_import = console.import(true);
    assert_eq!(console.take(other_import, &first), (400, json!({ "code": "box_unopenable" })));
    let descending =
        [ImportRow(9, "4242424242424242", 12, 2035, None), ImportRow(8, "4242424242424242", 12, 2035, None)];
    assert_eq!(console.take(import, &console.seal(import, 1, &descending)).0, 400);
    let (status, kept) = console.take(other_import, &console.seal(other_import, 0, &rows[2..3]));
    assert_eq!((status, kept["tokens"].as_array().map(Vec::len)), (200, Some(1)), "{kept}");
    assert_eq!(pay(stack, &stack.run().keys.sk_test, &taken.tokens[1].to_string()), 200);
}

/// Rows that are refused are told by line and code, on standard error and in a file, without a digit; the others come in.
#[test]
fn refused_rows_are_told_without_a_digit() {
    let _alone = alone();
    let stack = Stack::shared();
    let rejects = stack.state().join("rejects.csv");
    let merchant = &stack.run().merchants.main;
    let mut import = stack.operator(&["import", "--merchant", merchant, "--rejects", rejects.to_str().unwrap()]);
    let mut import = import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = "reference,number,exp_month,exp_year,name\na,4539578763621486,12,2035,\nb,4539578763621487,12,2035,\n\
                c,4539578763621486,12,2019,\n4539578763621486,4539578763621486,12,2035,\nd,45395787636214x6,1,2035,\n";
    import.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    let done = import.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let rejects = std::fs::read_to_string(rejects).unwrap();
    assert!(!done.status.success(), "some rows were refused");
    assert!(out.starts_with("reference,token\na,pm_") && out.lines().count() == 2, "{out}");
    for told in [
        "line 3: card_number_incorrect",
        "line 4: card_expired",
        "line 5: reference_invalid",
        "line 6: card_number_incorrect",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    let mut lines: Vec<&str> = rejects.lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["3,b,card_number_incorrect", "4,c,card_expired", "5,,reference_invalid", "6,d,card_number_incorrect"]
    );
    for text in [&*out, &*err, rejects.as_str(), &stack.log("vault")] {
        assert!(!text.contains("45395787"), "{text}");
    }
}

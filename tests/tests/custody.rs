//! Custody, over a whole running Kura: sealed starts, custodians' shares, wrong ones, re-sharing, the loss of a database with
//! too few shares, and a move to an HSM while payments go on.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kura_custody::custodian_key::CustodianKey;
use kura_custody::share::Share;
use kura_custody::split::{combine, split};
use kura_platform::tls::{TlsConfig, Vault};
use kura_platform::{clock, random};
use kura_tests::search::{self, Needle};
use kura_tests::softhsm::SoftHsm;
use kura_tests::{Options, Stack, VaultPeer, block_on, workspace};
use kura_vault::crypto::dek::{Deks, owner_of};
use kura_vault::crypto::keks::{KekError, Keks};
use kura_vault::crypto::key_provider::{DekBytes, ProviderKind};
use kura_vault::crypto::root_key::RootKey;
use kura_vault::serve::MIGRATIONS;
use kura_vault::store::{custodian_sets, deks};
use kura_wire::custody::{PATH_SHARES, SealedShare};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Custodians on their own machines: each with a key of their own, made by the command that custodians use.
struct Custodians {
    directory: PathBuf,
    names: Vec<&'static str>,
}

impl Custodians {
    fn new(stack: &Stack, names: &[&'static str]) -> Self {
        let directory = stack.state().join("tests-custodians");
        std::fs::create_dir_all(&directory).unwrap();
        let custodians = Self { directory, names: names.to_vec() };
        for name in names {
            let file = custodians.key_file(name);
            stack.vault_with(&["custodian-key", "--out", file.to_str().unwrap()], "").unwrap();
        }
        custodians
    }

    fn key_file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.key"))
    }

    /// Arguments of `init` and `reshare begin`.
    fn arguments(&self, threshold: &str) -> Vec<String> {
        let mut arguments = vec!["--threshold".to_owned(), threshold.to_owned()];
        for name in &self.names {
            let key = CustodianKey::parse(&std::fs::read_to_string(self.key_file(name)).unwrap()).unwrap();
            arguments.extend(["--custodian".to_owned(), format!("{name}={}", key.public_key())]);
        }
        let out = self.directory.join("sealed");
        arguments.extend(["--out".to_owned(), out.to_str().unwrap().to_owned()]);
        arguments
    }

    fn sealed_file(&self, name: &str) -> PathBuf {
        let index = 1 + self.names.iter().position(|known| *known == name).unwrap();
        self.directory.join(format!("sealed/{index}-{name}.sealed.json"))
    }

    /// Each opens their own; gives the shares' texts in order.
    fn open(&self, stack: &Stack) -> Vec<String> {
        let open = |name: &&str| {
            let (key, sealed) = (self.key_file(name), self.sealed_file(name));
            let arguments = ["share", "--key", key.to_str().unwrap(), "--sealed", sealed.to_str().unwrap()];
            stack.vault_with(&arguments, "").unwrap()
        };
        self.names.iter().map(open).collect()
    }
}

fn made(stack: &Stack, verb: &[&str], custodians: &Custodians, threshold: &str) -> Vec<String> {
    let arguments = custodians.arguments(threshold);
    let all: Vec<&str> = verb.iter().copied().chain(arguments.iter().map(String::as_str)).collect();
    stack.vault_with(&all, "").unwrap();
    custodians.open(stack)
}

fn saved_card(stack: &Stack) -> kura_tests::Answer {
    let form = [("type", "card"), ("card[token]", "tok_visa")];
    stack.post("/v1/payment_methods", &stack.run().keys.sk_test, &form)
}

fn pay(stack: &Stack, card: &str) -> kura_tests::Answer {
    let form = [("amount", "1200"), ("currency", "jpy"), ("payment_method", card), ("confirm", "true")];
    stack.post("/v1/payment_intents", &stack.run().keys.sk_test, &form)
}

fn assert_pays(stack: &Stack, card: &str) {
    let paid = pay(stack, card);
    assert_eq!(paid.json()["status"], "succeeded", "{}", paid.text);
}

fn assert_sealed(stack: &Stack) {
    let refused = saved_card(stack);
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (503, &json!("vault_unavailable")),
        "{}",
        refused.text
    );
    let status = stack.vault_with(&["status"], "").expect_err("a sealed vault is not ready");
    assert!(status.contains("SEALED") && status.contains("NO  unsealed"), "{status}");
}

fn unseal(stack: &Stack, shares: &[&String]) -> Value {
    let entered = shares.iter().map(|share| stack.vault_with(&["unseal", "--json"], share).unwrap());
    serde_json::from_str(&entered.last().unwrap()).unwrap()
}

fn alerts(stack: &Stack, kind: &str) -> String {
    stack.sql("vault", &format!("SELECT count(*) FROM alerts WHERE kind = '{kind}'"))
}

/// The share's secret bytes, as its text hides them.
fn secret_of(share: &str) -> Vec<u8> {
    let read = Share::parse(share).unwrap();
    // The text's groups carry the bytes; what follows set, index and threshold is the secret.
    let letters: String =
        read.reveal_as_text().split_once(':').unwrap().1.split('-').map(|group| &group[..8]).collect();
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.encoding().unwrap().decode(letters.as_bytes()).unwrap()[18..50].to_vec()
}

fn in_vault(stack: &Stack, share: &str) -> Vec<search::Finding> {
    let pid = stack.run_now().pids["vault"];
    let needles = [Needle::bytes(&secret_of(share)), Needle::bytes(share.split_once(':').unwrap().1.as_bytes())];
    needles.iter().flat_map(|needle| search::in_memory("vault", pid, needle)).collect()
}

/// From a vault that nobody has a key for, to custodians who were replaced. Each step stands on the one before, as in life.
#[test]
fn custodians_from_the_first_set_to_the_next() {
    let stack = Stack::start(Options::default().shamir(true).restart());
    assert_sealed(&stack);
    let first = Custodians::new(&stack, &["hana", "ken", "mio"]);
    let shares = made(&stack, &["init"], &first, "2");
    a_share_opens_for_its_custodian_alone(&stack, &first);
    shares_unseal_and_are_wiped(&stack, &shares);
    let card = saved_card(&stack).json()["id"].as_str().unwrap().to_owned();
    assert_pays(&stack, &card);
    stack.kill9_and_wait("vault");
    assert_sealed(&stack);
    wrong_shares_open_nothing(&stack, &shares);
    unseal(&stack, &[&shares[0], &shares[2]]);
    assert_pays(&stack, &card);
    sealing_is_at_once(&stack, &shares);
    a_stolen_database_with_a_share_less_opens_nothing(&stack, &shares);
    custodians_are_replaced(&stack, &shares, &card);
}

/// The file of a share that was sealed to one custodian says nothing to another, nor to a stranger's key file.
fn a_share_opens_for_its_custodian_alone(stack: &Stack, custodians: &Custodians) {
    let (key, sealed) = (custodians.key_file("ken"), custodians.sealed_file("hana"));
    let refused =
        stack.vault_with(&["share", "--key", key.to_str().unwrap(), "--sealed", sealed.to_str().unwrap()], "");
    assert!(refused.unwrap_err().contains("does not open with this key"));
    let sealed: SealedShare = serde_json::from_slice(&std::fs::read(sealed).unwrap()).unwrap();
    assert_eq!((sealed.custodian.as_str(), sealed.index), ("hana", 1));
    let rows = stack.sql("vault", "SELECT * FROM custodian_sets");
    assert!(rows.contains("{hana,ken,mio}") && rows.contains("pending"), "{rows}");
    let again =
        stack.vault_with(&["init", "--threshold", "2", "--custodian", "a=short", "--out", "x"], "").unwrap_err();
    assert!(again.contains("mistyped"), "{again}");
}

/// One share of two leaves it sealed and lies in its memory, where the search finds it; with the second it is unsealed, and
/// then neither is in any byte of it.
fn shares_unseal_and_are_wiped(stack: &Stack, shares: &[String]) {
    let waiting = unseal(stack, &[&shares[0]]);
    assert_eq!((&waiting["sealed"], &waiting["entered"][0]["missing"]), (&json!(true), &json!(1)));
    assert_eq!(waiting["entered"][0]["custodians"], json!(["hana"]));
    assert_eq!(saved_card(stack).status, 503);
    assert!(!in_vault(stack, &shares[0]).is_empty(), "held until the next one comes");
    let again = stack.vault_with(&["unseal"], &shares[0]).unwrap_err();
    assert!(again.contains("was entered already"), "{again}");
    let open = unseal(stack, &[&shares[1]]);
    assert_eq!((&open["sealed"], &open["entered"]), (&json!(false), &json!([])));
    assert_eq!(open["active"]["custodians"], json!(["hana", "ken", "mio"]));
    for share in &shares[..2] {
        assert_eq!(in_vault(stack, share), Vec::<String>::new(), "wiped after use");
    }
    let status = stack.vault_with(&["status"], "").unwrap();
    assert!(status.contains("node 0: unsealed; key provider shamir") && status.contains("any 2 of hana, ken, mio"));
    assert!(
        stack.vault_with(&["unseal"], &shares[2]).unwrap_err().contains("in conflict"),
        "there is nothing to unseal"
    );
}

/// Shares of the right set with wrong bytes, of another set, mistyped, of our own documentation: none is taken for a right one,
/// and of a wrong key nobody learns whose share was wrong.
fn wrong_shares_open_nothing(stack: &Stack, shares: &[String]) {
    let set = Share::parse(&shares[0]).unwrap().set();
    let forged: DekBytes = Box::new(Zeroizing::new(random::bytes()));
    let forged = split(set, &forged, 2, 3).unwrap();
    stack.vault_with(&["unseal"], &forged[0].reveal_as_text()).unwrap();
    let wrong = stack.vault_with(&["unseal"], &shares[1]).unwrap_err();
    assert!(wrong.contains("these shares do not make this vault's key; enter them again"), "{wrong}");
    assert_eq!(alerts(stack, "shares_wrong"), "1");
    let status = stack.vault_with(&["status", "--json"], "").unwrap_err();
    let status: Value = serde_json::from_str(status.trim()).unwrap();
    assert_eq!(status["custody"]["entered"], json!([]), "all are dropped, the right one too");
    assert_eq!(in_vault(stack, &shares[1]), Vec::<String>::new(), "and wiped");

    let other = split(kura_wire::ids::CustodianSetId::from_bytes([9; 16]), &random_root(), 2, 2).unwrap();
    let other = stack.vault_with(&["unseal"], &other[0].reveal_as_text()).unwrap_err();
    assert!(other.contains("of another set"), "{other}");
    assert_eq!(alerts(stack, "share_foreign"), "1");
    let (at, letter) = shares[0].char_indices().nth(40).unwrap();
    let mut mistyped = shares[0].clone();
    mistyped.replace_range(at..=at, if letter == '7' { "8" } else { "7" });
    let told = stack.vault_with(&["unseal"], &mistyped).unwrap_err();
    assert!(told.contains("group 3 is mistyped"), "{told}");
    let sample = stack.vault_with(&["unseal"], &kura_custody::share::example()).unwrap_err();
    assert!(sample.contains("a published sample"), "{sample}");
    let file = stack.state().join("open.share");
    std::fs::write(&file, &shares[0]).unwrap();
    let readable = stack.vault_with(&["unseal", "--share", file.to_str().unwrap()], "").unwrap_err();
    assert!(readable.contains("chmod 600"), "{readable}");
}

fn random_root() -> DekBytes {
    Box::new(Zeroizing::new(random::bytes()))
}

/// `seal` says what it would do, then does it, and takes entered shares with it.
fn sealing_is_at_once(stack: &Stack, shares: &[String]) {
    stack.vault_with(&["seal"], "").unwrap();
    assert_eq!(saved_card(stack).status, 200, "a dry run seals nothing");
    stack.vault_with(&["seal", "--execute"], "").unwrap();
    assert_sealed(stack);
    let log = stack.log("vault");
    let sealed: Value =
        serde_json::from_str(log.lines().rfind(|line| line.contains("sealed by order")).unwrap()).unwrap();
    assert!(sealed["codes"].as_u64() > Some(0), "the card that was just made had a code, which is wiped: {sealed}");
    unseal(stack, &[&shares[1]]);
    stack.vault_with(&["seal", "--execute"], "").unwrap();
    let open = unseal(stack, &[&shares[1], &shares[2]]);
    assert_eq!(open["sealed"], json!(false));
}

/// Who has the whole database and one share of two opens nothing with them: not with the share as the key, and not with any
/// guess at the other one that needs no luck. With the second share everything is open, so the attempt itself is sound.
fn a_stolen_database_with_a_share_less_opens_nothing(stack: &Stack, shares: &[String]) {
    let set = Share::parse(&shares[0]).unwrap().set();
    let pool = block_on(stack.database("vault").connect(&MIGRATIONS)).unwrap();
    let row = block_on(custodian_sets::find(&pool, sqlx::types::Uuid::from_bytes(*set.as_bytes()))).unwrap().unwrap();
    let opens = |root: &DekBytes| {
        let root = RootKey::new(ProviderKind::Shamir, set.as_bytes(), root).unwrap();
        let passes_check = root.made_check(&row.check_value);
        let keyring = block_on(Keks::load(pool.clone(), vec![Arc::new(root)]));
        assert_eq!(passes_check, keyring.is_ok(), "the check and the KEKs agree");
        keyring.ok()
    };
    let stolen = Share::parse(&shares[0]).unwrap();
    let secret: [u8; 32] = secret_of(&shares[0]).try_into().unwrap();
    assert!(opens(&Box::new(Zeroizing::new(secret))).is_none(), "the share as the key");
    let mut guesses = 0;
    for _ in 0..100 {
        let guess = split(set, &random_root(), 2, 3).unwrap().swap_remove(1);
        assert!(opens(&combine([&stolen, &guess]).unwrap()).is_none());
        guesses += 1;
    }
    assert_eq!(guesses, 100);
    let right = combine([&stolen, &Share::parse(&shares[2]).unwrap()]).unwrap();
    let keks = Arc::new(opens(&right).expect("a threshold opens it"));
    let of_merchants = block_on(deks::list_active(&pool, None, None)).unwrap();
    let opened = of_merchants.iter().map(|dek| {
        let (merchant, class) = owner_of(dek).unwrap();
        block_on(Deks::new(pool.clone(), Arc::clone(&keks)).for_opening(merchant, class, dek.id)).is_ok()
    });
    assert!(!of_merchants.is_empty() && opened.into_iter().all(|is_open| is_open));
}

/// New names, another threshold: nothing changes until both sets have entered theirs, and then the old shares open nothing.
/// The vault serves payments all along, and the cards of before still pay.
fn custodians_are_replaced(stack: &Stack, old: &[String], card: &str) {
    let next = Custodians::new(stack, &["aoi", "ren", "sora", "yui"]);
    let new = made(stack, &["reshare", "begin"], &next, "3");
    let enter = |share: &String| stack.vault_with(&["reshare", "enter", "--json"], share);
    for share in &new[..3] {
        enter(share).unwrap();
    }
    assert!(stack.sql("vault", "SELECT custodians FROM custodian_sets WHERE state = 'active'").contains("hana"));
    let before = stack.sql("vault", "SELECT material FROM keks");
    let stale = stale_node(stack, old);
    enter(&old[0]).unwrap();
    let done: Value = serde_json::from_str(&enter(&old[1]).unwrap()).unwrap();
    assert_eq!(done["active"]["custodians"], json!(["aoi", "ren", "sora", "yui"]));
    assert_eq!((&done["pending"], &done["entered"]), (&Value::Null, &json!([])));
    assert_ne!(before, stack.sql("vault", "SELECT material FROM keks"));
    assert!(matches!(block_on(stale.rotate(None)), Err(KekError::NoProvider(_))), "no KEK under a root that is gone");
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM keks"), "1");
    assert_pays(stack, card);
    for share in old.iter().take(2).chain(&new) {
        assert_eq!(in_vault(stack, share), Vec::<String>::new(), "wiped after use");
    }

    stack.kill9_and_wait("vault");
    for share in old.iter().take(2) {
        let retired = stack.vault_with(&["unseal"], share).unwrap_err();
        assert!(retired.contains("retired"), "{retired}");
    }
    assert_eq!(alerts(stack, "share_foreign"), "3");
    assert_sealed(stack);
    unseal(stack, &[&new[3], &new[1]]);
    assert_sealed(stack);
    unseal(stack, &[&new[0]]);
    assert_pays(stack, card);
    let root = combine([&Share::parse(&old[0]).unwrap(), &Share::parse(&old[1]).unwrap()]).unwrap();
    let set = Share::parse(&old[0]).unwrap().set();
    let root = RootKey::new(ProviderKind::Shamir, set.as_bytes(), &root).unwrap();
    let pool = block_on(stack.database("vault").connect(&MIGRATIONS)).unwrap();
    assert!(block_on(Keks::load(pool, vec![Arc::new(root)])).is_err(), "even all old shares open no KEK of today");
}

/// Another node, unsealed by the custodians of before.
fn stale_node(stack: &Stack, old: &[String]) -> Keks {
    let set = Share::parse(&old[0]).unwrap().set();
    let root = combine([&Share::parse(&old[0]).unwrap(), &Share::parse(&old[1]).unwrap()]).unwrap();
    let root = RootKey::new(ProviderKind::Shamir, set.as_bytes(), &root).unwrap();
    let pool = block_on(stack.database("vault").connect(&MIGRATIONS)).unwrap();
    block_on(Keks::load(pool, vec![Arc::new(root)])).unwrap()
}

/// Garbage in a loop is stopped, with the console's own certificate, whatever it is.
#[test]
fn tries_are_limited() {
    let stack = Stack::start(Options::default().shamir(true));
    let file = |name: &str| stack.run().tls["admin"].join(name);
    let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
    let address = stack.run().control["vault"];
    let client = tls.http_client::<Vault>(address, Duration::from_secs(10)).unwrap();
    let garbage = json!({
        "purpose": "unseal", "key_id": "hk", "enc": "AA", "ciphertext": "AA", "sealed_at_ms": clock::now_ms()
    });
    let enter = || {
        let request = client.post(format!("{}{PATH_SHARES}", TlsConfig::base_url::<Vault>(address))).json(&garbage);
        block_on(async { request.send().await.unwrap().json::<Value>().await.unwrap() })["code"].clone()
    };
    let answers: Vec<Value> = (0..40).map(|_| enter()).collect();
    assert!(answers.iter().all(|code| *code == "share_unopenable" || *code == "too_many_tries"), "{answers:?}");
    assert_eq!(answers.last().unwrap(), "too_many_tries");
    let told =
        stack.vault_with(&["unseal"], &split(set(), &random_root(), 2, 2).unwrap()[0].reveal_as_text()).unwrap_err();
    assert!(told.contains("too many tries"), "{told}");
}

fn set() -> kura_wire::ids::CustodianSetId {
    kura_wire::ids::CustodianSetId::from_bytes([9; 16])
}

/// Custody moves to an HSM while the vault runs, from the development file and from custodians' shares: the next KEK is the
/// HSM's, all DEKs are wrapped anew, the cards of before pay without a pause. Started anew with the HSM alone, they still do.
#[test]
fn custody_moves_to_an_hsm_without_a_pause() {
    custody_moves_from("dev-file", |options| options);
    custody_moves_from("shamir", |options| options.shamir(false));
}

fn custody_moves_from(provider: &str, of_provider: impl Fn(Options) -> Options) {
    let hsm = SoftHsm::new();
    let state = hsm.configuration().with_file_name("state");
    let options = || Options::default().state(state.clone()).env("SOFTHSM2_CONF", hsm.configuration());
    let stack = Stack::start(of_provider(options()).set(&format!("vault.next_key_provider={}", hsm.key_provider())));
    let card = saved_card(&stack).json()["id"].as_str().unwrap().to_owned();
    assert_pays(&stack, &card);
    let moved = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let paying = scope.spawn(|| {
            let mut payments = 0;
            while !moved.load(Ordering::Relaxed) {
                assert_pays(&stack, &card);
                payments += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            payments
        });
        let rotated = stack.vault(&["rotate", "kek", "--provider", "pkcs11", "--execute", "--wait"]);
        moved.store(true, Ordering::Relaxed);
        rotated.unwrap();
        assert!(paying.join().unwrap() > 0, "somebody paid meanwhile");
    });
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM deks WHERE kek_version <> 2"), "0");
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM root_secrets WHERE kek_version <> 2"), "0");
    assert_eq!(
        stack.sql("vault", "SELECT provider, state FROM keks ORDER BY version"),
        format!("{provider}|destroyed\npkcs11|active")
    );
    assert_pays(&stack, &card);
    let later = saved_card(&stack).json()["id"].as_str().unwrap().to_owned();
    stack.stop();
    drop(stack);

    let _ = std::fs::remove_file(state.join("vault/dev-keys.json"));
    let stack = Stack::start(options().set(&format!("vault.key_provider={}", hsm.key_provider())));
    assert_pays(&stack, &card);
    assert_pays(&stack, &later);
    stack.stop();
    drop(stack);
    let _ = std::fs::remove_dir_all(&state);
}

/// A custodian unseals through the console's page, in a real browser.
#[test]
fn a_custodian_unseals_in_a_browser() {
    let stack = Stack::start(Options::default().shamir(true));
    let said = unseal_in_a_browser(&stack, 1);
    assert_eq!(saved_card(&stack).status, 200, "unsealed: {said}");
}

/// With two vault nodes the console's page is about the first that is sealed, and a share goes to the node that it was sealed
/// to, which alone can read it: one after another both are unsealed, and no node ever got a share that it could not open.
#[test]
fn custodians_unseal_node_after_node_in_a_browser() {
    let stack = Stack::start(Options::default().shamir(true).vault_nodes(2));
    let said = unseal_in_a_browser(&stack, 2);
    for (node, log) in [stack.log("vault"), stack.log("vault-1")].iter().enumerate() {
        assert_eq!(log.matches("a share was entered").count(), 2, "node {node}: {said}\n{log}");
        assert_eq!(log.matches("unsealed by the custodians").count(), 1, "node {node}: {said}\n{log}");
        let (status, made) = VaultPeer::new(&stack, node).test_card_answer("visa");
        assert_eq!(status, 200, "node {node} is unsealed: {made}");
    }
}

fn unseal_in_a_browser(stack: &Stack, nodes: usize) -> String {
    let custodians = Custodians::new(stack, &["hana", "ken", "mio"]);
    let shares = made(stack, &["init"], &custodians, "2");
    std::fs::write(stack.state().join("shares.json"), serde_json::to_vec(&shares).unwrap()).unwrap();
    let scenario = Command::new(search::tool("KURA_NODE", "node"))
        .arg(workspace().join("tests/browser/custody.mjs"))
        .env("KURA_RUN_JSON", stack.state().join("run.json"))
        .env("KURA_SHARES", stack.state().join("shares.json"))
        .env("KURA_VAULT_NODES", nodes.to_string())
        .env("KURA_PICTURES", workspace().join("target/kura-pictures"))
        .output()
        .expect("node (run the tests with `cargo kura test`, which installs it)");
    let said = format!("{}{}", String::from_utf8_lossy(&scenario.stdout), String::from_utf8_lossy(&scenario.stderr));
    assert!(scenario.status.success(), "{said}");
    said
}

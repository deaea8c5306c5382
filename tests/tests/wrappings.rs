//! Keys and secrets in their wrappings, in a real database, by the vault's own code: how many seals are reserved, what a KEK's
//! rotation takes along, what is damaged, who was faster, and what is dropped once it is destroyed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kura_platform::{clock, random};
use kura_tests::key_material::{database, keyring};
use kura_tests::{Stack, block_on};
use kura_vault::crypto::dek::DekError;
use kura_vault::crypto::field::DataClass;
use kura_vault::store::{deks, keks};
use kura_wire::ids::MerchantId;
use uuid::Uuid;

/// KEKs are everybody's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_merchant() -> MerchantId {
    MerchantId::from_bytes(random::bytes())
}

fn count(stack: &Stack, query: &str) -> i64 {
    stack.sql("vault", query).parse().expect("a number")
}

fn alerts(stack: &Stack) -> i64 {
    count(stack, "SELECT count(*) FROM alerts WHERE kind = 'wrapped_key_unopenable'")
}

/// Seals are reserved a million at a time, and a key whose block is used up reserves the next one.
#[test]
fn seals_are_reserved_in_blocks() {
    let _alone = alone();
    let stack = Stack::shared();
    let merchant = new_merchant();
    let reserved = |id: i64| count(stack, &format!("SELECT seals_reserved FROM deks WHERE id = {id}"));
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let take = |seals| keys.deks.for_sealing(merchant, DataClass::Card, seals);
        let id = take(3).await.expect("a key").id();
        assert_eq!(reserved(id), 1 << 20);
        assert_eq!(take((1 << 20) - 3).await.expect("the rest of the block").id(), id);
        assert_eq!(reserved(id), 1 << 20);
        assert_eq!(take(1).await.expect("of the next block").id(), id);
        assert_eq!(reserved(id), 2 << 20);
        let many = take(3 << 20).await.expect("more than a block").id();
        assert_eq!((many, reserved(id)), (id, 5 << 20));
    });
}

/// A secret is random, stays the same for every node and every KEK, and is no other secret. One that is damaged is counted and
/// reported, stays as it is, and goes on once it is put right.
#[test]
fn secrets_outlive_their_keks() {
    let _alone = alone();
    let stack = Stack::shared();
    let before = alerts(stack);
    let flip = "UPDATE root_secrets SET secret_wrapped = set_byte(secret_wrapped, 20, get_byte(secret_wrapped, 20) # 1)
         WHERE name = 'of this test'";
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys").keks;
        let secret = keys.secret("of this test").await.expect("a secret");
        let other = keys.secret("another").await.expect("a secret");
        assert!(secret.iter().any(|byte| *byte != 0) && secret.as_slice() != other.as_slice());
        let elsewhere = keyring(stack, &pool).await.expect("keys").keks;
        assert_eq!(elsewhere.secret("of this test").await.expect("the same").as_slice(), secret.as_slice());
        let version = keys.rotate(None).await.expect("a new KEK");
        assert_eq!(keys.active_version(), version);
        stack.sql("vault", flip);
        assert_eq!(keys.rewrap_secrets().await.expect("the others"), 1);
        assert_eq!(alerts(stack), before + 1);
        let left = keks::list_secrets_under_others(&pool, version).await.expect("secrets");
        assert_eq!(left.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["of this test"]);
        assert_eq!(elsewhere.secret("another").await.expect("under the new KEK").as_slice(), other.as_slice());
        stack.sql("vault", flip);
        assert_eq!(keys.rewrap_secrets().await.expect("all of them"), 0);
        assert!(keks::list_secrets_under_others(&pool, version).await.expect("secrets").is_empty());
        assert_eq!(keys.secret("of this test").await.expect("put right").as_slice(), secret.as_slice());
        assert_eq!(alerts(stack), before + 1);
    });
}

/// A key is its merchant's and class's own. A node that meets it first under another's name says so, and takes it for no damage.
#[test]
fn a_key_is_refused_under_anothers_name() {
    let _alone = alone();
    let stack = Stack::shared();
    let before = alerts(stack);
    let (merchant, another) = (new_merchant(), new_merchant());
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let id = keys.deks.for_sealing(merchant, DataClass::Card, 1).await.expect("a key").id();
        let elsewhere = keyring(stack, &pool).await.expect("keys");
        for (owner, class) in
            [(another, DataClass::Card), (merchant, DataClass::Customer), (another, DataClass::Customer)]
        {
            let opened = elsewhere.deks.for_opening(owner, class, id).await;
            assert!(matches!(opened, Err(DekError::Unknown)), "{owner} {}", class.as_str());
        }
        assert_eq!(elsewhere.deks.for_opening(merchant, DataClass::Card, id).await.expect("it opens").id(), id);
    });
    assert_eq!(alerts(stack), before);
}

/// A DEK that was put under the next KEK is the same key there: what it sealed opens for a node that knows nothing else.
#[test]
fn a_rewrapped_key_is_under_the_next_kek() {
    let _alone = alone();
    let stack = Stack::shared();
    let merchant = new_merchant();
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let id = keys.deks.for_sealing(merchant, DataClass::Card, 1).await.expect("a key").id();
        let version = keys.keks.rotate(None).await.expect("a new KEK");
        let row = deks::find(&pool, id).await.expect("an answer").expect("the key");
        assert_eq!(row.kek_version, version - 1);
        keys.deks.rewrap(&row).await.expect("it opens");
        let now = deks::find(&pool, id).await.expect("an answer").expect("the key");
        assert_eq!(now.kek_version, version);
        assert_ne!(now.dek_wrapped, row.dek_wrapped);
        let elsewhere = keyring(stack, &pool).await.expect("keys");
        assert_eq!(elsewhere.deks.for_opening(merchant, DataClass::Card, id).await.expect("it opens").id(), id);
    });
}

/// Of two nodes that rotate the KEK at once, the slower one takes what the faster one made.
#[test]
fn the_slower_of_two_rotations_takes_the_others_kek() {
    let _alone = alone();
    let stack = Stack::shared();
    block_on(async {
        let pool = database(stack).await;
        let slower = keyring(stack, &pool).await.expect("keys").keks;
        let (old, provider) = (slower.active_version(), slower.provider("dev-file").expect("the file"));
        let mut faster = pool.begin().await.expect("a transaction");
        assert!(keks::retire(&mut faster, old, clock::now()).await.expect("an answer"));
        let material = provider.make_kek(old + 1).expect("a KEK");
        let inserted = keks::insert_active(&mut *faster, old + 1, "dev-file", &material, None, clock::now()).await;
        assert!(inserted.expect("an answer"));
        let rotating = tokio::spawn(async move { (slower.rotate(None).await, slower.active_version()) });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!rotating.is_finished(), "it waits for the other one");
        faster.commit().await.expect("the faster one is done");
        let (rotated, active) = rotating.await.expect("no panic");
        assert_eq!((rotated.expect("the other's KEK will do"), active), (old + 1, old + 1));
    });
}

/// A destroyed key is dropped from memory as soon as a node hears of it, and no other key with it.
#[test]
fn a_destroyed_key_is_dropped() {
    let _alone = alone();
    let stack = Stack::shared();
    let (gone, stays) = (new_merchant(), new_merchant());
    block_on(async {
        let pool = database(stack).await;
        let keys = keyring(stack, &pool).await.expect("keys");
        let sealing = |merchant| keys.deks.for_sealing(merchant, DataClass::Card, 1);
        let (mine, theirs) = (sealing(gone).await.expect("a key").id(), sealing(stays).await.expect("a key").id());
        let opens = |merchant, id| keys.deks.for_opening(merchant, DataClass::Card, id);
        let began = clock::now();
        keys.deks.drop_destroyed(began).await.expect("nothing is destroyed");
        assert!(opens(gone, mine).await.is_ok());
        let mut connection = pool.acquire().await.expect("a connection");
        let owner = Uuid::from_bytes(*gone.as_bytes());
        let destroyed = deks::destroy_of_merchant(&mut connection, owner, clock::now()).await.expect("an answer");
        assert_eq!(destroyed, [mine]);
        assert!(opens(gone, mine).await.is_ok(), "this node has not heard yet");
        keys.deks.drop_destroyed(began).await.expect("what is destroyed");
        assert!(opens(gone, mine).await.is_err_and(|error| error.is_unopenable()), "it is gone");
        assert_ne!(sealing(gone).await.expect("a new key").id(), mine);
        let reserved = format!("SELECT seals_reserved FROM deks WHERE id = {theirs}");
        assert_eq!(sealing(stays).await.expect("their key").id(), theirs);
        assert_eq!(stack.sql("vault", &reserved), (1 << 20).to_string(), "it was there all along");
        assert!(opens(stays, theirs).await.is_ok());
    });
}

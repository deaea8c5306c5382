//! The vault's key material at rest, and its database, in the hands of a test: everything can be opened, and compared with
//! what it should be.

use std::sync::Arc;

use kura_platform::database::DatabaseConfig;
use kura_vault::crypto::dev_file;
use kura_vault::crypto::field::{DataClass, Place};
use kura_vault::crypto::keks::KekError;
use kura_vault::crypto::key_provider::KeyProvider;
use kura_vault::crypto::keyring::Keyring;
use kura_vault::serve::MIGRATIONS;
use kura_vault::store::inventory;
use kura_vault::store::reseal::{Pages, SealedRow, count_card_pages, list_cards};
use kura_wire::ids::MerchantId;

use crate::Stack;

/// Pages that are read at once.
const PAGES: i64 = 512;
/// More DEKs than any test makes.
const MAX_DEKS: i64 = 100_000;

/// The vault's database, as the vault's own role.
///
/// # Panics
/// When it can't be reached.
pub async fn database(stack: &Stack) -> kura_vault::store::Pool {
    let cluster = &stack.run().postgres["vault"];
    let host: String = cluster.socket.to_string_lossy().replace('/', "%2F");
    let config = DatabaseConfig {
        url: format!("postgres:///vault?host={host}&port={}&user=vault_app", cluster.port),
        password_file: stack.state().join("vault/database.password"),
        max_connections: 8,
    };
    config.connect(&MIGRATIONS).await.expect("the vault's database")
}

/// All keys of the vault, as a starting node would load them.
///
/// # Errors
/// What such a node would say.
///
/// # Panics
/// When the development file can't be read.
pub async fn keyring(stack: &Stack, pool: &kura_vault::store::Pool) -> Result<Keyring, KekError> {
    let root = dev_file::open(&stack.state().join("vault/dev-keys.json")).expect("the development file");
    let provider: Arc<dyn KeyProvider> = Arc::new(root);
    Keyring::load(pool, vec![provider]).await
}

/// Opens the number of every card there is. Gives how many there are; tells each record and its digits, or `None` where it
/// does not open.
///
/// # Panics
/// When the database can't be read.
pub async fn open_all(stack: &Stack, mut tell: impl FnMut([u8; 16], Option<&[u8]>)) -> usize {
    let pool = database(stack).await;
    let keyring = keyring(stack, &pool).await.expect("the keys");
    let deks = inventory::list_deks(&pool, MAX_DEKS).await.expect("DEKs");
    let keys: Vec<i64> = deks.into_iter().map(|dek| dek.id).collect();
    let end = count_card_pages(&pool).await.expect("pages");
    let (mut from, mut rows) = (0, 0);
    while from < end {
        for row in list_cards(&pool, Pages { from, to: from + PAGES }, &keys).await.expect("rows") {
            tell(row.id.into_bytes(), open(&keyring, &row).await.as_deref());
            rows += 1;
        }
        from += PAGES;
    }
    rows
}

async fn open(keyring: &Keyring, row: &SealedRow) -> Option<Vec<u8>> {
    let merchant = MerchantId::from_bytes(row.merchant_id.into_bytes());
    let key = keyring.deks.for_opening(merchant, DataClass::Card, row.key_id).await.ok()?;
    let record = row.id.into_bytes();
    let place = Place { table: "cards", column: "pan_sealed", record: &record, merchant, class: DataClass::Card };
    let opened = key.open(place, row.sealed.first()?.as_ref()?).ok()?;
    Some(opened.to_vec())
}

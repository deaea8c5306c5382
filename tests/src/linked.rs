//! One more vault node inside of the test program, on the stack's own database and keys: what no plane answers can be opened
//! here, and looked at.

use std::sync::Arc;

use kura_platform::clock;
use kura_vault::commit::LedgerReceipt;
use kura_vault::config::Config;
use kura_vault::crypto::field::{DataClass, FieldKey, Place, Sealed};
use kura_vault::crypto::keyring::Keyring;
use kura_vault::domain::Vault;
use kura_vault::guard::About;
use kura_vault::serve::assemble;
use kura_vault::store::openings::OpeningRow;
use kura_wire::ids::MerchantId;
use kura_wire::sealed_box::length_prefixed;
use uuid::Uuid;

use crate::{Stack, block_on};

/// Its number; the stack's own nodes have small ones.
const NODE: u16 = 900;

/// The node.
pub struct LinkedVault {
    /// Its parts.
    pub vault: Arc<Vault>,
}

impl LinkedVault {
    /// On a stack with the `dev-file` key provider.
    pub fn new(stack: &Stack) -> Self {
        block_on(Self::start(stack))
    }

    async fn start(stack: &Stack) -> Self {
        let mut config: Config =
            kura_platform::config::load(&stack.state().join("vault/vault.toml")).expect("the vault's file");
        config.node = NODE;
        config.acquirer.test = None;
        let vault = assemble(&config).await.expect("a node");
        let vault = Arc::new(vault);
        // Who doesn't look at what is frozen is given no permit after some seconds.
        let watchful = Arc::clone(&vault);
        tokio::spawn(async move { watchful.guard.keep_looking().await });
        Self { vault }
    }

    /// The unsealed keys.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.vault.keys.keyring().expect("unsealed")
    }

    /// A receipt for opening a record: its row is in the ledger.
    pub fn receipt(&self, merchant: MerchantId, record: [u8; 16], class: DataClass) -> LedgerReceipt {
        let opening = OpeningRow {
            node: 0,
            sequence: 0,
            at: clock::now(),
            actor: "test".to_owned(),
            request_id: Uuid::from_bytes(kura_platform::random::bytes()),
            merchant_id: Uuid::from_bytes(*merchant.as_bytes()),
            record_id: Uuid::from_bytes(record),
            class: class.as_str().to_owned(),
            records: 1,
            fields: vec!["all".to_owned()],
            purpose: "test".to_owned(),
            attempt_id: None,
        };
        let guard = &self.vault.guard;
        let permit = block_on(guard.permit(&opening.actor, &opening.purpose, 1, About::default())).expect("a permit");
        block_on(self.vault.committer.open(permit.cover(opening))).expect("a receipt")
    }

    /// Opens a stored value where it stands, by the keys as they are now.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<String> {
        let sealed = Sealed::from_column(sealed.to_vec());
        let keyring = self.keyring();
        let key = block_on(keyring.deks.for_opening(place.merchant, place.class, sealed.key_id()?)).ok()?;
        let opened = key.open(place, &sealed).ok()?;
        Some(String::from_utf8_lossy(&opened).into_owned())
    }

    /// The DEK that seals for a merchant and class, relabelled as another: what a thief of one key can try.
    pub fn relabelled(&self, stack: &Stack, merchant: MerchantId, class: DataClass, id: i64) -> FieldKey {
        let owner = Uuid::from_bytes(*merchant.as_bytes());
        let row = stack.sql(
            "vault",
            &format!(
                "SELECT epoch, kek_version, encode(dek_wrapped, 'hex') FROM deks
                 WHERE merchant_id = '{owner}' AND data_class = '{}' AND state = 'active'",
                class.as_str()
            ),
        );
        let [epoch, version, wrapped] = row.split('|').collect::<Vec<_>>()[..] else { panic!("no key: {row}") };
        let epoch: i32 = epoch.parse().expect("an epoch");
        let binding =
            length_prefixed(&[b"kura dek v1", merchant.as_bytes(), class.as_str().as_bytes(), &epoch.to_be_bytes()]);
        let wrapped = data_encoding::HEXLOWER.decode(wrapped.as_bytes()).expect("hexadecimal");
        let keyring = self.keyring();
        let dek = block_on(keyring.keks.unwrap(version.parse().expect("a version"), &wrapped, &binding));
        FieldKey::new(id, &dek.expect("the KEK is here")).expect("a key")
    }
}

/// A sealed column of a row, as bytes.
pub fn column(stack: &Stack, table: &str, column: &str, record: &[u8; 16]) -> Vec<u8> {
    let id = Uuid::from_bytes(*record);
    let hex = stack.sql("vault", &format!("SELECT encode({column}, 'hex') FROM {table} WHERE id = '{id}'"));
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal")
}

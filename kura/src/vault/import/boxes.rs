//! Sealing batches and sending them, as often as it takes: a batch that was taken before is answered as before.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kura_platform::clock;
use kura_shopper::{checked_key, seal_bound};
use kura_wire::control::ControlCode;
use kura_wire::ids::ImportId;
use kura_wire::import::{ImportBatch, ImportedBatch, PATH_IMPORT_BATCHES, PATH_IMPORT_KEYS, import_aad};
use kura_wire::sealed_box::{SealingKey, SignedKeySet, Suite};

use super::rows::Batch;
use crate::vault::control::{Control, Refused};

/// How long a vault that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const TRY_EVERY: Duration = Duration::from_millis(300);
/// A key is replaced this long before its end.
const BEFORE_ITS_END_MS: i64 = 5 * 60 * 1000;

/// What batches are sent with.
pub(super) struct Sender {
    control: Control,
    import: ImportId,
    path: String,
    key: Mutex<SealingKey>,
}

impl Sender {
    /// Fetches the vault's keys and checks them against the pinned identity.
    pub(super) async fn new(control: Control, import: ImportId) -> Result<Self> {
        let key = Mutex::new(fetch_key(&control).await?);
        Ok(Self { control, import, path: PATH_IMPORT_BATCHES.replace("{id}", &import.to_string()), key })
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Sends a batch until it is answered. One without rows is not sent at all.
    pub(super) async fn send(&self, batch: &Batch) -> Result<ImportedBatch> {
        if batch.sent.is_empty() {
            return Ok(ImportedBatch { tokens: Vec::new(), refused: Vec::new() });
        }
        let began = Instant::now();
        loop {
            let error = match self.try_to_send(batch).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = match error.downcast_ref::<Refused>() {
                Some(Refused(ControlCode::SealingKeyExpired)) => self.renew_key().await.is_ok() || is_away(began),
                Some(Refused(code)) => matches!(code, ControlCode::Unavailable | ControlCode::Sealed) && is_away(began),
                // Nobody answered: it may have been taken, which sending it again finds out.
                None => is_away(began),
            };
            if !again || began.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    async fn try_to_send(&self, batch: &Batch) -> Result<ImportedBatch> {
        if self.key().not_after_ms < clock::now_ms() + BEFORE_ITS_END_MS {
            self.renew_key().await?;
        }
        let rows = u32::try_from(batch.sent.len()).context("too many rows")?;
        let (key, sealed_at_ms) = (self.key(), clock::now_ms());
        let aad = import_aad(self.import, batch.number, rows, sealed_at_ms);
        let (enc, ciphertext) = seal_bound(&key, &aad, &batch.plaintext)?;
        let sealed = ImportBatch { number: batch.number, rows, key_id: key.key_id, enc, ciphertext, sealed_at_ms };
        self.control.post(&self.path, &sealed).await
    }

    fn key(&self) -> SealingKey {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew_key(&self) -> Result<()> {
        let fresh = fetch_key(&self.control).await?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn is_away(began: Instant) -> bool {
    began.elapsed() < PATIENCE
}

async fn fetch_key(control: &Control) -> Result<SealingKey> {
    let set: SignedKeySet = control.get(PATH_IMPORT_KEYS, &()).await?;
    checked_key(&set, control.vault_identity(), Suite::X25519).context("the vault's keys can't be used")
}

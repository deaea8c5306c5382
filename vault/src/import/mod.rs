//! Bulk loads of cards from another system.
//!
//! What may enter: batches of rows, sealed to this node's own keys, over the control plane. What may leave: a token for each
//! card that was taken, a code for each row that was not. What never does: a digit of either.
//!
//! A record's id is an HMAC of its row's number under a secret of the import, so a batch that is sent again (its answer was
//! lost, a process died) finds its own rows and is answered as before; a batch of that number with other rows is refused.

mod batch;
mod copy;
mod secret;

use std::sync::Arc;

use kura_platform::{clock, random};
use kura_wire::control::ControlCode;
use kura_wire::ids::{ImportId, MerchantId};
use kura_wire::import::{Import, ImportBatch, ImportedBatch, MAX_BATCH_ROWS, StartImport};
use kura_wire::vault::VaultErrorCode;
use uuid::Uuid;

use crate::crypto::dek::DekError;
use crate::crypto::field::DataClass;
use crate::crypto::keks::KekError;
use crate::crypto::keyring::Keyring;
use crate::domain::Vault;
use crate::store::imports::{self, BatchRow, ImportRow};
use crate::store::{StoreError, deks};
use batch::{Reading, Taken};
pub(crate) use secret::rewrap_secrets;

/// How often a batch is sealed anew when its key is retired under its hands.
const MAX_RESEALS: usize = 4;

/// Why an import does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The answer that the operator gets.
    #[error("refused: {0}")]
    Refused(ControlCode),
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The KEK.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The DEK.
    #[error(transparent)]
    Dek(#[from] DekError),
    /// A thread, or AES.
    #[error("{0}")]
    Internal(&'static str),
}

impl ImportError {
    /// What may be told.
    pub fn code(&self) -> ControlCode {
        match self {
            Self::Refused(code) => *code,
            Self::Store(_) | Self::Dek(DekError::Store(_)) | Self::Kek(KekError::Store(_)) => ControlCode::Unavailable,
            Self::Kek(_) | Self::Dek(_) | Self::Internal(_) => ControlCode::Internal,
        }
    }
}

impl From<VaultErrorCode> for ImportError {
    fn from(code: VaultErrorCode) -> Self {
        Self::Refused(match code {
            VaultErrorCode::SealingKeyExpired | VaultErrorCode::BoxExpired => ControlCode::SealingKeyExpired,
            VaultErrorCode::BoxUnopenable => ControlCode::BoxUnopenable,
            VaultErrorCode::Sealed => ControlCode::Sealed,
            _ => ControlCode::Malformed,
        })
    }
}

/// Begins an import.
///
/// # Errors
/// [`ImportError`].
pub async fn begin(vault: &Vault, wanted: &StartImport) -> Result<Import, ImportError> {
    let keyring = keyring(vault)?;
    let id = random::time_ordered();
    // Twice at the most: the KEK was rotated in this moment.
    for _ in 0..2 {
        let secret = secret::make(&keyring, id)?;
        let row = ImportRow {
            id: Uuid::from_bytes(id),
            merchant_id: Uuid::from_bytes(*wanted.merchant.as_bytes()),
            livemode: wanted.livemode,
            keep_expired: wanted.keep_expired,
            kek_version: secret.kek_version,
            secret_wrapped: secret.bytes,
            created_at: clock::now(),
            finished_at: None,
        };
        if imports::insert(&vault.pool, &row).await? {
            return Ok(render(&row, (0, 0)));
        }
        keyring.keks.reload().await?;
    }
    Err(ImportError::Refused(ControlCode::Unavailable))
}

/// An import as it is now.
///
/// # Errors
/// [`ImportError`].
pub async fn find(vault: &Vault, id: ImportId) -> Result<Import, ImportError> {
    let row = find_row(vault, id).await?;
    Ok(render(&row, imports::count_rows(&vault.pool, row.id).await?))
}

/// Ends an import: it takes no more batches, and its secret is gone.
///
/// # Errors
/// [`ImportError`].
pub async fn finish(vault: &Vault, id: ImportId) -> Result<Import, ImportError> {
    imports::finish(&vault.pool, Uuid::from_bytes(*id.as_bytes()), clock::now()).await?;
    find(vault, id).await
}

/// Takes a batch. What it answers is durable.
///
/// # Errors
/// [`ImportError`]; nothing of the batch was taken then.
pub async fn take(vault: &Arc<Vault>, id: ImportId, sent: ImportBatch) -> Result<ImportedBatch, ImportError> {
    let keyring = keyring(vault)?;
    let import = find_row(vault, id).await?;
    if import.finished_at.is_some() {
        return Err(ImportError::Refused(ControlCode::Conflict));
    }
    if sent.rows == 0 || sent.rows > MAX_BATCH_ROWS {
        return Err(ImportError::Refused(ControlCode::Malformed));
    }
    let number = i32::try_from(sent.number).map_err(|_| ImportError::Refused(ControlCode::Malformed))?;
    let merchant = MerchantId::from_bytes(import.merchant_id.into_bytes());
    let keys = secret::open(&keyring, &import).await?;
    let reading = Reading::new(vault, &keyring, &import, keys, id, sent)?;
    if let Some(before) = imports::find_batch(&vault.pool, import.id, number).await? {
        return reading.answer_again(before).await;
    }
    for _ in 0..MAX_RESEALS {
        // A number and perhaps a name for each.
        let seals = i64::from(2 * reading.rows());
        let key = keyring.deks.for_sealing(merchant, DataClass::Card, seals).await?;
        let key_id = key.id();
        let taken = reading.seal(key).await?;
        match write(vault, &import, number, key_id, &taken).await? {
            Written::Done => return Ok(taken.answer),
            Written::KeyRetired => keyring.deks.forget(key_id),
            Written::Known => {
                let before = imports::find_batch(&vault.pool, import.id, number).await?;
                return reading.answer_again(before.ok_or(ImportError::Refused(ControlCode::Conflict))?).await;
            }
        }
    }
    Err(ImportError::Internal("each key was retired before its batch was in"))
}

enum Written {
    Done,
    KeyRetired,
    /// The batch is there, or the import was finished meanwhile.
    Known,
}

/// The batch and its cards, in one transaction.
async fn write(
    vault: &Vault,
    import: &ImportRow,
    number: i32,
    key_id: i64,
    taken: &Taken,
) -> Result<Written, ImportError> {
    let mut connection = vault.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    if !deks::hold_active(&mut transaction, key_id).await? {
        return Ok(Written::KeyRetired);
    }
    let refused = serde_json::to_value(&taken.answer.refused).map_err(|_| ImportError::Internal("JSON"))?;
    let rows = i32::try_from(taken.answer.tokens.len()).map_err(|_| ImportError::Internal("rows"))?;
    let row = BatchRow { content_hash: taken.content_hash.clone(), rows, refused };
    if !imports::insert_batch(&mut transaction, import.id, number, &row, clock::now()).await? {
        return Ok(Written::Known);
    }
    if rows > 0 {
        imports::copy_cards(&mut transaction, &taken.cards).await?;
    }
    transaction.commit().await?;
    Ok(Written::Done)
}

fn keyring(vault: &Vault) -> Result<Arc<Keyring>, ImportError> {
    vault.keys.keyring().ok_or(ImportError::Refused(ControlCode::Sealed))
}

async fn find_row(vault: &Vault, id: ImportId) -> Result<ImportRow, ImportError> {
    let found = imports::find(&vault.pool, Uuid::from_bytes(*id.as_bytes())).await?;
    found.ok_or(ImportError::Refused(ControlCode::NotFound))
}

fn render(row: &ImportRow, (cards, refused): (i64, i64)) -> Import {
    Import {
        id: ImportId::from_bytes(row.id.into_bytes()),
        merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
        livemode: row.livemode,
        created_at: row.created_at,
        finished_at: row.finished_at,
        cards,
        refused,
    }
}

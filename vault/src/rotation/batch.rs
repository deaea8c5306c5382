//! One batch of rows: recorded in the access ledger, then opened and sealed anew, off the threads that serve requests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kura_platform::{clock, random};
use kura_wire::ids::{MerchantId, RequestId};
use kura_wire::vault::VaultErrorCode;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::RotationError;
use super::pass::Known;
use super::tables::Table;
use crate::commit::LedgerReceipt;
use crate::crypto::field::{FieldKey, Place, Sealed};
use crate::crypto::keyring::Keyring;
use crate::domain::Vault;
use crate::guard::About;
use crate::store::openings::OpeningRow;
use crate::store::reseal::{Pages, Resealed, SealedRow};

/// Who opens them, in the ledger.
const ACTOR: &str = "vault.kura.internal";
const PURPOSE: &str = "reseal";
/// Requests go first: an overloaded ledger is asked again later.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What a batch is made with.
pub(super) struct Sealer {
    pub(super) vault: Arc<Vault>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) rotation: Uuid,
    pub(super) table: Table,
    /// The keys whose rows are resealed.
    pub(super) keys: Vec<i64>,
}

/// Ready to be written.
pub(super) struct Batch {
    pub(super) pages: Pages,
    pub(super) rows: Vec<Resealed>,
    /// Rows that don't open, and whose they are.
    pub(super) damaged: Vec<(Uuid, Uuid)>,
    /// Rows whose key does not unwrap.
    pub(super) keyless: Vec<Uuid>,
    /// Those keys. Their alert was raised where that was found.
    pub(super) broken_keys: Vec<i64>,
}

/// Reads the rows of these pages and seals them anew, each merchant's under its own key, after its own ledger row.
pub(super) async fn prepare(sealer: Arc<Sealer>, pages: Pages, broken: HashSet<i64>) -> Result<Batch, RotationError> {
    let mut owners: BTreeMap<Uuid, Vec<SealedRow>> = BTreeMap::new();
    for row in sealer.table.list(&sealer.vault.pool, pages, &sealer.keys).await? {
        owners.entry(row.merchant_id).or_default().push(row);
    }
    let mut batch =
        Batch { pages, rows: Vec::new(), damaged: Vec::new(), keyless: Vec::new(), broken_keys: Vec::new() };
    let mut sealing = JoinSet::new();
    for (owner, rows) in owners {
        let (old_keys, rows) = openable(&sealer, owner, rows, &broken, &mut batch).await?;
        if !rows.is_empty() {
            let merchant = MerchantId::from_bytes(owner.into_bytes());
            let seals = rows.len().saturating_mul(sealer.table.columns().len());
            let seals = i64::try_from(seals).unwrap_or(i64::MAX);
            let new_key = sealer.keyring.deks.for_sealing(merchant, sealer.table.class(), seals).await?;
            sealing.spawn(record_and_reseal(
                Arc::clone(&sealer.vault),
                opening(&sealer, owner, rows.len()),
                Group { table: sealer.table, merchant, rows, old_keys, new_key },
            ));
        }
    }
    while let Some(done) = sealing.join_next().await {
        let (resealed, damaged) = done.map_err(|_| RotationError::Thread)??;
        batch.rows.extend(resealed);
        batch.damaged.extend(damaged);
    }
    Ok(batch)
}

type OldKeys = HashMap<i64, Arc<FieldKey>>;

/// The keys of these rows, and those rows whose key unwraps.
async fn openable(
    sealer: &Sealer,
    owner: Uuid,
    rows: Vec<SealedRow>,
    broken: &HashSet<i64>,
    batch: &mut Batch,
) -> Result<(OldKeys, Vec<SealedRow>), RotationError> {
    let merchant = MerchantId::from_bytes(owner.into_bytes());
    let mut keys = OldKeys::new();
    for id in rows.iter().map(|row| row.key_id).collect::<HashSet<_>>() {
        if broken.contains(&id) {
            continue;
        }
        match sealer.keyring.deks.for_opening(merchant, sealer.table.class(), id).await {
            Ok(key) => drop(keys.insert(id, key)),
            Err(error) if error.is_unopenable() => batch.broken_keys.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    let (rows, keyless): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| keys.contains_key(&row.key_id));
    batch.keyless.extend(keyless.into_iter().map(|row| row.id));
    Ok((keys, rows))
}

/// One merchant's rows of a batch.
struct Group {
    table: Table,
    merchant: MerchantId,
    rows: Vec<SealedRow>,
    old_keys: OldKeys,
    new_key: Arc<FieldKey>,
}

type Outcome = (Vec<Resealed>, Vec<(Uuid, Uuid)>);

async fn record_and_reseal(vault: Arc<Vault>, opening: OpeningRow, group: Group) -> Result<Outcome, RotationError> {
    let about = About { merchant: Some(opening.merchant_id), record: None, request: Some(opening.request_id) };
    let receipt = loop {
        let recorded = match vault.guard.permit(ACTOR, PURPOSE, opening.records, about).await {
            Ok(permit) => vault.committer.open(permit.cover(opening.clone())).await,
            Err(code) => Err(code),
        };
        match recorded {
            Err(VaultErrorCode::Overloaded) => tokio::time::sleep(ASK_AGAIN).await,
            other => break other.map_err(RotationError::Ledger)?,
        }
    };
    tokio::task::spawn_blocking(move || group.reseal(receipt)).await.map_err(|_| RotationError::Thread)
}

fn opening(sealer: &Sealer, owner: Uuid, rows: usize) -> OpeningRow {
    let columns = sealer.table.columns().iter();
    OpeningRow {
        node: 0,
        sequence: 0,
        at: clock::now(),
        actor: ACTOR.to_owned(),
        request_id: sealer.rotation,
        merchant_id: owner,
        // Of the batch: it names many records.
        record_id: Uuid::from_bytes(random::time_ordered()),
        class: sealer.table.class().as_str().to_owned(),
        records: i32::try_from(rows).unwrap_or(i32::MAX),
        fields: columns.map(|column| column.trim_end_matches("_sealed").to_owned()).collect(),
        purpose: PURPOSE.to_owned(),
        attempt_id: None,
    }
}

impl Group {
    /// Opens each column and seals it anew, one row at a time. The receipt says that all of it is on record.
    fn reseal(self, _receipt: LedgerReceipt) -> Outcome {
        let (mut resealed, mut damaged) = (Vec::with_capacity(self.rows.len()), Vec::new());
        for row in &self.rows {
            match self.reseal_row(row) {
                Some(sealed) => resealed.push(Resealed {
                    at: row.at.clone(),
                    id: row.id,
                    old_key: row.key_id,
                    new_key: self.new_key.id(),
                    sealed,
                }),
                None => damaged.push((row.id, row.merchant_id)),
            }
        }
        (resealed, damaged)
    }

    /// `None` when a column does not open.
    fn reseal_row(&self, row: &SealedRow) -> Option<Vec<Option<Sealed>>> {
        let old_key = self.old_keys.get(&row.key_id)?;
        let columns = self.table.columns().iter().zip(&row.sealed);
        columns
            .map(|(column, sealed)| {
                let place = Place {
                    table: self.table.name(),
                    column,
                    record: row.id.as_bytes(),
                    merchant: self.merchant,
                    class: self.table.class(),
                };
                let Some(sealed) = sealed else { return Some(None) };
                let open = old_key.open(place, sealed).ok()?;
                self.new_key.seal(place, &open).ok().map(Some)
            })
            .collect()
    }
}

/// Remembers what does not open, and tells of each row once. A key that doesn't unwrap has raised one alert for all its rows.
pub(super) async fn raise_alerts(sealer: &Sealer, batch: &Batch, known: &mut Known) {
    known.broken_keys.extend(&batch.broken_keys);
    known.damaged.extend(&batch.keyless);
    for (record, owner) in &batch.damaged {
        known.damaged.insert(*record);
        if known.alerted.insert(*record) {
            let merchant = MerchantId::from_bytes(owner.into_bytes());
            let request = RequestId::from_bytes(sealer.rotation.into_bytes());
            sealer.vault.raise_unopenable(merchant, *record, request).await;
        }
    }
}

//! Erasure, with proof: of one record, of a merchant, of what is older than so many days.
//!
//! Blanking and its proof are one transaction. A merchant's keys are destroyed first, which closes its records at once and in
//! every backup that was made without the keys; its rows are blanked after that, and the sweeper ends what was left.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::erasure::{Erase, EraseCursor, EraseProgress, EraseScope, ErasureStatement};
use kura_wire::ids::{CardToken, CustomerId, MerchantId, PayerId, RequestId};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Vault, merchant_uuid};
use crate::crypto::identity::IdentityError;
use crate::store::erasures::{self, ErasureRow};
use crate::store::held::{self, HeldRow, Table};
use crate::store::{StoreError, account_updates, cards, customers, deks, exposed_cards, payers};

/// Scope of an erasure of one record.
pub const RECORD: &str = "record";
/// Scope of a merchant's erasure.
pub const MERCHANT: &str = "merchant";
/// Scope of an erasure by age.
pub const AGE: &str = "age";
/// The rule's word where keys were destroyed.
const KEYS: &str = "keys";
/// Records that one part of an erasure looks at: well within the database's limit on a statement's time.
const PART: i64 = 2000;

/// Who erases, and why.
pub struct Act {
    /// [`RECORD`], [`MERCHANT`] or [`AGE`].
    pub scope: &'static str,
    /// A certificate's name, or the sweeper of a node.
    pub actor: String,
    /// For which request.
    pub request_id: Uuid,
}

/// Nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The proof could not be signed.
    #[error(transparent)]
    Sign(#[from] IdentityError),
}

/// Which records an erasure covers.
pub(super) enum Cover {
    /// All of a merchant.
    Merchant(Uuid),
    /// What a rule covers and whose time began before this.
    OlderThan { rule: String, before: OffsetDateTime, merchant: Option<Uuid> },
    /// What is past its time, and what is left of merchants whose keys were destroyed.
    Due { now: OffsetDateTime, erased_merchants: BTreeSet<Uuid> },
}

impl Cover {
    pub(super) fn covers(&self, row: &HeldRow) -> bool {
        match self {
            Self::Merchant(merchant) => row.merchant_id == *merchant,
            Self::OlderThan { rule, before, merchant } => {
                row.rule == *rule
                    && row.began_at < *before
                    && merchant.is_none_or(|merchant| merchant == row.merchant_id)
            }
            Self::Due { now, erased_merchants } => {
                row.due_at < *now || (row.shredded && erased_merchants.contains(&row.merchant_id))
            }
        }
    }
}

/// How many ids each proof stands for, and over what its digest is: ids in ascending order.
fn digest_of(ids: &mut [Vec<u8>]) -> Vec<u8> {
    ids.sort_unstable();
    digest(&SHA256, &ids.concat()).as_ref().to_vec()
}

impl Vault {
    /// One part of an erasure, or of the tale of what it would erase.
    ///
    /// # Errors
    /// `Malformed`; `NotFound` for a record that is not held; `NotConfirmed`; `Unavailable`; `Internal`.
    pub async fn erase(&self, peer: Peer<Admin>, request: &Erase) -> Result<EraseProgress, ControlCode> {
        let actor = peer.name().to_owned();
        let act = |scope| Act { scope, actor, request_id: Uuid::from_bytes(*request.request_id.as_bytes()) };
        match &request.scope {
            EraseScope::Record { record } => {
                let (table, id) = record_of(record).ok_or(ControlCode::Malformed)?;
                self.erase_one(&act(RECORD), table, id, request.execute).await
            }
            EraseScope::Merchant { merchant, confirm } => {
                if request.execute && confirm.as_deref() != Some(merchant.to_string().as_str()) {
                    return Err(ControlCode::NotConfirmed);
                }
                let (act, owner) = (act(MERCHANT), merchant_uuid(*merchant));
                let keys = match request.after {
                    None => self.shred(&act, owner, request.execute).await.map_err(refused)?,
                    Some(_) => 0,
                };
                let progress = self.erase_part(&act, &Cover::Merchant(owner), request).await?;
                Ok(EraseProgress { keys, ..progress })
            }
            EraseScope::OlderThan { rule, days, merchant } => {
                let before = clock::now() - Duration::days(i64::from(*days));
                let cover = Cover::OlderThan { rule: rule.clone(), before, merchant: merchant.map(merchant_uuid) };
                self.erase_part(&act(AGE), &cover, request).await
            }
        }
    }

    async fn erase_one(&self, act: &Act, table: Table, id: Uuid, execute: bool) -> Result<EraseProgress, ControlCode> {
        let rule = if execute {
            self.erase_record(act, table, id).await.map_err(refused)?
        } else {
            let mut connection = self.pool.acquire().await.map_err(|error| refused(error.into()))?;
            let found = held::find(&mut connection, table, id).await.map_err(|error| refused(error.into()))?;
            found.map(|row| row.rule)
        };
        let rule = rule.ok_or(ControlCode::NotFound)?;
        Ok(EraseProgress { records: vec![(rule, 1)], keys: 0, next: None })
    }

    /// Blanks one record with proof. Gives its rule; none when it is not held.
    ///
    /// # Errors
    /// [`EraseError`]; nothing was erased then.
    pub(super) async fn erase_record(&self, act: &Act, table: Table, id: Uuid) -> Result<Option<String>, EraseError> {
        let mut transaction = self.pool.begin().await?;
        let Some(row) = held::find(&mut transaction, table, id).await? else { return Ok(None) };
        let erased = self.erase_rows(&mut transaction, act, table, vec![row]).await?;
        transaction.commit().await?;
        Ok(erased.into_keys().next())
    }

    /// Destroys all keys of a merchant, with proof. Gives how many.
    async fn shred(&self, act: &Act, merchant: Uuid, execute: bool) -> Result<u64, EraseError> {
        let mut transaction = self.pool.begin().await?;
        if !execute {
            let keys = deks::count_of_merchant(&mut transaction, merchant).await?;
            return Ok(u64::try_from(keys).unwrap_or(0));
        }
        let now = clock::now();
        let ids = deks::destroy_of_merchant(&mut transaction, merchant, now).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let mut bytes: Vec<Vec<u8>> = ids.iter().map(|id| id.to_be_bytes().to_vec()).collect();
        self.prove(&mut transaction, act, (KEYS, merchant), (0, ids.len()), &digest_of(&mut bytes)).await?;
        transaction.commit().await?;
        if let Some(keyring) = self.keys.keyring()
            && let Err(error) = keyring.deks.drop_destroyed(now - Duration::minutes(1)).await
        {
            tracing::error!(%error, "destroyed keys will be dropped a little later");
        }
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }

    /// Looks at the next records, and erases those that are covered.
    async fn erase_part(&self, act: &Act, cover: &Cover, request: &Erase) -> Result<EraseProgress, ControlCode> {
        let (table, after) = match &request.after {
            None => (Table::Cards, Uuid::nil()),
            Some(cursor) => (Table::parse(&cursor.table).ok_or(ControlCode::Malformed)?, cursor.record),
        };
        self.walk(act, cover, request.execute, table, after).await.map_err(refused)
    }

    async fn walk(
        &self,
        act: &Act,
        cover: &Cover,
        execute: bool,
        table: Table,
        after: Uuid,
    ) -> Result<EraseProgress, EraseError> {
        let mut transaction = self.pool.begin().await?;
        let rows = held::list(&mut transaction, table, after, PART).await?;
        let cursor = |table: Table, record| EraseCursor { table: table.as_str().to_owned(), record };
        let is_last = i64::try_from(rows.len()).is_ok_and(|len| len < PART);
        let next = match rows.last() {
            Some(last) if !is_last => Some(cursor(table, last.id)),
            _ => table.next().map(|next| cursor(next, Uuid::nil())),
        };
        let covered: Vec<HeldRow> = rows.into_iter().filter(|row| cover.covers(row)).collect();
        let records = if execute {
            let erased = self.erase_rows(&mut transaction, act, table, covered).await?;
            transaction.commit().await?;
            erased
        } else {
            let mut told = BTreeMap::new();
            covered.into_iter().for_each(|row| *told.entry(row.rule).or_insert(0) += 1);
            told
        };
        Ok(EraseProgress { records: records.into_iter().collect(), keys: 0, next })
    }

    /// Blanks these rows and appends a proof for each rule and merchant. Gives how many by rule.
    ///
    /// # Errors
    /// [`EraseError`]; the transaction must not be committed then.
    pub(super) async fn erase_rows(
        &self,
        connection: &mut PgConnection,
        act: &Act,
        table: Table,
        rows: Vec<HeldRow>,
    ) -> Result<BTreeMap<String, u64>, EraseError> {
        let mut by_rule: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        rows.into_iter().for_each(|row| by_rule.entry(row.rule).or_default().push(row.id));
        let mut counts = BTreeMap::new();
        for (rule, ids) in by_rule {
            let erased = self.blank(connection, act, table, &rule, &ids).await?;
            let mut by_merchant: BTreeMap<Uuid, Vec<Vec<u8>>> = BTreeMap::new();
            for (id, merchant) in &erased {
                by_merchant.entry(*merchant).or_default().push(id.as_bytes().to_vec());
            }
            for (merchant, mut ids) in by_merchant {
                let digest = digest_of(&mut ids);
                self.prove(connection, act, (&rule, merchant), (ids.len(), 0), &digest).await?;
            }
            if !erased.is_empty() {
                counts.insert(rule, u64::try_from(erased.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(counts)
    }

    async fn blank(
        &self,
        connection: &mut PgConnection,
        act: &Act,
        table: Table,
        rule: &str,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, Uuid)>, EraseError> {
        let now = clock::now();
        Ok(match table {
            Table::Cards => {
                // A token that is used in this very moment is no longer an unused one.
                let unused_only = act.scope == AGE && rule == "unused_token";
                let erased = cards::erase_all(connection, ids, unused_only, now).await?;
                let ids: Vec<Uuid> = erased.iter().map(|(id, _)| *id).collect();
                account_updates::blank(connection, &ids).await?;
                exposed_cards::delete_uses(connection, &ids).await?;
                for id in &ids {
                    drop(self.cvcs.take(id.as_bytes(), std::time::Instant::now()));
                }
                erased
            }
            Table::Payers => payers::erase_all(connection, ids, now).await?,
            Table::Customers => customers::erase_all(connection, ids, now).await?,
        })
    }

    async fn prove(
        &self,
        connection: &mut PgConnection,
        act: &Act,
        (rule, merchant): (&str, Uuid),
        (records, keys): (usize, usize),
        ids_hash: &[u8],
    ) -> Result<(), EraseError> {
        let statement = ErasureStatement {
            at: clock::now(),
            scope: act.scope.to_owned(),
            rule: rule.to_owned(),
            merchant: MerchantId::from_bytes(merchant.into_bytes()),
            records: i64::try_from(records).unwrap_or(i64::MAX),
            keys: i64::try_from(keys).unwrap_or(i64::MAX),
            actor: act.actor.clone(),
            request_id: RequestId::from_bytes(act.request_id.into_bytes()),
            ids_sha256: HEXLOWER.encode(ids_hash),
        };
        let text = serde_json::to_string(&statement).map_err(|_| IdentityError::Sign)?;
        let row = ErasureRow {
            at: statement.at,
            scope: act.scope,
            rule,
            merchant_id: merchant,
            records: statement.records,
            keys: statement.keys,
            actor: &act.actor,
            request_id: act.request_id,
            ids_hash,
            statement: &text,
            signature: &self.identity.sign_erasure(&text)?,
        };
        Ok(erasures::insert(connection, &row).await?)
    }
}

/// The record behind an id of any kind.
fn record_of(text: &str) -> Option<(Table, Uuid)> {
    if let Ok(token) = text.parse::<CardToken>() {
        return Some((Table::Cards, Uuid::from_bytes(token.record)));
    }
    if let Ok(payer) = text.parse::<PayerId>() {
        return Some((Table::Payers, Uuid::from_bytes(*payer.as_bytes())));
    }
    let customer = text.parse::<CustomerId>().ok()?;
    Some((Table::Customers, Uuid::from_bytes(*customer.as_bytes())))
}

/// Logs the cause, gives the word.
fn refused(error: EraseError) -> ControlCode {
    tracing::error!(%error, "nothing was erased");
    match error {
        EraseError::Store(_) => ControlCode::Unavailable,
        EraseError::Sign(_) => ControlCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rule: &str, age_days: i64, shredded: bool) -> HeldRow {
        let began_at = time::macros::datetime!(2026-11-01 00:00 UTC) - Duration::days(age_days);
        HeldRow {
            id: Uuid::from_u128(9),
            merchant_id: Uuid::from_u128(1),
            rule: rule.to_owned(),
            began_at,
            due_at: began_at + Duration::days(10),
            shredded,
        }
    }

    /// Each scope covers its own and nothing beside.
    #[test]
    fn a_scope_covers_its_own() {
        let now = time::macros::datetime!(2026-11-01 00:00 UTC);
        let due = Cover::Due { now, erased_merchants: BTreeSet::new() };
        assert!(due.covers(&row("konbini", 11, false)));
        assert!(!due.covers(&row("konbini", 9, false)));
        // A key that was destroyed without an erasure is a fault to look at, not to tidy up.
        assert!(!due.covers(&row("konbini", 9, true)));
        let erased = Cover::Due { now, erased_merchants: BTreeSet::from([Uuid::from_u128(1)]) };
        assert!(erased.covers(&row("konbini", 9, true)));
        assert!(!erased.covers(&row("konbini", 9, false)));
        let older = |merchant| Cover::OlderThan { rule: "konbini".into(), before: now - Duration::days(5), merchant };
        assert!(older(None).covers(&row("konbini", 6, false)));
        assert!(!older(None).covers(&row("konbini", 4, false)));
        assert!(!older(None).covers(&row("card", 6, false)));
        assert!(older(Some(Uuid::from_u128(1))).covers(&row("konbini", 6, false)));
        assert!(!older(Some(Uuid::from_u128(2))).covers(&row("konbini", 6, false)));
        assert!(!Cover::Merchant(Uuid::from_u128(2)).covers(&row("card", 6, false)));
    }

    /// The digest is over what was erased, in whatever order it came.
    #[test]
    fn the_digest_knows_no_order() {
        let id = |byte: u8| vec![byte; 16];
        assert_eq!(digest_of(&mut [id(2), id(1)]), digest_of(&mut [id(1), id(2)]));
        assert_ne!(digest_of(&mut [id(2), id(1)]), digest_of(&mut [id(1), id(3)]));
    }

    /// Ids of each kind name their own table.
    #[test]
    fn an_id_names_its_table() {
        let payer = PayerId::from_bytes([7; 16]).to_string();
        assert_eq!(record_of(&payer), Some((Table::Payers, Uuid::from_bytes([7; 16]))));
        let customer = CustomerId::from_bytes([7; 16]).to_string();
        assert_eq!(record_of(&customer), Some((Table::Customers, Uuid::from_bytes([7; 16]))));
        assert_eq!(record_of("mer_x"), None);
    }
}

//! The watchlist of exposed cards: known by their vault-wide fingerprint, a keyed hash whose key is in no database. A listed
//! card that is tokenized or used is flagged; it is refused only where the configuration says so.

use std::sync::atomic::{AtomicBool, Ordering};

use kura_platform::clock;
use kura_wire::exposed::{BatchDone, MAX_BATCH_LINES, RefusedLine, WatchlistAdd};
use kura_wire::operator_box::PURPOSE_WATCHLIST;
use kura_wire::vault::{Context, VaultErrorCode};
use serde::Deserialize;
use uuid::Uuid;

use super::{Vault, merchant_uuid, store_error};
use crate::card::Pan;
use crate::store::alerts::AlertKind;
use crate::store::exposed_cards::{self, ExposedUse};

const MAX_SOURCE_LEN: usize = 100;

/// What this node does about exposed cards.
#[derive(Debug, Default)]
pub struct Watchlist {
    refuse: bool,
    /// Whether the list has a card at all: most vaults' lists are empty, and then no tokenize asks for one.
    any: AtomicBool,
}

impl Watchlist {
    /// Refuses listed cards, or only flags them.
    pub fn new(refuse: bool) -> Self {
        Self { refuse, any: AtomicBool::new(true) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    line: u64,
    #[serde(borrow)]
    number: &'a str,
}

impl Vault {
    /// Learns whether the list has a card at all; called every few seconds, since another node may have added the first.
    pub(super) async fn refresh_watchlist(&self) {
        match exposed_cards::is_any_listed(&self.pool).await {
            Ok(any) => self.watchlist.any.store(any, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the watchlist could not be looked at"),
        }
    }

    /// Whether a card that comes in is listed. Of one that is refused, the use is flagged here, since it gets no record.
    pub(super) async fn check_exposed(&self, context: &Context, fingerprint: &[u8]) -> Result<bool, VaultErrorCode> {
        if !self.watchlist.any.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let listed = exposed_cards::is_listed(&self.pool, fingerprint).await.map_err(store_error)?;
        if listed && self.watchlist.refuse {
            self.flag_exposed(context, fingerprint, None).await?;
            return Err(VaultErrorCode::ExposedCardRefused);
        }
        Ok(listed)
    }

    /// Flags the use of a listed card by its record; refuses it where the configuration says so.
    pub(super) async fn use_exposed(&self, context: &Context, record: Uuid) -> Result<(), VaultErrorCode> {
        if let Some(fingerprint) = exposed_cards::find_fingerprint(&self.pool, record).await.map_err(store_error)? {
            self.flag_exposed(context, &fingerprint, Some(record)).await?;
        }
        if self.watchlist.refuse { Err(VaultErrorCode::ExposedCardRefused) } else { Ok(()) }
    }

    /// One alert for each card, merchant and day.
    pub(super) async fn flag_exposed(
        &self,
        context: &Context,
        fingerprint: &[u8],
        record: Option<Uuid>,
    ) -> Result<(), VaultErrorCode> {
        let exposed = ExposedUse {
            fingerprint_hash: fingerprint,
            merchant_id: merchant_uuid(context.merchant),
            record_id: record,
            request_id: Uuid::from_bytes(*context.request_id.as_bytes()),
            at: clock::now(),
        };
        if exposed_cards::insert_use(&self.pool, &exposed).await.map_err(store_error)? {
            let alert = AlertKind::ExposedCardUsed.as_str();
            tracing::warn!(alert, merchant = %context.merchant, request_id = %context.request_id, "exposed card used");
        }
        Ok(())
    }

    /// Opens a batch of numbers and lists their fingerprints. The numbers themselves are kept nowhere.
    ///
    /// # Errors
    /// `Malformed`; what is wrong with the box; `Sealed`; `Internal`.
    pub async fn add_exposed(&self, request: &WatchlistAdd) -> Result<BatchDone, VaultErrorCode> {
        let keyring = self.keyring()?;
        if !(1..=MAX_SOURCE_LEN).contains(&request.source.chars().count()) {
            return Err(VaultErrorCode::Malformed);
        }
        let opened =
            self.sealing_keys.open_batch(&request.sealed, PURPOSE_WATCHLIST, &request.source, clock::now_ms())?;
        let lines: Vec<Line<'_>> = serde_json::from_slice(&opened).map_err(|_| VaultErrorCode::Malformed)?;
        if lines.len() > MAX_BATCH_LINES {
            return Err(VaultErrorCode::Malformed);
        }
        let mut fingerprints = Vec::with_capacity(lines.len());
        let mut refused = Vec::new();
        for line in &lines {
            match Pan::parse(line.number.as_bytes()) {
                Ok(pan) => fingerprints.push(keyring.fingerprints.vault_wide(&pan)),
                Err(code) => refused.push(RefusedLine { line: line.line, code }),
            }
        }
        let listed = fingerprints.len();
        let added = exposed_cards::insert_all(&self.pool, &request.source, &fingerprints, clock::now()).await;
        let added = u32::try_from(added.map_err(store_error)?).unwrap_or(u32::MAX);
        self.watchlist.any.store(true, Ordering::Relaxed);
        let unchanged = u32::try_from(listed).unwrap_or(u32::MAX).saturating_sub(added);
        Ok(BatchDone { done: added, unchanged, refused })
    }
}

//! Sets of custodians: how custody stands, making a set, sealing the vault.

use std::collections::HashSet;

use kura_custody::custodian_key::{is_public_key, seal_to_custodian};
use kura_custody::split::split;
use kura_platform::{clock, random};
use kura_wire::control::ControlCode;
use kura_wire::custody::{
    CustodianSet, CustodyStatus, EnteredShares, MAX_CUSTODIANS, MAX_NAME_LEN, MadeCustodianSet, NewCustodianSet,
};
use kura_wire::ids::CustodianSetId;
use uuid::Uuid;

use super::Vault;
use crate::crypto::key_provider::{ProviderKind, random_key};
use crate::crypto::root_key::RootKey;
use crate::custody::gathered::Gathered;
use crate::store::custodian_sets::{self, NewSet, SetRow};
use crate::store::{StoreError, keks};

impl Vault {
    /// How custody stands at this node.
    ///
    /// # Errors
    /// [`ControlCode::Unavailable`].
    pub async fn custody_status(&self) -> Result<CustodyStatus, ControlCode> {
        let rows = custodian_sets::list_current(&self.pool).await.map_err(unavailable)?;
        let gathered = self.custody.gathered.lock().await;
        let (kind, next_kind) = self.custody.kinds();
        let of = |state: &str| rows.iter().find(|row| row.state == state).map(render);
        Ok(CustodyStatus {
            node: self.node.number(),
            sealed: self.keys.keyring().is_none(),
            provider: kind.as_str().to_owned(),
            next_provider: next_kind.map(|kind| kind.as_str().to_owned()),
            wants_shares: self.custody.uses_shares() && !self.holds_root(),
            keys: self.custody.keys.published(),
            active: of("active"),
            pending: of("pending"),
            entered: entered(&gathered, &rows),
        })
    }

    /// Makes a set with a new root. The root is split and forgotten: from here on it is in the shares alone, until a
    /// threshold of them was entered. The set is pending until then, so a set whose shares got lost replaces nothing.
    ///
    /// # Errors
    /// [`ControlCode`]: `Malformed`, `Conflict` when no shares are configured, `Sealed` when there is an older set to replace
    /// and the vault is sealed.
    pub async fn make_custodian_set(&self, new: &NewCustodianSet) -> Result<MadeCustodianSet, ControlCode> {
        let count = check(new)?;
        if !self.custody.uses_shares() {
            return Err(ControlCode::Conflict);
        }
        if self.has_keks_of_shares().await? && self.keys.keyring().is_none() {
            return Err(ControlCode::Sealed);
        }
        let set = CustodianSetId::from_bytes(random::bytes());
        let root = random_key();
        let check = RootKey::new(ProviderKind::Shamir, set.as_bytes(), &root).and_then(|root| root.make_check());
        let check_value = check.map_err(|error| internal(&error))?;
        let shares = split(set, &root, new.threshold, count).map_err(|_| ControlCode::Malformed)?;
        drop(root);
        let to = shares.iter().zip(&new.custodians);
        let sealed = to.map(|(share, custodian)| seal_to_custodian(share, &custodian.name, &custodian.public_key));
        let sealed = sealed.collect::<Result<_, _>>().map_err(|_| ControlCode::Malformed)?;
        drop(shares);
        let names: Vec<String> = new.custodians.iter().map(|custodian| custodian.name.clone()).collect();
        let row = NewSet {
            id: Uuid::from_bytes(*set.as_bytes()),
            threshold: new.threshold.into(),
            custodians: &names,
            check_value: &check_value,
        };
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        custodian_sets::insert_pending(&mut transaction, &row, clock::now()).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        tracing::warn!(%set, threshold = new.threshold, custodians = ?names, "a set of custodians was made");
        Ok(MadeCustodianSet { set, shares: sealed })
    }

    /// Seals at once: the keys are dropped as soon as whoever uses them at this moment is done; entered shares and held security
    /// codes are wiped.
    pub async fn seal(&self) {
        self.custody.gathered.lock().await.wipe_all();
        self.keys.seal();
        tracing::warn!(codes = self.cvcs.wipe(), "sealed by order");
    }

    /// Whether the root of the custodians' shares is open in this process.
    pub(super) fn holds_root(&self) -> bool {
        let kind = ProviderKind::Shamir.as_str();
        self.keys.keyring().is_some_and(|keyring| keyring.keks.provider(kind).is_ok())
    }

    /// Whether anything is wrapped, by way of a KEK, under a root of shares.
    pub(super) async fn has_keks_of_shares(&self) -> Result<bool, ControlCode> {
        let rows = keks::list(&self.pool).await.map_err(unavailable)?;
        let of_shares = |row: &keks::KekRow| row.provider == ProviderKind::Shamir.as_str() && row.state != "destroyed";
        Ok(rows.iter().any(of_shares))
    }
}

/// The set as asked for makes sense. Gives the number of its shares.
fn check(new: &NewCustodianSet) -> Result<u8, ControlCode> {
    let count = u8::try_from(new.custodians.len()).map_err(|_| ControlCode::Malformed)?;
    let named = |name: &str| {
        let printable = !name.is_empty() && !name.chars().any(char::is_control) && name.trim() == name;
        printable && name.chars().count() <= MAX_NAME_LEN
    };
    let names: HashSet<&str> = new.custodians.iter().map(|custodian| custodian.name.as_str()).collect();
    let keys: HashSet<&str> = new.custodians.iter().map(|custodian| custodian.public_key.as_str()).collect();
    let good = new.threshold >= 2
        && new.threshold <= count
        && usize::from(count) <= MAX_CUSTODIANS
        && names.len() == new.custodians.len()
        && keys.len() == new.custodians.len()
        && new.custodians.iter().all(|custodian| named(&custodian.name) && is_public_key(&custodian.public_key));
    if good { Ok(count) } else { Err(ControlCode::Malformed) }
}

fn entered(gathered: &Gathered, rows: &[SetRow]) -> Vec<EnteredShares> {
    let of = |(purpose, set): (_, CustodianSetId)| {
        let row = rows.iter().find(|row| row.id.as_bytes() == set.as_bytes())?;
        let indexes = gathered.indexes(purpose, set);
        let name = |index: &u8| row.custodians.get(usize::from(*index).checked_sub(1)?).cloned();
        let here = u8::try_from(indexes.len()).unwrap_or(u8::MAX);
        Some(EnteredShares {
            purpose,
            set,
            custodians: indexes.iter().filter_map(name).collect(),
            missing: threshold_of(row).saturating_sub(here),
        })
    };
    gathered.waiting_for().into_iter().filter_map(of).collect()
}

fn render(row: &SetRow) -> CustodianSet {
    CustodianSet {
        id: CustodianSetId::from_bytes(row.id.into_bytes()),
        threshold: threshold_of(row),
        custodians: row.custodians.clone(),
        created_at: row.created_at,
    }
}

/// As the schema bounds it.
pub(super) fn threshold_of(row: &SetRow) -> u8 {
    u8::try_from(row.threshold).unwrap_or(u8::MAX)
}

/// The database is away; the log has why.
pub(super) fn unavailable(error: StoreError) -> ControlCode {
    tracing::error!(%error, "the database failed");
    ControlCode::Unavailable
}

/// Logs what can't cross the boundary, and gives the word that can.
pub(super) fn internal(error: &dyn std::error::Error) -> ControlCode {
    tracing::error!(error = error.to_string(), "custody failed");
    ControlCode::Internal
}

//! Entering a share: to unseal this node, or to put a pending set of custodians in the place of the active one.
//!
//! Whether a share is right can't be known of one alone, and is told of none: only a threshold together is checked, and when
//! it is wrong all of them are dropped and the tries get fewer.

use std::sync::Arc;
use std::time::Instant;

use kura_custody::share::Share;
use kura_platform::clock;
use kura_wire::control::ControlCode;
use kura_wire::custody::{CustodyStatus, EnteredShare, SharePurpose};
use kura_wire::ids::CustodianSetId;
use uuid::Uuid;

use super::Vault;
use super::custodian_sets::{internal, threshold_of, unavailable};
use crate::crypto::keks::KekError;
use crate::crypto::key_provider::{KeyError, KeyProvider, ProviderKind};
use crate::crypto::keyring::Keyring;
use crate::crypto::root_key::RootKey;
use crate::custody::gathered::Gathered;
use crate::store::alerts::{self, AlertKind};
use crate::store::custodian_sets::{self, SetRow};
use crate::store::keks;

impl Vault {
    /// Takes a share; with the last one that is needed, does what they were entered for.
    ///
    /// # Errors
    /// [`ControlCode`]. After `SharesWrong`, and whenever the last share was taken, none is held any more.
    pub async fn enter_share(&self, entered: &EnteredShare) -> Result<CustodyStatus, ControlCode> {
        if !self.custody.may_try() {
            tracing::warn!("a share was refused: too many tries");
            return Err(ControlCode::TooManyTries);
        }
        let share = self.open_share(entered)?;
        let mut gathered = self.custody.gathered.lock().await;
        let set = self.accept(entered.purpose, &share).await?;
        let index = share.index();
        gathered.add(entered.purpose, share, Instant::now()).map_err(|_| ControlCode::ShareDuplicate)?;
        tracing::warn!(purpose = entered.purpose.as_str(), set = %set.id, index, "a share was entered");
        match entered.purpose {
            SharePurpose::Unseal => self.unseal_if_enough(&mut gathered, &set).await?,
            SharePurpose::Reshare => self.reshare_if_enough(&mut gathered, &set).await?,
        }
        drop(gathered);
        self.custody_status().await
    }

    fn open_share(&self, entered: &EnteredShare) -> Result<Share, ControlCode> {
        let opened = self.custody.keys.open_share(entered, clock::now_ms());
        let text = opened.map_err(|_| ControlCode::ShareUnopenable)?;
        let text = std::str::from_utf8(&text).map_err(|_| ControlCode::ShareMalformed)?;
        Share::parse(text).map_err(|_| ControlCode::ShareMalformed)
    }

    /// The share's set, if shares of it are wanted for this purpose now.
    async fn accept(&self, purpose: SharePurpose, share: &Share) -> Result<SetRow, ControlCode> {
        let id = Uuid::from_bytes(*share.set().as_bytes());
        let found = custodian_sets::find(&self.pool, id).await.map_err(unavailable)?;
        let fits =
            |row: &SetRow| threshold_of(row) == share.threshold() && usize::from(share.index()) <= row.custodians.len();
        let Some(row) = found.filter(fits) else {
            self.raise(AlertKind::ShareForeign).await;
            return Err(ControlCode::ShareOfOtherSet);
        };
        if row.state == "retired" {
            self.raise(AlertKind::ShareForeign).await;
            return Err(ControlCode::ShareRetired);
        }
        let in_use = self.has_keks_of_shares().await?;
        match purpose {
            SharePurpose::Unseal if self.holds_root() || !self.custody.uses_shares() => Err(ControlCode::Conflict),
            // Until something is wrapped under a root of shares, the newest set may still become the first one.
            SharePurpose::Unseal if row.state == "pending" && in_use => Err(ControlCode::ShareOfOtherSet),
            SharePurpose::Reshare if self.keys.keyring().is_none() => Err(ControlCode::Sealed),
            SharePurpose::Reshare if !in_use || !self.is_set_pending().await? => Err(ControlCode::Conflict),
            _ => Ok(row),
        }
    }

    async fn is_set_pending(&self) -> Result<bool, ControlCode> {
        let current = custodian_sets::list_current(&self.pool).await.map_err(unavailable)?;
        Ok(current.iter().any(|row| row.state == "pending"))
    }

    async fn unseal_if_enough(&self, gathered: &mut Gathered, set: &SetRow) -> Result<(), ControlCode> {
        let Some(root) = self.root_if_enough(gathered, SharePurpose::Unseal, set).await? else { return Ok(()) };
        gathered.wipe(SharePurpose::Unseal);
        if set.state == "pending" {
            let mut transaction = self.pool.begin().await.map_err(unavailable)?;
            let activated = custodian_sets::activate(&mut transaction, set.id, clock::now()).await;
            if !activated.map_err(unavailable)? {
                return Err(ControlCode::Conflict);
            }
            transaction.commit().await.map_err(unavailable)?;
        }
        self.unseal(Arc::new(root)).await.map_err(|error| internal(&error))?;
        tracing::warn!(set = %set.id, "unsealed by the custodians");
        Ok(())
    }

    async fn unseal(&self, root: Arc<dyn KeyProvider>) -> Result<(), KekError> {
        if let Some(keyring) = self.keys.keyring() {
            keyring.keks.add_provider(root);
            return Ok(());
        }
        match Keyring::load(&self.pool, self.custody.providers_with(root)).await {
            Ok(keyring) => self.keys.put(keyring),
            Err(error) => {
                if matches!(error, KekError::Key(KeyError::Unwrap)) {
                    // The root is right and a KEK under it does not open: it was damaged or swapped.
                    self.raise(AlertKind::WrappedKeyUnopenable).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The old custodians agree, and the new ones have shown that they hold shares that work: then, and in one transaction,
    /// the KEKs are put under the new root.
    async fn reshare_if_enough(&self, gathered: &mut Gathered, set: &SetRow) -> Result<(), ControlCode> {
        let purpose = SharePurpose::Reshare;
        if self.root_if_enough(gathered, purpose, set).await?.is_none() {
            return Ok(());
        }
        let current = custodian_sets::list_current(&self.pool).await.map_err(unavailable)?;
        let [active, pending] = current.as_slice() else { return Err(ControlCode::Conflict) };
        let old = self.root_if_enough(gathered, purpose, active).await?;
        let new = self.root_if_enough(gathered, purpose, pending).await?;
        let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
        gathered.wipe_all();
        self.adopt(&old, &new, pending.id).await?;
        if let Some(keyring) = self.keys.keyring() {
            keyring.keks.add_provider(Arc::new(new));
        }
        tracing::warn!(from = %active.id, to = %pending.id, "the custodians were replaced");
        Ok(())
    }

    async fn adopt(&self, old: &RootKey, new: &RootKey, new_set: Uuid) -> Result<(), ControlCode> {
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        // First: from here on no node makes a KEK under the old root, and those that it made are seen below.
        if !custodian_sets::activate(&mut transaction, new_set, clock::now()).await.map_err(unavailable)? {
            return Err(ControlCode::Conflict);
        }
        let rows = keks::list(&mut *transaction).await.map_err(unavailable)?;
        let of_shares = |row: &&keks::KekRow| row.provider == ProviderKind::Shamir.as_str() && row.state != "destroyed";
        for row in rows.iter().filter(of_shares) {
            let material = new.adopt(old, row.version, &row.material).map_err(|error| internal(&error))?;
            keks::replace_material(&mut transaction, row.version, &material).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    /// The root of a set, once a threshold of its shares is there. Wrong ones are dropped, all of them.
    async fn root_if_enough(
        &self,
        gathered: &mut Gathered,
        purpose: SharePurpose,
        set: &SetRow,
    ) -> Result<Option<RootKey>, ControlCode> {
        let id = CustodianSetId::from_bytes(set.id.into_bytes());
        if gathered.indexes(purpose, id).len() < threshold_of(set).into() {
            return Ok(None);
        }
        let made = gathered.combine(purpose, id).ok();
        let root = made.and_then(|root| RootKey::new(ProviderKind::Shamir, id.as_bytes(), &root).ok());
        match root.filter(|root| root.made_check(&set.check_value)) {
            Some(root) => Ok(Some(root)),
            None => {
                gathered.wipe(purpose);
                self.custody.count_wrong();
                self.raise(AlertKind::SharesWrong).await;
                Err(ControlCode::SharesWrong)
            }
        }
    }

    async fn raise(&self, kind: AlertKind) {
        tracing::error!(alert = kind.as_str(), "custody");
        if let Err(error) = alerts::insert(&self.pool, clock::now(), kind, None, None, None).await {
            tracing::error!(%error, "the alert could not be recorded");
        }
    }
}

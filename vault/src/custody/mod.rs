//! What a node needs besides its keyring to get one: the configured providers, the custody keys that shares are sealed to, and
//! the shares that were entered and wait for the others.
//!
//! What may enter: shares, each in a box for this node and one purpose. What may leave: counts and custodians' names.
//! What never does: a share. It is wiped when the last one came, when they were wrong, and after 15 minutes.

pub mod gathered;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::ids::NodeId;
use tokio::sync::Mutex;

use self::gathered::Gathered;
use crate::config::{Config, KeyProviderConfig};
use crate::crypto::identity::{Identity, IdentityError};
use crate::crypto::keks::KekError;
use crate::crypto::key_provider::{KeyProvider, ProviderKind};
use crate::crypto::keyring::{Keyring, KeyringSlot};
use crate::crypto::providers;
use crate::crypto::sealing_keys::SealingKeys;
use crate::store::keks;

/// Shares that may be entered in a minute.
const TRIES_A_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// How many of them a wrong key costs: nobody enters wrong shares often by mistake.
const WRONG_COSTS: usize = 8;

/// One node's custody.
pub struct Custody {
    kind: ProviderKind,
    next_kind: Option<ProviderKind>,
    /// All configured providers that need no shares, in the order of the configuration.
    ready: Vec<Arc<dyn KeyProvider>>,
    /// What shares are sealed to.
    pub(crate) keys: SealingKeys,
    /// The shares that wait. One share is entered at a time.
    pub(crate) gathered: Mutex<Gathered>,
    tries: DefaultDirectRateLimiter,
}

impl Custody {
    /// Of the configuration. Providers that need no shares are opened.
    ///
    /// # Errors
    /// A provider that can't be used, or is not for this environment.
    pub fn new(config: &Config, node: NodeId, identity: &Identity) -> anyhow::Result<Self> {
        let configured = [Some(&config.key_provider), config.next_key_provider.as_ref()];
        let mut ready = Vec::new();
        for provider in configured.into_iter().flatten() {
            ready.extend(providers::open(provider, config.environment)?);
        }
        Ok(Self {
            kind: config.key_provider.kind(),
            next_kind: config.next_key_provider.as_ref().map(KeyProviderConfig::kind),
            ready,
            keys: custody_keys(node, identity)?,
            gathered: Mutex::default(),
            tries: RateLimiter::direct(Quota::per_minute(TRIES_A_MINUTE)),
        })
    }

    /// The configured provider, and the one that custody moves to.
    pub fn kinds(&self) -> (ProviderKind, Option<ProviderKind>) {
        (self.kind, self.next_kind)
    }

    /// Whether custodians' shares are configured at all.
    pub fn uses_shares(&self) -> bool {
        self.kind == ProviderKind::Shamir || self.next_kind == Some(ProviderKind::Shamir)
    }

    /// Unseals when no share is needed for it; else the vault starts sealed.
    ///
    /// # Errors
    /// [`KekError`].
    pub async fn unseal_without_shares(&self, pool: &PgPool, slot: &KeyringSlot) -> Result<(), KekError> {
        let of_shares = keks::list(pool)
            .await?
            .iter()
            .any(|row| row.state != "destroyed" && row.provider == ProviderKind::Shamir.as_str());
        if self.kind == ProviderKind::Shamir || (of_shares && self.uses_shares()) {
            tracing::warn!("sealed: waiting for the custodians' shares");
            return Ok(());
        }
        slot.put(Keyring::load(pool, self.ready.clone()).await?);
        Ok(())
    }

    /// The providers of a keyring with this root, the configured one first: it makes the first KEK.
    pub(crate) fn providers_with(&self, root: Arc<dyn KeyProvider>) -> Vec<Arc<dyn KeyProvider>> {
        let mut all = self.ready.clone();
        let place = if self.kind == ProviderKind::Shamir { 0 } else { all.len() };
        all.insert(place, root);
        all
    }

    /// Whether one more share may be entered now.
    pub(crate) fn may_try(&self) -> bool {
        self.tries.check().is_ok()
    }

    /// A wrong key was made.
    pub(crate) fn count_wrong(&self) {
        (0..WRONG_COSTS).for_each(|_| drop(self.tries.check()));
    }

    /// Wipes shares that waited too long, and makes new custody keys in time.
    pub fn upkeep(&self, identity: &Identity) {
        if let Ok(mut gathered) = self.gathered.try_lock() {
            gathered.expire(Instant::now());
        }
        if let Err(error) = self.keys.rotate(identity, clock::now_ms()) {
            tracing::error!(%error, "custody keys not rotated");
        }
    }
}

fn custody_keys(node: NodeId, identity: &Identity) -> Result<SealingKeys, IdentityError> {
    SealingKeys::for_custody(node, identity, clock::now_ms())
}

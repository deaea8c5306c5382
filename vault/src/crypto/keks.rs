//! The KEKs that are open in this process, by version, and what is wrapped under them that is no DEK.
//!
//! One KEK is active and wraps; retired ones unwrap until everything is under the active one, and are destroyed then. Other
//! nodes rotate too: a version that isn't known here is looked for in the database before it is an error.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::sealed_box::length_prefixed;

use super::key_provider::{DekBytes, Kek, KeyError, KeyProvider, ProviderKind, random_key};
use crate::store::StoreError;
use crate::store::alerts::{self, AlertKind};
use crate::store::keks::{self, KekRow};

/// Why there is no KEK, or it did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The provider.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No provider of that kind is configured, or it is sealed.
    #[error("no key provider `{0}` here; configure it as key_provider or next_key_provider")]
    NoProvider(String),
    /// Nothing is active, although there are KEKs.
    #[error("no active KEK")]
    NoneActive,
}

/// The open KEKs.
pub struct Keks {
    pool: PgPool,
    providers: RwLock<Vec<Arc<dyn KeyProvider>>>,
    open: RwLock<Open>,
}

#[derive(Default)]
struct Open {
    active: i32,
    by_version: BTreeMap<i32, Arc<dyn Kek>>,
}

/// Wrapped under that version of the KEK.
pub struct Wrapped {
    /// The version.
    pub kek_version: i32,
    /// What it made.
    pub bytes: Vec<u8>,
}

impl Keks {
    /// Opens all KEKs that are not destroyed; makes the first one when there is none yet.
    ///
    /// # Errors
    /// [`KekError`]: a KEK that this provider can't open is one.
    pub async fn load(pool: PgPool, providers: Vec<Arc<dyn KeyProvider>>) -> Result<Self, KekError> {
        let keks = Self { pool, providers: RwLock::new(providers), open: RwLock::default() };
        if keks::list(&keks.pool).await?.is_empty() {
            let first = keks.providers().first().cloned().ok_or(KekError::NoneActive)?;
            let material = first.make_kek(1)?;
            // Of two nodes that start at once, one inserts, and both load what it inserted.
            let kind = first.kind().as_str();
            keks::insert_active(&keks.pool, 1, kind, &material, first.custodians(), clock::now()).await?;
        }
        keks.reload().await?;
        Ok(keks)
    }

    /// Adds a provider, for KEKs that it made or will make, in the place of one of the same kind.
    pub fn add_provider(&self, provider: Arc<dyn KeyProvider>) {
        let mut providers = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        providers.retain(|known| known.kind() != provider.kind());
        providers.push(provider);
    }

    fn providers(&self) -> Vec<Arc<dyn KeyProvider>> {
        self.providers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The provider of this kind.
    ///
    /// # Errors
    /// [`KekError::NoProvider`].
    pub fn provider(&self, kind: &str) -> Result<Arc<dyn KeyProvider>, KekError> {
        let found = self.providers().into_iter().find(|provider| provider.kind().as_str() == kind);
        found.ok_or_else(|| KekError::NoProvider(kind.to_owned()))
    }

    /// Reads the database's KEKs anew, opens those that are new, drops those that are gone.
    ///
    /// # Errors
    /// [`KekError`].
    pub async fn reload(&self) -> Result<(), KekError> {
        let rows = keks::list(&self.pool).await?;
        let mut fresh = Open::default();
        for row in rows.iter().filter(|row| row.state != "destroyed") {
            let known = self.read().by_version.get(&row.version).cloned();
            let kek = match known {
                Some(kek) => kek,
                None => match self.open_row(row) {
                    Err(error) => {
                        if matches!(error, KekError::Key(KeyError::Unwrap)) {
                            self.raise_unopenable(None).await?;
                        }
                        return Err(error);
                    }
                    Ok(kek) => kek,
                },
            };
            fresh.by_version.insert(row.version, kek);
            if row.state == "active" {
                fresh.active = row.version;
            }
        }
        if fresh.active == 0 {
            return Err(KekError::NoneActive);
        }
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn open_row(&self, row: &KekRow) -> Result<Arc<dyn Kek>, KekError> {
        Ok(self.provider(&row.provider)?.open_kek(row.version, &row.material)?)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that wraps now.
    pub fn active_version(&self) -> i32 {
        self.read().active
    }

    /// Wraps under the active KEK.
    ///
    /// # Errors
    /// [`KekError`].
    pub fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Wrapped, KekError> {
        let (kek_version, kek) = {
            let open = self.read();
            (open.active, open.by_version.get(&open.active).cloned().ok_or(KekError::NoneActive)?)
        };
        Ok(Wrapped { kek_version, bytes: kek.wrap(dek, binding)? })
    }

    /// Unwraps what that version wrapped.
    ///
    /// # Errors
    /// [`KekError`]; `KeyError::Unwrap` is an alert.
    pub async fn unwrap(&self, kek_version: i32, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KekError> {
        Ok(self.kek(kek_version).await?.unwrap(wrapped, binding)?)
    }

    async fn kek(&self, version: i32) -> Result<Arc<dyn Kek>, KekError> {
        let find = || self.read().by_version.get(&version).cloned();
        if let Some(kek) = find() {
            return Ok(kek);
        }
        self.reload().await?;
        Ok(find().ok_or(KeyError::UnknownVersion(version))?)
    }

    /// Makes the next KEK by the provider of this kind (the active one's, for `None`), and retires the active one. Gives the
    /// new version; what the old one wrapped must then be wrapped anew.
    ///
    /// # Errors
    /// [`KekError`]; nothing has changed then.
    pub async fn rotate(&self, kind: Option<ProviderKind>) -> Result<i32, KekError> {
        let rows = keks::list(&self.pool).await?;
        let active = rows.iter().find(|row| row.state == "active").ok_or(KekError::NoneActive)?;
        let provider = match kind {
            Some(kind) => self.provider(kind.as_str())?,
            None => self.provider(&active.provider)?,
        };
        let version = rows.last().map_or(1, |row| row.version + 1);
        let material = provider.make_kek(version)?;
        let now = clock::now();
        let mut transaction = self.pool.begin().await?;
        let (kind, custodians) = (provider.kind().as_str(), provider.custodians());
        if !keks::retire(&mut transaction, active.version, now).await?
            || !keks::insert_active(&mut *transaction, version, kind, &material, custodians, now).await?
        {
            transaction.rollback().await?;
            self.reload().await?;
            if self.active_version() == active.version {
                // The custodians of this node's root were replaced; it has to be unsealed by the new ones.
                return Err(KekError::NoProvider(kind.to_owned()));
            }
            // Another node was faster; its KEK will do.
            return Ok(self.active_version());
        }
        transaction.commit().await?;
        self.reload().await?;
        tracing::info!(version, provider = provider.kind().as_str(), "a new KEK is active");
        Ok(version)
    }

    /// The secret of this name, made now when there is none.
    ///
    /// # Errors
    /// [`KekError`].
    pub async fn secret(&self, name: &str) -> Result<DekBytes, KekError> {
        loop {
            if let Some(row) = keks::find_secret(&self.pool, name).await? {
                return self.unwrap(row.kek_version, &row.secret_wrapped, &secret_binding(name)).await;
            }
            let wrapped = self.wrap(&random_key(), &secret_binding(name))?;
            keks::insert_secret(&self.pool, name, wrapped.kek_version, &wrapped.bytes, clock::now()).await?;
            self.reload().await?;
        }
    }

    /// Puts all secrets under the active KEK. Gives how many don't unwrap: each is an alert and stays as it is.
    ///
    /// # Errors
    /// [`KekError`].
    pub async fn rewrap_secrets(&self) -> Result<i64, KekError> {
        let mut damaged = 0;
        for (name, row) in keks::list_secrets_under_others(&self.pool, self.active_version()).await? {
            let secret = match self.unwrap(row.kek_version, &row.secret_wrapped, &secret_binding(&name)).await {
                Err(KekError::Key(KeyError::Unwrap)) => {
                    tracing::error!(name, "wrapped secret does not open");
                    self.raise_unopenable(None).await?;
                    damaged += 1;
                    continue;
                }
                other => other?,
            };
            let wrapped = self.wrap(&secret, &secret_binding(&name))?;
            keks::rewrap_secret(&self.pool, &name, row.kek_version, wrapped.kek_version, &wrapped.bytes).await?;
        }
        Ok(damaged)
    }

    /// A wrapping that does not open was damaged or swapped: an alert.
    ///
    /// # Errors
    /// [`KekError::Store`].
    pub async fn raise_unopenable(&self, merchant: Option<uuid::Uuid>) -> Result<(), KekError> {
        let kind = AlertKind::WrappedKeyUnopenable;
        tracing::error!(alert = kind.as_str(), "a wrapped key does not open");
        Ok(alerts::insert(&self.pool, clock::now(), kind, merchant, None, None).await?)
    }
}

fn secret_binding(name: &str) -> Vec<u8> {
    length_prefixed(&[b"kura root secret v1", name.as_bytes()])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::crypto::root_key::RootKey;

    /// A database that nobody reaches: what has to ask it fails.
    pub(crate) fn nowhere() -> PgPool {
        PgPool::unreachable().unwrap()
    }

    fn root(kind: ProviderKind) -> Arc<dyn KeyProvider> {
        Arc::new(RootKey::new(kind, b"set", &random_key()).unwrap())
    }

    /// With KEKs of these versions open.
    pub(crate) fn open_keks(active: i32, versions: &[i32]) -> Keks {
        let provider = root(ProviderKind::DevFile);
        let kek = |version: i32| provider.open_kek(version, &provider.make_kek(version).unwrap()).unwrap();
        let by_version = versions.iter().map(|version| (*version, kek(*version))).collect();
        Keks {
            pool: nowhere(),
            providers: RwLock::new(vec![Arc::clone(&provider)]),
            open: RwLock::new(Open { active, by_version }),
        }
    }

    /// The active KEK wraps and is named beside what it wrapped; that version alone unwraps it; an unknown one is looked for in
    /// the database.
    #[tokio::test]
    async fn the_active_version_wraps() {
        let keks = open_keks(3, &[2, 3]);
        let dek = random_key();
        let wrapped = keks.wrap(&dek, b"here").unwrap();
        assert_eq!((keks.active_version(), wrapped.kek_version), (3, 3));
        assert_eq!(keks.unwrap(3, &wrapped.bytes, b"here").await.unwrap().as_slice(), dek.as_slice());
        assert!(matches!(keks.unwrap(2, &wrapped.bytes, b"here").await, Err(KekError::Key(KeyError::Unwrap))));
        assert!(matches!(keks.unwrap(3, &wrapped.bytes, b"there").await, Err(KekError::Key(KeyError::Unwrap))));
        assert!(matches!(keks.unwrap(4, &wrapped.bytes, b"here").await, Err(KekError::Store(_))));
        assert!(matches!(open_keks(4, &[2, 3]).wrap(&dek, b"here"), Err(KekError::NoneActive)));
    }

    /// A provider is found by its kind; a new one takes the place of the one of its kind and of no other.
    #[tokio::test]
    async fn providers_are_of_different_kinds() {
        let keks = open_keks(1, &[1]);
        assert!(keks.provider("dev-file").is_ok());
        assert!(matches!(keks.provider("shamir"), Err(KekError::NoProvider(kind)) if kind == "shamir"));
        let shares = [root(ProviderKind::Shamir), root(ProviderKind::Shamir)];
        for provider in &shares {
            keks.add_provider(Arc::clone(provider));
            assert!(Arc::ptr_eq(&keks.provider("shamir").unwrap(), provider));
            assert!(keks.provider("dev-file").is_ok());
            assert_eq!(keks.providers().len(), 2);
        }
    }

    /// A secret is bound to its name.
    #[test]
    fn a_secret_is_bound_to_its_name() {
        assert_ne!(secret_binding("lookup"), secret_binding("another"));
    }
}

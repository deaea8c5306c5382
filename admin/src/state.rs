//! What every request of the console shares.

use std::sync::Arc;
use std::time::Duration;

use kura_platform::database::DatabaseError;
use kura_platform::health::Health;
use kura_platform::tls::TlsError;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder, WebauthnError};

use crate::config::{Config, PublicOrigin, PublicUrlError};
use crate::control::Control;
use crate::hasher::{HashError, Hasher};
use crate::store::{self, StoreError};

/// How long a challenge is answered; the ceremony around it lives as long.
pub const CEREMONY: Duration = Duration::from_secs(5 * 60);

/// Why the console can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The public address.
    #[error(transparent)]
    PublicUrl(#[from] PublicUrlError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Its role.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This zone's identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Passkeys.
    #[error("passkeys: {0}")]
    Webauthn(#[from] WebauthnError),
    /// Passwords.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// The console.
#[derive(Clone)]
pub struct App {
    /// Its database, as a role that can only append to the audit.
    pub pool: store::Pool,
    /// Its one origin.
    pub origin: Arc<PublicOrigin>,
    /// Its passkeys' relying party.
    pub webauthn: Arc<Webauthn>,
    /// Its password hashing.
    pub hasher: Hasher,
    /// The other zones.
    pub control: Control,
    /// The vault's public key, which custodians' browsers check its keys with.
    pub vault_identity: Arc<str>,
    /// Whether it can do its work.
    pub health: Health,
}

impl App {
    /// Connects, and refuses a schema that it doesn't know or a role that could rewrite the audit.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn connect(config: &Config) -> Result<Self, StartError> {
        let health = Health::starting();
        let origin = PublicOrigin::new(&config.public_url)?;
        let pool = config.database.connect(&store::MIGRATIONS).await?;
        store::audit::require_append_only(&pool).await?;
        Ok(Self {
            pool,
            webauthn: Arc::new(webauthn(&origin)?),
            origin: Arc::new(origin),
            hasher: Hasher::new()?,
            control: Control::new(config)?,
            vault_identity: config.vault_identity.as_str().into(),
            health,
        })
    }
}

fn webauthn(origin: &PublicOrigin) -> Result<Webauthn, WebauthnError> {
    WebauthnBuilder::new(&origin.rp_id, origin.url())?.rp_name("Kura console").timeout(CEREMONY).build()
}

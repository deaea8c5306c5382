//! Commands about merchants' keys: `add-key`, `list-keys`, `change-key`, `roll-key`, `revoke-key`.

use clap::{Args, Subcommand, ValueEnum};
use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::control::keys::KeyBounds;
use kura_wire::ids::{ApiKeyId, MerchantId};
use serde_json::{Value, json};

use crate::api_key::KeyKind;
use crate::keys::{self, KeyError};
use crate::secret::Secrets;

/// What a key is bounded by.
#[derive(Debug, Args)]
pub struct Bounds {
    /// What to call it.
    #[arg(long)]
    name: Option<String>,
    /// Of a restricted key: customers:read, refunds:write. May be given more than once.
    #[arg(long = "right")]
    rights: Vec<String>,
    /// Of a publishable key: a page's origin. May be given more than once.
    #[arg(long = "origin")]
    origins: Vec<String>,
    /// An address or network that may use it, such as 192.0.2.0/24. May be given more than once; everywhere without.
    #[arg(long = "address")]
    addresses: Vec<String>,
    /// It ends after so many seconds.
    #[arg(long)]
    expires_in_s: Option<u32>,
}

impl From<Bounds> for KeyBounds {
    fn from(bounds: Bounds) -> Self {
        let end = |seconds: u32| clock::now() + time::Duration::seconds(i64::from(seconds));
        Self {
            name: bounds.name,
            rights: bounds.rights,
            origins: bounds.origins,
            addresses: bounds.addresses,
            expires_at: bounds.expires_in_s.map(end),
        }
    }
}

/// The kind of a new key.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// For pages.
    Publishable,
    /// For servers: everything.
    Secret,
    /// For servers: what it is given the right to.
    Restricted,
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and show it this once.
    AddKey {
        /// Whose (mer_…).
        #[arg(long)]
        merchant: MerchantId,
        /// Its kind.
        #[arg(long)]
        kind: Kind,
        /// For real payments.
        #[arg(long)]
        live: bool,
        /// Its bounds.
        #[command(flatten)]
        bounds: Bounds,
    },
    /// A merchant's keys.
    ListKeys {
        /// Whose (mer_…).
        #[arg(long)]
        merchant: MerchantId,
    },
    /// Give a key other bounds: they take the place of all that it had.
    ChangeKey {
        /// Which (mk_…).
        #[arg(long)]
        key: ApiKeyId,
        /// Its bounds.
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Put another key in its place, and show that this once.
    RollKey {
        /// Which (mk_…).
        #[arg(long)]
        key: ApiKeyId,
        /// How long the old one is valid beside it.
        #[arg(long, default_value_t = 86_400)]
        overlap_s: u32,
    },
    /// End a key, within a second.
    RevokeKey {
        /// Which (mk_…).
        #[arg(long)]
        key: ApiKeyId,
    },
}

impl KeyCommand {
    /// Does it; gives what is to be shown.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn run(self, pool: &PgPool, secrets: &Secrets) -> Result<Value, KeyError> {
        let shown = |value: Result<Value, serde_json::Error>| value.map_err(|_| KeyError::Store);
        match self {
            Self::AddKey { merchant, kind, live, bounds } => {
                let kind = match kind {
                    Kind::Publishable => KeyKind::Publishable,
                    Kind::Secret => KeyKind::Secret,
                    Kind::Restricted => KeyKind::Restricted,
                };
                let made = keys::make(pool, secrets, merchant, (kind, live), &bounds.into()).await?;
                shown(serde_json::to_value(made))
            }
            Self::ListKeys { merchant } => shown(serde_json::to_value(keys::list(pool, merchant).await?)),
            Self::ChangeKey { key, bounds } => {
                shown(serde_json::to_value(keys::change(pool, key, &bounds.into()).await?))
            }
            Self::RollKey { key, overlap_s } => {
                let overlap = time::Duration::seconds(i64::from(overlap_s));
                shown(serde_json::to_value(keys::roll(pool, secrets, key, overlap).await?))
            }
            Self::RevokeKey { key } => {
                keys::revoke(pool, key).await?;
                Ok(json!({ "id": key, "revoked": true }))
            }
        }
    }
}

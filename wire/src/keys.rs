//! The inventory of the vault's keys, on its control plane (PCI DSS 4.0.1 requirements 3.6.1, 3.7 and 12.3.3). Words are
//! those of NIST SP 800-57 part 1.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::MerchantId;

/// Vault, `GET`: [`KeyInventory`].
pub const PATH_KEYS: &str = "/control/v1/keys";

/// Every key of the vault, as it is at this moment. No key is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyInventory {
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The keys, those that everything else hangs on first.
    pub keys: Vec<KeyEntry>,
    /// DEKs beyond these, which there was no room for.
    pub left_out: u64,
}

/// One key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyEntry {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Which one: a version, an id, a file.
    pub name: String,
    /// Where in its life it is.
    pub state: KeyState,
    /// Algorithm and length.
    pub algorithm: String,
    /// Where it is held: a key provider, memory, a file, or what wraps it.
    pub held_by: String,
    /// Whose data, for a DEK.
    pub merchant: Option<MerchantId>,
    /// What kind of data, for a DEK.
    pub class: Option<String>,
    /// Which of its kind: a KEK's version, a DEK's epoch.
    pub version: Option<u32>,
    /// When it was made, where that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub made_at: Option<OffsetDateTime>,
    /// Uses, counted in the blocks that are reserved: seals, for a DEK.
    pub uses: Option<u64>,
    /// Uses that it may have.
    pub uses_allowed: Option<u64>,
    /// How long it may be used for making, not only for reading; `None` where the data's own life is the limit.
    pub cryptoperiod_days: Option<u32>,
    /// When that is over.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ends_at: Option<OffsetDateTime>,
    /// Whether it is in use beyond that.
    pub overdue: bool,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPurpose {
    /// Signs the keys that boxes are sealed to.
    VaultIdentity,
    /// Opens boxes.
    SealingKey,
    /// Wraps DEKs and root secrets.
    Kek,
    /// Seals data.
    Dek,
    /// Keys the fingerprints and blind indexes.
    RootSecret,
    /// Says who a process is.
    TlsCertificate,
}

impl KeyPurpose {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VaultIdentity => "vault identity",
            Self::SealingKey => "sealing key",
            Self::Kek => "KEK",
            Self::Dek => "DEK",
            Self::RootSecret => "root secret",
            Self::TlsCertificate => "TLS certificate",
        }
    }
}

/// Where in its life a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Makes and reads.
    Active,
    /// Reads only: what was made with it still is.
    Deactivated,
    /// Gone for good; its metadata stays.
    Destroyed,
}

impl KeyState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Destroyed => "destroyed",
        }
    }
}

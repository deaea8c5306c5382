//! Rotation of the vault's keys, on its control plane.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{MerchantId, RotationId};

/// Vault, `POST` [`StartRotation`]: [`Rotation`]. `GET`: the latest ones, newest first.
pub const PATH_ROTATIONS: &str = "/control/v1/rotations";
/// Vault, `POST` [`Throttle`]: 204, or `not_found` when it isn't running.
pub const PATH_ROTATION_THROTTLE: &str = "/control/v1/rotations/{id}/throttle";

/// Which keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationKind {
    /// The KEK: everything that it wraps is wrapped anew.
    Kek,
    /// DEKs: every row is sealed anew.
    Dek,
}

impl RotationKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kek => "kek",
            Self::Dek => "dek",
        }
    }
}

/// What is to be rotated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRotation {
    /// Which keys.
    pub kind: RotationKind,
    /// DEKs of this merchant; of all for `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// DEKs of this class; of all for `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// No faster than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<u32>,
    /// The kind of provider that makes the next KEK: `dev-file`, `shamir`, `pkcs11`; as before for `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// Another limit for a rotation that runs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// No faster than this; as fast as it can for `None`.
    pub rows_per_second: Option<u32>,
}

/// A rotation, and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rotation {
    /// Its id.
    pub id: RotationId,
    /// Which keys.
    pub kind: RotationKind,
    /// Whose.
    pub merchant: Option<MerchantId>,
    /// Of which class.
    pub class: Option<String>,
    /// The limit.
    pub rows_per_second: Option<u32>,
    /// Whether it is still under way.
    pub running: bool,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was done.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// Keys to wrap anew, or rows to seal anew, as counted at the beginning.
    pub items_total: u64,
    /// Those that are done.
    pub items_done: u64,
    /// Those that don't open: alerts. They stay as they are, and so do the keys that they are under.
    pub items_damaged: u64,
    /// Passes over all rows so far.
    pub passes: u32,
    /// Time spent working.
    pub worked_ms: u64,
    /// How long the rest will take, going on like this; `None` while nobody can say.
    pub seconds_left: Option<u64>,
}

//! Merchants' keys and the signals of their misuse, on the gateway's control plane.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{ApiKeyId, MerchantId, RequestId, SignalId};

/// Gateway, `GET` with [`KeyQuery`]: a list of [`Key`]. `POST` [`NewKey`]: [`MadeKey`].
pub const PATH_KEYS: &str = "/control/v1/keys";
/// Gateway, `POST` [`KeyChange`]: [`Key`].
pub const PATH_KEY: &str = "/control/v1/keys/{id}";
/// Gateway, `POST` [`KeyRoll`]: [`MadeKey`].
pub const PATH_KEY_ROLL: &str = "/control/v1/keys/{id}/roll";
/// Gateway, `POST` without a body: 204. In force within a second.
pub const PATH_KEY_REVOKE: &str = "/control/v1/keys/{id}/revoke";
/// Gateway, `GET` with [`SignalQuery`]: [`SignalPage`].
pub const PATH_SIGNALS: &str = "/control/v1/signals";

/// Whose keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// This merchant's.
    pub merchant: MerchantId,
}

/// What a key is bounded by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBounds {
    /// What its maker calls it.
    #[serde(default)]
    pub name: Option<String>,
    /// Of a restricted key: `customers:read`, `refunds:write`.
    #[serde(default)]
    pub rights: Vec<String>,
    /// Of a publishable key: pages that may show card fields and make tokens.
    #[serde(default)]
    pub origins: Vec<String>,
    /// From where it may be used: addresses or networks (`192.0.2.0/24`). Everywhere where there are none. Not for publishable keys.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Until when.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// A key to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose.
    pub merchant: MerchantId,
    /// `publishable`, `secret` or `restricted`.
    pub kind: String,
    /// Live or test.
    pub livemode: bool,
    /// Its bounds.
    #[serde(default)]
    pub bounds: KeyBounds,
}

/// Other bounds for a key: they take the place of all that it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Its bounds.
    pub bounds: KeyBounds,
}

/// Another key takes a key's place.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRoll {
    /// How long the old one is valid beside it. At most 30 days.
    pub overlap_s: u32,
}

/// A key that was made. The one time that it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeKey {
    /// Its name.
    pub id: ApiKeyId,
    /// The key itself.
    pub key: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key as its list shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub id: ApiKeyId,
    /// Whose.
    pub merchant: MerchantId,
    /// `publishable`, `secret` or `restricted`.
    pub kind: String,
    /// Live or test.
    pub livemode: bool,
    /// Prefix and last letters.
    pub hint: String,
    /// Its bounds.
    pub bounds: KeyBounds,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last used, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// Since when it is no more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// What took its place.
    pub rolled_to: Option<ApiKeyId>,
}

/// Which signals, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalQuery {
    /// 1 to 100; 25 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only those older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SignalId>,
    /// Only those of this merchant's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
}

/// One page of signals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignalPage {
    /// Newest first.
    pub signals: Vec<Signal>,
    /// Whether older ones exist.
    pub has_more: bool,
}

/// Something that only an attacker does, or a mistake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signal {
    /// Its id.
    pub id: SignalId,
    /// Whose key it was.
    pub merchant: MerchantId,
    /// Live or test.
    pub livemode: bool,
    /// `publishable_key`, `right_missing`, `address_refused`, `origin_refused`, `key_expired`, `key_revoked`, `foreign_object`,
    /// `missing_object`.
    pub kind: String,
    /// With which key.
    pub key: ApiKeyId,
    /// Its prefix and last letters.
    pub key_hint: String,
    /// From where.
    pub address: String,
    /// Method and path, without ids.
    pub route: String,
    /// The id that was asked for.
    pub object: Option<String>,
    /// Whose that is, if it is somebody's.
    pub owner: Option<MerchantId>,
    /// The first of its requests.
    pub request_id: RequestId,
    /// How often within a moment.
    pub times: i32,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

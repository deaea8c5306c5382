//! The books held against what networks say they have settled, on the gateway's control plane.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::ids::{DifferenceId, MerchantId};
use crate::notice::Network;

/// Gateway, `GET`: [`Reconciliation`]. `POST` [`ReconcileDay`]: reads and compares a day now, [`DayCompared`].
pub const PATH_RECONCILIATION: &str = "/control/v1/reconciliation";
/// Gateway, `POST` [`Explanation`]: 204. 404 where there is no such open difference.
pub const PATH_DIFFERENCE: &str = "/control/v1/reconciliation/differences/{id}";

/// Which day, of which network.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileDay {
    /// Live or test.
    pub livemode: bool,
    /// Whose.
    pub network: Network,
    /// In UTC. A day that is not over yet can be compared as far as it is.
    #[serde(with = "crate::settlement::day")]
    pub day: Date,
}

/// The last days, and what is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Newest first.
    pub days: Vec<DayCompared>,
    /// Differences that nobody has explained yet, newest first; at most a thousand.
    pub open: Vec<Difference>,
    /// How many there are.
    pub open_count: i64,
}

/// A day that was compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DayCompared {
    /// Live or test.
    pub livemode: bool,
    /// Whose.
    pub network: Network,
    /// In UTC.
    #[serde(with = "crate::settlement::day")]
    pub day: Date,
    /// It was over when it was read.
    pub complete: bool,
    /// Rows of the network's.
    pub rows: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub compared_at: OffsetDateTime,
}

/// Something of which the network and the books say different things.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Difference {
    /// Its id.
    pub id: DifferenceId,
    /// Live or test.
    pub livemode: bool,
    /// Whose.
    pub network: Network,
    /// `payment`, `refund` or `dispute`.
    pub class: String,
    /// The network reference of the payment or refund.
    pub reference: String,
    /// Three lower-case letters.
    pub currency: String,
    /// What the network says, in minor units; 0 where it knows nothing of it.
    pub theirs_minor: i64,
    /// What the books say.
    pub ours_minor: i64,
    /// The merchant, where it is known.
    pub owner: Option<MerchantId>,
    /// On which day.
    #[serde(with = "crate::settlement::day")]
    pub day: Date,
    /// Since when it is known.
    #[serde(with = "time::serde::rfc3339")]
    pub found_at: OffsetDateTime,
}

/// Why a difference is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Who says so: 1 to 100 characters.
    pub by: String,
    /// What: 1 to 1000 characters.
    pub note: String,
}

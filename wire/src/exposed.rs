//! The vault's control plane for cards that changed or got out: account updates, and the watchlist of exposed cards.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{CardToken, MerchantId};
use crate::operator_box::OperatorBox;
use crate::vault::VaultErrorCode;

/// Vault, `POST` [`AccountUpdates`], answers [`BatchDone`].
pub const PATH_ACCOUNT_UPDATES: &str = "/control/v1/account_updates";
/// Vault, `GET`: a list of [`WatchlistSource`]; `POST` [`WatchlistAdd`], answers [`BatchDone`].
pub const PATH_WATCHLIST: &str = "/control/v1/watchlist";
/// Vault, `POST` [`WatchlistRemove`], answers [`WatchlistRemoved`].
pub const PATH_WATCHLIST_REMOVE: &str = "/control/v1/watchlist/remove";
/// Vault, `GET` with [`CardQuery`]: a [`CardRecord`], or 404.
pub const PATH_CARD: &str = "/control/v1/card";

/// Lines of one batch at the most.
pub const MAX_BATCH_LINES: usize = 60;

/// Replace cards under their tokens. The box holds a JSON list of lines: `{line, token, number, exp_month, exp_year}`; without
/// a number only the expiry changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUpdates {
    /// The file that they are from; part of what the box is bound to.
    pub source: String,
    /// The lines.
    pub sealed: OperatorBox,
}

/// Put cards on the watchlist. The box holds a JSON list of lines: `{line, number}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchlistAdd {
    /// Who says so; part of what the box is bound to.
    pub source: String,
    /// The lines.
    pub sealed: OperatorBox,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BatchDone {
    /// Lines that were done.
    pub done: u32,
    /// Lines that changed nothing: the same was there.
    pub unchanged: u32,
    /// Lines that were refused.
    pub refused: Vec<RefusedLine>,
}

/// A line that was refused. Nothing of its content.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number in the file, from 1.
    pub line: u64,
    /// Why.
    pub code: VaultErrorCode,
}

/// One source of the watchlist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WatchlistSource {
    /// Its name.
    pub source: String,
    /// Cards that it lists.
    pub cards: i64,
    /// When the last one came in.
    #[serde(with = "time::serde::rfc3339")]
    pub last_added_at: OffsetDateTime,
    /// Uses of its cards that were flagged, one for each card, merchant and day.
    pub uses: i64,
}

/// Take a source off the watchlist.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchlistRemove {
    /// Its name.
    pub source: String,
    /// False: only tell how many.
    pub execute: bool,
}

/// How many cards a removal takes off, or would.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct WatchlistRemoved {
    /// How many.
    pub cards: i64,
}

/// Which card.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardQuery {
    /// Its token.
    pub token: CardToken,
}

/// What the console may know of a card record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardRecord {
    /// Whose.
    pub merchant: MerchantId,
    /// Test or live.
    pub livemode: bool,
    /// The network.
    pub brand: String,
    /// The first six digits.
    pub bin: String,
    /// The last four digits.
    pub last_four: String,
    /// When it came in.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when it is a saved method.
    #[serde(with = "time::serde::rfc3339::option")]
    pub saved_at: Option<OffsetDateTime>,
    /// Whether it is on the watchlist.
    pub exposed: bool,
    /// How often its number was replaced, or its expiry.
    pub account_updates: i64,
}

//! What the books settle: each movement of money, in order.

use kura_iso8583::Reference;
use time::OffsetDateTime;

use super::entry::{Booked, Kind};
use crate::text::Text;

/// In which direction money moved, and why. The words are those of the settlement file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// To the merchant.
    Payment,
    /// From the merchant.
    Refund,
    /// A payment that was taken back: from the merchant.
    Reversal,
    /// A refund that was taken back: to the merchant.
    RefundReversal,
}

impl Movement {
    /// What an entry moved when it was booked; an authorization moves nothing.
    pub(super) fn of(booked: &Booked) -> Option<Self> {
        match booked.kind {
            _ if !booked.is_approved() => None,
            Kind::Purchase | Kind::Capture => Some(Self::Payment),
            Kind::Refund => Some(Self::Refund),
            _ => None,
        }
    }

    /// What taking it back moves.
    pub(super) fn back(self) -> Option<Self> {
        match self {
            Self::Payment => Some(Self::Reversal),
            Self::Refund => Some(Self::RefundReversal),
            Self::Reversal | Self::RefundReversal => None,
        }
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Reversal => "reversal",
            Self::RefundReversal => "refund_reversal",
        }
    }
}

/// A movement of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Its place, counted from 1.
    pub sequence: u64,
    /// What moved.
    pub movement: Movement,
    /// The message that moved it.
    pub reference: Reference,
    /// The message that it is about.
    pub original: Option<Reference>,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// When.
    pub at: OffsetDateTime,
}

//! What is written down of a message, and how it is written.

use kura_iso8583::Reference;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::code;
use crate::text::Text;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 0100.
    Authorization,
    /// 0200: authorized and captured.
    Purchase,
    /// 0100 over nothing.
    Verification,
    /// 0220.
    Capture,
    /// 0200 with processing code 200000.
    Refund,
    /// 0400; or a 0420 about a message that has not arrived, and then `reference` is that message's.
    Reversal,
}

impl Kind {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Purchase => "purchase",
            Self::Verification => "verification",
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Reversal => "reversal",
        }
    }
}

/// A reference as JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text<12>", into = "Text<12>")]
pub struct ReferenceText(pub Reference);

impl TryFrom<Text<12>> for ReferenceText {
    type Error = &'static str;

    fn try_from(text: Text<12>) -> Result<Self, Self::Error> {
        Reference::new(text.as_str()).map(Self).ok_or("not a reference")
    }
}

impl From<ReferenceText> for Text<12> {
    #[allow(clippy::expect_used)] // A reference is twelve ASCII characters by construction.
    fn from(reference: ReferenceText) -> Self {
        Self::new(reference.0.as_str()).expect("twelve ASCII characters")
    }
}

/// An entry as it was booked; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Booked {
    /// The message's reference, unique.
    pub reference: ReferenceText,
    /// The message that this one is about.
    pub original_reference: Option<ReferenceText>,
    /// What it is.
    pub kind: Kind,
    /// Whose.
    pub merchant: Text<15>,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// 00 when approved.
    pub response_code: Text<2>,
    /// When approved.
    pub approval_code: Option<Text<6>>,
    /// What the issuer said of the CVC: M, N or P; nothing when none was sent.
    pub cvc_result: Option<Text<1>>,
    /// The authentication that proved the cardholder to the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Text<36>>,
    /// The card's last four digits; of follow-ups, the original's.
    pub last_four: Option<Text<4>>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Booked {
    /// Whether the answer was yes.
    pub fn is_approved(&self) -> bool {
        self.response_code.as_str() == code::APPROVED
    }

    /// The message that this one is about.
    pub fn original(&self) -> Option<Reference> {
        self.original_reference.map(|original| original.0)
    }

    /// Whether this stands in the place of a message that was taken back before it arrived.
    pub fn is_foreseen(&self) -> bool {
        self.kind == Kind::Reversal && self.original_reference == Some(self.reference)
    }
}

/// An entry as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 1.
    pub sequence: u64,
    /// What was booked.
    pub booked: Booked,
    /// Taken back since.
    pub reversed: bool,
    /// How much of it was captured.
    pub captured_minor: u64,
    /// How much of it was refunded.
    pub refunded_minor: u64,
}

impl Entry {
    pub(super) fn of(sequence: u64, booked: Booked) -> Self {
        let captured_minor =
            if booked.kind == Kind::Purchase && booked.is_approved() { booked.amount_minor } else { 0 };
        Self { sequence, booked, reversed: booked.is_foreseen(), captured_minor, refunded_minor: 0 }
    }
}

/// One line of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new entry, with all that it does to the one it is about.
    Booked(Booked),
    /// An entry was taken back by an advice.
    Reversed {
        /// Which.
        reference: ReferenceText,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
}

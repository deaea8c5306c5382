//! What is asked of a deposit network, how it is written down, and how it stands.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::numbers::Numbers;
use crate::books::ReferenceText;
use crate::text::Text;

/// A network of payments without a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Convenience stores.
    Konbini,
    /// Pay-easy.
    Payeasy,
    /// E-money.
    Emoney,
}

impl Network {
    /// The word in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Konbini => "konbini",
            Self::Payeasy => "payeasy",
            Self::Emoney => "emoney",
        }
    }
}

/// Who pays, in the open: this is the network that needs it. Not shown by Debug.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payer {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The postcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payer(hidden)")
    }
}

impl Payer {
    /// Whether the network has what it needs, and nothing that it doesn't.
    fn serves(&self, network: Network) -> bool {
        let person = self.name.is_some() && self.phone.is_some();
        let address = self.postcode.is_some() || self.address.is_some();
        match network {
            Network::Konbini => person && !address,
            Network::Payeasy => person && self.email.is_none(),
            Network::Emoney => self.email.is_some() && self.name.is_none() && self.phone.is_none() && !address,
        }
    }
}

/// A request for a payment, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The asker's own, unique.
    pub reference: ReferenceText,
    /// Whose.
    pub merchant: Text<15>,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// Until when it can be paid.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Who pays.
    pub payer: Payer,
    /// What stands on the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Konbini: the confirmation number that is wished for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_number: Option<String>,
    /// E-money: where the wallet's page leads afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

impl Asked {
    /// Whether it is a request of this network at all.
    pub fn is_well_formed(&self, network: Network) -> bool {
        let wish = self.confirmation_number.as_deref();
        let digits = |text: &str| (10..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let web = |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        self.amount_minor > 0
            && self.payer.serves(network)
            && self.description.as_deref().is_none_or(|text| text.chars().count() <= 100)
            && wish.is_none_or(|wish| network == Network::Konbini && digits(wish))
            && self.return_url.as_deref().is_none_or(|url| network == Network::Emoney && web(url))
            && (network != Network::Emoney || self.return_url.is_some())
    }
}

/// A request as it was written down; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Which network.
    pub network: Network,
    /// What was asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// In the addresses of the payer's own pages: nobody guesses it.
    pub secret: Text<26>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Refused at once, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// Why the network or the shopper said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// More than the network takes at a time.
    AmountTooLarge,
    /// Not yen.
    CurrencyNotSupported,
    /// Its time was over before it came.
    AlreadyExpired,
    /// The network takes nothing of this payer.
    Declined,
    /// The shopper said no in the wallet.
    ShopperRefused,
}

impl Refusal {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmountTooLarge => "amount_too_large",
            Self::CurrencyNotSupported => "currency_not_supported",
            Self::AlreadyExpired => "already_expired",
            Self::Declined => "declined",
            Self::ShopperRefused => "shopper_refused",
        }
    }
}

/// Where somebody pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A store.
    Familymart,
    /// A store.
    Lawson,
    /// A store.
    Ministop,
    /// A store.
    Seicomart,
    /// A bank's machine or pages.
    Bank,
    /// The wallet.
    Wallet,
}

impl Place {
    /// Where somebody pays who doesn't say: by the digit before the ten of a typed number.
    pub fn of(network: Network, digit: Option<char>) -> Self {
        match (network, digit) {
            (Network::Konbini, Some('5')) => Self::Lawson,
            (Network::Konbini, Some('7')) => Self::Ministop,
            (Network::Konbini, Some('9')) => Self::Seicomart,
            (Network::Konbini, _) => Self::Familymart,
            (Network::Payeasy, _) => Self::Bank,
            (Network::Emoney, _) => Self::Wallet,
        }
    }

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Familymart => "familymart",
            Self::Lawson => "lawson",
            Self::Ministop => "ministop",
            Self::Seicomart => "seicomart",
            Self::Bank => "bank",
            Self::Wallet => "wallet",
        }
    }
}

/// How a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// The shopper is to act.
    Waiting,
    /// The money is there, in time or late.
    Paid {
        /// Where.
        place: Place,
    },
    /// The network or the shopper said no.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// Taken back before it was paid.
    Withdrawn,
    /// Its time is over.
    Expired,
}

impl Standing {
    /// What may follow. Money that comes late comes all the same; what was taken back can't be paid.
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (_, Self::Waiting) => false,
            (Self::Waiting, _) | (Self::Expired, Self::Paid { .. }) => true,
            (Self::Paid { .. } | Self::Refused { .. } | Self::Withdrawn | Self::Expired, _) => false,
        }
    }

    /// In a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Paid { .. } => "paid",
            Self::Refused { .. } => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

/// A request as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written down.
    pub requested: Requested,
    /// What the payer says or types.
    pub numbers: Numbers,
    /// How it stands.
    pub standing: Standing,
    /// Since when.
    pub since: OffsetDateTime,
    /// How much of it was given back.
    pub given_back_minor: u64,
}

/// Money given back, or the refusal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// The asker's own reference of it, unique.
    pub reference: ReferenceText,
    /// The request's.
    pub original: ReferenceText,
    /// Minor units.
    pub amount_minor: u64,
    /// Whether it is paid out.
    pub accepted: bool,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new request.
    Requested(Box<Requested>),
    /// One that was taken back before it came: it can't come any more.
    Foreseen {
        /// Which.
        reference: ReferenceText,
        /// Whose.
        merchant: Text<15>,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// It stands otherwise from now on.
    Moved {
        /// Which.
        reference: ReferenceText,
        /// How.
        to: Standing,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// Money back.
    GivenBack(GivenBack),
    /// The gateway has answered a notice.
    Told {
        /// Which.
        notice: String,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
}

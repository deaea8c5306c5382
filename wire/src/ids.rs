//! Prefixed ids. The prefix says what the thing is; the 26 letters are 128 bits in Crockford's base32, lower case.
//!
//! Ids are parsed once, at the edge, and are well-formed ever after. They are made from bytes that the caller drew
//! (`platform::random`), so this crate needs no source of randomness.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};

/// Letters in the random part of an id.
pub const BODY_LEN: usize = 26;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[allow(clippy::expect_used)] // A constant: either it always works or no test passes.
    specification.encoding().expect("thirty-two distinct symbols")
});

/// The text was not an id of the expected kind. Holds nothing of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {expected} id")]
pub struct IdError {
    /// The prefix that was expected, without the underscore.
    pub expected: &'static str,
}

fn decode_body(body: &str, expected: &'static str) -> Result<[u8; 16], IdError> {
    let error = IdError { expected };
    if body.len() != BODY_LEN {
        return Err(error);
    }
    let bytes = BASE32.decode(body.as_bytes()).map_err(|_| error)?;
    bytes.try_into().map_err(|_| error)
}

/// What all prefixed ids have in common.
pub trait Id: fmt::Display + FromStr<Err = IdError> + Copy {
    /// The prefix, without the underscore.
    const PREFIX: &'static str;

    /// An id of these 16 bytes.
    fn of_bytes(bytes: [u8; 16]) -> Self;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// An id of these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes behind the letters.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn of_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(IdError { expected: $prefix })?;
                decode_body(body, $prefix).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id!(
    /// A merchant: one customer of the gateway.
    MerchantId, "mer"
);
id!(
    /// A PaymentIntent.
    PaymentIntentId, "pi"
);
id!(
    /// A charge: one attempt that reached the network and was answered.
    ChargeId, "ch"
);
id!(
    /// A refund.
    RefundId, "re"
);
id!(
    /// A customer of a merchant.
    CustomerId, "cus"
);
id!(
    /// A payer by other means than a card: a record of the vault.
    PayerId, "pyr"
);
id!(
    /// Keeping a payment method for later, with the shopper there.
    SetupIntentId, "seti"
);
id!(
    /// One proof of who the cardholder is (3-D Secure).
    AuthenticationId, "3ds"
);
id!(
    /// What a merchant sells.
    ProductId, "prod"
);
id!(
    /// What a product costs, once or every so often.
    PriceId, "price"
);
id!(
    /// A customer's subscription.
    SubscriptionId, "sub"
);
id!(
    /// One price in a subscription.
    SubscriptionItemId, "si"
);
id!(
    /// What a customer owes for a while.
    InvoiceId, "in"
);
id!(
    /// A line of an invoice.
    InvoiceLineId, "il"
);
id!(
    /// The same as an item that a merchant writes down.
    InvoiceItemId, "ii"
);
id!(
    /// A page of ours that a shopper pays on.
    CheckoutSessionId, "cs"
);
id!(
    /// A clock that a merchant turns, to see what will be due.
    TestClockId, "clock"
);
id!(
    /// Something that happened to an object.
    EventId, "evt"
);
id!(
    /// Where a merchant is told of events.
    WebhookEndpointId, "we"
);
id!(
    /// A charge that a cardholder disputes.
    DisputeId, "dp"
);
id!(
    /// A movement of a merchant's balance.
    BalanceTransactionId, "txn"
);
id!(
    /// A merchant's API key: the name of the key, not the key.
    ApiKeyId, "mk"
);
id!(
    /// Something of which a network and the books say different things.
    DifferenceId, "diff"
);
id!(
    /// Something that only an attacker does, or a mistake.
    SignalId, "sig"
);
id!(
    /// One attempt at moving money: the unit that must never happen twice.
    AttemptId, "att"
);
id!(
    /// One request, across all zones.
    RequestId, "req"
);
id!(
    /// A person who may use the console.
    PersonId, "per"
);
id!(
    /// A set of custodians with one root key between them.
    CustodianSetId, "cset"
);

id!(
    /// A rotation of keys.
    RotationId, "rot"
);
id!(
    /// A bulk load of cards.
    ImportId, "imp"
);

/// A vault node, from 0 to 1023. Written in two letters inside tokens, so that the gateway knows which node holds the CVC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct NodeId(u16);

impl NodeId {
    /// The node of this number, or `None` above 1023.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1024 { Some(Self(number)) } else { None }
    }

    /// The node's number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for NodeId {
    type Error = IdError;

    fn try_from(number: u16) -> Result<Self, IdError> {
        Self::new(number).ok_or(IdError { expected: "node" })
    }
}

impl From<NodeId> for u16 {
    fn from(node: NodeId) -> u16 {
        node.0
    }
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    /// `tok_`: one charge, or one attachment that turns it into a `pm_`.
    Single,
    /// `pm_`: a saved payment method.
    Multi,
}

impl TokenUse {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Single => "tok_",
            Self::Multi => "pm_",
        }
    }
}

/// A card token: what is allowed, a hint at the node that holds the CVC, and the record's 128 random bits.
///
/// One vault record has at most two names, `tok_X` and `pm_X` with the same letters: the prefix is the permission. The
/// bits have no relation to the PAN. Text: `tok_` or `pm_`, two letters of node, 26 letters of record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardToken {
    /// Single-use or saved.
    pub allows: TokenUse,
    /// The node that tokenized the card: a hint for routing, not a permission.
    pub node: NodeId,
    /// The vault's record.
    pub record: [u8; 16],
}

impl CardToken {
    /// The same record under its other name.
    #[must_use]
    pub const fn with_use(self, allows: TokenUse) -> Self {
        Self { allows, ..self }
    }
}

impl fmt::Display for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ten bits of node stand in the top of two bytes, which gives two whole letters of five bits.
        let bits = (self.node.0 << 6).to_be_bytes();
        let node = BASE32.encode(&bits);
        let node = node.get(..2).unwrap_or_default();
        write!(f, "{}{node}{}", self.allows.prefix(), BASE32.encode(&self.record))
    }
}

impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CardToken {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { expected: "card token" };
        let (allows, body) = [TokenUse::Single, TokenUse::Multi]
            .into_iter()
            .find_map(|allows| text.strip_prefix(allows.prefix()).map(|body| (allows, body)))
            .ok_or(error)?;
        let (node, record) = body.split_at_checked(2).ok_or(error)?;
        // Two letters are ten bits; two zero letters more make the four letters that decode to two bytes and a half.
        let bits = BASE32.decode(format!("{node}00").as_bytes());
        let node = match bits.as_deref() {
            Ok([high, low, ..]) => NodeId::new(u16::from_be_bytes([*high, *low]) >> 6).ok_or(error)?,
            _ => return Err(error),
        };
        Ok(Self { allows, node, record: decode_body(record, "card token")? })
    }
}

impl TryFrom<String> for CardToken {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<CardToken> for String {
    fn from(token: CardToken) -> String {
        token.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id survives its own text, and the text of one kind is refused by another.
    #[test]
    fn ids_round_trip_and_do_not_mix() {
        let id = PaymentIntentId::from_bytes([7; 16]);
        assert_eq!(id.to_string().len(), "pi_".len() + BODY_LEN);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<ChargeId>().is_err());
        assert!("pi_".parse::<PaymentIntentId>().is_err());
        assert!("pi_é123456789abcdefghjkmnpqrs".parse::<PaymentIntentId>().is_err());
    }

    /// Every node number and both uses survive; `tok_X` and `pm_X` name the same record.
    #[test]
    fn card_tokens_carry_node_and_record() {
        for number in 0..1024 {
            let token = CardToken {
                allows: TokenUse::Single,
                node: NodeId::new(number).expect("below 1024"),
                record: [0xa5; 16],
            };
            assert_eq!(token.to_string().parse(), Ok(token));
            let saved = token.with_use(TokenUse::Multi);
            assert_eq!(saved.to_string(), token.to_string().replace("tok_", "pm_"));
        }
        assert!("tok_0".parse::<CardToken>().is_err());
        assert!("tok_é".parse::<CardToken>().is_err());
        assert!(NodeId::new(1024).is_none());
    }
}

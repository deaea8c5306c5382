//! From a message to what it asks, checked whole: behind this, nothing is missing or malformed, and no PAN or CVC is left.

use iso_currency::Currency;
use kura_iso8583::{Class, Field, Message, Mti, Original, Reference};

use crate::cards::CardFacts;
use crate::text::Text;

/// Processing codes.
const PURCHASE: &str = "000000";
const VERIFICATION: &str = "330000";
/// Entry mode, its first two digits: the card is kept by the merchant, who charges by itself.
const KEPT: &str = "10";
const REFUND: &str = "200000";

/// What a message asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// 0100, or 0200 with processing code 000000.
    Payment(Payment),
    /// 0100 over nothing, with processing code 330000.
    Verification(Payment),
    /// 0220.
    Capture(FollowUp),
    /// 0200 with processing code 200000.
    Refund(FollowUp),
    /// 0400.
    Void(FollowUp),
    /// 0420. Its own reference says nothing.
    TakeBack(FollowUp),
    /// 0600.
    Inquiry {
        /// Of which message.
        original: Reference,
        /// Whose it must be.
        merchant: Text<15>,
    },
    /// 0800.
    NetworkManagement,
}

/// Ask the issuer for money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// This message's own.
    pub reference: Reference,
    /// Capture at once.
    pub capture: bool,
    /// Whose.
    pub merchant: Text<15>,
    /// How much.
    pub money: Money,
    /// Of whom.
    pub card: CardFacts,
    /// YYMM.
    pub expiry: Text<4>,
    /// Whether a CVC came along.
    pub cvc_sent: bool,
    /// Whether the merchant charges by itself.
    pub merchant_initiated: bool,
    /// What is said of 3-D Secure.
    pub proof: Option<Proof>,
}

/// What is said of 3-D Secure; whether it is so stands in the directory's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Electronic commerce indicator.
    pub eci: Text<2>,
    /// The authentication value.
    pub value: Option<String>,
    /// Which authentication.
    pub transaction_id: Option<Text<36>>,
}

/// Do something about an earlier message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// This message's own.
    pub reference: Reference,
    /// The earlier message's.
    pub original: Reference,
    /// Whose.
    pub merchant: Text<15>,
    /// How much.
    pub money: Money,
    /// The card, if it was sent again.
    pub last_four: Option<Text<4>>,
}

/// An amount and its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
}

/// A field that the message must have is missing or malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {} is missing or malformed", .0.number())]
pub struct FormatError(pub Field);

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// [`FormatError`] names the first field that is missing or malformed; answer it with 30.
    pub fn read(class: Class, message: &Message) -> Result<Self, FormatError> {
        let reference = reference(message)?;
        required(message, Field::TransmittedAt)?;
        required(message, Field::Stan)?;
        match class {
            Class::Authorization if message.field(Field::ProcessingCode) == Some(VERIFICATION) => {
                read_payment(message, reference, false).map(Self::Verification)
            }
            Class::Authorization => {
                require_purchase(message)?;
                read_payment(message, reference, false).map(Self::Payment)
            }
            Class::Financial => match required(message, Field::ProcessingCode)? {
                PURCHASE => read_payment(message, reference, true).map(Self::Payment),
                REFUND => read_follow_up(message, reference).map(Self::Refund),
                _ => Err(FormatError(Field::ProcessingCode)),
            },
            Class::Capture => read_follow_up(message, reference).map(Self::Capture),
            Class::Reversal => read_follow_up(message, reference).map(Self::Void),
            Class::ReversalAdvice => read_follow_up(message, reference).map(Self::TakeBack),
            Class::Inquiry => {
                Ok(Self::Inquiry { original: original(message)?.reference, merchant: text(message, Field::Merchant)? })
            }
            Class::NetworkManagement => {
                required(message, Field::NetworkManagementCode).map(|_| Self::NetworkManagement)
            }
        }
    }
}

fn require_purchase(message: &Message) -> Result<(), FormatError> {
    let code = required(message, Field::ProcessingCode)?;
    if code == PURCHASE { Ok(()) } else { Err(FormatError(Field::ProcessingCode)) }
}

fn read_payment(message: &Message, reference: Reference, capture: bool) -> Result<Payment, FormatError> {
    for field in [Field::EntryMode, Field::ConditionCode, Field::Terminal] {
        required(message, field)?;
    }
    Ok(Payment {
        reference,
        capture,
        merchant: text(message, Field::Merchant)?,
        money: money(message)?,
        card: CardFacts::of(required(message, Field::Pan)?).ok_or(FormatError(Field::Pan))?,
        expiry: expiry(message)?,
        cvc_sent: message.cvc().map_err(|error| FormatError(error.field))?.is_some(),
        merchant_initiated: required(message, Field::EntryMode)?.starts_with(KEPT),
        proof: proof(message)?,
    })
}

fn proof(message: &Message) -> Result<Option<Proof>, FormatError> {
    let malformed = FormatError(Field::PrivateData);
    let Some(sent) = message.proof().map_err(|error| FormatError(error.field))? else { return Ok(None) };
    Ok(Some(Proof {
        eci: Text::new(sent.eci).ok_or(malformed)?,
        value: sent.value.map(str::to_owned),
        transaction_id: sent.transaction_id.map(|id| Text::new(id).ok_or(malformed)).transpose()?,
    }))
}

fn read_follow_up(message: &Message, reference: Reference) -> Result<FollowUp, FormatError> {
    let last_four = message
        .field(Field::Pan)
        .map(|pan| CardFacts::of(pan).map(|card| card.last_four).ok_or(FormatError(Field::Pan)))
        .transpose()?;
    Ok(FollowUp {
        reference,
        original: original(message)?.reference,
        merchant: text(message, Field::Merchant)?,
        money: money(message)?,
        last_four,
    })
}

fn required(message: &Message, field: Field) -> Result<&str, FormatError> {
    message.field(field).ok_or(FormatError(field))
}

fn text<const N: usize>(message: &Message, field: Field) -> Result<Text<N>, FormatError> {
    Text::new(required(message, field)?).ok_or(FormatError(field))
}

/// The message's own reference.
///
/// # Errors
/// [`FormatError`] without one; the message can't be answered then.
pub fn reference(message: &Message) -> Result<Reference, FormatError> {
    Reference::new(required(message, Field::Reference)?).ok_or(FormatError(Field::Reference))
}

fn original(message: &Message) -> Result<Original, FormatError> {
    let original = message.original().map_err(|error| FormatError(error.field))?;
    original.ok_or(FormatError(Field::OriginalData))
}

fn money(message: &Message) -> Result<Money, FormatError> {
    let amount_minor = message.amount_minor().ok_or(FormatError(Field::Amount))?;
    let malformed = FormatError(Field::Currency);
    let number = required(message, Field::Currency)?.parse().map_err(|_| malformed)?;
    let currency = Currency::from_numeric(number).ok_or(malformed)?;
    let currency = Text::new(&currency.code().to_ascii_lowercase()).ok_or(malformed)?;
    Ok(Money { amount_minor, currency })
}

fn expiry(message: &Message) -> Result<Text<4>, FormatError> {
    let expiry = required(message, Field::Expiry)?;
    let month = expiry.get(2..).and_then(|month| month.parse::<u8>().ok());
    match month {
        Some(1..=12) => text(message, Field::Expiry),
        _ => Err(FormatError(Field::Expiry)),
    }
}

/// The answer's fixed part: what it repeats of the request. Neither the PAN nor the CVC is among it.
pub fn answer_to(class: Class, request: &Message) -> Message {
    const REPEATED: [Field; 9] = [
        Field::ProcessingCode,
        Field::Amount,
        Field::TransmittedAt,
        Field::Stan,
        Field::Reference,
        Field::Terminal,
        Field::Merchant,
        Field::Currency,
        Field::NetworkManagementCode,
    ];
    let mut answer = Message::new(Mti::Answer(class));
    for field in REPEATED {
        // A value that was decoded fits its field.
        let _ = request.field(field).map(|value| answer.set(field, value).map(|_| ()));
    }
    answer
}

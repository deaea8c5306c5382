//! What is said to the acquirer, and what is read from its answers.

use kura_iso8583::{Class, CvcResult, Field, FieldError, Message, Mti, Original, Reference};
use kura_platform::random;
use kura_wire::card::CvcCheck;
use kura_wire::ids::MerchantId;
use kura_wire::money::Money;
use time::OffsetDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use crate::card::{Cvc, Expiry, Pan};
use crate::store::attempts::AttemptRow;

/// Field 70 of a sign-on.
pub(super) const SIGN_ON: &str = "001";
/// Field 70 of an echo.
pub(super) const ECHO: &str = "301";
const TERMINAL: &str = "KURA0001";

/// An answer, without anything of a card.
#[derive(Debug)]
pub struct Answer {
    /// Field 37.
    pub reference: String,
    /// Field 39.
    pub response_code: String,
    /// Field 38.
    pub approval_code: Option<String>,
    /// Field 48, element 87.
    pub cvc_check: CvcCheck,
    /// Field 44: the message asked about was taken back.
    pub reversed: bool,
}

impl Answer {
    /// A decline without a reason, of a request that was never sent.
    pub fn declined(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            response_code: "05".to_owned(),
            approval_code: None,
            cvc_check: CvcCheck::Unavailable,
            reversed: false,
        }
    }

    pub(super) fn of(message: &Message) -> Option<Self> {
        let text = |field| message.field(field).map(|value| value.trim().to_owned());
        let cvc_check = match message.cvc_result() {
            Ok(Some(CvcResult::Match)) => CvcCheck::Pass,
            Ok(Some(CvcResult::NoMatch)) => CvcCheck::Fail,
            Ok(Some(CvcResult::NotProcessed)) => CvcCheck::Unchecked,
            Ok(None) | Err(_) => CvcCheck::Unavailable,
        };
        Some(Self {
            reference: text(Field::Reference)?,
            response_code: text(Field::ResponseCode)?,
            approval_code: text(Field::ApprovalCode).filter(|code| !code.is_empty()),
            cvc_check,
            reversed: text(Field::AdditionalResponse).as_deref() == Some("reversed"),
        })
    }

    /// Field 39 is 00.
    pub fn is_approved(&self) -> bool {
        self.response_code == "00"
    }
}

/// What proves to the issuer that 3-D Secure took place. Fetched for one message, and in no row.
pub struct Proof {
    /// Electronic commerce indicator.
    pub eci: String,
    /// The authentication value, where the issuer vouches.
    pub value: Option<Zeroizing<String>>,
    /// The access control server's id.
    pub transaction_id: Option<String>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(hidden)")
    }
}

/// The card that an authorization is of.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// Its number.
    pub pan: &'a Pan,
    /// Until when.
    pub expiry: Expiry,
    /// Its code, if one waited.
    pub cvc: Option<&'a Cvc>,
    /// Who the cardholder is.
    pub proof: Option<&'a Proof>,
}

/// 0100, or 0200 when the money is to be captured at once. A verification is a 0100 over nothing.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn authorization(
    attempt: &AttemptRow,
    merchant: MerchantId,
    money: Money,
    card: Presented<'_>,
) -> Result<Message, FieldError> {
    let Presented { pan, expiry, cvc, proof } = card;
    let class = if attempt.kind == "purchase" { Class::Financial } else { Class::Authorization };
    let mut message = begin(class, attempt, merchant)?;
    message
        .set(Field::Pan, digits(pan.reveal_to_acquirer()))?
        .set(Field::ProcessingCode, if attempt.kind == "verify" { "330000" } else { "000000" })?
        .set(Field::Expiry, &expiry.year_month())?
        .set(Field::EntryMode, if attempt.merchant_initiated { "100" } else { "010" })?
        .set(Field::ConditionCode, "59")?;
    amount(&mut message, money)?;
    if let Some(cvc) = cvc {
        message.set_cvc(digits(cvc.reveal_to_acquirer()))?;
    }
    if let Some(Proof { eci, value, transaction_id }) = proof {
        let value = value.as_ref().map(|value| value.as_str());
        message.set_proof(kura_iso8583::Proof { eci, value, transaction_id: transaction_id.as_deref() })?;
    }
    Ok(message)
}

/// 0220.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn capture(
    attempt: &AttemptRow,
    merchant: MerchantId,
    money: Money,
    original: &AttemptRow,
) -> Result<Message, FieldError> {
    follow_up(Class::Capture, attempt, merchant, money, original)
}

/// 0400.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn void(
    attempt: &AttemptRow,
    merchant: MerchantId,
    money: Money,
    original: &AttemptRow,
) -> Result<Message, FieldError> {
    follow_up(Class::Reversal, attempt, merchant, money, original)
}

/// 0200 with processing code 200000.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn refund(
    attempt: &AttemptRow,
    merchant: MerchantId,
    money: Money,
    original: &AttemptRow,
) -> Result<Message, FieldError> {
    let mut message = follow_up(Class::Financial, attempt, merchant, money, original)?;
    message.set(Field::ProcessingCode, "200000")?;
    Ok(message)
}

/// 0600 about an attempt, under its own reference.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn inquiry(about: &AttemptRow, merchant: MerchantId) -> Result<Message, FieldError> {
    let mut message = begin(Class::Inquiry, about, merchant)?;
    message.set_original(&original_of(about)?)?;
    Ok(message)
}

/// 0420 about an attempt, under its own reference.
///
/// # Errors
/// [`FieldError`] for a value that its field can't hold.
pub fn reversal_advice(about: &AttemptRow, merchant: MerchantId, money: Money) -> Result<Message, FieldError> {
    let mut message = begin(Class::ReversalAdvice, about, merchant)?;
    amount(&mut message, money)?;
    message.set_original(&original_of(about)?)?;
    Ok(message)
}

/// 0800.
pub(super) fn network_management(now: OffsetDateTime, code: &str) -> Message {
    let mut message = Message::new(Mti::Request(Class::NetworkManagement));
    let stan = u32::from_be_bytes(random::bytes()) % 1_000_000;
    let fields = [
        (Field::TransmittedAt, transmitted_at(now)),
        (Field::Stan, format!("{stan:06}")),
        (Field::Reference, format!("NM{stan:010}")),
        (Field::NetworkManagementCode, code.to_owned()),
    ];
    for (field, value) in fields {
        if let Err(error) = message.set(field, &value) {
            tracing::error!(%error, "network management message");
        }
    }
    message
}

fn begin(class: Class, attempt: &AttemptRow, merchant: MerchantId) -> Result<Message, FieldError> {
    let mut message = Message::new(Mti::Request(class));
    message
        .set(Field::TransmittedAt, &transmitted_at(attempt.created_at))?
        .set(Field::Stan, &format!("{:06}", attempt.stan))?
        .set(Field::Reference, &attempt.network_reference)?
        .set(Field::Terminal, TERMINAL)?
        .set(Field::Merchant, &merchant_code(merchant))?;
    Ok(message)
}

fn follow_up(
    class: Class,
    attempt: &AttemptRow,
    merchant: MerchantId,
    money: Money,
    original: &AttemptRow,
) -> Result<Message, FieldError> {
    let mut message = begin(class, attempt, merchant)?;
    amount(&mut message, money)?;
    message.set_original(&original_of(original)?)?;
    Ok(message)
}

fn amount(message: &mut Message, money: Money) -> Result<(), FieldError> {
    message
        .set_amount_minor(money.amount_minor.unsigned_abs())?
        .set(Field::Currency, &format!("{:03}", money.currency.numeric()))?;
    Ok(())
}

fn original_of(attempt: &AttemptRow) -> Result<Original, FieldError> {
    let class = match attempt.kind.as_str() {
        "authorize" | "verify" => Class::Authorization,
        "capture" => Class::Capture,
        "void" => Class::Reversal,
        _ => Class::Financial,
    };
    let wrong = FieldError { field: Field::OriginalReference, kind: kura_iso8583::FieldErrorKind::Characters };
    Ok(Original {
        mti: Mti::Request(class),
        stan: format!("{:06}", attempt.stan),
        transmitted_at: transmitted_at(attempt.created_at),
        reference: Reference::new(&attempt.network_reference).ok_or(wrong)?,
    })
}

/// Field 7, `MMDDhhmmss` in UTC.
fn transmitted_at(at: OffsetDateTime) -> String {
    at.format(format_description!("[month][day][hour][minute][second]")).unwrap_or_default()
}

/// Field 42: fifteen letters of the merchant's id.
pub(crate) fn merchant_code(merchant: MerchantId) -> String {
    let id = merchant.to_string();
    let body = id.trim_start_matches(MerchantId::PREFIX).trim_start_matches('_');
    body.chars().take(15).collect::<String>().to_ascii_uppercase()
}

/// PAN and CVC are ASCII digits by construction.
fn digits(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

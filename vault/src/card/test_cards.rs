//! The published test cards by name, so that a merchant's server can test without ever sending a number. They are in the
//! vault because numbers are; the networks' simulator answers by the number.

use kura_wire::vault::VaultErrorCode;

use super::{Card, Cvc, Expiry, Pan};

/// Name behind `pm_card_` or `tok_`, and number.
const TEST_CARDS: &[(&str, &[u8])] = &[
    ("visa", b"4242424242424242"),
    ("visa_debit", b"4000056655665556"),
    ("mastercard", b"5555555555554444"),
    ("amex", b"378282246310005"),
    ("jcb", b"3530111333300000"),
    ("diners", b"30569309025904"),
    ("discover", b"6011111111111117"),
    ("unionpay", b"6200000000000005"),
    ("chargeDeclined", b"4000000000000002"),
    ("chargeDeclinedInsufficientFunds", b"4000000000009995"),
    ("chargeDeclinedLostCard", b"4000000000009987"),
    ("chargeDeclinedStolenCard", b"4000000000009979"),
    ("chargeDeclinedExpiredCard", b"4000000000000069"),
    ("chargeDeclinedIncorrectCvc", b"4000000000000127"),
    ("chargeDeclinedProcessingError", b"4000000000000119"),
    ("authenticationRequired", b"4000002760003184"),
    ("authenticationRequiredOnSetup", b"4000002500003155"),
    ("authenticationRequiredSetupForOffSession", b"4000002500003155"),
    ("authenticationRequiredChargeDeclinedInsufficientFunds", b"4000008260003178"),
    ("threeDSecure2Required", b"4000000000003220"),
    ("threeDSecureRequired", b"4000000000003220"),
    ("threeDSecureOptional", b"4000000000003055"),
    ("threeDSecureRequiredChargeDeclined", b"4000008400001629"),
    ("threeDSecureFrictionless", b"4000000000006033"),
    ("threeDSecureFailed", b"4000000000006041"),
    ("threeDSecureAttempted", b"4000000000006058"),
    ("threeDSecureUnavailable", b"4000000000006066"),
    ("threeDSecureRejected", b"4000000000006074"),
    ("threeDSecureFrictionlessMastercard", b"5200000000006087"),
    ("networkTimeout", b"4000000000006009"),
    ("answerLost", b"4000000000006017"),
];

/// Years until a test card expires.
const YEARS_AHEAD: u16 = 5;

/// The test card of that name; Stripe's longer spelling `visa_chargeDeclined…` names the same.
///
/// # Errors
/// [`VaultErrorCode::TestCardUnknown`].
pub fn test_card(name: &str, now: time::OffsetDateTime) -> Result<Card, VaultErrorCode> {
    let short = name.strip_prefix("visa_").filter(|rest| rest.starts_with("chargeDeclined")).unwrap_or(name);
    let (_, number) = TEST_CARDS.iter().find(|(known, _)| *known == short).ok_or(VaultErrorCode::TestCardUnknown)?;
    let pan = Pan::parse(number)?;
    let year = u16::try_from(now.year()).unwrap_or(u16::MAX).saturating_add(YEARS_AHEAD);
    let cvc = Cvc::parse(b"123", pan.brand())?;
    Ok(Card { expiry: Expiry::parse(12, year, now)?, cvc: Some(cvc), holder: None, pan })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name in the table makes a valid card; others don't.
    #[test]
    fn every_named_card_is_valid() {
        let now = time::macros::datetime!(2026-11-22 12:00 UTC);
        for (name, number) in TEST_CARDS {
            assert_eq!(test_card(name, now).unwrap().pan.reveal_to_acquirer(), *number, "{name}");
        }
        assert!(test_card("visa_chargeDeclinedLostCard", now).is_ok());
        assert_eq!(test_card("gold", now).err(), Some(VaultErrorCode::TestCardUnknown));
    }
}

//! What each movement of money is in the books: one transfer from one account to another, so that both sides are equal by
//! construction.

use kura_wire::payer::PayerMethod;
use time::{Duration, OffsetDateTime, UtcOffset};

/// How long after the day of a payment the networks have paid it.
const NETWORKS_PAY_AFTER: Duration = Duration::days(2);

/// Accounts of one merchant in one mode and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// What the acquirer owes us for captured payments.
    AcquirerReceivable,
    /// What the convenience stores' collector owes us.
    KonbiniReceivable,
    /// What the banks' collector (Pay-easy) owes us.
    PayeasyReceivable,
    /// What the wallet owes us.
    EmoneyReceivable,
    /// What we owe the merchant.
    MerchantPayable,
    /// Deposits that came when their payment could not take them any more, and are to be given back.
    UnappliedDeposits,
}

impl Account {
    /// The word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcquirerReceivable => "acquirer_receivable",
            Self::KonbiniReceivable => "konbini_receivable",
            Self::PayeasyReceivable => "payeasy_receivable",
            Self::EmoneyReceivable => "emoney_receivable",
            Self::MerchantPayable => "merchant_payable",
            Self::UnappliedDeposits => "unapplied_deposits",
        }
    }
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Money was taken from a card.
    Capture,
    /// Money was given back.
    Refund,
    /// A shopper brought money.
    Deposit,
    /// A shopper brought money for a payment that can't take it.
    Unapplied,
}

/// Over which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The cards' acquirer.
    Acquirer,
    /// Convenience stores.
    Konbini,
    /// Banks.
    Payeasy,
    /// The wallet.
    Emoney,
}

impl Network {
    /// What it owes us.
    const fn receivable(self) -> Account {
        match self {
            Self::Acquirer => Account::AcquirerReceivable,
            Self::Konbini => Account::KonbiniReceivable,
            Self::Payeasy => Account::PayeasyReceivable,
            Self::Emoney => Account::EmoneyReceivable,
        }
    }
}

impl From<Option<PayerMethod>> for Network {
    /// Cards have no payer's method.
    fn from(method: Option<PayerMethod>) -> Self {
        match method {
            None => Self::Acquirer,
            Some(PayerMethod::Konbini) => Self::Konbini,
            Some(PayerMethod::Payeasy) => Self::Payeasy,
            Some(PayerMethod::Emoney) => Self::Emoney,
        }
    }
}

impl Movement {
    /// The word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Deposit => "deposit",
            Self::Unapplied => "unapplied",
        }
    }

    /// From when on the money is at the merchant's disposal, or is not: what comes in when the networks have paid it, at the
    /// beginning of the second day after it in UTC; what goes out at once.
    pub fn available_at(self, at: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Capture | Self::Deposit => {
                let day = at.to_offset(UtcOffset::UTC).date();
                day.saturating_add(NETWORKS_PAY_AFTER).midnight().assume_utc()
            }
            Self::Refund | Self::Unapplied => at,
        }
    }

    /// The account that is debited and the one that is credited.
    pub const fn accounts(self, network: Network) -> (Account, Account) {
        match self {
            Self::Capture | Self::Deposit => (network.receivable(), Account::MerchantPayable),
            Self::Refund => (Account::MerchantPayable, network.receivable()),
            Self::Unapplied => (network.receivable(), Account::UnappliedDeposits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes in is there at the beginning of the day after the next; what goes out is gone at once.
    #[test]
    fn money_is_available_when_networks_have_paid() {
        let at = time::macros::datetime!(2026-11-25 23:59:59 UTC);
        let there = time::macros::datetime!(2026-11-27 0:00 UTC);
        for movement in [Movement::Capture, Movement::Deposit] {
            assert_eq!(movement.available_at(at), there);
            assert_eq!(movement.available_at(at.to_offset(time::macros::offset!(+9))), there);
        }
        assert_eq!(Movement::Refund.available_at(at), at);
    }

    /// A refund undoes a capture or a deposit, account by account, over each network.
    #[test]
    fn a_refund_is_a_capture_turned_round() {
        for network in [Network::Acquirer, Network::Konbini, Network::Payeasy, Network::Emoney] {
            let (debit, credit) = Movement::Capture.accounts(network);
            assert_eq!(Movement::Refund.accounts(network), (credit, debit));
            assert_eq!(Movement::Deposit.accounts(network), (debit, credit));
            assert_eq!(Movement::Unapplied.accounts(network), (debit, Account::UnappliedDeposits));
            assert_ne!(debit, credit);
        }
    }
}

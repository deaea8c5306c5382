//! What each movement of money is in the books: one transfer from one account to another, so that both sides are equal by
//! construction.

/// Accounts of one merchant in one mode and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// What the acquirer owes us for captured payments.
    AcquirerReceivable,
    /// What we owe the merchant.
    MerchantPayable,
}

impl Account {
    /// The word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcquirerReceivable => "acquirer_receivable",
            Self::MerchantPayable => "merchant_payable",
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
}

impl Movement {
    /// The word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }

    /// The account that is debited and the one that is credited.
    pub const fn accounts(self) -> (Account, Account) {
        match self {
            Self::Capture => (Account::AcquirerReceivable, Account::MerchantPayable),
            Self::Refund => (Account::MerchantPayable, Account::AcquirerReceivable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refund undoes a capture, account by account.
    #[test]
    fn a_refund_is_a_capture_turned_round() {
        let (debit, credit) = Movement::Capture.accounts();
        assert_eq!(Movement::Refund.accounts(), (credit, debit));
        assert_ne!(debit, credit);
    }
}

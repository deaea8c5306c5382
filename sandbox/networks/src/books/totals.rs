//! Sums of one currency.

use serde::Serialize;

use super::entry::{Booked, Kind};

/// What stands, in minor units; what was taken back is in `reversed` and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Approved authorizations and purchases.
    pub authorized: u64,
    /// Captures and purchases.
    pub captured: u64,
    /// Refunds.
    pub refunded: u64,
    /// Authorizations, purchases, captures and refunds that were taken back.
    pub reversed: u64,
    /// How many authorizations and purchases were approved, taken back or not.
    pub count: u64,
}

impl Totals {
    pub(super) fn count(&mut self, booked: &Booked) {
        if !booked.is_approved() {
            return;
        }
        if matches!(booked.kind, Kind::Authorization | Kind::Purchase) {
            self.count += 1;
        }
        for sum in self.sums(booked.kind).into_iter().flatten() {
            *sum = sum.saturating_add(booked.amount_minor);
        }
    }

    pub(super) fn take_back(&mut self, booked: &Booked) {
        for sum in self.sums(booked.kind).into_iter().flatten() {
            *sum = sum.saturating_sub(booked.amount_minor);
        }
        if booked.kind != Kind::Reversal {
            self.reversed = self.reversed.saturating_add(booked.amount_minor);
        }
    }

    /// The sums that a kind is part of.
    fn sums(&mut self, kind: Kind) -> [Option<&mut u64>; 2] {
        match kind {
            Kind::Authorization => [Some(&mut self.authorized), None],
            Kind::Purchase => [Some(&mut self.authorized), Some(&mut self.captured)],
            Kind::Capture => [Some(&mut self.captured), None],
            Kind::Refund => [Some(&mut self.refunded), None],
            Kind::Reversal | Kind::Verification => [None, None],
        }
    }
}

//! What the business decides, without I/O: the PaymentIntent's state machine, what is booked, how payers are masked.

pub mod books;
pub mod calendar;
pub mod checkout;
pub mod deposit;
pub mod dispute;
pub mod invoice;
pub mod mask;
pub mod payment_intent;
pub mod proration;
pub mod reconciliation;
pub mod setup_intent;
pub mod subscription;
pub mod webhook;

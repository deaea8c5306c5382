//! Billing: what subscriptions do by themselves, how their invoices come to be and are paid.
//!
//! Each step is one transaction that looks whether it is due under the subscription's lock, so it happens once however many
//! workers and requests come to it. Locks are taken in one order: subscription, invoice, customer. A payment is asked for
//! outside of them ([`charge`]), under a seed that follows from the invoice and the number of the try: a second run of the same
//! try meets the first one, and never charges twice.
//!
//! A customer may live by a clock that its merchant turns ([`clocks`]). Then all that is the customer's happens by that clock's
//! time, in the order in which it is due.

pub mod changes;
pub mod charge;
pub mod clocks;
pub mod customers;
pub mod invoices;
pub mod lines;
pub mod subscriptions;
pub mod time;
pub mod views;
pub mod worker;

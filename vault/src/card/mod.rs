//! Card data in the open, and the rules that make it a card. These types exist in this crate and nowhere else.

mod brand;
mod cvc;
mod expiry;
mod pan;
mod payload;
pub mod test_cards;

pub use cvc::Cvc;
pub use expiry::Expiry;
pub use pan::Pan;
pub use payload::{Card, read_card, read_holder};

//! `/v1/test_helpers`: what only test mode has.

pub mod test_clocks;

//! Fuzz target: [`kura_tests::fuzz::sealed_box`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kura_tests::fuzz::sealed_box(bytes));

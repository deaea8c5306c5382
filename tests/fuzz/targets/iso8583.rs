//! Fuzz target: [`kura_tests::fuzz::iso8583`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kura_tests::fuzz::iso8583(bytes));

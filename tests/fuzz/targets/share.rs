//! Fuzz target: [`kura_tests::fuzz::share`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kura_tests::fuzz::share(bytes));

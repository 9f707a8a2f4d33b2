//! Any bytes as each of the tables that a run leaves behind.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| store::fuzz::readers(bytes));

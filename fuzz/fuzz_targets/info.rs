//! Any bytes as an info dictionary.
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| wire::fuzz::info(raw));

//! Any bytes as bencode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz::bencode(bytes));

//! Any bytes as a stream of peer messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|stream: &[u8]| wire::fuzz::frames(stream));

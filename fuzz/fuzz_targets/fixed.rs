//! The forms of fixed length: compact endpoints and contacts, or a handshake. The first byte chooses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, rest)) => wire::fuzz::handshake(rest),
    Some((_, rest)) => wire::fuzz::compact(rest),
    None => (),
});

//! Any bytes as a .torrent file.
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| wire::fuzz::torrent(raw));

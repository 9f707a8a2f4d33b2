//! Any text as a magnet link.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wire::fuzz::magnet(text));

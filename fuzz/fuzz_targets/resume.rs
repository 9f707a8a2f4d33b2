//! Any bytes as what says where a download stands: libtorrent's resume data, `state.json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| store::fuzz::resume(bytes));

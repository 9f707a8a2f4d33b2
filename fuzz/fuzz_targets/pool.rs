//! Any list of inputs to the fetcher: commands, and what a world may tell it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fetcher::fuzz::pool(bytes));

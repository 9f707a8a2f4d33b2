//! Any list of inputs to the engine: what its owner wants, and what peers, trackers, web seeds and a disk may tell it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine::fuzz::engine(bytes));

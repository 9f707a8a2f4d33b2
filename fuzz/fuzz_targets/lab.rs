//! Any list of inputs to the lab: datagrams, connections and what is said on them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sim::fuzz::lab(bytes));

//! Any list of inputs to the transport: what a mind above wants, and what a world may tell it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transport::fuzz::streams(bytes));

//! Both ends of an encrypted handshake, with somebody in between.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transport::fuzz::mse(bytes));

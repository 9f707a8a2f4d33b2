//! Any datagram as a KRPC message.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz::krpc(bytes));

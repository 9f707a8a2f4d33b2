//! uTP: a packet, or a socket (two of them) under any datagrams at any time. The first byte chooses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, rest)) => wire::fuzz::utp(rest),
    Some((_, rest)) => transport::fuzz::utp(rest),
    None => (),
});

//! The payload of an extended message: an extended handshake, or one of `ut_metadata`. The first byte chooses, by the
//! extension id that it has on the wire: 0 is the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, payload)) => wire::fuzz::extended(payload),
    Some((_, payload)) => wire::fuzz::ut_metadata(payload),
    None => (),
});

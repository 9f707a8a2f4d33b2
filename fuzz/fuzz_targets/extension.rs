//! The payload of an extended message: an extended handshake, or one of an extension. The first byte chooses, as an
//! extension id does on the wire: 0 is the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, payload)) => wire::fuzz::extended(payload),
    Some((1, payload)) => wire::fuzz::lt_metadata(payload),
    Some((2, payload)) => wire::fuzz::ut_pex(payload),
    Some((4, payload)) => wire::fuzz::ut_holepunch(payload),
    Some((_, payload)) => wire::fuzz::ut_metadata(payload),
    None => (),
});

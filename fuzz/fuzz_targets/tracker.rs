//! What trackers answer over HTTP or UDP, the URL of one, or what is announced on the local network. The first byte chooses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, rest)) => wire::fuzz::tracker_http(rest),
    Some((1, rest)) => wire::fuzz::tracker_udp(rest),
    Some((2, rest)) => wire::fuzz::lsd(rest),
    Some((_, rest)) => wire::fuzz::tracker_url(&String::from_utf8_lossy(rest)),
    None => (),
});

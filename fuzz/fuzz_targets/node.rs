//! Any list of inputs to the crawler: datagrams, time, and what its owner wants; or any file as its saved state. The first
//! byte chooses.
#![no_main]

use crawler::fuzz::{node, saved_state, steps};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, file)) => saved_state(file),
    Some((_, list)) => node(&steps(list)),
    None => (),
});

//! Any list of inputs to the crawler: datagrams, time, and what its owner wants. Or a small thing that it reads at its start:
//! a file of saved state, a kept ledger, a block of addresses. The first byte chooses.
#![no_main]

use crawler::fuzz::{cidr, kept_ledger, node, saved_state, steps};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, file)) => saved_state(file),
    Some((1, text)) => cidr(&String::from_utf8_lossy(text)),
    Some((2, file)) => kept_ledger(file),
    Some((_, list)) => node(&steps(list)),
    None => (),
});

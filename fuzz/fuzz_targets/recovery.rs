//! A table and its journal, to be continued after a kill: any two files, or files of ours to which anything happened. The
//! first byte chooses; of two files, the second byte is the length of the first.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes {
    [0, len, files @ ..] => {
        let (table, journal) = files.split_at(usize::from(*len).min(files.len()));
        store::fuzz::recovery(table, journal);
    }
    [_, steps @ ..] => store::fuzz::damaged(steps),
    [] => (),
});

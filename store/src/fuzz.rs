//! Properties of the readers over arbitrary bytes. The fuzz targets and the tests of this room share them.

use std::io::Cursor;

use wire::InfoHash;

use crate::fastresume::FastResume;
use crate::journal::{Done, Record};
use crate::state::State;
use crate::{Manifest, Sealed, batch, clean, fetches, journal, metadata, peers, retries, survey, wants};

/// Resume data and states: what was read is written again, and reads the same.
///
/// # Panics
///
/// If the property does not hold.
pub fn resume(bytes: &[u8]) {
    let mut out = Vec::new();
    if let Ok(mut resume) = FastResume::decode(bytes) {
        resume.encode(&mut out);
        // One form fills bytes up with pieces that are not there; the one that is written cannot tell them from others.
        let again = FastResume::decode(&out).expect("what is written reads back");
        if !resume.verified.is_empty() {
            resume.verified.resize(resume.have.len(), false);
        }
        if !resume.verified.contains(&true) {
            resume.verified.clear();
        }
        // Peers come in the order of their families.
        for peers in [&mut resume.peers, &mut resume.banned] {
            peers.sort_by_key(std::net::SocketAddr::is_ipv6);
        }
        assert_eq!(again, resume);
    }
    if let Ok(state) = State::read(bytes) {
        out.clear();
        state.write(&mut out).expect("memory takes it");
        assert_eq!(State::read(&out[..]).expect("what is written reads back"), state);
    }
}

/// Every reader comes to the end of any bytes, and every row that it gives reads the same again once written.
///
/// # Panics
///
/// If the property does not hold.
pub fn readers(bytes: &[u8]) {
    let mut text = Vec::new();
    for row in metadata::rows(bytes).flatten() {
        let torrent = row.metadata_ok.then_some(metadata::Torrent {
            name: &row.name,
            file_count: row.file_count,
            total_bytes: row.total_bytes,
            piece_length: row.piece_length,
        });
        text.clear();
        let peer = row.peer.as_slice();
        metadata::put_block(
            &metadata::Entry {
                info_hash: row.info_hash,
                torrent,
                peers: peer,
            },
            &mut text,
        );
        let again: Vec<_> = metadata::rows(&text[..]).flatten().collect();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].info_hash, again[0].peer), (row.info_hash, row.peer));
        if row.metadata_ok {
            assert_eq!(again[0].name, clean(&row.name));
        }
    }
    for row in peers::rows(bytes).flatten() {
        text.clear();
        peers::put_block(row.info_hash, &[row.peer], &mut text);
        assert!(peers::rows(&text[..]).flatten().eq([row]));
    }
    for row in batch::rows(bytes).flatten() {
        text.clear();
        let (file_count, total_bytes, piece_length) = (row.file_count, row.total_bytes, row.piece_length);
        let torrent = metadata::Torrent {
            name: &row.name,
            file_count,
            total_bytes,
            piece_length,
        };
        batch::put_row(row.info_hash, &torrent, &mut text);
        assert_eq!(batch::rows(&text[..]).flatten().count(), 1);
    }
    for kind in [wants::Kind::Table, wants::Kind::Links] {
        for asked in wants::Wants::new(bytes, wants::Place::default(), kind, 4).flatten() {
            assert!(asked.peers.len() <= 4 && asked.place.byte <= bytes.len() as u64);
        }
    }
    for row in fetches::rows(bytes).flatten() {
        text.clear();
        fetches::put_row(&row.row(), &mut text);
        assert!(fetches::rows(&text[..]).flatten().eq([row]));
    }
    for row in retries::rows(bytes).flatten() {
        text.clear();
        retries::put_row(&row, &mut text);
        assert!(retries::rows(&text[..]).flatten().eq([row]));
    }
    if let Ok(manifest) = Manifest::read(bytes) {
        text.clear();
        assert!(manifest.write(&mut text).is_ok(), "memory does not fail");
        assert!(Manifest::read(&text[..]).is_ok());
    }
}

/// Any two files are refused, or cut to a table of whole lines that can be continued; surveyed again they stand as
/// they were left.
///
/// # Panics
///
/// If the property does not hold.
pub fn recovery(table: &[u8], journal: &[u8]) {
    let mut table = Cursor::new(table.to_vec());
    let mut journal = Cursor::new(journal.to_vec());
    let Ok(standing) = survey(metadata::FORM, &mut table, &mut journal) else {
        return;
    };
    assert!(cut(&mut table, standing.table) && cut(&mut journal, standing.journal));
    let mut done = 0u64;
    let begun = Sealed::begin(table, journal, &standing, |_| done += 1);
    let Ok((mut table, mut journal)) = begun.map(Sealed::into_parts) else {
        panic!("memory does not fail");
    };
    assert!(table.get_ref().ends_with(b"\n"));
    let again = survey(metadata::FORM, &mut table, &mut journal);
    let lengths = again.ok().map(|standing| (standing.table, standing.journal));
    assert_eq!(lengths, Some((length(&table), length(&journal))));
    assert_eq!(length(&journal), journal::HEADER_LEN + done * journal::RECORD_LEN);
}

/// As [`recovery`], for files that look as if runs had written them until something happened. The bytes are a list of
/// what happened: blocks put, records of another table, foreign bytes at either end, bytes changed, ends lost.
///
/// # Panics
///
/// If the property does not hold.
pub fn damaged(bytes: &[u8]) {
    let mut table = format!("{}\n", metadata::HEADER).into_bytes();
    let mut journal = journal::header().to_vec();
    let mut steps = bytes;
    while let Some((&[step, number, len], rest)) = steps.split_first_chunk() {
        let (piece, rest) = rest.split_at(usize::from(len).min(rest.len()));
        steps = rest;
        let info_hash = InfoHash::new([number; 20]);
        match step % 8 {
            0 | 1 => {
                let (mut block, name) = (Vec::new(), String::from_utf8_lossy(piece));
                let torrent = (step & 8 == 0).then_some(metadata::Torrent {
                    name: &name,
                    file_count: 1,
                    total_bytes: 2,
                    piece_length: 3,
                });
                let (info_hash, peers) = (info_hash, &[]);
                metadata::put_block(
                    &metadata::Entry {
                        info_hash,
                        torrent,
                        peers,
                    },
                    &mut block,
                );
                put(info_hash, &block, &mut table, &mut journal);
            }
            2 => put(info_hash, &[piece, b"\n"].concat(), &mut table, &mut journal),
            3 => table.extend_from_slice(piece),
            4 => journal.extend_from_slice(piece),
            5 => {
                let record = record(info_hash, number.into(), &[piece, b"\n"].concat());
                journal.extend_from_slice(&record.encode());
            }
            6 => {
                let file = if step & 8 == 0 { &mut table } else { &mut journal };
                if let Some(byte) = file.iter_mut().nth_back(number.into()) {
                    *byte ^= len;
                }
            }
            _ => {
                let file = if step & 8 == 0 { &mut table } else { &mut journal };
                file.truncate(file.len().saturating_sub(number.into()));
            }
        }
    }
    recovery(&table, &journal);
}

/// Writes `block` as a run does.
fn put(info_hash: InfoHash, block: &[u8], table: &mut Vec<u8>, journal: &mut Vec<u8>) {
    table.extend_from_slice(block);
    let end = u64::try_from(table.len()).unwrap_or(u64::MAX);
    journal.extend_from_slice(&record(info_hash, end, block).encode());
}

/// The record of `block`, which ends at `end`.
fn record(info_hash: InfoHash, end: u64, block: &[u8]) -> Record {
    let done = Done {
        info_hash,
        metadata_ok: false,
    };
    let len = u32::try_from(block.len()).unwrap_or(u32::MAX);
    let sum = journal::sum(block);
    Record { done, end, len, sum }
}

fn length(file: &Cursor<Vec<u8>>) -> u64 {
    u64::try_from(file.get_ref().len()).unwrap_or(u64::MAX)
}

/// Cuts `file`; false if it is shorter than that.
fn cut(file: &mut Cursor<Vec<u8>>, len: u64) -> bool {
    let fits = len <= length(file);
    file.get_mut().truncate(usize::try_from(len).unwrap_or(usize::MAX));
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that look enough like a table to get past its first checks.
    fn tableish() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(metadata::HEADER.as_bytes().to_vec()),
            Just(peers::HEADER.as_bytes().to_vec()),
            "[0-9a-fA-F]{40}".prop_map(String::into_bytes),
            "[\",\r\n]|,{1,7}|True|False|1\\.2\\.3\\.4|::1|[0-9]{1,6}|\u{2028}".prop_map(String::into_bytes),
            any::<Vec<u8>>(),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn readers_hold(bytes in tableish()) {
            readers(&bytes);
        }

        #[test]
        fn recovery_holds(tail in tableish(), whole: bool, junk in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut table = if whole { format!("{}\n", metadata::HEADER).into_bytes() } else { Vec::new() };
            table.extend_from_slice(&tail);
            recovery(&table, &junk);
            let mut journal = journal::header().to_vec();
            journal.extend_from_slice(&junk);
            recovery(&table, &journal);
        }

        #[test]
        fn damage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            damaged(&bytes);
        }
    }
}

//! What peers and people send: handshakes, frames, extended messages, magnet links, torrents.

use crate::compact;
use crate::extended::{self, ExtendedHandshake};
use crate::handshake::{self, Handshake};
use crate::lsd::{self, Announce};
use crate::lt_metadata::LtMetadata;
use crate::magnet::Magnet;
use crate::message::{FrameTooLong, Frames, Message};
use crate::metainfo::{self, Expected, Info, PieceHashes, Salvaged, Torrent};
use crate::ut_holepunch::UtHolepunch;
use crate::ut_metadata::UtMetadata;
use crate::ut_pex::UtPex;

/// Handshake: what is read is written back byte for byte, and is what a reader of the first bytes expected.
pub fn handshake(bytes: &[u8]) {
    let Some(first) = bytes.first_chunk::<{ handshake::LEN }>() else {
        return;
    };
    let read = Handshake::decode(first);
    assert_eq!(read.is_ok(), handshake::may_become_handshake(first));
    if let Ok(read) = read {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(out, first);
    }
}

/// Peer messages: any split of a stream gives the same frames, nothing is held beyond one frame, and what is understood
/// is written back byte for byte.
pub fn frames(stream: &[u8]) {
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(whole, cut(stream, 1));
    assert_eq!(whole, cut(stream, 7));
    for frame in &whole.0 {
        if let Ok(message) = Message::decode(frame) {
            let mut out = Vec::new();
            message.encode(&mut out);
            assert_eq!(out.get(4..), Some(frame.as_slice()));
        }
    }
}

/// The frames of a stream that arrives `at_a_time` bytes at a time, and how it ended.
fn cut(stream: &[u8], at_a_time: usize) -> (Vec<Vec<u8>>, Result<(), FrameTooLong>) {
    let mut frames = Frames::new(1_000);
    let mut seen = Vec::new();
    for mut chunk in stream.chunks(at_a_time) {
        loop {
            match frames.next_frame(&mut chunk) {
                Ok(Some(frame)) => seen.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (seen, Err(error)),
            }
        }
        assert!(chunk.is_empty() && frames.pending() < 4 + 1_000);
    }
    (seen, Ok(()))
}

/// Extended handshake: what is understood survives being written and read.
pub fn extended(payload: &[u8]) {
    let read = ExtendedHandshake::decode(payload);
    assert_eq!(read.is_ok(), extended::extensions(payload).is_ok());
    if let Ok(read) = read {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(ExtendedHandshake::decode(&out), Ok(read));
    }
}

/// `ut_metadata`: what is understood survives being written and read.
pub fn ut_metadata(payload: &[u8]) {
    if let Ok(read) = UtMetadata::decode(payload) {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(UtMetadata::decode(&out), Ok(read));
    }
}

/// `LT_metadata`: what is understood survives being written and read; what is asked for lies in the dictionary.
pub fn lt_metadata(payload: &[u8]) {
    if let Ok(read) = LtMetadata::decode(payload) {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(LtMetadata::decode(&out), Ok(read));
        if let LtMetadata::Request(parts) = read {
            for total_size in [0, 1, 255, 256, 257, 40_000, u32::MAX] {
                let bytes = parts.bytes(total_size);
                assert!(bytes.start <= bytes.end && bytes.end <= total_size);
            }
        }
    }
}

/// `ut_pex`: what is understood survives being written and read; every whole endpoint is a peer.
pub fn ut_pex(payload: &[u8]) {
    if let Ok(read) = UtPex::decode(payload) {
        let peers = read.added.len() / compact::PEER4_LEN + read.added6.len() / compact::PEER6_LEN;
        assert_eq!(read.peers().count(), peers);
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(UtPex::decode(&out), Ok(read));
    }
}

/// `ut_holepunch`: what is understood survives being written and read.
pub fn ut_holepunch(payload: &[u8]) {
    if let Ok(read) = UtHolepunch::decode(payload) {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(UtHolepunch::decode(&out), Ok(read));
    }
}

/// Magnet links and bare infohashes: what is read names a torrent, and survives being written and read.
pub fn magnet(text: &str) {
    let given = Magnet::from_link_or_hash(text);
    if let Ok(link) = text.parse::<Magnet>() {
        assert_eq!(given.as_ref(), Ok(&link));
    }
    match given {
        Ok(read) => {
            assert!(read.swarm_hashes().next().is_some());
            assert_eq!(read.to_string().parse(), Ok(read.clone()));
            assert_eq!(read.to_base32_link().parse(), Ok(read));
        }
        Err(error) => assert!(error.to_string().chars().all(|c| !c.is_control())),
    }
}

/// Info dictionaries: what parses is what is salvaged, counts and sums are those of the files, and no file lies beyond
/// another's place.
pub fn info(raw: &[u8]) {
    let Ok(Salvaged { info, problem }) = Info::salvage(raw) else {
        assert!(Info::parse(raw).is_err());
        return;
    };
    match problem {
        None => assert_eq!(Info::parse(raw).as_ref(), Ok(&info)),
        Some(problem) => assert_eq!(Info::parse(raw), Err(problem)),
    }
    let mut end = 0;
    let (mut count, mut bytes) = (0, 0_u64);
    for file in info.files() {
        assert!(file.offset >= end);
        end = file.offset.saturating_add(file.length);
        if !file.pad {
            count += 1;
            bytes = bytes.saturating_add(file.length);
        }
        assert_eq!(file.path_lossy().is_empty(), file.path().is_empty());
    }
    assert_eq!((count, bytes), (info.file_count(), info.total_bytes()));
    if problem.is_none() {
        let hashes = Info::hashes_at(raw).and_then(|at| raw.get(at));
        assert_eq!(hashes.is_some(), info.version.has_v1());
        assert!(hashes.is_none_or(|hashes| hashes.len() as u64 == info.piece_count * 20));
        assert!(!info.name.is_empty() && info.piece_length > 0);
        let torrent = Torrent::parse(&metainfo::wrap(raw, &["http://tracker.example/announce"]));
        assert_eq!(
            torrent.map(|torrent| (torrent.raw_info().to_vec(), torrent.info)),
            Ok((raw.to_vec(), info))
        );
    }
}

/// .torrent files: the info dictionary is lent as it stood, the magnet link to it is one, and all piece layers are lent.
pub fn torrent(raw: &[u8]) {
    if let Ok(torrent) = Torrent::parse(raw) {
        assert!(
            raw.windows(torrent.raw_info().len())
                .any(|window| window == torrent.raw_info())
        );
        assert_eq!(Info::parse(torrent.raw_info()).as_ref(), Ok(&torrent.info));
        for hash in torrent.magnet().swarm_hashes() {
            assert!(metainfo::matches(torrent.raw_info(), &hash));
        }
        magnet(&torrent.magnet().to_string());
        assert_eq!(torrent.layers().count(), torrent.piece_layers);
        assert!(torrent.tiers().iter().all(|tier| !tier.is_empty()));
        assert!(torrent.other_entries().count() + torrent.other_info_entries().count() < raw.len());
        if let Ok(expected) = Expected::of(&torrent) {
            pieces(&expected);
        }
    }
}

/// The first pieces have their length, but for the last, and no part lies beyond its file.
fn pieces(expected: &Expected) {
    let content = expected.content();
    for run in content.runs(1 << 20).take(3) {
        let mut bytes = 0u64;
        for part in content.parts(run.clone()).take(100) {
            bytes += part.length;
            if let Some(file) = part.file {
                assert!(part.at + part.length <= content.file_length(file));
                assert!(content.pieces_of(file).contains(&run.start) || content.pieces_of(file).start > run.start);
            }
        }
        assert!(bytes <= (run.end - run.start).saturating_mul(content.piece_length()));
        expected.judge(run.start, &PieceHashes::default());
    }
}

/// Announcements on the local network: what is read names a port and a torrent, and can be written again.
pub fn lsd(datagram: &[u8]) {
    let Some(read) = Announce::read(datagram) else {
        return;
    };
    let infohashes: Vec<_> = read.infohashes().collect();
    assert!(read.port != 0 && !infohashes.is_empty());
    let mut out = Vec::new();
    lsd::write(lsd::GROUP_V4, read.port, 0, &infohashes, &mut out);
    assert!(out.len() <= lsd::LONGEST);
    let again = Announce::read(&out).map(|again| (again.port, again.infohashes().collect::<Vec<_>>()));
    let kept = infohashes.get(..lsd::INFOHASHES).unwrap_or(&infohashes);
    assert_eq!(again, Some((read.port, kept.to_vec())));
}

//! What peers and people send: handshakes, frames, extended messages, magnet links.

use crate::extended::{self, ExtendedHandshake};
use crate::handshake::{self, Handshake};
use crate::magnet::Magnet;
use crate::message::{FrameTooLong, Frames, Message};
use crate::ut_metadata::UtMetadata;

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

/// Magnet links: what is read names a torrent, and survives being written and read.
pub fn magnet(text: &str) {
    match text.parse::<Magnet>() {
        Ok(read) => {
            assert!(read.swarm_hashes().next().is_some());
            assert_eq!(read.to_string().parse(), Ok(read.clone()));
            assert_eq!(read.to_base32_link().parse(), Ok(read));
        }
        Err(error) => assert!(error.to_string().chars().all(|c| !c.is_control())),
    }
}

//! What a peer may say: words of the protocol, most of them in their place.

use wire::fuzz::Steps;
use wire::handshake::{self, Handshake};
use wire::message::{Block, Frames, HashRange, Message, extended_frame};
use wire::{InfoHash, PeerId};

use crate::BLOCK;

/// No frame of the engine's is longer: what it says of pieces is a byte here, and the rest fits a block.
const LONGEST: u32 = 1 << 16;

/// A peer as the world's end knows it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) open: bool,
    /// What the engine wrote: its handshake, then frames.
    greeting: Vec<u8>,
    frames: Frames,
    /// It has said its handshake.
    greeted: bool,
    /// Blocks that it was asked for and has not given.
    owed: Vec<Block>,
}

impl Line {
    pub(super) const fn new(open: bool) -> Self {
        Self {
            open,
            greeting: Vec::new(),
            frames: Frames::new(LONGEST),
            greeted: false,
            owed: Vec::new(),
        }
    }

    /// Notes what the engine writes: well-formed, and requests that make sense.
    pub(super) fn written(&mut self, bytes: &[u8]) {
        let missing = handshake::LEN - self.greeting.len();
        let (greeting, mut rest) = bytes.split_at(missing.min(bytes.len()));
        self.greeting.extend_from_slice(greeting);
        loop {
            let frame = self.frames.next_frame(&mut rest);
            assert!(frame.is_ok(), "it writes a frame without end: {frame:?}");
            let Ok(Some(frame)) = frame else { return };
            let message = Message::decode(frame);
            assert!(
                !matches!(message, Err(_) | Ok(Message::Unknown { .. })),
                "it writes nonsense: {message:?}"
            );
            match message {
                Ok(Message::Request(block)) => {
                    assert!(block.length <= BLOCK && block.length > 0, "{block:?}");
                    self.owed.push(block);
                }
                Ok(Message::Cancel(block)) => self.owed.retain(|owed| *owed != block),
                _ => {}
            }
        }
    }

    /// The next words, at first a handshake that names one of `names`.
    pub(super) fn words(&mut self, names: &[InfoHash], steps: &mut Steps<'_>, out: &mut Vec<u8>) {
        if !self.greeted {
            self.greeted = true;
            let info_hash = steps.one_of(names).unwrap_or(InfoHash::new([0; 20]));
            let greeting = Handshake {
                reserved: [0; 8],
                info_hash,
                peer_id: PeerId::new([steps.next(); 20]),
            };
            let greeting = match steps.next() % 4 {
                0 => greeting,
                1 => greeting.with_extended(),
                2 => greeting.with_fast().with_v2(),
                _ => greeting.with_extended().with_fast().with_v2().with_dht(),
            };
            return greeting.encode(out);
        }
        let piece = u32::from(steps.next() % 4);
        match steps.next() % 20 {
            0..=4 => self.give(steps, out),
            5 => Message::HaveAll.encode(out),
            6 => Message::Bitfield(steps.take(1)).encode(out),
            7 | 8 => Message::Unchoke.encode(out),
            9 => Message::Choke.encode(out),
            10 => Message::Interested.encode(out),
            11 => Message::NotInterested.encode(out),
            12 => Message::Have(piece).encode(out),
            13 | 14 => Message::Request(block(piece, steps)).encode(out),
            15 => Message::Cancel(block(piece, steps)).encode(out),
            16 => match self.owed.pop() {
                Some(block) => Message::Reject(block).encode(out),
                None => Message::HaveNone.encode(out),
            },
            17 => match steps.next() % 3 {
                0 => Message::AllowedFast(piece).encode(out),
                1 => Message::Suggest(piece).encode(out),
                _ => Message::Port(7).encode(out),
            },
            18 => hashes(steps, out),
            _ => {
                let (id, len) = (steps.next() % 5, usize::from(steps.next()));
                extended_frame(out, id, |out| out.extend_from_slice(steps.take(len)));
            }
        }
    }

    /// What was asked for, or a part of it, or something else in its place.
    fn give(&mut self, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
        let Some(block) = self.owed.first().copied() else {
            return;
        };
        let mut bytes = vec![0; block.length as usize];
        match steps.next() {
            0 => bytes.iter_mut().for_each(|byte| *byte = 1),
            1 => bytes.truncate(7),
            _ => {}
        }
        self.owed.remove(0);
        let (piece, begin, bytes) = (block.piece, block.begin, bytes.as_slice());
        Message::Piece { piece, begin, bytes }.encode(out);
    }
}

fn block(piece: u32, steps: &mut Steps<'_>) -> Block {
    Block {
        piece,
        begin: u32::from(steps.next() % 4) * BLOCK,
        length: steps.one_of(&[BLOCK, 5_000, 1, 2 * BLOCK, u32::MAX]).unwrap_or(BLOCK),
    }
}

fn hashes(steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let range = HashRange {
        pieces_root: [steps.next(); 32],
        base_layer: u32::from(steps.next() % 3),
        index: u32::from(steps.next() % 4),
        length: u32::from(steps.next() % 8),
        proof_layers: u32::from(steps.next() % 4),
    };
    match steps.next() % 3 {
        0 => Message::HashRequest(range).encode(out),
        1 => Message::HashReject(range).encode(out),
        _ => {
            let hashes = [[steps.next(); 32]; 3];
            let hashes = hashes.get(..usize::from(steps.next() % 4)).unwrap_or_default();
            Message::Hashes { range, hashes }.encode(out);
        }
    }
}

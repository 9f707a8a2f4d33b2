//! Peers that follow a script.

use std::net::SocketAddr;

use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake};
use wire::message::{Frames, Message, extended_frame};
use wire::ut_metadata::{BLOCK, UtMetadata};
use wire::{InfoHash, PeerId};
use world::Closed;

/// How a peer behaves.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Nobody is there.
    Dead,
    /// The connection is not opened.
    Refuses(Closed),
    /// Opens, and never says a word.
    Silent,
    /// Opens, and says this.
    Says(Vec<u8>),
    /// Speaks the protocol.
    Talks(Talker),
    /// Speaks the protocol, one byte a second.
    Trickles(Talker),
}

/// A peer that speaks the protocol.
#[derive(Clone)]
pub(crate) struct Talker {
    pub(crate) info_hash: InfoHash,
    pub(crate) raw: Vec<u8>,
    /// Whether it has the bit of BEP 10.
    pub(crate) extended: bool,
    /// Its number for `ut_metadata`.
    pub(crate) id: Option<u8>,
    /// Says that its metadata is this long.
    pub(crate) size: Option<i64>,
    /// Said between handshake and extended handshake.
    pub(crate) noise: Vec<u8>,
    pub(crate) serves: Serves,
}

/// What it does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Serves {
    /// Gives the piece.
    All,
    /// Waits for all requests of a pipeline, and gives the last first.
    Backwards,
    /// Gives so many pieces, then hangs up.
    Some(usize),
    /// Keeps silent.
    Nothing,
    /// Rejects.
    Rejects,
    /// Gives wrong bytes.
    Garbage,
    /// Gives a piece that was not asked for.
    Other,
    /// Gives a byte too few.
    Short,
    /// Gives it twice.
    Twice,
    /// Tells another total size.
    OtherTotal,
    /// Answers under its own number instead of ours (appendix A, D-12).
    OwnNumber,
}

impl Talker {
    /// An honest peer that uses id 3, as Transmission does.
    pub(crate) fn honest(info_hash: InfoHash, raw: &[u8]) -> Self {
        Self {
            info_hash,
            raw: raw.to_vec(),
            extended: true,
            id: Some(3),
            size: i64::try_from(raw.len()).ok(),
            noise: Vec::new(),
            serves: Serves::All,
        }
    }

    pub(crate) fn serving(info_hash: InfoHash, raw: &[u8], serves: Serves) -> Self {
        Self {
            serves,
            ..Self::honest(info_hash, raw)
        }
    }
}

/// What a peer sends.
pub(super) enum Says {
    Bytes(Vec<u8>),
    /// One byte a second.
    Slowly(Vec<u8>),
    HangUp,
}

/// The peer's end of a connection.
pub(super) struct Line {
    pub(super) addr: SocketAddr,
    manner: Manner,
    frames: Frames,
    greeting: Vec<u8>,
    /// The number that we gave to `ut_metadata`.
    ours: Option<u8>,
    asked: Vec<u32>,
    served: usize,
}

impl Line {
    pub(super) fn new(addr: SocketAddr, manner: Manner) -> Self {
        Self {
            addr,
            manner,
            frames: Frames::new(1 << 20),
            greeting: Vec::new(),
            ours: None,
            asked: Vec::new(),
            served: 0,
        }
    }

    pub(super) fn opened(&mut self) -> Vec<Says> {
        match &self.manner {
            Manner::Says(bytes) => vec![Says::Bytes(bytes.clone())],
            _ => Vec::new(),
        }
    }

    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Vec<Says> {
        let (talker, slow) = match &self.manner {
            Manner::Talks(talker) => (talker.clone(), false),
            Manner::Trickles(talker) => (talker.clone(), true),
            _ => return Vec::new(),
        };
        let mut out = Vec::new();
        if self.greeting.len() < handshake::LEN {
            let (head, rest) = bytes.split_at(bytes.len().min(handshake::LEN - self.greeting.len()));
            self.greeting.extend_from_slice(head);
            bytes = rest;
            if self.greeting.len() == handshake::LEN {
                greet(&self.greeting, &talker, &mut out);
            }
        }
        let mut hangs_up = false;
        while let Some(frame) = self.frames.next_frame(&mut bytes).unwrap() {
            let Ok(Message::Extended { id, payload }) = Message::decode(frame) else {
                panic!("a fetcher has nothing else to say");
            };
            if id == extended::HANDSHAKE {
                self.ours = ExtendedHandshake::decode(payload).unwrap().ut_metadata;
                continue;
            }
            assert_eq!(Some(id), talker.id, "requests carry the peer's number");
            let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(payload) else {
                panic!("not a request");
            };
            self.asked.push(piece);
            let ours = self.ours.expect("asked before the extended handshake");
            hangs_up |= serve(&talker, ours, &mut self.asked, &mut self.served, &mut out);
        }
        let bytes = if slow { Says::Slowly(out) } else { Says::Bytes(out) };
        let mut says = vec![bytes];
        says.extend(hangs_up.then_some(Says::HangUp));
        says
    }
}

fn greet(greeting: &[u8], talker: &Talker, out: &mut Vec<u8>) {
    let ours = Handshake::decode(greeting.try_into().unwrap()).unwrap();
    assert!(ours.supports_extended());
    let mut theirs = Handshake::new(talker.info_hash, PeerId::new(*b"-FP0001-000000000000"));
    if talker.extended {
        theirs = theirs.with_extended();
    }
    theirs.encode(out);
    out.extend_from_slice(&talker.noise);
    let offer = ExtendedHandshake {
        ut_metadata: talker.id,
        metadata_size: talker.size,
        ..ExtendedHandshake::default()
    };
    extended_frame(out, extended::HANDSHAKE, |out| offer.encode(out));
}

/// Answers what was asked; whether it hangs up then.
fn serve(talker: &Talker, ours: u8, asked: &mut Vec<u32>, served: &mut usize, out: &mut Vec<u8>) -> bool {
    let pieces = talker.raw.len().div_ceil(BLOCK);
    match talker.serves {
        Serves::Nothing => return false,
        Serves::Some(limit) if *served >= limit => return true,
        Serves::Backwards if asked.len() < pieces.min(4) => return false,
        _ => {}
    }
    let id = if talker.serves == Serves::OwnNumber {
        talker.id.unwrap()
    } else {
        ours
    };
    while let Some(mut piece) = asked.pop() {
        *served += 1;
        if talker.serves == Serves::Rejects {
            extended_frame(out, id, |out| UtMetadata::Reject { piece }.encode(out));
            continue;
        }
        if talker.serves == Serves::Other {
            piece = 9_999;
        }
        let at = (piece as usize * BLOCK).min(talker.raw.len());
        let mut bytes = talker.raw[at..(at + BLOCK).min(talker.raw.len())].to_vec();
        match talker.serves {
            Serves::Garbage => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
            Serves::Short => drop(bytes.pop()),
            _ => {}
        }
        let total_size = talker.size.unwrap() + i64::from(talker.serves == Serves::OtherTotal);
        let data = UtMetadata::Data {
            piece,
            total_size,
            bytes: &bytes,
        };
        extended_frame(out, id, |out| data.encode(out));
        if talker.serves == Serves::Twice {
            extended_frame(out, id, |out| data.encode(out));
        }
    }
    false
}

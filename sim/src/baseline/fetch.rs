//! Metadata from one peer (BEP 9, BEP 10): enough of a client for a baseline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use transport::config::{Deadlines, Limits, Memory, Policy};
use transport::mse::Level;
use wire::extended::ExtendedHandshake;
use wire::handshake::{self, Handshake};
use wire::message::{self, Frames, Message};
use wire::ut_metadata::{BLOCK, UtMetadata};
use wire::{InfoHash, PeerId, metainfo};
use world::{ConnId, Effect, Input, Time};

use crate::lab::UTP;

/// Our number for `ut_metadata`; replies carry it (crawlers F3).
const OURS: u8 = 1;
/// The largest frame read.
const MAX_FRAME: u32 = 1 << 20;
/// The largest info dictionary taken: 10 MiB, the smallest cap that any of them has (crawlers 1.2).
const MAX_METADATA: i64 = 10 << 20;

/// How long a baseline waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patience {
    /// For the connection.
    pub(super) connect: Duration,
    /// For each further word of the peer.
    pub(super) word: Duration,
    /// For all of it.
    pub(super) total: Duration,
}

/// A dial is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ended {
    pub(super) info_hash: InfoHash,
    pub(super) fetched: bool,
}

struct Talk {
    info_hash: InfoHash,
    patience: Patience,
    began: Time,
    due: Time,
    head: Vec<u8>,
    frames: Option<Frames>,
    theirs: u8,
    size: usize,
    pieces: BTreeMap<u32, Vec<u8>>,
}

/// Dials that are under way.
pub(super) struct Fetches {
    talks: BTreeMap<ConnId, Talk>,
    due: BTreeSet<(Time, ConnId)>,
    number: u64,
    now: Time,
    out: VecDeque<(Effect, Vec<u8>)>,
    ended: VecDeque<Ended>,
    turns: u64,
}

impl Fetches {
    pub(super) const fn new() -> Self {
        Self {
            talks: BTreeMap::new(),
            due: BTreeSet::new(),
            number: 0,
            now: Time::ZERO,
            out: VecDeque::new(),
            ended: VecDeque::new(),
            turns: 0,
        }
    }

    /// Dials; ends in one [`Ended`].
    pub(super) fn begin(&mut self, now: Time, info_hash: InfoHash, peer: SocketAddr, patience: Patience) {
        self.number += 1;
        self.turns += 1;
        let conn = ConnId(self.number);
        let due = now + patience.connect.min(patience.total);
        self.due.insert((due, conn));
        self.talks.insert(
            conn,
            Talk {
                info_hash,
                patience,
                began: now,
                due,
                head: Vec::new(),
                frames: None,
                theirs: 0,
                size: 0,
                pieces: BTreeMap::new(),
            },
        );
        let dial = Effect::Dial {
            conn,
            to: peer,
            via: None,
        };
        self.out.push_back((dial, Vec::new()));
    }

    /// Dials under way.
    pub(super) fn len(&self) -> usize {
        self.talks.len()
    }

    pub(super) const fn turns(&self) -> u64 {
        self.turns
    }

    pub(super) fn pop(&mut self) -> Option<(Effect, Vec<u8>)> {
        self.out.pop_front()
    }

    pub(super) fn ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.due.first().map(|&(due, _)| due)
    }

    /// Hangs up on whoever is overdue.
    pub(super) fn expire(&mut self, now: Time) {
        self.now = now;
        while let Some(&(_, conn)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.out.push_back((Effect::Close { conn }, Vec::new()));
            self.end(conn, false);
        }
    }

    pub(super) fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Opened { conn, .. } => self.opened(conn),
            Input::Received { conn, bytes } => self.received(conn, bytes),
            Input::Closed { conn, .. } => self.end(conn, false),
            _ => {}
        }
    }

    fn end(&mut self, conn: ConnId, fetched: bool) {
        if let Some(talk) = self.talks.remove(&conn) {
            self.due.remove(&(talk.due, conn));
            self.turns += 1;
            self.ended.push_back(Ended {
                info_hash: talk.info_hash,
                fetched,
            });
        }
    }

    fn opened(&mut self, conn: ConnId) {
        let Some(talk) = self.talks.get(&conn) else { return };
        let mut bytes = Vec::new();
        Handshake::new(talk.info_hash, PeerId::new([b'b'; 20]))
            .with_extended()
            .encode(&mut bytes);
        let ours = ExtendedHandshake {
            ut_metadata: Some(OURS),
            ..ExtendedHandshake::default()
        };
        message::extended_frame(&mut bytes, wire::extended::HANDSHAKE, |out| ours.encode(out));
        self.write(conn, bytes);
        self.wait_for_a_word(conn);
    }

    fn write(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let len = bytes.len();
        self.out.push_back((Effect::Write { conn, len }, bytes));
    }

    fn wait_for_a_word(&mut self, conn: ConnId) {
        if let Some(talk) = self.talks.get_mut(&conn) {
            self.due.remove(&(talk.due, conn));
            talk.due = (self.now + talk.patience.word).min(talk.began + talk.patience.total);
            self.due.insert((talk.due, conn));
        }
    }

    fn received(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(talk) = self.talks.get_mut(&conn) else { return };
        let mut said = Vec::new();
        let heard = talk.hear(bytes, &mut said);
        let whole = talk.whole();
        if !said.is_empty() {
            self.write(conn, said);
        }
        if heard.is_err() || whole.is_some() {
            self.out.push_back((Effect::Close { conn }, Vec::new()));
            self.end(conn, whole == Some(true));
        } else {
            self.wait_for_a_word(conn);
        }
    }
}

/// The peer is of no use.
struct Useless;

impl Talk {
    fn hear(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<(), Useless> {
        let mut bytes = bytes;
        if self.frames.is_none() {
            let missing = handshake::LEN - self.head.len();
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            let Ok(whole) = <&[u8; handshake::LEN]>::try_from(&self.head[..]) else {
                return Ok(());
            };
            let theirs = Handshake::decode(whole).map_err(|_| Useless)?;
            if theirs.info_hash != self.info_hash || !theirs.supports_extended() {
                return Err(Useless);
            }
        }
        let mut frames = self.frames.take().unwrap_or(Frames::new(MAX_FRAME));
        while let Some(frame) = frames.next_frame(&mut bytes).map_err(|_| Useless)? {
            if let Ok(Message::Extended { id, payload }) = Message::decode(frame) {
                self.extended(id, payload, said)?;
            }
        }
        self.frames = Some(frames);
        Ok(())
    }

    fn extended(&mut self, id: u8, payload: &[u8], said: &mut Vec<u8>) -> Result<(), Useless> {
        if id == wire::extended::HANDSHAKE {
            let theirs = ExtendedHandshake::decode(payload).map_err(|_| Useless)?;
            let size = theirs.metadata_size.filter(|size| (1..=MAX_METADATA).contains(size));
            let (Some(number), Some(size)) = (theirs.ut_metadata, size.and_then(|size| usize::try_from(size).ok()))
            else {
                return Err(Useless);
            };
            (self.theirs, self.size) = (number, size);
            for piece in 0..size.div_ceil(BLOCK) as u32 {
                message::extended_frame(said, number, |out| UtMetadata::Request { piece }.encode(out));
            }
        } else if id == OURS {
            match UtMetadata::decode(payload) {
                Ok(UtMetadata::Data { piece, bytes, .. })
                    if (piece as usize) < self.size.div_ceil(BLOCK) && bytes.len() <= BLOCK =>
                {
                    self.pieces.insert(piece, bytes.to_vec());
                }
                Ok(UtMetadata::Reject { .. }) => return Err(Useless),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether all is there; and if so, whether it is the torrent's.
    fn whole(&self) -> Option<bool> {
        let there: usize = self.pieces.values().map(Vec::len).sum();
        if self.size == 0 || there < self.size {
            return None;
        }
        let mut info = Vec::with_capacity(there);
        self.pieces.values().for_each(|piece| info.extend_from_slice(piece));
        Some(metainfo::matches(&info, &self.info_hash))
    }
}

/// TCP alone; under encryption or not at all, and no second try by the other.
pub(super) fn streams(encrypted: bool) -> transport::Config {
    // Longer than any of them waits: they keep their own time.
    let patience = Duration::from_secs(1_000);
    let policy = if encrypted { Policy::Forced } else { Policy::Disabled };
    transport::Config {
        tcp: true,
        utp: false,
        outgoing: policy,
        incoming: Policy::Disabled,
        level: if encrypted { Level::Rc4 } else { Level::Both },
        prefer_rc4: encrypted,
        deadlines: Deadlines {
            tcp_connect: patience,
            beside_after: patience,
            handshake: patience,
            accepted: patience,
        },
        limits: Limits {
            accepted: 0,
            admitted: 0,
        },
        memory: Memory {
            endpoints: 1,
            networks: 1,
            half_life: patience,
        },
        socket: UTP,
    }
}

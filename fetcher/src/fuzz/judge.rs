//! Watches what a pool wants, and keeps the books of a world that carries it out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use wire::handshake::{self, Handshake};
use wire::lt_metadata::{LtMetadata, Parts};
use wire::message::{Frames, Message};
use wire::ut_metadata::UtMetadata;
use wire::{InfoHash, metainfo};
use world::{ConnId, Effect, Machine, Member, Output, Time, Via};

use super::speech::LT_METADATA;
use crate::dealings::Call;
use crate::{Config, Event, Pool, Stage};

/// The world's end of a connection.
struct Line {
    host: IpAddr,
    open: bool,
    /// The pool's handshake, as far as it was written.
    greeting: Vec<u8>,
    /// What the peer has said of what belongs here: 0 nothing, 1 its handshake, 2 its extended handshake too.
    said: u8,
    frames: Frames,
    /// Pieces that the pool asked for and was not given.
    owed: VecDeque<u32>,
    /// Parts that it asked for and was not given.
    owed_parts: VecDeque<Parts>,
}

/// What it is a peer's turn to say.
pub(super) struct Turn {
    /// Of this torrent, if the pool said of which.
    pub(super) info_hash: Option<InfoHash>,
    /// 0 the handshake, 1 the extended handshake, 2 a piece.
    pub(super) kind: u8,
}

pub(super) struct Judge {
    max_connections: usize,
    slots: usize,
    assembly_bytes: u64,
    lines: BTreeMap<ConnId, Line>,
    /// Every number ever dialled.
    used: BTreeSet<ConnId>,
    in_work: BTreeSet<InfoHash>,
    attempts: u64,
    /// Connections that strangers opened; those of them that were told as attempts.
    called: u64,
    incoming: u64,
    /// Peers named to the owner and not passed on.
    named: VecDeque<(InfoHash, SocketAddr, SocketAddr, u8)>,
    payload: Vec<u8>,
}

impl Judge {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_connections: config.max_connections + config.serving.callers + config.exchange.listeners,
            slots: config.slots,
            assembly_bytes: config.limits.assembly_bytes,
            lines: BTreeMap::new(),
            used: BTreeSet::new(),
            in_work: BTreeSet::new(),
            attempts: 0,
            called: 0,
            incoming: 0,
            named: VecDeque::new(),
            payload: Vec::new(),
        }
    }

    pub(super) fn starts(&mut self, info_hash: InfoHash) {
        self.in_work.insert(info_hash);
    }

    pub(super) fn opened(&mut self, conn: ConnId) {
        if let Some(line) = self.lines.get_mut(&conn) {
            line.open = true;
        }
    }

    /// A stranger opens a connection.
    pub(super) fn called(&mut self, conn: ConnId, from: SocketAddr) {
        self.called += 1;
        let open = true;
        self.lines.insert(conn, Line::new(from.ip(), open));
    }

    /// A peer that was named to the owner, to be passed on.
    pub(super) fn named(&mut self) -> Option<(InfoHash, SocketAddr, SocketAddr, u8)> {
        self.named.pop_front()
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
    }

    /// Connections that are open, or still being dialled.
    pub(super) fn connections(&self, open: bool) -> Vec<ConnId> {
        let lines = self.lines.iter().filter(|(_, line)| line.open == open);
        lines.map(|(&conn, _)| conn).collect()
    }

    pub(super) fn is_open(&self, conn: ConnId) -> bool {
        self.lines.get(&conn).is_some_and(|line| line.open)
    }

    /// What belongs here next on `conn`, which is about to be said.
    pub(super) fn turn(&mut self, conn: ConnId) -> Turn {
        let mut turn = Turn {
            info_hash: None,
            kind: 0,
        };
        if let Some(line) = self.lines.get_mut(&conn) {
            if let Ok(whole) = line.greeting.as_slice().try_into()
                && let Ok(greeting) = Handshake::decode(whole)
            {
                turn.info_hash = Some(greeting.info_hash);
            }
            turn.kind = line.said;
            line.said = line.said.saturating_add(1).min(2);
        }
        turn
    }

    /// A piece that the pool waits for on `conn`, which it is about to be given.
    pub(super) fn owed(&mut self, conn: ConnId) -> Option<u32> {
        self.lines.get_mut(&conn)?.owed.pop_front()
    }

    /// Parts that the pool waits for on `conn`, which it is about to be given.
    pub(super) fn owed_parts(&mut self, conn: ConnId) -> Option<Parts> {
        self.lines.get_mut(&conn)?.owed_parts.pop_front()
    }

    /// Carries out everything that the pool wants, and checks the promises that hold at all times.
    pub(super) fn look(&mut self, pool: &mut Pool, now: Time) {
        self.payload.clear();
        while let Some(output) = pool.poll(now, &mut self.payload) {
            match output {
                Output::Effect(effect) => self.effect(effect),
                Output::Event(event) => self.event(event),
            }
            self.payload.clear();
        }
        assert!(self.lines.len() <= self.max_connections, "too many connections");
        assert_eq!(pool.connections(), self.lines.len(), "no connection is forgotten");
        assert!(self.in_work.len() <= self.slots, "too many infohashes");
        assert!(pool.assembly_bytes() <= self.assembly_bytes, "too many bytes");
        assert!(pool.deadline().is_none_or(|deadline| deadline > now), "spins");
        assert_eq!(pool.is_idle(), self.in_work.is_empty());
        pool.check_books();
        let stages = pool.stats().funnel;
        // A peer that is dialled twice is known once.
        let counts: Vec<_> = stages.iter().skip(1).map(|(_, count)| count).collect();
        assert!(
            counts.is_sorted_by(|earlier, later| earlier >= later),
            "a funnel narrows: {stages:?}"
        );
        let incoming = pool.stats().incoming.funnel;
        let counts: Vec<_> = incoming.iter().skip(2).map(|(_, count)| count).collect();
        assert!(counts.is_sorted_by(|earlier, later| earlier >= later), "{incoming:?}");
        for &stage in Stage::ALL.iter().filter(|&&stage| stage >= Stage::Connected) {
            let by_via: u64 = Via::ALL.iter().map(|&via| pool.stats().via(via).funnel[stage]).sum();
            assert_eq!(by_via, stages[stage], "every peer is reached one way");
        }
    }

    pub(super) fn nothing_is_left(&self, pool: &Pool) {
        assert!(self.lines.is_empty(), "a connection is left open");
        assert!(self.in_work.is_empty(), "an infohash is without an end");
        assert_eq!(pool.deadline(), None);
        assert_eq!(pool.assembly_bytes(), 0);
        let taken_back = pool.stats().no_descriptor;
        assert_eq!(u64::try_from(self.used.len()), Ok(self.attempts + taken_back));
        let calls = pool.stats().calls;
        assert_eq!(calls.total(), self.called, "every call came to something");
        assert_eq!(calls[Call::Source], self.incoming, "every source is told as an attempt");
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Dial { conn, to, .. } => self.dial(conn, to),
            Effect::Write { conn, len } => {
                assert_eq!(len, self.payload.len());
                let line = self.lines.get_mut(&conn).filter(|line| line.open);
                assert!(line.is_some(), "writes to a connection that is not open");
                if let Some(line) = line {
                    line.written(&self.payload);
                }
            }
            Effect::Close { conn } => assert!(self.lines.remove(&conn).is_some(), "closes twice"),
            Effect::Send { .. }
            | Effect::Report { .. }
            | Effect::Disk { .. }
            | Effect::Fetch { .. }
            | Effect::CancelFetch { .. }
            | Effect::Resolve { .. } => unreachable!("a pool has streams, and nothing else"),
        }
    }

    fn dial(&mut self, conn: ConnId, to: SocketAddr) {
        assert!(!conn.is_accepted());
        assert!(self.used.insert(conn), "a number is used twice");
        let host = to.ip();
        assert!(
            self.lines.values().all(|line| line.host != host),
            "two connections with one host"
        );
        let open = false;
        self.lines.insert(conn, Line::new(host, open));
    }

    fn event(&mut self, event: Event) {
        let ended = match event {
            Event::Attempt {
                info_hash, incoming, ..
            } => {
                assert!(self.in_work.contains(&info_hash), "told before the end");
                self.attempts += u64::from(!incoming);
                self.incoming += u64::from(incoming);
                return;
            }
            Event::Metadata { info_hash, raw, .. } => {
                assert!(metainfo::matches(&raw, &info_hash), "wrong bytes");
                info_hash
            }
            Event::GaveUp { info_hash, .. } => info_hash,
            Event::Named {
                info_hash,
                peer,
                by,
                flags,
            } => {
                assert!(self.in_work.contains(&info_hash), "named for nothing");
                self.named.push_back((info_hash, peer, by, flags));
                return;
            }
        };
        assert!(self.in_work.remove(&ended), "ended twice, or never started");
    }
}

impl Line {
    fn new(host: IpAddr, open: bool) -> Self {
        Self {
            host,
            open,
            greeting: Vec::new(),
            said: 0,
            frames: Frames::new(1 << 16),
            owed: VecDeque::new(),
            owed_parts: VecDeque::new(),
        }
    }

    /// Notes what was asked for.
    fn written(&mut self, bytes: &[u8]) {
        let missing = handshake::LEN.saturating_sub(self.greeting.len());
        let (greeting, mut bytes) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.greeting.extend_from_slice(greeting);
        while let Ok(Some(frame)) = self.frames.next_frame(&mut bytes) {
            let Ok(Message::Extended { id, payload }) = Message::decode(frame) else {
                continue;
            };
            if id == LT_METADATA {
                if let Ok(LtMetadata::Request(parts)) = LtMetadata::decode(payload) {
                    self.owed_parts.push_back(parts);
                }
            } else if let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(payload) {
                self.owed.push_back(piece);
            }
        }
    }
}

//! A pool without a world: what happens to it is said word by word.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake};
use wire::message::{Frames, Message, extended_frame};
use wire::{InfoHash, PeerId};
use world::{ConnId, Effect, Input, Machine, Output, Seed, Time, Via};

use crate::{Config, Event, Pool};

/// Numbers of the extensions in a peer's extended handshake.
pub(crate) const UT_METADATA: u8 = 21;
pub(crate) const LT_METADATA: u8 = 22;
pub(crate) const UT_PEX: u8 = 23;
pub(crate) const UT_HOLEPUNCH: u8 = 24;

pub(crate) struct Desk {
    pub(crate) pool: Pool,
    pub(crate) now: Time,
    pub(crate) dials: Vec<(ConnId, SocketAddr, Option<Via>)>,
    /// What was written to each connection and not yet taken.
    pub(crate) written: BTreeMap<ConnId, Vec<u8>>,
    pub(crate) closed: Vec<ConnId>,
    pub(crate) events: Vec<Event>,
}

impl Desk {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config, Seed::from_number(1)),
            now: Time::from_secs(1),
            dials: Vec::new(),
            written: BTreeMap::new(),
            closed: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.pool.handle(self.now, input);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        let mut payload = Vec::new();
        while let Some(output) = self.pool.poll(self.now, &mut payload) {
            match output {
                Output::Effect(Effect::Dial { conn, to, via }) => self.dials.push((conn, to, via)),
                Output::Effect(Effect::Write { conn, .. }) => {
                    self.written.entry(conn).or_default().extend_from_slice(&payload);
                }
                Output::Effect(Effect::Close { conn }) => self.closed.push(conn),
                Output::Effect(effect) => panic!("{effect:?}"),
                Output::Event(event) => self.events.push(event),
            }
            payload.clear();
        }
        self.pool.check_books();
    }

    /// Time passes, deadline by deadline.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(deadline) = self.pool.deadline().filter(|&deadline| deadline <= until) {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now = until;
    }

    pub(crate) fn says(&mut self, conn: ConnId, bytes: &[u8]) {
        self.input(Input::Received { conn, bytes });
    }

    /// A stranger calls.
    pub(crate) fn call(&mut self, number: u64, from: SocketAddr, via: Via) -> ConnId {
        let conn = ConnId(ConnId::ACCEPTED | number);
        let to = SocketAddr::from(([127, 0, 0, 1], 7_000));
        self.input(Input::Accepted { conn, from, to, via });
        conn
    }

    /// A peer that was dialled opens, and greets.
    pub(crate) fn opens(&mut self, at: usize, info_hash: InfoHash, offer: &ExtendedHandshake<'_>) -> ConnId {
        let conn = self.dials[at].0;
        self.input(Input::Opened { conn, via: Via::Tcp });
        self.says(conn, &greeting(info_hash, offer));
        conn
    }

    /// The handshake written to a connection, if it was, and the extension messages after it; both are taken.
    pub(crate) fn read(&mut self, conn: ConnId) -> (Option<Handshake>, Vec<(u8, Vec<u8>)>) {
        let written = self.written.remove(&conn).unwrap_or_default();
        let mut rest = written.as_slice();
        let mut greeting = None;
        if rest.starts_with(handshake::PREAMBLE) {
            let (head, after) = rest.split_at(handshake::LEN);
            greeting = Handshake::decode(head.try_into().unwrap()).ok();
            rest = after;
        }
        let mut frames = Frames::new(1 << 21);
        let mut said = Vec::new();
        while let Some(frame) = frames.next_frame(&mut rest).unwrap() {
            let Ok(Message::Extended { id, payload }) = Message::decode(frame) else {
                panic!("a fetcher has nothing else to say");
            };
            said.push((id, payload.to_vec()));
        }
        (greeting, said)
    }
}

/// What a peer offers that speaks every extension.
pub(crate) fn offer(metadata_size: Option<i64>) -> ExtendedHandshake<'static> {
    ExtendedHandshake {
        ut_metadata: Some(UT_METADATA),
        lt_metadata: Some(LT_METADATA),
        ut_pex: Some(UT_PEX),
        ut_holepunch: Some(UT_HOLEPUNCH),
        metadata_size,
        ..ExtendedHandshake::default()
    }
}

/// A handshake and an extended handshake.
pub(crate) fn greeting(info_hash: InfoHash, offer: &ExtendedHandshake<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Handshake::new(info_hash, PeerId::new([7; 20]))
        .with_extended()
        .encode(&mut out);
    extended_frame(&mut out, extended::HANDSHAKE, |out| offer.encode(out));
    out
}

/// An extension message as a frame.
pub(crate) fn frame(id: u8, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    extended_frame(&mut out, id, encode);
    out
}

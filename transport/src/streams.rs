//! All streams at once: what the mind above asks for, and what the world tells.
//!
//! A *stream* is what the mind above sees, a *leg* one connection below it. A stream begins with a [`Ladder`] of one or two
//! legs (`dial`); the one that opens first carries it (`carry`), under an encrypted handshake if there is to be one
//! (`secure`). Once the peer was heard on a plain leg the stream is *straight*: bytes pass without being looked at.

mod carry;
mod dial;
mod incoming;
mod secure;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use wire::InfoHash;
use world::{Closed, ConnId, ConnMap, Effect, Input, Output, Seed, Time, Via};

use crate::carrier::Carrier;
use crate::ladder::Ladder;
use crate::memory::Memory;
use crate::mse::{Admitted, Initiator, Responder, Secured};
use crate::outbox::Outbox;
use crate::stats::{ByVia, Reason};
use crate::utp;
use crate::{Above, Config, Stats};

/// Most bytes of one stream that are kept: what was written before the peer's first byte, to be said again on another leg,
/// or what waits for the end of a handshake. A handshake of BEP 3 and the first messages after it fit.
pub(crate) const HELD_MAX: usize = 1024;

/// Streams to peers, by whatever works.
///
/// The owner passes what the mind above wants to [`act`](Self::act), what the world tells to
/// [`receive`](Self::receive), and then polls until nothing comes.
pub struct Transport {
    config: Config,
    streams: ConnMap<Stream>,
    legs: ConnMap<Leg>,
    next_leg: u64,
    /// Which stream is to be looked at when; each is there once, at [`Stream::alarm`].
    alarms: BTreeSet<(Time, ConnId)>,
    memory: Memory,
    admitted: Admitted,
    /// Streams that strangers opened.
    accepted: usize,
    utp: utp::Socket,
    outbox: Outbox,
    /// Lent to what must be changed before it is handed on.
    scratch: Vec<u8>,
    /// Each handshake takes its own chance.
    chance: Seed,
    handshakes: u64,
    stats: Stats,
}

/// What the mind above sees.
struct Stream {
    /// The remote end.
    to: SocketAddr,
    via: Via,
    phase: Phase,
    /// What was written and may have to be said on another leg, or waits to be said. At most [`HELD_MAX`].
    held: Vec<u8>,
    /// The mind above knows that it is open.
    told: bool,
    /// Ways that may still be tried, if the peer hangs up on this one.
    ways: ByVia<bool>,
    alarm: Option<Time>,
}

/// How far a stream has come.
enum Phase {
    Dialling(Ladder),
    Open(ConnId, Layer),
}

/// What is between the leg's bytes and the stream's.
enum Layer {
    /// Nothing.
    Straight,
    /// Nothing; the peer has not said anything yet.
    Unheard,
    /// We are to call, when the infohash is known.
    Keyless,
    /// We call. So many of the held bytes went along with the handshake.
    Calling(Box<Initiator>, usize),
    /// RC4, or a plain stream's first bytes.
    Secured(Secured),
    /// A stranger's first bytes, which say whether it is plain.
    Detecting(Vec<u8>),
    /// A stranger calls.
    Called(Box<Responder>),
}

/// A connection below.
#[derive(Clone, Copy)]
struct Leg {
    stream: ConnId,
    carrier: Carrier,
    /// Its bytes are the stream's, and nothing is to be learnt from them.
    straight: bool,
}

impl Transport {
    /// No stream yet. All chance in it comes from `seed`.
    pub fn new(config: Config, seed: Seed) -> Self {
        let seed = seed.derive("transport");
        Self {
            streams: ConnMap::default(),
            legs: ConnMap::default(),
            next_leg: ConnId::INNER,
            alarms: BTreeSet::new(),
            memory: Memory::new(config.memory, seed.derive("memory")),
            admitted: Admitted::new(config.limits.admitted, seed.derive("admitted")),
            accepted: 0,
            utp: utp::Socket::new(config.socket.clone(), seed.derive("utp")),
            outbox: Outbox::default(),
            scratch: Vec::new(),
            chance: seed.derive("handshakes"),
            handshakes: 0,
            stats: Stats::default(),
            config,
        }
    }

    /// Whether a datagram is of a stream, not a DHT message.
    pub fn claims(datagram: &[u8]) -> bool {
        wire::utp::begins(datagram)
    }

    /// Strangers may call about this infohash under encryption, too. Of more than the limit, the first give way.
    pub fn admit(&mut self, info_hash: InfoHash) {
        self.admitted.admit(info_hash);
    }

    /// They may no more.
    pub fn dismiss(&mut self, info_hash: InfoHash) {
        self.admitted.dismiss(info_hash);
    }

    /// What a stream is, as far as is known; `None` if there is none of this number.
    pub(crate) fn via(&self, conn: ConnId) -> Option<Via> {
        self.streams.get(&conn).map(|stream| stream.via)
    }

    /// Streams being dialled or open.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Counters since the start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What uTP counts of its packets.
    pub fn utp_stats(&self) -> &utp::Stats {
        self.utp.stats()
    }

    /// Takes what the mind above asks for. What the world is to do as it is comes back, with `payload` as it was; all else
    /// comes from [`poll`](Self::poll).
    pub fn act(&mut self, now: Time, effect: Effect, payload: &[u8]) -> Option<Effect> {
        match effect {
            Effect::Send { .. }
            | Effect::Disk { .. }
            | Effect::Fetch { .. }
            | Effect::CancelFetch { .. }
            | Effect::Resolve { .. } => return Some(effect),
            Effect::Dial { conn, to, via } => self.dial(now, conn, to, via),
            Effect::Write { conn, len } => return self.write(now, conn, payload.get(..len).unwrap_or(payload)),
            Effect::Close { conn } => self.close(now, conn),
            Effect::Report { conn } => return self.report(now, conn),
        }
        None
    }

    /// Takes what the world tells. What concerns the mind above as it is comes back; all else comes from
    /// [`poll`](Self::poll).
    pub fn receive<'a>(&mut self, now: Time, input: Input<'a>) -> Option<Input<'a>> {
        match input {
            Input::Received { conn, bytes } => return self.received(now, conn, bytes),
            Input::Opened { conn, .. } => self.opened(now, conn),
            Input::Closed { conn, why } => self.closed(now, conn, why),
            Input::Accepted { conn, from, to, .. } => self.accept(now, conn, Carrier::Tcp, from, to),
            Input::Datagram { from, to, bytes } if self.config.utp => self.utp.datagram(now, from, to, bytes),
            Input::Datagram { .. } => {}
            Input::Tick => {
                self.utp.tick(now);
                self.expire(now);
                return Some(input);
            }
            Input::Flushed { conn } => return self.flushed(conn),
            Input::Disk { .. } | Input::Http { .. } | Input::Resolved { .. } | Input::Stop => return Some(input),
        }
        None
    }

    /// The next thing to do or to tell.
    pub fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Above>> {
        loop {
            if let Some(output) = self.outbox.pop(payload) {
                return Some(output);
            }
            match self.utp.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(event) => {
                    if let Some(above) = self.utp_told(now, event, payload) {
                        return Some(Output::Event(above));
                    }
                    payload.clear();
                }
            }
        }
    }

    /// When to be told [`Input::Tick`].
    pub fn deadline(&self) -> Option<Time> {
        let alarm = self.alarms.first().map(|&(at, _)| at);
        alarm.into_iter().chain(self.utp.deadline()).min()
    }

    /// What a uTP leg tells. What is for the mind above as it is, with the bytes in `payload`, comes back.
    fn utp_told(&mut self, now: Time, event: Above, payload: &mut Vec<u8>) -> Option<Above> {
        match event {
            Above::Received { conn, len } => {
                let bytes = std::mem::take(payload);
                let handed = self.received(now, conn, bytes.get(..len).unwrap_or(&bytes));
                let above = match handed {
                    Some(Input::Received { conn, .. }) => Some(Above::Received { conn, len }),
                    _ => None,
                };
                *payload = bytes;
                return above;
            }
            Above::Opened { conn, .. } => self.opened(now, conn),
            Above::Closed { conn, why } => self.closed(now, conn, why),
            Above::Accepted { conn, from, to, .. } => self.accept(now, conn, Carrier::Utp, from, to),
            Above::Flushed { conn } => {
                let conn = self.legs.get(&conn)?.stream;
                return Some(Above::Flushed { conn });
            }
            Above::Rerouted { .. } => {}
        }
        None
    }

    fn expire(&mut self, now: Time) {
        while let Some(&(at, conn)) = self.alarms.first()
            && at <= now
        {
            self.set_alarm(conn, None);
            match self.streams.get(&conn).map(|stream| &stream.phase) {
                Some(Phase::Dialling(_)) => self.climb(now, conn),
                Some(Phase::Open(..)) => self.not_secured(now, conn, Reason::HandshakeTimeout),
                None => {}
            }
        }
    }

    fn set_alarm(&mut self, conn: ConnId, at: Option<Time>) {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        if stream.alarm == at {
            return;
        }
        if let Some(before) = stream.alarm {
            self.alarms.remove(&(before, conn));
        }
        stream.alarm = at;
        if let Some(at) = at {
            self.alarms.insert((at, conn));
        }
    }

    /// Forgets a stream whose legs are gone or going.
    fn forget(&mut self, conn: ConnId) {
        self.set_alarm(conn, None);
        if self.streams.remove(&conn).is_some() && conn.is_accepted() {
            self.accepted -= 1;
        }
    }

    /// Forgets a stream and tells the mind above.
    fn end(&mut self, conn: ConnId, why: Closed) {
        if self.streams.contains_key(&conn) {
            self.forget(conn);
            self.outbox.tell(Above::Closed { conn, why });
        }
    }

    /// Closes a leg from our side.
    fn hang_up(&mut self, now: Time, leg: ConnId) {
        match self.legs.remove(&leg).map(|leg| leg.carrier) {
            Some(Carrier::Tcp) => self.outbox.effect(Effect::Close { conn: leg }),
            Some(Carrier::Utp) => self.utp.close(now, leg),
            None => {}
        }
    }

    /// What a stream is has changed: it is encrypted now, or no more.
    fn reroute(&mut self, conn: ConnId, via: Via) {
        if let Some(stream) = self.streams.get_mut(&conn)
            && stream.via != via
        {
            stream.via = via;
            self.outbox.tell(Above::Rerouted { conn, via });
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({} streams, {} legs)", self.streams.len(), self.legs.len())
    }
}

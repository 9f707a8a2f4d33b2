//! All streams over one datagram socket.

mod call;

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use wire::utp::Header;
use world::{Closed, ConnId, Effect, Output, Seed, Time};

use super::config::Config;
use super::inbox::Inbox;
use super::incoming::Spare;
use super::stats::{Count, Stats};
use super::stream::{Phase, Shared, Stream};
use super::table::{Key, Table};
use crate::Above;

/// RESETs that wait to be polled; more are not sent.
const MAX_RESETS: usize = 64;

/// All uTP streams (BEP 29) over one datagram socket.
///
/// After each call, [`poll`](Self::poll) until nothing comes, as of a [`Machine`](world::Machine).
#[derive(Debug)]
pub struct Socket {
    table: Table,
    shared: Shared,
    rng: ChaCha8Rng,
    /// Slots of streams that may have something to send, in turn.
    ready: VecDeque<u32>,
    resets: VecDeque<Reset>,
    /// RESETs that may still be sent in the second `reset_second`.
    resets_left: u32,
    reset_second: u64,
    accepted: usize,
    half_open: usize,
    /// Streams that strangers opened, so far.
    callers: u64,
}

/// A RESET to be sent.
#[derive(Clone, Copy, Debug)]
struct Reset {
    from: Option<SocketAddr>,
    to: SocketAddr,
    header: Header,
}

impl Socket {
    /// Without a stream yet.
    pub fn new(config: Config, seed: Seed) -> Self {
        let mut rng = seed.derive("utp").rng();
        Self {
            table: Table::new(seed.derive("utp table")),
            ready: VecDeque::new(),
            resets: VecDeque::new(),
            resets_left: config.resets_per_second,
            reset_second: 0,
            accepted: 0,
            half_open: 0,
            callers: 0,
            shared: Shared {
                config,
                stats: Stats::default(),
                inbox: Inbox::default(),
                spare: Spare::default(),
                held: 0,
                epoch: rng.random(),
            },
            rng,
        }
    }

    /// Opens a stream. Answered by [`Above::Opened`] or [`Above::Closed`]; bytes may be written before that.
    pub fn dial(&mut self, now: Time, conn: ConnId, to: SocketAddr) {
        let key = (self.table.len() < self.shared.config.max_streams)
            .then(|| self.fresh_key(to))
            .flatten();
        let slot = key.and_then(|key| {
            let seq_nr = self.rng.random();
            let stream = Stream::dialled(now, key, conn, seq_nr, &self.shared.config);
            self.table.insert(stream)
        });
        match slot {
            Some(slot) => {
                self.shared.stats.counts.count(Count::Dialled);
                self.settle(now, slot);
            }
            None => {
                let why = Closed::NoRoom;
                self.shared.inbox.tell(conn, Above::Closed { conn, why });
            }
        }
    }

    /// A number that no other stream with `remote` has, nor has the next one: it is the other direction's. `None` if
    /// several draws were taken, which means thousands of streams with one endpoint.
    fn fresh_key(&mut self, remote: SocketAddr) -> Option<Key> {
        (0..8)
            .map(|_| Key {
                remote,
                local: None,
                recv_id: self.rng.random(),
            })
            .find(|key| {
                let next = Key {
                    recv_id: key.recv_id.wrapping_add(1),
                    ..*key
                };
                !self.table.has(key) && !self.table.has(&next)
            })
    }

    /// Writes to a stream, after all earlier bytes. Of a stream unknown: nothing, it may just have ended.
    pub fn write(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        if let Some(slot) = self.table.slot_of(conn)
            && let Some(stream) = self.table.get_mut(slot)
        {
            stream.write(now, bytes, &mut self.shared);
            self.settle(now, slot);
        }
    }

    /// Tells [`Above::Flushed`] once no more than a quarter of what may be unacknowledged is: who then writes as if nothing were,
    /// half of it and what goes around that, does not close the stream.
    pub fn report(&mut self, now: Time, conn: ConnId) {
        if let Some(slot) = self.table.slot_of(conn)
            && let Some(stream) = self.table.get_mut(slot)
        {
            stream.reports = true;
            self.settle(now, slot);
        }
    }

    /// Bytes written to a stream that were not acknowledged yet; 0 of a stream unknown. More than
    /// [`Config::send_buffer`] of them close it.
    pub fn unacknowledged(&self, conn: ConnId) -> usize {
        let slot = self.table.slot_of(conn);
        slot.and_then(|slot| self.table.get(slot))
            .map_or(0, Stream::unacknowledged)
    }

    /// Closes a stream, or gives up dialling it. What was written before is still sent if the other side reads it, for
    /// a bounded time. Final: nothing more is told of `conn`.
    pub fn close(&mut self, now: Time, conn: ConnId) {
        // Also where the stream is gone already and its end was not polled yet.
        self.shared.inbox.forget(conn);
        if let Some(slot) = self.table.slot_of(conn) {
            self.table.name(slot, None);
            if let Some(stream) = self.table.get_mut(slot) {
                stream.close(now, &self.shared);
            }
            self.settle(now, slot);
        }
    }

    /// The deadline has come.
    pub fn tick(&mut self, now: Time) {
        while let Some((at, slot)) = self.table.first_alarm() {
            if at > now {
                break;
            }
            let Some(stream) = self.table.get_mut(slot) else {
                break;
            };
            stream.wake(now, &mut self.shared);
            self.settle(now, slot);
        }
    }

    /// When to call [`tick`](Self::tick): exact, nothing is to be done earlier.
    pub fn deadline(&self) -> Option<Time> {
        self.table.first_alarm().map(|(at, _)| at)
    }

    /// The next thing to do or to tell. The bytes of an [`Above::Received`], and the payload of an [`Effect::Send`],
    /// are appended to `payload`. Events come first, so that an answer can go with the acknowledgement.
    pub fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Above>> {
        if let Some(event) = self.shared.inbox.pop(payload) {
            return Some(Output::Event(event));
        }
        while let Some(slot) = self.ready.pop_front() {
            let Some(stream) = self.table.get_mut(slot) else {
                continue;
            };
            stream.queued = false;
            let (from, to) = (stream.key.local, stream.key.remote);
            let len = stream.speak(now, payload, &mut self.shared);
            self.settle(now, slot);
            if let Some(len) = len {
                return Some(Output::Effect(Effect::Send { from, to, len }));
            }
        }
        let Reset { from, to, header } = self.resets.pop_front()?;
        let start = payload.len();
        header.encode(&[], payload);
        self.shared.stats.counts.count(Count::ResetSent);
        self.shared.stats.counts.count(Count::PacketsOut);
        let len = payload.len() - start;
        Some(Output::Effect(Effect::Send { from, to, len }))
    }

    /// After anything happened to a stream: removes it, or sees to it that it is woken and gets its turn.
    fn settle(&mut self, now: Time, slot: u32) {
        let Some(stream) = self.table.get_mut(slot) else {
            return;
        };
        if stream.is_done() {
            self.remove(now, slot);
            return;
        }
        if stream.reports && stream.unacknowledged() <= self.shared.config.send_buffer / 4 {
            stream.reports = false;
            if let Some(conn) = stream.conn {
                self.shared.inbox.tell(conn, Above::Flushed { conn });
            }
        }
        if !stream.queued && stream.may_speak() {
            stream.queued = true;
            self.ready.push_back(slot);
        }
        let (at, left) = (stream.wants(&self.shared.config), stream.is_left());
        self.table.wake(slot, at);
        if left {
            self.table.name(slot, None);
        }
    }

    fn remove(&mut self, now: Time, slot: u32) {
        let Some(stream) = self.table.remove(slot) else {
            return;
        };
        self.shared.held -= stream.held();
        if stream.is_called() {
            self.accepted -= 1;
            self.half_open -= usize::from(stream.phase == Phase::HalfOpen);
        }
        if stream.tell_reset && self.resets.len() < MAX_RESETS {
            self.resets.push_back(Reset {
                from: stream.key.local,
                to: stream.key.remote,
                header: stream.reset(now, &self.shared),
            });
        }
    }

    /// Streams of all kinds: being dialled, half-open, open, ending.
    pub fn streams(&self) -> usize {
        self.table.len()
    }

    /// What was counted so far.
    pub const fn stats(&self) -> &Stats {
        &self.shared.stats
    }
}

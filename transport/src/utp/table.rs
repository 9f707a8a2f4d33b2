//! Streams by slot, by address and by number, and when each wants to be woken.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use world::{ConnId, KeyedMap, Seed, Time};

use super::stream::Stream;

/// What tells the packets of one stream from those of all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) remote: SocketAddr,
    /// The local address that was called, or that a dial named; `None` for a dial that named none.
    pub(super) local: Option<SocketAddr>,
    /// The number in packets to us.
    pub(super) recv_id: u16,
}

impl Key {
    /// That of a packet from `remote` to us at `to`, where the world knows our address.
    pub(super) fn of(remote: SocketAddr, to: SocketAddr, recv_id: u16) -> Self {
        Self {
            remote,
            local: (!to.ip().is_unspecified()).then_some(to),
            recv_id,
        }
    }
}

/// All streams. Slots are used again, so it is as large as the most there ever were at once.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    by_key: KeyedMap<Key, u32>,
    by_conn: KeyedMap<ConnId, u32>,
    timers: BTreeSet<(Time, u32)>,
}

impl Table {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: KeyedMap::with_hasher(seed.derive("keys").hasher()),
            by_conn: KeyedMap::with_hasher(seed.derive("numbers").hasher()),
            timers: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// The slot of the stream that a packet with this key belongs to: one of just that key, or else one that we dialled
    /// without naming an address.
    pub(super) fn find(&self, called: Key) -> Option<u32> {
        let dialled = Key { local: None, ..called };
        let slot = self.by_key.get(&called).or_else(|| self.by_key.get(&dialled));
        slot.copied()
    }

    pub(super) fn slot_of(&self, conn: ConnId) -> Option<u32> {
        self.by_conn.get(&conn).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Stream> {
        self.slots.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }

    /// Takes a stream in. `None` if there are as many as numbers for slots.
    pub(super) fn insert(&mut self, stream: Stream) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(None);
                slot
            }
        };
        self.by_key.insert(stream.key, slot);
        if let Some(conn) = stream.conn {
            self.by_conn.insert(conn, slot);
        }
        *self.slots.get_mut(usize::try_from(slot).ok()?)? = Some(stream);
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Stream> {
        let stream = self.slots.get_mut(usize::try_from(slot).ok()?)?.take()?;
        self.by_key.remove(&stream.key);
        if let Some(conn) = stream.conn {
            self.by_conn.remove(&conn);
        }
        self.timers.remove(&(stream.alarm, slot));
        self.free.push(slot);
        Some(stream)
    }

    /// The stream in `slot` goes by the number `conn` from now on, or by none.
    pub(super) fn name(&mut self, slot: u32, conn: Option<ConnId>) {
        let Some(stream) = self.get_mut(slot) else {
            return;
        };
        let before = std::mem::replace(&mut stream.conn, conn);
        if let Some(before) = before {
            self.by_conn.remove(&before);
        }
        if let Some(conn) = conn {
            self.by_conn.insert(conn, slot);
        }
    }

    /// Wakes `slot` at `at` and not before; never, if that is [`Time::MAX`].
    pub(super) fn wake(&mut self, slot: u32, at: Time) {
        let Some(stream) = self.get_mut(slot) else {
            return;
        };
        let before = std::mem::replace(&mut stream.alarm, at);
        if before == at {
            return;
        }
        self.timers.remove(&(before, slot));
        if at != Time::MAX {
            self.timers.insert((at, slot));
        }
    }

    /// The earliest alarm.
    pub(super) fn first_alarm(&self) -> Option<(Time, u32)> {
        self.timers.first().copied()
    }
}

//! Which peer to ask, for many infohashes at once.
//!
//! A *hunt* is one infohash in work, a *talk* one connection. Who is dialled when and how a hunt ends is in `pursuit`, what
//! happens on a connection in `talk`, what becomes of what it brings in `gather`; this file joins them and dispatches. Whatever changes what a hunt could do puts
//! it in the queue `awake`; the queue is worked off before control returns to the world, so nothing waits for a timer
//! that could go on now, and no timer fires for what cannot.

mod books;
mod callers;
mod gather;
mod hosts;
mod hunt;
mod luck;
mod meetings;
mod memory;
mod outbox;
mod peers;
mod pursuit;
mod room;
mod shelf;
mod side;
mod talk;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::RngExt;
use wire::{InfoHash, PeerId, metainfo, ut_pex};
use world::{ConnId, ConnMap, Input, KeyedMap, Machine, Member, Output, Seed, Tally, Time, Via};

use crate::{Config, Ending, Event, Failure, Stage, Stats};
use callers::Given;
use hosts::{Host, Hosts};
use hunt::Hunt;
use luck::Luck;
use meetings::Progress;
use memory::Memory;
pub use memory::Standing;
use outbox::Outbox;
use room::Room;
use shelf::Shelf;
use side::{End, Side};
use talk::Talk;
use timers::{Alarm, Timers};

/// Fetches the info dictionaries of many infohashes from their peers.
///
/// For each infohash: [`start`](Self::start), [`offer`](Self::offer) for every peer that is named, and
/// [`no_more_peers`](Self::no_more_peers) when nobody will name another; then one [`Event::Metadata`] or
/// [`Event::GaveUp`].
#[derive(Debug)]
pub struct Pool {
    config: Config,
    peer_id: PeerId,
    hunts: KeyedMap<InfoHash, Hunt>,
    talks: ConnMap<Talk>,
    /// Connections that are no talks.
    sides: ConnMap<Side>,
    /// Those of them that are listened to.
    listeners: usize,
    next_conn: u64,
    /// Connections that may be held: the configured number, or fewer while the world has no room for more.
    max_talks: usize,
    /// Dials that the world allows for now; all, if it never said.
    dials_allowed: usize,
    hosts: Hosts,
    /// What others may have of us.
    shelf: Shelf,
    given: Given,
    /// The port on which the world listens for us.
    listen_port: Option<u16>,
    memory: Memory,
    luck: Luck,
    room: Room,
    timers: Timers,
    /// Hunts to be looked at, each once.
    awake: VecDeque<InfoHash>,
    /// Hosts whose connection ended, for those who wait for them.
    freed: VecDeque<Host>,
    /// Hunts that wait for a free connection, each once, in order.
    hungry: VecDeque<InfoHash>,
    outbox: Outbox,
    stopping: bool,
    stats: Stats,
}

impl Pool {
    /// A pool that has nothing to do yet. All chance in it comes from `seed`.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self {
            peer_id: draw_peer_id(config.peer_id_prefix, seed),
            hunts: KeyedMap::with_hasher(seed.derive("fetcher hunts").hasher()),
            talks: ConnMap::default(),
            sides: ConnMap::default(),
            listeners: 0,
            next_conn: 0,
            max_talks: config.max_connections,
            dials_allowed: usize::MAX,
            hosts: Hosts::new(seed.derive("fetcher hosts")),
            shelf: Shelf::new(&config.serving, seed.derive("fetcher shelf")),
            given: Given::new(seed.derive("fetcher given")),
            listen_port: None,
            memory: Memory::new(config.memory, seed.derive("fetcher memory")),
            luck: Luck::default(),
            room: Room::new(config.limits.assembly_bytes),
            timers: Timers::new(seed.derive("fetcher timers")),
            awake: VecDeque::new(),
            freed: VecDeque::new(),
            hungry: VecDeque::new(),
            outbox: Outbox::default(),
            stopping: false,
            stats: Stats::default(),
            config,
        }
    }

    /// Takes an infohash in work. One that is in work already goes on as it was. Without a free slot, or after
    /// [`Input::Stop`], it is given up at once.
    pub fn start(&mut self, now: Time, info_hash: InfoHash) {
        if self.hunts.contains_key(&info_hash) {
            return;
        }
        self.stats.started += 1;
        if self.stopping || self.slots_free() == 0 {
            let why = if self.stopping {
                Ending::Cancelled
            } else {
                Ending::NoSlot
            };
            self.give_up(info_hash, why, 0, Tally::new());
            return;
        }
        let hunt = Hunt::new(now, self.config.deadlines.total, &self.config.dialling);
        self.timers.set(Alarm::Hunt(info_hash), hunt.deadline);
        self.hunts.insert(info_hash, hunt);
    }

    /// Somebody names a peer of an infohash in work; of any other it is ignored. Naming a peer again is a vote for it.
    /// Whether the address may be dialled at all is for the caller to know.
    pub fn offer(&mut self, info_hash: InfoHash, peer: SocketAddr) {
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        match hunt.peers.offer(peer) {
            peers::Offered::New => self.stats.funnel.count(Stage::Known),
            peers::Offered::Vote => return,
            peers::Offered::Surplus => {
                self.stats.surplus += 1;
                return;
            }
        }
        self.wake(info_hash);
    }

    /// A peer of this infohash named another, as [`Event::Named`] told, and it may be dialled. `flags` are what was said
    /// of it there.
    pub fn offer_named(&mut self, info_hash: InfoHash, peer: SocketAddr, by: SocketAddr, flags: u8) {
        self.offer(info_hash, peer);
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        hunt.peers.was_named(peer, by, flags & ut_pex::flag::SEED != 0);
        let called = hunt.meetings.iter_mut().find(|met| **met == (peer, Progress::Called));
        if let Some((_, progress)) = called {
            *progress = Progress::Met;
            hunt.peers.meet(peer);
            self.wake(info_hash);
        }
    }

    /// The world listens for us on this port: peers are told of it, and what is fetched is kept for them.
    pub fn set_listen_port(&mut self, port: u16) {
        self.listen_port = Some(port).filter(|&port| port != 0);
    }

    /// Keeps an info dictionary for others, if its hash is right: whether it is.
    pub fn shelve(&mut self, info_hash: InfoHash, raw: Arc<Vec<u8>>) -> bool {
        let is_right = metainfo::matches(&raw, &info_hash);
        if is_right {
            self.shelf.put(info_hash, raw);
        }
        is_right
    }

    /// The transport reaches the peer of an open connection another way than it did: it is counted there from now on, and
    /// with all that it came to before.
    pub fn rerouted(&mut self, conn: ConnId, via: Via) {
        let Some(talk) = self.talks.get_mut(&conn) else {
            if let Some(side) = self.sides.get_mut(&conn) {
                side.via = via;
            }
            return;
        };
        let Some(before) = talk.reroute(via) else {
            return;
        };
        for &stage in Stage::ALL.iter().filter(|&&stage| talk.has_counted(stage)) {
            self.stats.via_mut(before).funnel[stage] -= 1;
            self.stats.via_mut(via).funnel.count(stage);
        }
    }

    /// Nobody will name another peer: the infohash is given up when those that are known were tried.
    pub fn no_more_peers(&mut self, info_hash: InfoHash) {
        if let Some(hunt) = self.hunts.get_mut(&info_hash) {
            hunt.no_more_peers = true;
            self.wake(info_hash);
        }
    }

    /// No more than so many dials until this is called again: whoever would dial waits. It is the caller who polls again when there
    /// is room.
    pub const fn allow_dials(&mut self, dials: usize) {
        self.dials_allowed = dials;
    }

    /// Whether another connection may be begun.
    fn may_dial(&self) -> bool {
        self.talks.len() < self.max_talks && self.dials_allowed > 0
    }

    /// Gives up an infohash, as [`Ending::Cancelled`].
    pub fn cancel(&mut self, now: Time, info_hash: InfoHash) {
        self.end_hunt(now, info_hash, Ending::Cancelled, Failure::Cancelled);
    }

    /// Infohashes that can be started now.
    pub fn slots_free(&self) -> usize {
        self.config.slots.saturating_sub(self.hunts.len())
    }

    /// Whether no infohash is in work.
    pub fn is_idle(&self) -> bool {
        self.hunts.is_empty()
    }

    /// Connections held, being dialled or open.
    pub fn connections(&self) -> usize {
        self.talks.len() + self.sides.len()
    }

    /// Bytes of info dictionaries kept for others.
    pub fn shelf_bytes(&self) -> usize {
        self.shelf.bytes()
    }

    /// Bytes reserved for info dictionaries being assembled.
    pub fn assembly_bytes(&self) -> u64 {
        self.room.used()
    }

    /// What is to be expected of an endpoint.
    pub fn standing(&self, now: Time, peer: SocketAddr) -> Standing {
        self.memory.standing(now, peer)
    }

    /// What we call ourselves in handshakes.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Counters since the start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Does everything that has become possible, until nothing more has. Called when the outbox is empty.
    fn settle(&mut self, now: Time) {
        loop {
            if let Some(info_hash) = self.awake.pop_front() {
                self.pursue(now, info_hash);
            } else if let Some(host) = self.freed.pop_front() {
                self.host_is_free(host);
            } else if self.may_dial()
                && let Some(info_hash) = self.hungry.pop_front()
            {
                if let Some(hunt) = self.hunts.get_mut(&info_hash) {
                    hunt.hungry = false;
                }
                self.wake(info_hash);
            } else if let Some(conn) = self.room.admit() {
                self.assemble(now, conn);
            } else {
                return;
            }
        }
    }

    fn wake(&mut self, info_hash: InfoHash) {
        if let Some(hunt) = self.hunts.get_mut(&info_hash)
            && !hunt.awake
        {
            hunt.awake = true;
            self.awake.push_back(info_hash);
        }
    }

    /// Ends every phase and hunt whose time is over.
    fn expire(&mut self, now: Time) {
        while let Some(alarm) = self.timers.pop_due(now) {
            match alarm {
                Alarm::Talk(conn) => self.talk_expired(now, conn),
                Alarm::Hunt(info_hash) => self.hunt_alarm(now, info_hash),
            }
        }
    }

    fn stop(&mut self, now: Time) {
        self.stopping = true;
        let mut all: Vec<_> = self.hunts.keys().copied().collect();
        // The order of a map is nobody's business.
        all.sort_unstable();
        for info_hash in all {
            self.end_hunt(now, info_hash, Ending::Cancelled, Failure::Cancelled);
        }
        let mut others: Vec<_> = self.sides.keys().copied().collect();
        others.sort_unstable();
        for conn in others {
            self.leave_side(now, conn, End::Over);
        }
    }

    fn note_connections(&mut self) {
        self.stats.most_connections = self.stats.most_connections.max(self.connections());
    }
}

impl Machine for Pool {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Opened { conn, via } => self.opened(now, conn, via),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn, why } => self.closed(now, conn, why),
            Input::Accepted { conn, from, via, .. } => self.accepted(now, conn, from, via),
            Input::Stop => self.stop(now),
            // It asks for nothing that these answer.
            Input::Flushed { .. } | Input::Disk { .. } | Input::Http { .. } | Input::Resolved { .. } => {}
            Input::Tick | Input::Datagram { .. } => {}
        }
        self.expire(now);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        // Only when all that was told has been told: who is dialled is chosen among all peers of an answer, not the first.
        self.outbox.pop(payload).or_else(|| {
            self.settle(now);
            self.outbox.pop(payload)
        })
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }
}

/// `prefix` and 12 letters or digits (PWP-08): the same for a run, another in the next.
fn draw_peer_id(prefix: [u8; 8], seed: Seed) -> PeerId {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rng = seed.derive("fetcher peer id").rng();
    let mut id = [0; 20];
    for (at, byte) in id.iter_mut().enumerate() {
        let drawn = ALPHABET.get(rng.random_range(0..ALPHABET.len()));
        *byte = prefix.get(at).or(drawn).copied().unwrap_or(b'0');
    }
    PeerId::new(id)
}

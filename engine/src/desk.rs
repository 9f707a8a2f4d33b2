//! What all torrents of an engine share.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::rngs::ChaCha8Rng;
use wire::PeerId;
use world::{ConnId, ConnMap, Effect, JobId, StoreId, Time};

use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::picker::Slot;
use crate::progress::Held;
use crate::roster::Ours;
use crate::status::Totals;
use crate::torrent::Link;
use crate::{Config, Event, PeerKey, TorrentId};

/// See the module.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) outbox: Outbox,
    /// Memory for blocks that wait to be hashed.
    pub(crate) held: Held,
    pub(crate) limits: Limits,
    pub(crate) peer_id: PeerId,
    /// Where others see us.
    pub(crate) external: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    /// Where strangers can call us.
    pub(crate) listen_port: Option<u16>,
    pub(crate) rng: ChaCha8Rng,
    /// Connections to peers, those being dialled among them.
    pub(crate) connections: usize,
    pub(crate) half_open: usize,
    next_conn: u64,
    /// Dials that may be made now.
    pub(crate) pace: Pace,
    /// Content that the disk was asked to write, and has not, bytes.
    pub(crate) unwritten: usize,
    /// Nobody was asked for more because of that.
    pub(crate) disk_was_full: bool,
    /// The disk has room again: everybody is to be asked.
    pub(crate) ask_again: bool,
    /// Peers to whom something is to be said when all that came in is handled.
    pub(crate) speaking: VecDeque<(TorrentId, PeerKey)>,
    pub(crate) totals: Totals,
    /// When somebody who waits for a limit has a turn.
    pub(crate) limits_due: Option<Time>,
    /// Torrents whose web seeds may have something to ask.
    pub(crate) web_work: VecDeque<TorrentId>,
    /// When a torrent has something to note that should not wait for the next pulse.
    pub(crate) notes_due: Option<Time>,
    /// Torrents of which it is known now what is at hand: trackers may be told.
    pub(crate) ready: Vec<TorrentId>,
    /// Torrents whose download has just become complete.
    pub(crate) completed: Vec<TorrentId>,
    /// Peers that are served, and how many may be.
    pub(crate) unchoked: usize,
    pub(crate) slots_now: usize,
    /// Nothing new is begun.
    pub(crate) stopping: bool,
    /// Whose each connection is.
    pub(crate) links: ConnMap<Link>,
    /// Lent to what needs a list for a moment.
    pub(crate) keys: Vec<PeerKey>,
    pub(crate) slots: Vec<Slot>,
}

impl Desk {
    pub(crate) fn new(config: Config, peer_id: PeerId, rng: ChaCha8Rng) -> Self {
        Self {
            outbox: Outbox::default(),
            held: Held::new(config.limits.held),
            limits: Limits::new(config.limiter, config.rates, config.exempt_local),
            peer_id,
            external: (None, None),
            listen_port: None,
            rng,
            connections: 0,
            half_open: 0,
            next_conn: config.first_conn,
            pace: Pace::new(Time::ZERO, config.pace),
            unwritten: 0,
            disk_was_full: false,
            ask_again: false,
            speaking: VecDeque::new(),
            totals: Totals::default(),
            limits_due: None,
            web_work: VecDeque::new(),
            notes_due: None,
            ready: Vec::new(),
            completed: Vec::new(),
            unchoked: 0,
            slots_now: 0,
            stopping: false,
            links: ConnMap::default(),
            keys: Vec::new(),
            slots: Vec::new(),
            config,
        }
    }

    /// What the order of dialling depends on, of a torrent that wants something.
    pub(crate) fn ours(&self) -> Ours {
        Ours {
            v4: self.external.0,
            v6: self.external.1,
            port: self.listen_port.unwrap_or(0),
            finished: false,
        }
    }

    /// A number for a connection that we dial.
    pub(crate) fn fresh_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    /// Whether another peer may be dialled now.
    pub(crate) fn may_dial(&self, now: Time) -> bool {
        !self.stopping && self.pace.may_dial(now, self.half_open, self.connections)
    }

    pub(crate) fn disk(&mut self, store: StoreId, job: JobId, op: world::DiskOp, bytes: &[u8]) {
        self.outbox.effect_with(Effect::Disk { store, job, op }, bytes);
    }

    /// Others see us at this address.
    pub(crate) fn seen_at(&mut self, ip: IpAddr) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.external.0 = Some(ip),
            IpAddr::V6(ip) => self.external.1 = Some(ip),
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.outbox.tell(event);
    }
}

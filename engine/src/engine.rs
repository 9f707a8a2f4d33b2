//! The engine: all torrents, who calls, who is served, and the one [`Machine`] that the world sees.

mod owner;
mod rounds;
mod strangers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use wire::{InfoHash, PeerId, lsd};
use world::{Closed, ConnId, Done, Input, JobId, KeyedMap, Machine, Output, Seed, Time, WebId};

use crate::announce::{Announcer, Told};
use crate::choker::{AutoSlots, Candidate, Choker, Unchoke};
use crate::desk::Desk;
use crate::lsd::Lsd;
use crate::roster::Sources;
use crate::torrent::{Link, Torrent, Whom};
use crate::{Config, Event, TorrentId, TrackerNews};

pub use owner::{Add, AddError, JournalPlace};

/// How often torrents are looked after.
const PULSE: Duration = Duration::from_secs(1);

/// Downloads and serves any number of torrents.
///
/// [`add`](Self::add) them, tell of peers by [`offer_peer`](Self::offer_peer), and hear of them by [`Event`]s and
/// [`status`](Self::status).
#[derive(Debug)]
pub struct Engine {
    desk: Desk,
    /// By number; `None` once it is gone.
    torrents: Vec<Option<Box<Torrent>>>,
    by_hash: KeyedMap<InfoHash, TorrentId>,
    announcer: Announcer,
    /// The network at hand, if it is asked.
    lsd: Option<Lsd>,
    choker: Choker<Whom>,
    auto_slots: AutoSlots,
    candidates: Vec<Candidate<Whom>>,
    chosen: Vec<Unchoke<Whom>>,
    rates: Vec<u64>,
    /// Strangers of whom it is not known yet which torrent they call about, the first that came first.
    strangers: VecDeque<ConnId>,
    next_pulse: Option<Time>,
    /// When what is not done by then is left.
    leave_by: Option<Time>,
    stopped: bool,
    seed: Seed,
}

impl Engine {
    /// An engine without a torrent. All chance in it comes from `seed`.
    pub fn new(config: Config, seed: Seed) -> Self {
        let seed = seed.derive("engine");
        let mut rng = seed.derive("draws").rng();
        let peer_id = draw_peer_id(config.peer_id_prefix, &mut rng);
        Self {
            announcer: Announcer::new(config.announce.clone(), seed, config.first_web),
            lsd: config.lsd.map(|lsd| Lsd::new(lsd, config.announce.port, seed)),
            choker: Choker::new(config.choking),
            auto_slots: AutoSlots::new(config.slots),
            desk: Desk::new(config, peer_id, rng),
            torrents: Vec::new(),
            by_hash: KeyedMap::with_hasher(seed.derive("names").hasher()),
            candidates: Vec::new(),
            chosen: Vec::new(),
            rates: Vec::new(),
            strangers: VecDeque::new(),
            next_pulse: None,
            leave_by: None,
            stopped: false,
            seed,
        }
    }

    fn torrent(&self, id: TorrentId) -> Option<&Torrent> {
        self.torrents.get(id.0 as usize)?.as_deref()
    }

    fn with(&mut self, id: TorrentId) -> Option<(&mut Torrent, &mut Desk)> {
        let torrent = self.torrents.get_mut(id.0 as usize)?.as_deref_mut()?;
        Some((torrent, &mut self.desk))
    }

    fn opened(&mut self, now: Time, conn: ConnId, via: world::Via) {
        if let Some(&Link::Peer(id, key)) = self.desk.links.get(&conn)
            && let Some((torrent, desk)) = self.with(id)
        {
            torrent.opened(desk, now, key, via);
        }
    }

    fn received(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        match self.desk.links.get(&conn) {
            Some(&Link::Peer(id, key)) => {
                if let Some((torrent, desk)) = self.with(id) {
                    torrent.received(desk, now, key, bytes);
                }
            }
            Some(Link::Stranger { .. }) => self.stranger_says(now, conn, bytes),
            None => {}
        }
    }

    fn closed(&mut self, now: Time, conn: ConnId, why: Closed) {
        match self.desk.links.remove(&conn) {
            Some(Link::Peer(id, key)) => {
                if let Some((torrent, desk)) = self.with(id) {
                    torrent.closed(desk, now, key, why);
                }
            }
            Some(Link::Stranger { .. }) => self.strangers.retain(|stranger| *stranger != conn),
            None => {}
        }
    }

    fn flushed(&mut self, now: Time, conn: ConnId) {
        if let Some(&Link::Peer(id, key)) = self.desk.links.get(&conn)
            && let Some((torrent, desk)) = self.with(id)
        {
            torrent.flushed(desk, now, key);
        }
    }

    fn answered(&mut self, now: Time, job: JobId, done: Done<'_>) {
        let (id, number) = Torrent::of_job(job);
        if let Some((torrent, desk)) = self.with(id) {
            torrent.answered(desk, now, number, done);
        }
    }

    fn web(&mut self, now: Time, id: WebId, input: Input<'_>) {
        if self.announcer.claims(id) {
            self.announcer.handle(now, input);
        } else if let Input::Http { part, .. } = input
            && let Some((torrent, desk)) = self.with(Torrent::of_web(id))
        {
            torrent.web_says(desk, now, id, part);
        }
    }

    /// What a tracker says.
    fn tracker_says(&mut self, now: Time, told: Told) {
        let (torrent, news) = match told {
            Told::Peers { torrent, peers, .. } => {
                let id = owner::of_swarm(torrent);
                for addr in peers {
                    // Of a torrent that is only announced, its owner knows what to do with them.
                    match self.torrent(id) {
                        Some(_) => self.offer_peer(now, id, addr, Sources::TRACKER),
                        None => self.desk.tell(Event::Named(id, addr, false)),
                    }
                }
                return;
            }
            Told::ExternalIp { ip, .. } => {
                self.desk.seen_at(ip);
                return self.desk.tell(Event::ExternalIp(ip));
            }
            Told::Announced {
                torrent,
                tracker,
                peers,
                ..
            } => {
                let url = tracker.to_string();
                (torrent, TrackerNews::Answered { url, peers })
            }
            Told::Warning {
                torrent,
                tracker,
                message,
            } => {
                let (url, text) = (tracker.to_string(), message);
                (torrent, TrackerNews::Warned { url, text })
            }
            Told::Failed {
                torrent,
                tracker,
                failure,
                ..
            } => {
                let (url, why) = (tracker.to_string(), failure.to_string());
                (torrent, TrackerNews::Failed { url, why })
            }
            Told::Asking { .. } | Told::Counts { .. } | Told::ScrapeFailed { .. } => return,
        };
        self.desk.tell(Event::Tracker(owner::of_swarm(torrent), news));
    }

    /// Somebody in the network at hand announces torrents (BEP 14).
    fn neighbour_says(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Some(lsd) = &mut self.lsd else { return };
        let (by_hash, desk) = (&self.by_hash, &mut self.desk);
        lsd.handle(now, from, to, bytes, |info_hash, peer| {
            if let Some(&id) = by_hash.get(&info_hash) {
                desk.tell(Event::Neighbour(id, peer));
            }
        });
    }

    /// What was decided in the torrents and concerns more than one of them.
    fn settle(&mut self, now: Time) {
        while let Some(id) = self.desk.ready.pop() {
            for swarm in owner::swarms(id) {
                self.announcer.resume(now, swarm);
            }
        }
        while let Some(id) = self.desk.completed.pop() {
            for swarm in owner::swarms(id) {
                self.announcer.completed(now, swarm);
            }
        }
        if std::mem::take(&mut self.desk.ask_again) {
            for torrent in self.torrents.iter_mut().flatten() {
                torrent.ask_all(&mut self.desk, now);
            }
        }
    }

    /// The next to be said to a peer.
    fn say(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        while let Some((id, key)) = self.desk.speaking.pop_front() {
            let Some((torrent, desk)) = self.with(id) else { continue };
            if let Some((write, report)) = torrent.say(key, now, payload) {
                if let Some(report) = report {
                    desk.outbox.effect(report);
                }
                return Some(Output::Effect(write));
            }
        }
        None
    }
}

impl Machine for Engine {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Disk { job, done } => self.answered(now, job, done),
            Input::Flushed { conn } => self.flushed(now, conn),
            Input::Opened { conn, via } => self.opened(now, conn, via),
            Input::Accepted { conn, from, via, .. } => self.called(now, conn, from, via),
            Input::Closed { conn, why } => self.closed(now, conn, why),
            Input::Http { id, .. } | Input::Resolved { id, .. } => self.web(now, id, input),
            Input::Datagram { from, to, bytes } if lsd::is_group(&to) => self.neighbour_says(now, from, to, bytes),
            Input::Datagram { .. } => self.announcer.handle(now, input),
            Input::Stop => self.stop(now),
            Input::Tick => self.announcer.handle(now, input),
        }
        self.rounds(now);
        self.settle(now);
        self.desk.limits_due = self.desk.limits.deadline();
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        loop {
            if let Some(output) = self.desk.outbox.pop(payload) {
                if let Output::Event(Event::Removed(id)) = output {
                    self.forget(id);
                }
                return Some(output);
            }
            if let Some(output) = self.say(now, payload) {
                return Some(output);
            }
            if let Some(effect) = self.fetch_from_webseeds(payload) {
                return Some(Output::Effect(effect));
            }
            if let Some(effect) = self.lsd.as_mut().and_then(|lsd| lsd.poll(now, payload)) {
                return Some(Output::Effect(effect));
            }
            let torrents = &self.torrents;
            let stats = |torrent: u32| owner::stats(torrents, torrent);
            match self.announcer.poll(now, payload, stats) {
                Some(Output::Effect(effect)) => return Some(Output::Effect(effect)),
                Some(Output::Event(told)) => self.tracker_says(now, told),
                None => return self.over(now).map(Output::Event),
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        let next = [
            self.next_pulse,
            self.announcer.deadline(),
            self.leave_by,
            self.desk.limits_due,
            self.desk.notes_due,
            self.lsd.as_ref().and_then(Lsd::deadline),
        ];
        next.into_iter().flatten().min()
    }
}

/// Our name for ourselves in this run (BEP 20).
fn draw_peer_id(prefix: [u8; 8], rng: &mut rand::rngs::ChaCha8Rng) -> PeerId {
    const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = [0; 20];
    let drawn = std::iter::repeat_with(|| SIGNS.get(rng.random_range(0..SIGNS.len())).copied().unwrap_or(b'0'));
    let signs = prefix.into_iter().chain(drawn);
    id.iter_mut().zip(signs).for_each(|(slot, sign)| *slot = sign);
    PeerId::new(id)
}

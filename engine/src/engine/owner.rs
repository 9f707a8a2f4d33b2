//! What an owner can do with an engine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use wire::{InfoHash, PeerId};
use world::disk::Allocation;
use world::{ConnId, Time, Via};

use super::{Engine, PULSE};
use crate::announce::{Stats, Swarm, TrackerStatus};
use crate::hashes::Hashes;
use crate::journal::Resume;
use crate::layout::{Layout, LayoutError};
use crate::picker::Order;
use crate::roster::Sources;
use crate::status::{PeerStatus, Status, Totals};
use crate::torrent::{Link, Torrent, Verify};
use crate::{Rates, State, TorrentId};

/// Where a torrent's journal is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalPlace {
    /// The folder.
    pub folder: String,
    /// The name of the file in it.
    pub file: String,
}

/// A torrent to be added (SES-04).
#[derive(Debug)]
pub struct Add {
    /// Its pieces and files, made from its info dictionary.
    pub layout: Layout,
    /// Its hash trees, if it is of v2.
    pub hashes: Option<Hashes>,
    /// Its name in the swarm, and the other one of a hybrid (BEP 52).
    pub info_hash: InfoHash,
    /// See [`info_hash`](Self::info_hash).
    pub other_hash: Option<InfoHash>,
    /// What people call it.
    pub name: String,
    /// Peers come from its trackers alone (BEP 27).
    pub private: bool,
    /// Where its files are, or are to be.
    pub folder: String,
    /// The level of each file, 0 (not wanted) to 7; empty for all alike (PICK-08).
    pub levels: Vec<u8>,
    /// How room is made for its files.
    pub allocation: Allocation,
    /// Where its journal is, if it is to have one.
    pub journal: Option<JournalPlace>,
    /// What the journal says.
    pub resume: Option<Resume>,
    /// How far that is believed.
    pub verify: Verify,
    /// It is to wait for [`Engine::resume`].
    pub paused: bool,
    /// Its trackers, in tiers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Its web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// The order in which pieces are begun.
    pub order: Order,
}

/// Why a torrent is not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AddError {
    /// It is here already (SES-05).
    #[error("this torrent is here already")]
    Duplicate(TorrentId),
    /// The engine is leaving.
    #[error("the engine is leaving")]
    Leaving,
}

impl Engine {
    /// Adds a torrent, and begins with it.
    ///
    /// # Errors
    ///
    /// [`AddError`] if it is here, or the engine is leaving.
    pub fn add(&mut self, now: Time, mut add: Add) -> Result<TorrentId, AddError> {
        let names = [Some(add.info_hash), add.other_hash];
        if let Some(&id) = names.iter().flatten().find_map(|name| self.by_hash.get(name)) {
            return Err(AddError::Duplicate(id));
        }
        if self.desk.stopping {
            return Err(AddError::Leaving);
        }
        let id = TorrentId(u32::try_from(self.torrents.len()).unwrap_or(u32::MAX));
        for name in names.into_iter().flatten() {
            self.by_hash.insert(name, id);
        }
        let trackers = std::mem::take(&mut add.trackers);
        let web_seeds = std::mem::take(&mut add.web_seeds);
        let order = add.order;
        let seed = self.seed.derive_number("torrent", id.0.into());
        let mut torrent = Torrent::new(now, id, add, &mut self.desk, seed);
        torrent.set_order(order);
        torrent.add_webseeds(&self.desk, now, &web_seeds);
        // A hybrid has two swarms (BEP 52).
        for (swarm, name) in swarms(id).into_iter().zip(names.into_iter().flatten()) {
            self.announcer.add(now, swarm, self.swarm(name), &trackers);
            // Until it is known what is at hand: trackers are told what is left, and for half an hour nothing else.
            self.announcer.pause(now, swarm, Self::no_stats());
        }
        if !torrent.paused {
            torrent.open(&mut self.desk);
        }
        if let Some(lsd) = &mut self.lsd {
            for name in names.into_iter().flatten() {
                lsd.add(now, name, torrent.private);
            }
        }
        self.torrents.push(Some(Box::new(torrent)));
        self.next_pulse.get_or_insert(now + PULSE);
        Ok(id)
    }

    /// Asks trackers for peers of a torrent of which nothing else is known yet: each is told as
    /// [`Event::Named`](crate::Event::Named), until [`Engine::remove`].
    pub fn announce_only(&mut self, now: Time, info_hash: InfoHash, trackers: &[Vec<String>]) -> TorrentId {
        let id = TorrentId(u32::try_from(self.torrents.len()).unwrap_or(u32::MAX));
        self.torrents.push(None);
        self.announcer.add(now, id.0, self.swarm(info_hash), trackers);
        id
    }

    fn swarm(&self, info_hash: InfoHash) -> Swarm {
        Swarm {
            info_hash,
            peer_id: self.desk.peer_id,
            login: None,
        }
    }

    /// Somebody names a peer of a torrent. Whether the address may be dialled at all is for the caller to know.
    pub fn offer_peer(&mut self, now: Time, id: TorrentId, addr: SocketAddr, source: Sources) {
        if let Some((torrent, desk)) = self.with(id) {
            torrent.learn_peer(now, addr, source);
            torrent.dial(desk, now);
        }
    }

    /// Stops a torrent; [`Event::Paused`](crate::Event::Paused) says when all is saved. Whether there is one.
    pub fn pause(&mut self, now: Time, id: TorrentId) -> bool {
        let stats = stats(&self.torrents, id.0);
        for swarm in swarms(id) {
            self.announcer.pause(now, swarm, stats);
        }
        self.with(id).map(|(torrent, desk)| torrent.pause(desk, now)).is_some()
    }

    /// Goes on with a torrent that is paused, or that the disk failed.
    pub fn resume(&mut self, now: Time, id: TorrentId) -> bool {
        self.with(id).map(|(torrent, desk)| torrent.resume(desk, now)).is_some()
    }

    /// Removes a torrent, with its files or without; [`Event::Removed`](crate::Event::Removed) says when.
    pub fn remove(&mut self, now: Time, id: TorrentId, delete_files: bool) -> bool {
        let stats = stats(&self.torrents, id.0);
        for swarm in swarms(id) {
            self.announcer.remove(now, swarm, stats);
        }
        self.with(id)
            .map(|(torrent, desk)| torrent.remove(desk, now, delete_files))
            .is_some()
    }

    pub(super) fn forget(&mut self, id: TorrentId) {
        if let Some(torrent) = self.torrents.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_hash.remove(&torrent.info_hash);
            torrent.other_hash.iter().for_each(|name| {
                self.by_hash.remove(name);
            });
            torrent.leave_limits(&mut self.desk);
            if let Some(lsd) = &mut self.lsd {
                lsd.remove(torrent.info_hash);
                torrent.other_hash.iter().for_each(|name| lsd.remove(*name));
            }
        }
    }

    /// Hashes everything of a torrent that is on disk (STO-22).
    pub fn recheck(&mut self, now: Time, id: TorrentId) -> bool {
        self.with(id)
            .map(|(torrent, desk)| torrent.recheck(desk, now))
            .is_some()
    }

    /// Announces a torrent to its trackers at once.
    pub fn reannounce(&mut self, now: Time, id: TorrentId) {
        for swarm in swarms(id) {
            self.announcer.reannounce(now, swarm, Duration::ZERO);
        }
    }

    /// Sets the levels of all files of a torrent (PICK-08).
    pub fn set_levels(&mut self, now: Time, id: TorrentId, levels: Vec<u8>) -> bool {
        self.with(id)
            .map(|(torrent, desk)| torrent.set_levels(desk, now, levels))
            .is_some()
    }

    /// Sets the order in which pieces are begun.
    pub fn set_order(&mut self, id: TorrentId, order: Order) -> bool {
        self.with(id).map(|(torrent, _)| torrent.set_order(order)).is_some()
    }

    /// Gives a file of a torrent another path below its folder (STO-24).
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the path is no good, or another file's.
    pub fn rename_file(&mut self, id: TorrentId, file: u32, path: &str) -> Result<(), LayoutError> {
        match self.with(id) {
            Some((torrent, desk)) => torrent.rename_file(desk, file, path),
            None => Ok(()),
        }
    }

    /// Moves the files of a torrent to another folder (STO-23).
    pub fn move_storage(&mut self, id: TorrentId, folder: &str) -> bool {
        self.with(id)
            .map(|(torrent, desk)| torrent.move_to(desk, folder))
            .is_some()
    }

    /// Sets the limits of all torrents together.
    pub fn set_rates(&mut self, now: Time, rates: Rates) {
        self.desk.config.rates = rates;
        self.desk.limits.set(now, rates);
    }

    /// The transport reaches a peer another way than it did.
    pub fn rerouted(&mut self, conn: ConnId, via: Via) {
        if let Some(&Link::Peer(id, key)) = self.desk.links.get(&conn)
            && let Some((torrent, _)) = self.with(id)
            && let Some(peer) = torrent.peer_mut(key)
        {
            peer.via = via;
        }
    }

    /// Sets the limits of one torrent.
    pub fn set_torrent_rates(&mut self, now: Time, id: TorrentId, rates: Rates) {
        if let Some((torrent, desk)) = self.with(id) {
            torrent.set_rates(desk, now, rates);
        }
    }

    /// The world listens for us on this port.
    pub fn set_listen_port(&mut self, port: u16) {
        self.desk.listen_port = Some(port).filter(|port| *port != 0);
    }

    /// All torrents, in the order they came (SES-08).
    pub fn torrents(&self) -> impl Iterator<Item = TorrentId> {
        self.torrents.iter().flatten().map(|torrent| torrent.id)
    }

    /// The names of a torrent in its swarms: two of a hybrid (BEP 52).
    pub fn names(&self, id: TorrentId) -> impl Iterator<Item = InfoHash> {
        let names = self
            .torrent(id)
            .map(|torrent| [Some(torrent.info_hash), torrent.other_hash]);
        names.into_iter().flatten().flatten()
    }

    /// The torrent of this name.
    pub fn find(&self, info_hash: &InfoHash) -> Option<TorrentId> {
        self.by_hash.get(info_hash).copied()
    }

    /// How a torrent stands.
    pub fn status(&self, now: Time, id: TorrentId) -> Option<Status> {
        let mut status = self.torrent(id)?.status(now);
        if let Some(announced) = self.announcer.status(id.0) {
            status.swarm = (announced.counts.complete, announced.counts.incomplete);
            status.tracker = announced.current.map(|url| url.to_string());
        }
        Some(status)
    }

    /// How its peers stand.
    pub fn peers(&self, now: Time, id: TorrentId) -> Vec<PeerStatus> {
        self.torrent(id)
            .map_or_else(Vec::new, |torrent| torrent.peer_statuses(now))
    }

    /// How its trackers do.
    pub fn trackers(&self, id: TorrentId) -> impl Iterator<Item = TrackerStatus<'_>> {
        self.announcer.trackers(id.0)
    }

    /// Bytes of each of its files that are at hand (PICK-11).
    pub fn file_progress(&self, id: TorrentId) -> Vec<u64> {
        self.torrent(id).map_or_else(Vec::new, Torrent::file_progress)
    }

    /// What a torrent is doing.
    pub fn state(&self, id: TorrentId) -> Option<State> {
        self.torrent(id).map(|torrent| torrent.state)
    }

    /// What is at hand of a torrent, for export (STO-27).
    pub fn resume_data(&self, id: TorrentId) -> Option<Resume> {
        self.torrent(id).map(Torrent::resume_data)
    }

    /// Its pieces and files.
    pub fn layout(&self, id: TorrentId) -> Option<&Layout> {
        self.torrent(id).map(|torrent| &torrent.layout)
    }

    /// The level of each of its files, 0 (not wanted) to 7.
    pub fn levels(&self, id: TorrentId) -> Vec<u8> {
        self.torrent(id).map_or_else(Vec::new, Torrent::file_levels)
    }

    /// Who is known of a torrent, connected or not, and from where: to be offered again in a later run (STO-31).
    pub fn known_peers(&self, id: TorrentId) -> impl Iterator<Item = (SocketAddr, Sources)> {
        self.torrent(id).into_iter().flat_map(|torrent| torrent.roster.peers())
    }

    /// Whom a torrent does not meet again, for [`Engine::ban`] in a later run (PWP-20).
    pub fn banned(&self, id: TorrentId) -> impl Iterator<Item = IpAddr> {
        self.torrent(id).into_iter().flat_map(|torrent| torrent.roster.banned())
    }

    /// An address is not to be met again in a torrent: its connections end. Whether there is such a torrent.
    pub fn ban(&mut self, now: Time, id: TorrentId, ip: IpAddr) -> bool {
        self.with(id)
            .map(|(torrent, desk)| torrent.ban(desk, now, ip))
            .is_some()
    }

    /// What was counted of all torrents together.
    pub fn totals(&self) -> &Totals {
        &self.desk.totals
    }

    /// Our name for ourselves in this run.
    pub fn peer_id(&self) -> PeerId {
        self.desk.peer_id
    }

    /// Connections to peers, those being dialled among them.
    pub fn connections(&self) -> usize {
        self.desk.connections
    }
}

/// Set in the announcer's number of a torrent for the second swarm of a hybrid.
const SECOND: u32 = 1 << 31;

/// The announcer's numbers of a torrent: for its name, and for its other name.
pub(super) const fn swarms(id: TorrentId) -> [u32; 2] {
    [id.0, id.0 | SECOND]
}

/// The torrent of an announcer's number.
pub(super) const fn of_swarm(swarm: u32) -> TorrentId {
    TorrentId(swarm & !SECOND)
}

/// For trackers: what a torrent has moved, and what it lacks.
pub(super) fn stats(torrents: &[Option<Box<Torrent>>], swarm: u32) -> Stats {
    let torrent = torrents.get(of_swarm(swarm).0 as usize).and_then(Option::as_deref);
    torrent.map_or(Engine::no_stats(), |torrent| Stats {
        uploaded: torrent.up.total(),
        downloaded: torrent.down.total(),
        left: torrent.bytes_left(),
    })
}

impl Add {
    /// What has to be said of a torrent; the rest as most want it: all files, sparse, rarest first, nothing at hand.
    pub fn new(layout: Layout, hashes: Option<Hashes>, folder: String) -> Self {
        let info = Arc::clone(layout.info());
        let raw = Arc::clone(layout.raw_info());
        let v1 = info.version.has_v1().then(|| wire::metainfo::info_hash_v1(&raw));
        let v2 = info
            .version
            .has_v2()
            .then(|| wire::metainfo::info_hash_v2(&raw).truncated());
        Self {
            info_hash: v1.or(v2).unwrap_or(InfoHash::new([0; 20])),
            other_hash: v1.and(v2),
            name: info.name_lossy().into_owned(),
            private: info.private,
            layout,
            hashes,
            folder,
            levels: Vec::new(),
            allocation: Allocation::Sparse,
            journal: None,
            resume: None,
            verify: Verify::Trust,
            paused: false,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            order: Order::RarestFirst,
        }
    }
}

//! One torrent: its pieces, its peers, its files. This file holds it together; what it does is in the files below.
//!
//! `folder` opens, checks and allocates; `hear` reads what peers say, `content` takes their blocks, `ask` asks for more,
//! `serve` answers; `people` dials, greets and parts; `extend` speaks the extension protocol; `durable` claims what is safe on
//! disk; `answers` hears the disk; `wishes` takes what the owner wants; `pulse` is what time brings.

mod answers;
mod ask;
mod blaming;
mod content;
mod durable;
mod extend;
mod folder;
mod hashing;
mod hear;
mod people;
mod pulse;
mod serve;
mod show;
mod trees;
mod turnover;
mod web;
mod wishes;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use wire::InfoHash;
use world::{DiskFault, DiskOp, JobId, Seed, StoreId, Time};

use crate::blame::{self, Blame};
use crate::desk::Desk;
use crate::hashes::Hashes;
use crate::layout::Layout;
use crate::limiter::TorrentSlot;
use crate::peer::Peer;
use crate::picker::{Picker, Shape, Slot};
use crate::progress::Progress;
use crate::rate::Meter;
use crate::roster::Roster;
use crate::{Add, BLOCK, Event, PeerKey, Resume, State, TorrentId, journal};

use durable::Durable;
pub use durable::Verify;
pub(crate) use people::Link;
pub use people::Parted;
pub(crate) use pulse::Whom;
use serve::Reading;
use trees::{Inquiry, Remaking};
use web::HttpSource;

/// What an answer of the disk is for.
#[derive(Debug)]
enum Job {
    /// The folder is looked at.
    Open,
    /// Room is made for a file.
    Allocate(u32),
    /// Content of a piece is written; so many bytes are not answered.
    Write {
        piece: u32,
        left: usize,
    },
    /// Content is read for a peer.
    Read(u64),
    /// A piece is hashed to see whether it is at hand.
    Check(u32),
    /// A piece that came is read back for its hash.
    ReadBack(u32),
    /// A piece is hashed for its leaves, which a peer asked for.
    Remake(u64, u32),
    /// A block of a piece whose hash was wrong is hashed, to know it again, and who gave it; or of one whose hash is right
    /// at last.
    Blame(Slot, Option<SocketAddr>),
    /// All content is brought to stable storage.
    Sync,
    /// The journal is opened, written, or brought to stable storage.
    JournalOpen,
    JournalWrite,
    JournalSync,
    /// A wish of the owner.
    Rename(u32),
    Move,
    Release,
    Delete,
}

/// A piece of which something has come.
#[derive(Debug)]
struct Begun {
    progress: Progress,
    /// The number of its writes.
    job: u32,
    /// Its hash was right; it is at hand when it is written.
    passed: bool,
    /// Its hash was wrong, and it is not known yet which blocks are to come again.
    wrong: bool,
    /// It is being read back.
    reading: bool,
}

/// What came at once, and is still to be hashed. Kept for its memory.
#[derive(Debug, Default)]
struct Settling {
    /// Pieces of which something came.
    pieces: Vec<u32>,
    /// Pieces that are complete with it.
    complete: Vec<u32>,
    /// Lent for the hashing; empty.
    lanes: Vec<wire::lanes::Lane>,
}

/// Blocks of a piece that are being hashed for blame.
#[derive(Debug, Default)]
struct Judging {
    left: usize,
    /// Of a piece that is right at last, what its blocks come to.
    right: BTreeMap<u32, blame::Digest>,
}

/// Pieces that are to be hashed before anything else.
#[derive(Debug, Default)]
struct Checking {
    queue: VecDeque<u32>,
    running: usize,
    /// How many there were.
    total: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) id: TorrentId,
    pub(crate) layout: Layout,
    /// The name under which peers and trackers know it, and the other one of a hybrid.
    pub(crate) info_hash: InfoHash,
    pub(crate) other_hash: Option<InfoHash>,
    pub(crate) raw_info: Arc<[u8]>,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) state: State,
    pub(crate) paused: bool,
    /// Being paused, removed or left: no new work, and what then.
    ending: Option<Ending>,
    /// Where its files are.
    folder: String,
    /// Paths of the files below it, as they are named now.
    paths: Vec<String>,
    /// Levels of the files, 0 to 7.
    levels: Vec<u8>,
    allocation: world::disk::Allocation,
    /// Wishes that the disk has not answered: files, and the paths that they had.
    renaming: Vec<(u32, String)>,
    moving: Option<String>,
    pub(crate) picker: Picker,
    hashes: Option<Hashes>,
    pub(crate) roster: Roster,
    blame: Blame,
    judging: BTreeMap<u32, Judging>,
    pub(crate) peers: Vec<Option<Box<Peer>>>,
    /// Connections that are open or being dialled.
    pub(crate) linked: usize,
    begun: BTreeMap<u32, Begun>,
    settling: Settling,
    jobs: BTreeMap<u32, Job>,
    next_job: u32,
    readings: BTreeMap<u64, Reading>,
    next_reading: u64,
    inquiries: BTreeMap<u32, Inquiry>,
    remaking: BTreeMap<u64, Remaking>,
    checking: Checking,
    /// Its places in the limits, down and up.
    slots: (TorrentSlot, TorrentSlot),
    /// Files being allocated.
    allocating: usize,
    durable: Durable,
    webseeds: Vec<HttpSource>,
    pub(crate) counters: journal::Counters,
    pub(crate) down: Meter,
    pub(crate) up: Meter,
    pub(crate) redundant: u64,
    pub(crate) failed_bytes: u64,
    counted_until: Time,
    /// When the peers of least use were last exchanged.
    turned_over: Time,
    asked_for_peers: Option<Time>,
    pub(crate) finished_once: bool,
    pub(crate) fault: Option<(DiskFault, Option<u32>)>,
}

/// Why a torrent winds up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Pause,
    Remove {
        delete: bool,
    },
    /// The disk has been asked to let go of the files: nothing is left to do, and it is nobody's any more.
    Gone,
}

impl Torrent {
    pub(crate) fn new(now: Time, id: TorrentId, add: Add, desk: &mut Desk, seed: Seed) -> Self {
        let layout = add.layout;
        let pieces = layout.pieces();
        let last = pieces.checked_sub(1).map_or(1, |last| layout.blocks(last));
        let shape = Shape {
            pieces,
            blocks_per_piece: layout.piece_length().div_ceil(BLOCK).max(1),
            blocks_in_last: last.max(1),
        };
        let mut picker = Picker::new(shape, seed.derive("picker"));
        picker.set_random_first(desk.config.random_first);
        let paths = layout.files().map(|file| file.path.to_owned()).collect();
        let resume = add.resume.unwrap_or_else(|| Resume::nothing(pieces));
        let counters = resume.counters;
        Self {
            id,
            info_hash: add.info_hash,
            other_hash: add.other_hash,
            raw_info: Arc::clone(layout.raw_info()),
            name: add.name,
            private: add.private,
            state: State::Opening,
            paused: add.paused,
            ending: None,
            folder: add.folder,
            paths,
            levels: add.levels,
            allocation: add.allocation,
            renaming: Vec::new(),
            moving: None,
            picker,
            hashes: add.hashes,
            roster: Roster::new(desk.config.roster, desk.ours(), seed),
            blame: Blame::new(desk.config.blame),
            judging: BTreeMap::new(),
            peers: Vec::new(),
            linked: 0,
            begun: BTreeMap::new(),
            settling: Settling::default(),
            jobs: BTreeMap::new(),
            next_job: 0,
            readings: BTreeMap::new(),
            next_reading: 0,
            inquiries: BTreeMap::new(),
            remaking: BTreeMap::new(),
            checking: Checking::default(),
            slots: (desk.limits.down.open_torrent(), desk.limits.up.open_torrent()),
            allocating: 0,
            webseeds: Vec::new(),
            durable: Durable::new(now, add.journal, resume, add.verify),
            counters,
            down: Meter::new(now),
            up: Meter::new(now),
            redundant: 0,
            failed_bytes: 0,
            counted_until: now,
            turned_over: now,
            asked_for_peers: None,
            finished_once: false,
            fault: None,
            layout,
        }
    }

    /// Where its files are, for the disk.
    const fn store(&self) -> StoreId {
        StoreId(self.id.0 * 2)
    }

    /// Where its journal is.
    const fn journal_store(&self) -> StoreId {
        StoreId(self.id.0 * 2 + 1)
    }

    /// The torrent that an answer of the disk concerns, and its number there.
    pub(crate) const fn of_job(job: JobId) -> (TorrentId, u32) {
        (TorrentId((job.0 >> 32) as u32), job.0 as u32)
    }

    const fn job_id(&self, job: u32) -> JobId {
        JobId((self.id.0 as u64) << 32 | job as u64)
    }

    fn job(&mut self, job: Job) -> u32 {
        self.next_job = self.next_job.wrapping_add(1);
        self.jobs.insert(self.next_job, job);
        self.next_job
    }

    /// Asks the disk for something.
    fn disk(&mut self, desk: &mut Desk, store: StoreId, job: Job, op: DiskOp, bytes: &[u8]) {
        let number = self.job(job);
        let job = self.job_id(number);
        desk.disk(store, job, op, bytes);
    }

    pub(crate) fn peer(&self, key: PeerKey) -> Option<&Peer> {
        self.peers.get(key.0 as usize)?.as_deref()
    }

    pub(crate) fn peer_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.peers.get_mut(key.0 as usize)?.as_deref_mut()
    }

    /// All peers, with their keys.
    pub(crate) fn each_peer(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        let numbered = (0..).map(PeerKey).zip(&self.peers);
        numbered.filter_map(|(key, peer)| Some((key, peer.as_deref()?)))
    }

    fn each_peer_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut Peer)> {
        let numbered = (0..).map(PeerKey).zip(&mut self.peers);
        numbered.filter_map(|(key, peer)| Some((key, peer.as_deref_mut()?)))
    }

    /// Whether it exchanges content with peers.
    pub(crate) fn is_active(&self) -> bool {
        let state = matches!(self.state, State::Downloading | State::Finished | State::Seeding);
        state && !self.paused && self.ending.is_none()
    }

    fn set_state(&mut self, desk: &mut Desk, state: State) {
        if self.state != state {
            self.state = state;
            desk.tell(Event::State(self.id, state));
        }
    }

    /// Something is to be said to a peer when all that came in is handled.
    fn speak(&mut self, desk: &mut Desk, key: PeerKey) {
        let id = self.id;
        if let Some(peer) = self.peer_mut(key)
            && !peer.speaking
        {
            peer.speaking = true;
            desk.speaking.push_back((id, key));
        }
    }
}

//! How an engine, its torrents and their peers stand: plain figures, copied out for whoever shows them.

use std::net::SocketAddr;
use std::time::Duration;

use wire::{InfoHash, PeerId};
use world::{DiskFault, Tally, Time, Via};

use crate::rate::Meter;
use crate::torrent::Parted;
use crate::{State, TorrentId};

/// What an engine counts of all torrents together (SES-13).
#[derive(Debug)]
pub struct Totals {
    /// Payload from peers and web seeds.
    pub down: Meter,
    /// Payload to peers.
    pub up: Meter,
    /// Payload that was not needed: somebody else was quicker, or nobody asked for it. Bytes.
    pub redundant: u64,
    /// Payload of pieces whose hash was wrong, bytes.
    pub failed: u64,
    /// Pieces that had to be read back for their hash.
    pub read_back: u64,
    /// How connections ended.
    pub parted: Tally<Parted>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            down: Meter::new(Time::ZERO),
            up: Meter::new(Time::ZERO),
            redundant: 0,
            failed: 0,
            read_back: 0,
            parted: Tally::new(),
        }
    }
}

/// How a torrent stands (SES-15).
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// Its number.
    pub id: TorrentId,
    /// Its name in the swarm.
    pub info_hash: InfoHash,
    /// What people call it.
    pub name: String,
    /// What it does.
    pub state: State,
    /// It was told to pause.
    pub paused: bool,
    /// Why the disk failed it, and of which file.
    pub fault: Option<(DiskFault, Option<u32>)>,
    /// Bytes of all files.
    pub total: u64,
    /// Bytes of pieces that are wanted.
    pub wanted: u64,
    /// Of these, bytes at hand: whole pieces.
    pub wanted_done: u64,
    /// Pieces that there are, and that are at hand.
    pub pieces: u32,
    /// See [`pieces`](Self::pieces).
    pub pieces_done: u32,
    /// Pieces that are claimed to be on stable storage.
    pub pieces_durable: u32,
    /// Of the pieces to be checked first, how many are left and were there.
    pub checking: (usize, usize),
    /// Payload a second, bytes, of the last seconds.
    pub down_rate: u64,
    /// See [`down_rate`](Self::down_rate).
    pub up_rate: u64,
    /// Payload in this run, bytes.
    pub downloaded: u64,
    /// See [`downloaded`](Self::downloaded).
    pub uploaded: u64,
    /// Payload in all runs, bytes.
    pub all_downloaded: u64,
    /// See [`all_downloaded`](Self::all_downloaded).
    pub all_uploaded: u64,
    /// Time not paused, and of this with all that is wanted, in all runs.
    pub active: Duration,
    /// See [`active`](Self::active).
    pub seeding: Duration,
    /// Payload that was not needed, bytes.
    pub redundant: u64,
    /// Payload of wrong pieces, bytes.
    pub failed: u64,
    /// Peers that handshakes were exchanged with, and of these those with everything.
    pub peers: usize,
    /// See [`peers`](Self::peers).
    pub seeds: usize,
    /// Connections, those being dialled among them.
    pub connections: usize,
    /// Peers known, and those that could be dialled.
    pub known: usize,
    /// See [`known`](Self::known).
    pub candidates: usize,
    /// Peers served now.
    pub unchoked: usize,
    /// Copies of the torrent among peers; `None` with all at hand (PICK-33).
    pub copies: Option<f32>,
    /// Swarm as the tracker counts it: seeds and others.
    pub swarm: (Option<u32>, Option<u32>),
    /// The tracker that answered last.
    pub tracker: Option<String>,
}

impl Status {
    /// Share of what is wanted that is at hand, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.wanted == 0 {
            return 1.0;
        }
        self.wanted_done as f64 / self.wanted as f64
    }

    /// Time until all that is wanted is at hand, at the present rate.
    pub fn eta(&self) -> Option<Duration> {
        let left = self.wanted.saturating_sub(self.wanted_done);
        (self.down_rate > 0 && left > 0).then(|| Duration::from_secs(left.div_ceil(self.down_rate)))
    }
}

/// How a peer stands (SES-17).
#[derive(Clone, PartialEq, Debug)]
pub struct PeerStatus {
    /// Its address.
    pub addr: SocketAddr,
    /// Its name for itself.
    pub id: PeerId,
    /// Its client, as it says.
    pub client: String,
    /// How it is reached.
    pub via: Via,
    /// See [`flag`].
    pub flags: u32,
    /// Share of the pieces that it has, 0 to 1.
    pub progress: f32,
    /// Payload a second from it and to it, bytes.
    pub down_rate: u64,
    /// See [`down_rate`](Self::down_rate).
    pub up_rate: u64,
    /// Payload from it and to it, bytes.
    pub downloaded: u64,
    /// See [`downloaded`](Self::downloaded).
    pub uploaded: u64,
    /// Blocks that it was asked for, and that it asked for.
    pub asked: usize,
    /// See [`asked`](Self::asked).
    pub requests: usize,
    /// Wrong pieces in which it took part.
    pub hash_fails: u32,
}

/// The bits of [`PeerStatus::flags`] (SES-18).
pub mod flag {
    /// We want something of it.
    pub const INTERESTING: u32 = 0x1;
    /// It is not served.
    pub const CHOKED: u32 = 0x2;
    /// It wants something of us.
    pub const REMOTE_INTERESTED: u32 = 0x4;
    /// It does not serve us.
    pub const REMOTE_CHOKED: u32 = 0x8;
    /// It speaks the extension protocol.
    pub const SUPPORTS_EXTENSIONS: u32 = 0x10;
    /// We dialled it.
    pub const LOCAL_CONNECTION: u32 = 0x20;
    /// Its handshake has not come.
    pub const HANDSHAKE: u32 = 0x40;
    /// It is being dialled.
    pub const CONNECTING: u32 = 0x80;
    /// It took part in a wrong piece.
    pub const ON_PAROLE: u32 = 0x200;
    /// It has everything.
    pub const SEED: u32 = 0x400;
    /// It is served to see what it gives.
    pub const OPTIMISTIC_UNCHOKE: u32 = 0x800;
    /// It takes our requests and sends nothing.
    pub const SNUBBED: u32 = 0x1000;
    /// It wants nothing.
    pub const UPLOAD_ONLY: u32 = 0x2000;
    /// The connection is encrypted.
    pub const RC4_ENCRYPTED: u32 = 0x10_0000;
}

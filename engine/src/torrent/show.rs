//! How it stands, in figures.

use std::time::Duration;

use world::{Time, Via};

use super::Torrent;
use crate::peer::{Having, Peer, Phase};
use crate::status::{PeerStatus, Status, flag};

impl Torrent {
    /// Its figures; those of trackers are not here.
    pub(crate) fn status(&self, now: Time) -> Status {
        let (mut peers, mut seeds, mut unchoked) = (0, 0, 0);
        for (_, peer) in self.each_peer().filter(|(_, peer)| peer.is_open()) {
            peers += 1;
            seeds += usize::from(peer.is_seed());
            unchoked += usize::from(!peer.choked);
        }
        let (wanted, wanted_done) = self.wanted_bytes();
        Status {
            id: self.id,
            info_hash: self.info_hash,
            name: self.name.clone(),
            state: self.state,
            paused: self.paused,
            fault: self.fault,
            total: self.layout.content(),
            wanted,
            wanted_done,
            pieces: self.layout.pieces(),
            pieces_done: self.picker.we_have().count(),
            pieces_durable: self.durable.claimed,
            checking: (self.checking.queue.len() + self.checking.running, self.checking.total),
            down_rate: self.down.rate(now),
            up_rate: self.up.rate(now),
            downloaded: self.down.total(),
            uploaded: self.up.total(),
            all_downloaded: self.counters.downloaded,
            all_uploaded: self.counters.uploaded,
            active: Duration::from_secs(self.counters.active_secs),
            seeding: Duration::from_secs(self.counters.seeding_secs),
            redundant: self.redundant,
            failed: self.failed_bytes,
            peers,
            seeds,
            connections: self.linked,
            known: self.roster.list_peers(),
            candidates: self.roster.connect_candidates(),
            unchoked,
            copies: self.picker.distributed_copies(),
            swarm: (None, None),
            tracker: None,
        }
    }

    /// Bytes of wanted pieces, and of those at hand: of files alone, without padding.
    pub(crate) fn wanted_bytes(&self) -> (u64, u64) {
        let have = self.picker.we_have();
        let is_all = self.levels.iter().all(|level| *level > 0);
        if is_all && have.is_full() {
            return (self.layout.content(), self.layout.content());
        }
        let (mut wanted, mut done) = (0, 0);
        for piece in 0..self.layout.pieces() {
            if is_all || self.picker.priority(piece) > 0 {
                let bytes = u64::from(self.layout.content_len(piece));
                wanted += bytes;
                done += if have.get(piece) { bytes } else { 0 };
            }
        }
        (wanted, done)
    }

    /// Bytes that are wanted and not at hand, for trackers.
    pub(crate) fn bytes_left(&self) -> u64 {
        let (wanted, done) = self.wanted_bytes();
        wanted.saturating_sub(done)
    }

    /// Bytes of each file that are at hand: whole pieces (PICK-11).
    pub(crate) fn file_progress(&self) -> Vec<u64> {
        let have = self.picker.we_have();
        let mut done = vec![0; self.layout.files().len()];
        for piece in have.iter() {
            for slice in self.layout.map_block(piece, 0, self.layout.piece_len(piece)) {
                let file = slice.file.and_then(|file| done.get_mut(file as usize));
                if let Some(bytes) = file {
                    *bytes += u64::from(slice.len);
                }
            }
        }
        done
    }

    /// Its peers.
    pub(crate) fn peer_statuses(&self, now: Time) -> Vec<PeerStatus> {
        let pieces = self.layout.pieces();
        self.each_peer().map(|(_, peer)| show(peer, now, pieces)).collect()
    }
}

fn show(peer: &Peer, now: Time, pieces: u32) -> PeerStatus {
    let has = match &peer.has {
        Having::All => 1.0,
        Having::Some(bits) => bits.count() as f32 / pieces.max(1) as f32,
    };
    PeerStatus {
        addr: peer.addr,
        id: peer.id,
        client: peer.client.clone(),
        via: peer.via,
        flags: flags(peer),
        progress: has,
        down_rate: peer.window.rate(now),
        up_rate: peer.up.rate(now),
        downloaded: peer.down_total,
        uploaded: peer.up.total(),
        asked: peer.asked.len(),
        requests: peer.requests.len(),
        hash_fails: peer.hash_fails,
    }
}

fn flags(peer: &Peer) -> u32 {
    let set = [
        (peer.wanting, flag::INTERESTING),
        (peer.choked, flag::CHOKED),
        (peer.interested, flag::REMOTE_INTERESTED),
        (peer.choking, flag::REMOTE_CHOKED),
        (peer.extended, flag::SUPPORTS_EXTENSIONS),
        (!peer.conn.is_accepted(), flag::LOCAL_CONNECTION),
        (peer.phase == Phase::Greeting, flag::HANDSHAKE),
        (peer.phase == Phase::Dialling, flag::CONNECTING),
        (peer.parole, flag::ON_PAROLE),
        (peer.is_seed(), flag::SEED),
        (peer.optimistic, flag::OPTIMISTIC_UNCHOKE),
        (peer.window.is_snubbed(), flag::SNUBBED),
        (peer.upload_only, flag::UPLOAD_ONLY),
        (matches!(peer.via, Via::TcpMse | Via::UtpMse), flag::RC4_ENCRYPTED),
    ];
    set.iter().filter(|(is, _)| *is).fold(0, |flags, (_, bit)| flags | bit)
}

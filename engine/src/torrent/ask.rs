//! Which blocks a peer is asked for, and when requests are given up.

use wire::message::Message;
use world::Time;

use super::Torrent;
use crate::desk::Desk;
use crate::picker::{Ask, RUN, Slot};
use crate::window::Late;
use crate::{BLOCK, PeerKey, State};

/// Fewer blocks than this are not asked for one by one, while others are outstanding: a message for each block that came
/// would be a system call for each.
const BATCH: usize = 8;

impl Torrent {
    /// Asks a peer for what it may be asked for now.
    pub(super) fn ask(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        if self.state != State::Downloading || !self.is_active() {
            return;
        }
        if desk.unwritten > desk.config.limits.unwritten {
            desk.disk_was_full = true;
            return;
        }
        let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let only_allowed = peer.choking;
        if !peer.is_open() || !peer.wanting || (only_allowed && peer.allowed.is_empty()) {
            return;
        }
        let room = peer.window.room(now);
        let spread = peer
            .window
            .spread(now, u64::from(self.layout.piece_length()), desk.config.lanes);
        // Whole turns, where requests are spread over pieces.
        let batch = if spread > 1 { spread * RUN } else { BATCH };
        if room == 0 || (room < batch.min(peer.window.target(now) / 2) && peer.window.outstanding() > 0) {
            return;
        }
        let want = (room as u64) * u64::from(BLOCK);
        let granted = if desk.limits.exempts(&peer.addr) {
            want
        } else {
            desk.limits.down.take(now, peer.down_flow, want)
        };
        if granted > 0 {
            self.ask_with(desk, now, key, granted);
        }
    }

    /// Asks a peer for so many bytes, which the limits allow.
    pub(crate) fn ask_with(&mut self, desk: &mut Desk, now: Time, key: PeerKey, bytes: u64) {
        let piece_length = u64::from(self.layout.piece_length());
        let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let only_allowed = peer.choking;
        let room = peer.window.room(now);
        let granted = usize::try_from(bytes.div_ceil(u64::from(BLOCK)))
            .unwrap_or(room)
            .min(room);
        let first = peer.asked.len();
        let copies = if self.picker.open_blocks_left() == 0 {
            desk.config.endgame_copies
        } else {
            1
        };
        let mut slots = std::mem::take(&mut desk.slots);
        slots.clear();
        let ask = Ask {
            has: peer.has(),
            peer: key,
            want: granted,
            speed: peer.window.speed(now, piece_length),
            whole_pieces: peer.window.takes_whole(now, piece_length),
            spread: peer.window.spread(now, piece_length, desk.config.lanes),
            parole: peer.parole,
            copies,
            allowed: only_allowed.then_some(peer.allowed.as_slice()),
            suggested: peer.suggested,
        };
        let mut picked = self.picker.pick(&ask, &mut slots);
        if picked.blocks == 0 && picked.withheld {
            // Parole is all that keeps the torrent from going on.
            picked = self.picker.pick(&Ask { parole: false, ..ask }, &mut slots);
        }
        if !desk.limits.exempts(&peer.addr) {
            let used = (picked.blocks as u64) * u64::from(BLOCK);
            desk.limits
                .down
                .give_back(now, peer.down_flow, bytes.saturating_sub(used));
        }
        for &slot in &slots {
            let block = wire::message::Block {
                piece: slot.piece,
                begin: slot.block.saturating_mul(BLOCK),
                length: self.layout.block_len(slot.piece, slot.block),
            };
            peer.asked.push_back(slot);
            Message::Request(block).encode(&mut peer.say);
        }
        let asked = peer.asked.len() - first;
        peer.window.requested(now, asked);
        desk.slots = slots;
        if asked > 0 {
            self.speak(desk, key);
        }
    }

    /// Everybody who may be asked is asked: something was given back, or the disk has room again.
    pub(crate) fn ask_all(&mut self, desk: &mut Desk, now: Time) {
        if self.state != State::Downloading {
            return;
        }
        for key in (0..self.peers.len()).filter_map(|key| u32::try_from(key).ok()) {
            self.ask(desk, now, PeerKey(key));
        }
    }

    /// Gives back all that a peer was asked for: it chokes us, or is gone.
    pub(super) fn give_back(&mut self, key: PeerKey) {
        let Some(peer) = self.peer_mut(key) else { return };
        peer.arriving = None;
        let asked = std::mem::take(&mut peer.asked);
        for &slot in &asked {
            self.picker.abandon(slot, key);
            self.stop_arriving(slot, key);
        }
        if let Some(peer) = self.peer_mut(key) {
            peer.asked = asked;
            peer.asked.clear();
        }
    }

    /// A block that a peer may have begun to send can come from others.
    fn stop_arriving(&mut self, slot: Slot, key: PeerKey) {
        if let Some(begun) = self.begun.get_mut(&slot.piece)
            && begun.progress.sender_of(slot.block) == Some(key)
        {
            begun.progress.forget(key);
        }
    }

    /// A peer will not give one block.
    pub(super) fn rejected(&mut self, key: PeerKey, slot: Slot) {
        let Some(peer) = self.peer_mut(key) else { return };
        if !peer.forget_asked(slot) {
            return;
        }
        peer.window.rejected(1);
        peer.arriving = peer.arriving.filter(|arriving| *arriving != slot);
        self.picker.abandon(slot, key);
        self.stop_arriving(slot, key);
    }

    /// Requests that are too old are given to others (PICK-18).
    pub(super) fn expire_requests(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let Some(late) = self.peer_mut(key).and_then(|peer| peer.window.timed_out(now)) else {
            return;
        };
        let count = match late {
            Late::Silent => usize::MAX,
            Late::Overdue(count) => count,
        };
        let Some(peer) = self.peer_mut(key) else { return };
        let count = count.min(peer.asked.len());
        let overdue: Vec<Slot> = peer.asked.drain(..count).collect();
        peer.arriving = peer.arriving.filter(|arriving| !overdue.contains(arriving));
        for &slot in &overdue {
            let block = self.block(slot);
            self.picker.abandon(slot, key);
            self.stop_arriving(slot, key);
            if let Some(peer) = self.peer_mut(key) {
                peer.tell(&Message::Cancel(block));
            }
        }
        self.speak(desk, key);
        self.ask_all(desk, now);
    }
}

//! The hash trees of v2, as peers exchange them (BEP 52): piece hashes that a magnet link does not bring, and the leaves of a
//! wrong piece, which say which of its blocks are bad and so who lied.

use std::time::Duration;

use wire::merkle::Hash;
use wire::message::{HashRange, Message};
use world::Time;

use super::{Job, Torrent};
use crate::PeerKey;
use crate::blame::Verdict;
use crate::desk::Desk;
use crate::hashes::{Received, Served};
use crate::picker::Slot;

/// Hash requests that one peer owes us at once.
const MOST_OWED: usize = 4;
/// A peer that owes hashes for longer is passed over.
const PATIENCE: Duration = Duration::from_secs(15);
/// Answers about leaves that are being made again from the disk, of one torrent.
const MOST_REMADE: usize = 16;

/// A wrong piece whose leaves are asked for.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// What its blocks came to.
    ours: Vec<Hash>,
    /// The part that is being asked for.
    part: u32,
    since: Time,
    /// Blocks found bad so far.
    bad: u32,
}

/// An answer about leaves that is being made again.
#[derive(Debug)]
pub(super) struct Remaking {
    peer: PeerKey,
    conn: world::ConnId,
    range: HashRange,
    next: u32,
    end: u32,
    leaves: Vec<Hash>,
}

impl Torrent {
    /// Asks a peer for hashes that are missing, if it can have them; gives up those that it owes for too long.
    pub(super) fn ask_for_hashes(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let Some(hashes) = &mut self.hashes else { return };
        let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        if !peer.is_open() || !peer.v2 {
            return;
        }
        while let Some((range, _)) = peer.owes.front().filter(|(_, at)| now.since(*at) >= PATIENCE) {
            hashes.let_go(&self.layout, range);
            peer.owes.pop_front();
        }
        let mut asked = false;
        while peer.owes.len() < MOST_OWED {
            let has = peer.has();
            let picker = &self.picker;
            let may_ask = |pieces: std::ops::Range<u32>| {
                let mut pieces = pieces;
                pieces.any(|piece| has.get(piece) && picker.priority(piece) > 0)
            };
            let Some(range) = hashes.needs(&self.layout, may_ask) else {
                break;
            };
            Message::HashRequest(range).encode(&mut peer.say);
            peer.owes.push_back((range, now));
            asked = true;
        }
        if asked {
            self.speak(desk, key);
        }
    }

    /// A wrong piece of v2 is asked about leaf by leaf, if there is a peer that can be asked. Whether one was.
    pub(super) fn inquire(&mut self, desk: &mut Desk, now: Time, piece: u32, ours: Vec<Hash>) -> bool {
        if self.hashes.is_none() || ours.is_empty() {
            return false;
        }
        let inquiry = Inquiry {
            ours,
            part: 0,
            since: now,
            bad: 0,
        };
        self.inquiries.insert(piece, inquiry);
        let asked = self.ask_leaves(desk, now, piece);
        if !asked {
            self.inquiries.remove(&piece);
        }
        asked
    }

    fn ask_leaves(&mut self, desk: &mut Desk, now: Time, piece: u32) -> bool {
        let (Some(hashes), Some(inquiry)) = (&self.hashes, self.inquiries.get(&piece)) else {
            return false;
        };
        let Some(range) = hashes.ask_leaves(&self.layout, piece, inquiry.part) else {
            return false;
        };
        let whom = self
            .each_peer()
            .find(|(_, peer)| peer.is_open() && peer.v2 && peer.owes.len() < MOST_OWED && peer.has().get(piece))
            .map(|(key, _)| key);
        let Some(key) = whom else { return false };
        if let Some(peer) = self.peer_mut(key) {
            peer.tell(&Message::HashRequest(range));
            peer.owes.push_back((range, now));
        }
        self.speak(desk, key);
        true
    }

    /// A peer gives hashes.
    pub(super) fn hashes_given(&mut self, desk: &mut Desk, now: Time, key: PeerKey, range: HashRange, given: &[Hash]) {
        let (Some(hashes), Some(peer)) = (
            &mut self.hashes,
            self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut),
        ) else {
            return;
        };
        let Some(at) = peer.owes.iter().position(|(owed, _)| *owed == range) else {
            return;
        };
        peer.owes.remove(at);
        let ip = peer.addr.ip();
        match hashes.received(&self.layout, &range, given) {
            Received::Lie => self.ban(desk, now, ip),
            Received::Layer => {
                self.judge_waiting(desk, now);
                self.ask_for_hashes(desk, now, key);
            }
            Received::Leaves { first, leaves } => {
                let leaves = leaves.to_vec();
                self.compare_leaves(desk, now, &range, first, &leaves);
            }
            Received::Unasked => {}
        }
    }

    /// Pieces that are here and waited for their hash.
    fn judge_waiting(&mut self, desk: &mut Desk, now: Time) {
        let waiting: Vec<u32> = self
            .begun
            .iter()
            .filter(|(piece, begun)| {
                !begun.passed && !begun.wrong && !begun.reading && self.picker.is_complete(**piece)
            })
            .map(|(piece, _)| *piece)
            .filter(|piece| !self.inquiries.contains_key(piece) && !self.judging.contains_key(piece))
            .collect();
        for piece in waiting {
            self.complete(desk, now, piece);
        }
    }

    /// True leaves of a wrong piece: blocks that differ are bad, and who gave them lied.
    fn compare_leaves(&mut self, desk: &mut Desk, now: Time, range: &HashRange, first: u32, leaves: &[Hash]) {
        let piece = self.inquiries.iter().find_map(|(piece, inquiry)| {
            let hashes = self.hashes.as_ref()?;
            let asked = hashes.ask_leaves(&self.layout, *piece, inquiry.part)?;
            (asked == *range).then_some(*piece)
        });
        let Some(piece) = piece else { return };
        let Some(inquiry) = self.inquiries.get_mut(&piece) else {
            return;
        };
        inquiry.part += 1;
        inquiry.since = now;
        let bad: Vec<u32> = (first..)
            .zip(leaves)
            .filter(|(block, leaf)| inquiry.ours.get(*block as usize) != Some(leaf))
            .map(|(block, _)| block)
            .collect();
        inquiry.bad += u32::try_from(bad.len()).unwrap_or(0);
        let found = inquiry.bad;
        let mut liars = Vec::new();
        for block in bad {
            let giver = self.picker.givers(piece).find(|(given, _)| *given == block);
            let addr = giver.and_then(|(_, key)| Some(self.peer(key)?.addr));
            self.picker.reopen(Slot { piece, block });
            if let Some(begun) = self.begun.get_mut(&piece) {
                begun.progress.reopen(block);
                begun.wrong = false;
            }
            liars.extend(addr.map(|addr| self.blame.lied(addr)));
        }
        if !self.ask_leaves(desk, now, piece) {
            self.inquiries.remove(&piece);
            if found == 0 {
                self.reopen_piece(desk, piece);
            }
        }
        for verdict in liars {
            if let Verdict::Ban(addr) = verdict {
                self.ban(desk, now, addr.ip());
            }
        }
        self.ask_all(desk, now);
    }

    /// Inquiries that nobody answers: the piece is fetched again as a whole.
    pub(super) fn expire_inquiries(&mut self, desk: &mut Desk, now: Time) {
        let late: Vec<u32> = self
            .inquiries
            .iter()
            .filter(|(_, inquiry)| now.since(inquiry.since) >= PATIENCE)
            .map(|(piece, _)| *piece)
            .collect();
        for piece in late {
            self.inquiries.remove(&piece);
            self.note_when_written(desk, now, piece);
        }
    }

    /// A peer refuses hashes.
    pub(super) fn hashes_refused(&mut self, key: PeerKey, range: HashRange) {
        let (Some(hashes), Some(peer)) = (
            &mut self.hashes,
            self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut),
        ) else {
            return;
        };
        if let Some(at) = peer.owes.iter().position(|(owed, _)| *owed == range) {
            peer.owes.remove(at);
            hashes.let_go(&self.layout, &range);
        }
    }

    /// A peer asks for hashes.
    pub(super) fn hashes_asked(&mut self, desk: &mut Desk, key: PeerKey, range: HashRange) {
        let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        // One who asks faster than it reads is not answered.
        if peer.say.len() > desk.config.limits.send_ahead {
            return;
        }
        let mut given = Vec::new();
        let have = self.picker.we_have();
        let served = self.hashes.as_ref().map_or(Served::Reject, |hashes| {
            hashes.serve(&self.layout, &range, |piece| have.get(piece), &mut given)
        });
        match served {
            Served::Hashes => {
                let hashes = given.as_slice();
                Message::Hashes { range, hashes }.encode(&mut peer.say);
            }
            Served::Leaves(pieces) if self.remaking.len() < MOST_REMADE && !pieces.is_empty() => {
                let number = self.next_reading;
                self.next_reading += 1;
                let first = pieces.start;
                let remaking = Remaking {
                    peer: key,
                    conn: peer.conn,
                    range,
                    next: first + 1,
                    end: pieces.end,
                    leaves: Vec::new(),
                };
                self.remaking.insert(number, remaking);
                self.hash(desk, Job::Remake(number, first), first);
                return;
            }
            Served::Leaves(_) | Served::Reject => Message::HashReject(range).encode(&mut peer.say),
        }
        self.speak(desk, key);
    }

    /// The leaves of a piece for an answer are there.
    pub(super) fn remade(&mut self, desk: &mut Desk, number: u64, leaves: Option<Vec<Hash>>) {
        let Some(mut remaking) = self.remaking.remove(&number) else {
            return;
        };
        if let (Some(leaves), true) = (&leaves, remaking.next < remaking.end) {
            remaking.leaves.extend_from_slice(leaves);
            let piece = remaking.next;
            remaking.next += 1;
            self.remaking.insert(number, remaking);
            return self.hash(desk, Job::Remake(number, piece), piece);
        }
        let whole = leaves.map(|leaves| [remaking.leaves, leaves].concat());
        let Some(peer) = self
            .peers
            .get_mut(remaking.peer.0 as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        if peer.conn != remaking.conn {
            return;
        }
        let range = remaking.range;
        let mut given = Vec::new();
        let served = match (&self.hashes, whole) {
            (Some(hashes), Some(leaves)) => hashes.serve_leaves(&self.layout, &range, &leaves, &mut given),
            _ => false,
        };
        if served {
            let hashes = given.as_slice();
            Message::Hashes { range, hashes }.encode(&mut peer.say);
        } else {
            Message::HashReject(range).encode(&mut peer.say);
        }
        self.speak(desk, remaking.peer);
    }
}

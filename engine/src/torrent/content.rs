//! Content that peers send: where it goes, what it comes to, and who is to blame if it is wrong.

use std::net::IpAddr;

use wire::message::{Block, Message};
use world::disk::Source;
use world::{DiskOp, Time};

use super::{Begun, Job, Parted, Settling, Torrent};
use crate::desk::Desk;
use crate::intake::Run;
use crate::picker::{Arrived, BlockState, Slot};
use crate::progress::{Bytes, Digests, Kinds, Progress, Taken};
use crate::{BLOCK, Event, PeerKey, State};

impl Torrent {
    /// A run of a block, in `input`.
    pub(super) fn content(&mut self, desk: &mut Desk, now: Time, key: PeerKey, run: &Run, input: &[u8]) {
        if run.offset == 0 {
            let slot = self.slot_of(run);
            let Some(peer) = self.peer_mut(key) else { return };
            peer.arriving = slot.filter(|slot| peer.asked.contains(slot));
        }
        let Some(slot) = self.peer(key).and_then(|peer| peer.arriving) else {
            self.redundant += u64::from(run.len);
            desk.totals.redundant += u64::from(run.len);
            return;
        };
        let bytes = Bytes {
            input,
            start: run.start,
            len: run.len,
        };
        match self.take(desk, now, slot, run.offset, key, bytes) {
            Taken::Part => {
                if let Some(peer) = self.peer_mut(key) {
                    peer.window.heard(now);
                }
            }
            Taken::Whole => self.whole(desk, now, key, slot, u64::from(run.length)),
            Taken::Not => self.redundant(desk, key, slot, run),
        }
    }

    /// The block that a run claims to be of, if there is one just so.
    fn slot_of(&self, run: &Run) -> Option<Slot> {
        let slot = Slot {
            piece: run.piece,
            block: run.begin / BLOCK,
        };
        let fits = run.begin.is_multiple_of(BLOCK) && self.layout.block_len(slot.piece, slot.block) == run.length;
        (fits && run.length > 0).then_some(slot)
    }

    /// Stores bytes of a block that was asked for, which lie in the input.
    pub(super) fn take(
        &mut self,
        desk: &mut Desk,
        now: Time,
        slot: Slot,
        offset: u32,
        key: PeerKey,
        run: Bytes<'_>,
    ) -> Taken {
        let Some((taken, job)) = self.note_taken(desk, now, slot, offset, key, run) else {
            return Taken::Not;
        };
        self.write(desk, job, slot.piece, slot.block * BLOCK + offset, run.len, run.start);
        taken
    }

    /// Notes bytes of a block that are to be stored for their hash, and counts them: what they came to, and the number of
    /// their write. `None` if they are not to be stored. [`settle`](Self::settle) must follow before the input goes.
    pub(super) fn note_taken(
        &mut self,
        desk: &mut Desk,
        now: Time,
        slot: Slot,
        offset: u32,
        key: PeerKey,
        run: Bytes<'_>,
    ) -> Option<(Taken, u32)> {
        if !self.begun.contains_key(&slot.piece) {
            self.begin(slot.piece);
        }
        let begun = self.begun.get_mut(&slot.piece)?;
        let taken = begun.progress.take(slot.block, offset, key, run, &mut desk.held);
        if taken == Taken::Not {
            return None;
        }
        let job = begun.job;
        // Runs of one piece often follow one another.
        if self.settling.pieces.last() != Some(&slot.piece) && !self.settling.pieces.contains(&slot.piece) {
            self.settling.pieces.push(slot.piece);
        }
        if let Some(Job::Write { left, .. }) = self.jobs.get_mut(&job) {
            *left += run.len as usize;
        }
        desk.unwritten += run.len as usize;
        let len = u64::from(run.len);
        self.down.add(now, len);
        desk.totals.down.add(now, len);
        self.counters.downloaded += len;
        Some((taken, job))
    }

    /// Has a range of a piece written from the input. Padding is in no file.
    fn write(&mut self, desk: &mut Desk, job: u32, piece: u32, begin: u32, len: u32, mut start: usize) {
        let (store, number) = (self.store(), self.job_id(job));
        let mut padding = 0;
        for slice in self.layout.map_block(piece, begin, len) {
            let length = slice.len as usize;
            match slice.file {
                None => padding += length,
                Some(file) => {
                    let op = DiskOp::Write {
                        file,
                        at: slice.at,
                        source: Source::Input { start, len: length },
                    };
                    desk.disk(store, number, op, &[]);
                }
            }
            start += length;
        }
        self.padded(desk, job, padding);
    }

    /// So many bytes of a write are padding, and so written.
    pub(super) fn padded(&mut self, desk: &mut Desk, job: u32, padding: usize) {
        desk.unwritten = desk.unwritten.saturating_sub(padding);
        if let Some(Job::Write { left, .. }) = self.jobs.get_mut(&job) {
            *left = left.saturating_sub(padding);
        }
    }

    /// Gets ready for content of a piece.
    fn begin(&mut self, piece: u32) {
        let length = self.layout.piece_len(piece);
        let kinds = Kinds {
            v1: self.layout.v1_hash(piece).is_some(),
            v2: self.hashes.is_some(),
        };
        let mut progress = Progress::new(length, self.layout.content_len(piece), kinds);
        let has_gaps = self.picker.partial_of(piece).is_some_and(|partial| {
            let blocks = self.layout.blocks(piece) as usize;
            let mut blocks = partial.blocks().take(blocks);
            blocks.any(|block| block.peer.is_none() && matches!(block.state, BlockState::Writing | BlockState::Done))
        });
        if has_gaps {
            progress.has_gaps();
        }
        let job = self.job(Job::Write { piece, left: 0 });
        let begun = Begun {
            progress,
            job,
            passed: false,
            wrong: false,
            reading: false,
        };
        self.begun.insert(piece, begun);
    }

    /// A block is whole.
    fn whole(&mut self, desk: &mut Desk, now: Time, key: PeerKey, slot: Slot, length: u64) {
        if let Some(peer) = self.peer_mut(key) {
            peer.arriving = None;
            peer.forget_asked(slot);
            peer.window.arrived(now, length);
            peer.down_total += length;
        }
        self.came(desk, key, slot);
    }

    /// A block has come from whoever was asked: others need not send it.
    pub(super) fn came(&mut self, desk: &mut Desk, key: PeerKey, slot: Slot) {
        let mut others = std::mem::take(&mut desk.keys);
        others.clear();
        let arrived = self.picker.arrived(slot, key, &mut others);
        for &other in &others {
            self.cancel(desk, other, slot);
        }
        desk.keys = others;
        if arrived == Arrived::Fresh && self.picker.is_complete(slot.piece) {
            self.settling.complete.push(slot.piece);
        }
    }

    /// All that came at once has been taken: hashes it, pieces side by side, and sees to those that are complete.
    pub(super) fn settle(&mut self, desk: &mut Desk, now: Time, input: &[u8]) {
        let Settling {
            mut pieces,
            mut complete,
            mut lanes,
        } = std::mem::take(&mut self.settling);
        for piece in &pieces {
            lanes.push(
                self.begun
                    .get_mut(piece)
                    .map(|begun| begun.progress.lend())
                    .unwrap_or_default(),
            );
        }
        wire::lanes::advance(input, &mut lanes);
        for (piece, lane) in pieces.drain(..).zip(lanes.drain(..)) {
            if let Some(begun) = self.begun.get_mut(&piece) {
                begun.progress.settle_with(lane, input);
            }
        }
        for piece in complete.drain(..) {
            self.complete(desk, now, piece);
        }
        self.settling = Settling {
            pieces,
            complete,
            lanes,
        };
    }

    /// Takes a request back.
    fn cancel(&mut self, desk: &mut Desk, key: PeerKey, slot: Slot) {
        let block = self.block(slot);
        let Some(peer) = self.peer_mut(key) else { return };
        if !peer.forget_asked(slot) {
            return;
        }
        peer.window.rejected(1);
        peer.tell(&Message::Cancel(block));
        self.speak(desk, key);
    }

    /// A block as it is on the wire.
    pub(super) fn block(&self, slot: Slot) -> Block {
        Block {
            piece: slot.piece,
            begin: slot.block.saturating_mul(BLOCK),
            length: self.layout.block_len(slot.piece, slot.block),
        }
    }

    /// A run that is not needed: another peer is sending the same block.
    fn redundant(&mut self, desk: &mut Desk, key: PeerKey, slot: Slot, run: &Run) {
        self.redundant += u64::from(run.len);
        desk.totals.redundant += u64::from(run.len);
        if let Some(peer) = self.peer_mut(key) {
            peer.arriving = None;
            if peer.forget_asked(slot) {
                peer.window.rejected(1);
                self.picker.abandon(slot, key);
            }
        }
    }

    /// All blocks of a piece have come.
    pub(super) fn complete(&mut self, desk: &mut Desk, now: Time, piece: u32) {
        if !self.begun.contains_key(&piece) {
            // All of it was on disk, or is padding.
            self.begin(piece);
        }
        let Some(begun) = self.begun.get_mut(&piece) else {
            return;
        };
        match begun.progress.digests(&mut desk.held) {
            Some(digests) => self.judge(desk, now, piece, &digests),
            None => self.read_back_if_written(desk, piece),
        }
    }

    /// A piece whose bytes did not all pass here in a way that they could be hashed is read, once it is written.
    pub(super) fn read_back_if_written(&mut self, desk: &mut Desk, piece: u32) {
        let Some(begun) = self.begun.get_mut(&piece) else {
            return;
        };
        let is_written = matches!(self.jobs.get(&begun.job), Some(Job::Write { left: 0, .. }));
        if is_written && !begun.reading && !begun.passed && !begun.wrong {
            begun.reading = true;
            desk.totals.read_back += 1;
            self.hash(desk, Job::ReadBack(piece), piece);
        }
    }

    /// Compares a piece with its hashes.
    pub(super) fn judge(&mut self, desk: &mut Desk, now: Time, piece: u32, digests: &Digests) {
        match self.is_right(piece, digests) {
            Some(true) => self.right(desk, now, piece),
            Some(false) => self.wrong(desk, now, piece, digests),
            // Its hash is not known yet: it is read back when it is.
            None => {}
        }
    }

    /// The hash of a piece is right.
    fn right(&mut self, desk: &mut Desk, now: Time, piece: u32) {
        let Some(begun) = self.begun.get_mut(&piece) else {
            return;
        };
        begun.passed = true;
        self.at_hand_if_written(desk, now, piece);
    }

    /// A piece whose hash is right is at hand when it is with the system.
    pub(super) fn at_hand_if_written(&mut self, desk: &mut Desk, now: Time, piece: u32) {
        let Some(begun) = self.begun.get(&piece).filter(|begun| begun.passed) else {
            return;
        };
        if !matches!(self.jobs.get(&begun.job), Some(Job::Write { left: 0, .. })) {
            return;
        }
        self.jobs.remove(&begun.job);
        self.speak_for_givers(desk, piece);
        self.begun.remove(&piece);
        self.picker.passed(piece);
        self.durable.written(piece, self.layout.piece_len(piece));
        self.note_soon(desk, now);
        desk.tell(Event::Piece(self.id, piece));
        self.tell_have(desk, piece);
        self.finish_if_done(desk, now);
    }

    /// Tells everybody who lacks it that we have a piece (PWP-35).
    fn tell_have(&mut self, desk: &mut Desk, piece: u32) {
        let id = self.id;
        for (key, peer) in self.each_peer_mut() {
            if peer.is_open() && !peer.has().get(piece) {
                peer.tell(&Message::Have(piece));
                if !std::mem::replace(&mut peer.speaking, true) {
                    desk.speaking.push_back((id, key));
                }
            }
        }
    }

    /// All that is wanted may be at hand now.
    pub(super) fn finish_if_done(&mut self, desk: &mut Desk, now: Time) {
        if !self.picker.is_finished() || self.state != State::Downloading {
            return;
        }
        let state = if self.picker.we_have().is_full() {
            State::Seeding
        } else {
            State::Finished
        };
        self.set_state(desk, state);
        if !std::mem::replace(&mut self.finished_once, true) {
            desk.tell(Event::Finished(self.id));
            desk.completed.push(self.id);
        }
        self.claim(desk, now);
        self.stop_webseeds(desk);
        self.lose_interest(desk, now);
    }

    /// The hash of a piece is wrong.
    fn wrong(&mut self, desk: &mut Desk, now: Time, piece: u32, digests: &Digests) {
        let length = u64::from(self.layout.piece_len(piece));
        self.failed_bytes += length;
        desk.totals.failed += length;
        desk.tell(Event::HashFailed(self.id, piece));
        self.blame_webseed(desk, now, piece);
        if let Some(begun) = self.begun.get_mut(&piece) {
            begun.wrong = true;
        }
        if let Some(leaves) = &digests.leaves
            && self.inquire(desk, now, piece, leaves.clone())
        {
            return;
        }
        self.note_when_written(desk, now, piece);
    }

    /// What each gave is noted before it is fetched again: when the piece is right, who gave something else is known. The
    /// disk hashes what was given, so all of it must be written before: what it finds else may be of an earlier attempt.
    pub(super) fn note_when_written(&mut self, desk: &mut Desk, now: Time, piece: u32) {
        let Some(begun) = self.begun.get(&piece) else { return };
        let is_written = matches!(self.jobs.get(&begun.job), Some(Job::Write { left: 0, .. }));
        if is_written && !self.inquiries.contains_key(&piece) && !self.note_givers(desk, piece) {
            self.reopen_piece(desk, piece);
            self.ask_all(desk, now);
        }
    }

    /// All blocks of a piece are to come again.
    pub(super) fn reopen_piece(&mut self, desk: &mut Desk, piece: u32) {
        if let Some(mut begun) = self.begun.remove(&piece) {
            begun.progress.release(&mut desk.held);
            // One of which something is not written yet goes when that is answered.
            if matches!(self.jobs.get(&begun.job), Some(Job::Write { left: 0, .. })) {
                self.jobs.remove(&begun.job);
            }
        }
        self.picker.failed(piece);
    }

    /// A peer gave wrong bytes, now or in an earlier run: nobody at its address is spoken to again.
    pub(crate) fn ban(&mut self, desk: &mut Desk, now: Time, ip: IpAddr) {
        self.roster.ban(ip);
        desk.tell(Event::Banned(self.id, ip));
        let banned: Vec<PeerKey> = self
            .each_peer()
            .filter(|(_, peer)| peer.addr.ip() == ip)
            .map(|(key, _)| key)
            .collect();
        for key in banned {
            self.part(desk, now, key, Parted::Banned);
        }
    }
}

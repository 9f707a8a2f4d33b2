//! From a folder to a torrent that can be worked on: what is there, whether it is right, room for the rest.

use world::disk::{Allocation, FileStat, Folder};
use world::{DiskOp, Time};

use super::{Job, Torrent};
use crate::desk::Desk;
use crate::{State, Verify};

impl Torrent {
    /// Has the folder looked at. First of all, and again after a fault.
    pub(crate) fn open(&mut self, desk: &mut Desk) {
        self.fault = None;
        self.set_state(desk, State::Opening);
        let mut bytes = Vec::new();
        let files = self.paths.iter().zip(self.layout.files());
        let files = files.map(|(path, file)| (path.as_str(), if is_pad(&file) { 0 } else { file.len }));
        Folder::encode(&mut bytes, &self.folder, files);
        let op = DiskOp::Open { len: bytes.len() };
        self.disk(desk, self.store(), Job::Open, op, &bytes);
    }

    /// The folder was looked at: what is at hand, and what must be hashed to know.
    pub(super) fn folder_is(&mut self, desk: &mut Desk, now: Time, stats: &[Option<FileStat>]) {
        let pieces = self.layout.pieces();
        let whole: Vec<bool> = self
            .layout
            .files()
            .enumerate()
            .map(|(index, file)| {
                let stat = stats.get(index).copied().flatten();
                is_pad(&file) || stat.is_some_and(|stat| stat.size >= file.len)
            })
            .collect();
        let there: Vec<bool> = self
            .layout
            .files()
            .enumerate()
            .map(|(index, file)| is_pad(&file) || stats.get(index).copied().flatten().is_some())
            .collect();
        let all_of = |torrent: &Self, piece: u32, list: &[bool]| {
            let mut files = torrent.layout.files_of(piece);
            files.all(|file| list.get(file as usize).copied().unwrap_or(false))
        };
        let some_of = |torrent: &Self, piece: u32| {
            let mut files = torrent.layout.files_of(piece);
            files.any(|file| {
                let pad = torrent.layout.file(file).is_some_and(|file| is_pad(&file));
                !pad && there.get(file as usize).copied().unwrap_or(false)
            })
        };
        let mut have = crate::bits::Bits::new(pieces);
        let mut queue = std::collections::VecDeque::new();
        let resume = self.durable.take_resume();
        match (resume, self.durable.verify) {
            (Some(resume), Verify::Trust) => {
                for piece in resume.have.iter() {
                    // A file that has become shorter, or is gone, is not what the journal speaks of.
                    if all_of(self, piece, &whole) {
                        have.set(piece);
                    } else if some_of(self, piece) {
                        queue.push_back(piece);
                    }
                }
                queue.extend(resume.suspect.iter().copied().filter(|piece| some_of(self, *piece)));
                self.picker.set_have(&have);
                self.take_partial(&resume.partial, |torrent, piece| all_of(torrent, piece, &there));
            }
            _ => {
                self.picker.set_have(&have);
                queue.extend((0..pieces).filter(|piece| some_of(self, *piece)));
            }
        }
        self.durable.begin(&have);
        self.apply_levels();
        self.checking.total = queue.len();
        self.checking.queue = queue;
        self.open_journal(desk);
        self.set_state(desk, State::Checking);
        self.check_on(desk, now);
    }

    /// Blocks of pieces that were not whole.
    fn take_partial(&mut self, partial: &[(u32, crate::bits::Bits)], is_there: impl Fn(&Self, u32) -> bool) {
        for (piece, blocks) in partial {
            if !is_there(self, *piece) {
                continue;
            }
            for block in blocks.iter() {
                self.picker.mark_done(crate::picker::Slot { piece: *piece, block });
            }
        }
    }

    /// Hashes more of what is to be checked, or goes on when that is done.
    pub(super) fn check_on(&mut self, desk: &mut Desk, now: Time) {
        if self.state != State::Checking {
            return;
        }
        while self.checking.running < desk.config.limits.checks
            && self.ending.is_none()
            && let Some(piece) = self.checking.queue.pop_front()
        {
            self.checking.running += 1;
            self.hash(desk, Job::Check(piece), piece);
        }
        if self.checking.running == 0 {
            self.allocate(desk, now);
        }
    }

    /// Whether a piece that was checked is at hand.
    pub(super) fn checked(&mut self, desk: &mut Desk, now: Time, piece: u32, is_right: bool) {
        self.checking.running -= 1;
        if is_right {
            self.picker.have(piece);
            self.durable.written(piece, self.layout.piece_len(piece));
        } else {
            self.picker.lose(piece);
            self.durable.lost(piece);
        }
        self.check_on(desk, now);
    }

    /// Makes room for the files that are wanted, and makes empty ones.
    fn allocate(&mut self, desk: &mut Desk, now: Time) {
        if self.ending.is_some() {
            return;
        }
        self.set_state(desk, State::Allocating);
        self.allocating = 0;
        self.make_room(desk, &[]);
        if self.allocating == 0 {
            self.begin_work(desk, now);
        }
    }

    /// Makes room for the files that are wanted, of which `before` are the levels for which that was done; empty: for none.
    pub(super) fn make_room(&mut self, desk: &mut Desk, before: &[u8]) {
        let finished = self.picker.we_have().is_full();
        let is_new = |index: u32| {
            before
                .get(index as usize)
                .map_or(before.is_empty(), |level| *level == 0)
        };
        let wanted: Vec<(u32, u64)> = (0..)
            .zip(self.layout.files())
            .filter(|(_, file)| !is_pad(file))
            .filter(|(index, _)| self.levels.get(*index as usize).is_none_or(|level| *level > 0))
            .filter(|(index, _)| is_new(*index))
            // What is there whole must not be touched, not even its times.
            .filter(|(_, file)| !finished || file.len == 0)
            .map(|(index, file)| (index, file.len))
            .collect();
        self.allocating += wanted.len();
        for (file, size) in wanted {
            let how = if size == 0 { Allocation::Sparse } else { self.allocation };
            self.disk(
                desk,
                self.store(),
                Job::Allocate(file),
                DiskOp::Allocate { file, size, how },
                &[],
            );
        }
    }

    /// Room was made for a file.
    pub(super) fn allocated(&mut self, desk: &mut Desk, now: Time) {
        self.allocating = self.allocating.saturating_sub(1);
        if self.allocating == 0 && self.state == State::Allocating {
            self.begin_work(desk, now);
        }
    }

    /// Everything is ready: peers may come.
    fn begin_work(&mut self, desk: &mut Desk, now: Time) {
        if self.ending.is_some() {
            return;
        }
        for piece in self.padding_only() {
            self.picker.have(piece);
        }
        self.mark_padding();
        let state = match (self.picker.we_have().is_full(), self.picker.is_finished()) {
            (true, _) => State::Seeding,
            (_, true) => State::Finished,
            _ => State::Downloading,
        };
        self.set_state(desk, state);
        desk.ready.push(self.id);
        if state == State::Downloading {
            // After a fault it may have to become complete again.
            self.finished_once = false;
            let complete: Vec<u32> = self
                .picker
                .partials()
                .map(|partial| partial.piece())
                .filter(|piece| self.picker.is_complete(*piece))
                .collect();
            for piece in complete {
                self.complete(desk, now, piece);
            }
        } else if !std::mem::replace(&mut self.finished_once, true) {
            desk.tell(crate::Event::Finished(self.id));
        }
        self.asked_for_peers = None;
        self.counted_until = now;
        self.feed_webseeds(desk, now);
        self.dial(desk, now);
    }

    /// Pieces in which there is nothing but padding.
    fn padding_only(&self) -> Vec<u32> {
        let pieces = 0..self.layout.pieces();
        let bare = pieces.filter(|piece| !self.picker.we_have().get(*piece) && self.layout.content_len(*piece) == 0);
        // A v1 hash of zeros is right only if the torrent says so: such pieces are fetched like others.
        bare.filter(|piece| self.layout.v1_hash(*piece).is_none()).collect()
    }

    /// Blocks that a short piece in the middle of a v2 torrent does not have are needed from nobody.
    fn mark_padding(&mut self) {
        let full = self.layout.piece_length().div_ceil(crate::BLOCK);
        for piece in 0..self.layout.pieces() {
            let blocks = self.layout.blocks(piece);
            let is_short = blocks < full && piece + 1 < self.layout.pieces();
            if is_short && !self.picker.we_have().get(piece) {
                for block in blocks..full {
                    self.picker.mark_done(crate::picker::Slot { piece, block });
                }
            }
        }
    }
}

/// Whether a file is on no disk: padding, and links, which nobody makes.
fn is_pad(file: &crate::layout::File<'_>) -> bool {
    file.kind != crate::layout::Kind::Content
}

//! What the disk answers.

use world::{DiskFault, Done, Time};

use super::{Job, Torrent};
use crate::desk::Desk;
use crate::{Event, State};

impl Torrent {
    /// An answer for this torrent's job of that number.
    pub(crate) fn answered(&mut self, desk: &mut Desk, now: Time, number: u32, done: Done<'_>) {
        if let (Some(Job::Write { piece, left }), Done::Wrote(bytes) | Done::Failed { bytes, .. }) =
            (self.jobs.get_mut(&number), done)
        {
            *left = left.saturating_sub(bytes);
            let (piece, is_last) = (*piece, *left == 0);
            desk.unwritten = desk.unwritten.saturating_sub(bytes);
            return match done {
                Done::Failed { fault, .. } => self.disk_failed(desk, now, fault, None),
                _ if is_last => self.piece_written(desk, now, number, piece),
                _ => {}
            };
        }
        let Some(job) = self.jobs.remove(&number) else { return };
        match (job, done) {
            (Job::Open, Done::Opened(stats)) => self.folder_is(desk, now, stats),
            (Job::Allocate(_), Done::Ok) => self.allocated(desk, now),
            (Job::Allocate(file), Done::Failed { fault, .. }) => self.disk_failed(desk, now, fault, Some(file)),
            (Job::Read(number), Done::Read(bytes)) => self.has_read(desk, now, number, bytes),
            (Job::Read(number), Done::Failed { fault, .. }) => {
                self.cannot_read(desk, number);
                self.disk_failed(desk, now, fault, None);
            }
            (Job::Check(piece), done) => {
                let digests = self.hashed(piece, done);
                let is_right = digests.is_some_and(|digests| self.is_right(piece, &digests) == Some(true));
                self.checked(desk, now, piece, is_right);
            }
            (Job::ReadBack(piece), done) => self.read_back(desk, now, piece, done),
            (Job::Remake(number, piece), done) => {
                let leaves = match done {
                    Done::Hashed(bytes) => self.digests_of(piece, bytes).leaves,
                    _ => None,
                };
                self.remade(desk, number, leaves);
            }
            (Job::Blame(slot, giver), done) => {
                let hash = match done {
                    Done::Hashed(bytes) => Some(bytes),
                    _ => None,
                };
                self.block_is(desk, now, slot, giver, hash);
            }
            (Job::Sync, Done::Failed { fault, .. }) => {
                // What was written since the last good sync is in doubt, and no later one will know of it.
                for piece in self.durable.in_doubt() {
                    self.picker.lose(piece);
                }
                self.disk_failed(desk, now, fault, None);
            }
            (Job::Sync, _) => self.content_is_safe(desk),
            (Job::JournalWrite | Job::JournalSync | Job::JournalOpen, Done::Failed { .. }) => {
                self.journal_failed(desk);
            }
            (Job::JournalSync, _) => self.journal_is_safe(desk),
            (Job::Rename(file), done) => self.renamed(desk, file, result(done)),
            (Job::Move, done) => self.moved(desk, result(done)),
            (Job::Delete, _) => desk.tell(Event::Removed(self.id)),
            (Job::Open, Done::Failed { fault, .. }) => self.disk_failed(desk, now, fault, None),
            _ => {}
        }
        self.wind_up(desk);
    }

    /// A piece was read back for its hash.
    fn read_back(&mut self, desk: &mut Desk, now: Time, piece: u32, done: Done<'_>) {
        if let Some(begun) = self.begun.get_mut(&piece) {
            begun.reading = false;
        }
        match (self.hashed(piece, done), done) {
            (Some(digests), _) => self.judge(desk, now, piece, &digests),
            (None, Done::Failed { fault, .. }) => self.disk_failed(desk, now, fault, None),
            (None, _) => {
                self.reopen_piece(desk, piece);
                self.ask_all(desk, now);
            }
        }
    }

    /// What a piece came to, by the disk. One that is all holes is hashed as the zeros that it reads as.
    fn hashed(&self, piece: u32, done: Done<'_>) -> Option<crate::progress::Digests> {
        match done {
            Done::Hashed(bytes) => Some(self.digests_of(piece, bytes)),
            Done::Hole => Some(self.digests_of_zeros(piece)),
            _ => None,
        }
    }

    /// All that was to be written of a piece is.
    fn piece_written(&mut self, desk: &mut Desk, now: Time, number: u32, piece: u32) {
        let is_current = self.begun.get(&piece).is_some_and(|begun| begun.job == number);
        if !is_current {
            self.jobs.remove(&number);
        } else if self.picker.is_complete(piece) {
            let Some(begun) = self.begun.get(&piece) else { return };
            if begun.passed {
                self.at_hand_if_written(desk, now, piece);
            } else if begun.wrong {
                self.note_when_written(desk, now, piece);
            } else {
                self.read_back_if_written(desk, piece);
            }
        }
        if desk.unwritten <= desk.config.limits.unwritten / 2 && desk.disk_was_full {
            desk.disk_was_full = false;
            desk.ask_again = true;
        }
        self.wind_up(desk);
    }

    /// The disk does not do what is asked: the torrent stops until its owner resumes it, and loses nothing that was right.
    pub(super) fn disk_failed(&mut self, desk: &mut Desk, now: Time, fault: DiskFault, file: Option<u32>) {
        if self.state == State::Failed {
            return;
        }
        self.fault = Some((fault, file));
        self.part_with_all(desk, now);
        let begun: Vec<u32> = self.begun.keys().copied().collect();
        for piece in begun {
            self.reopen_piece(desk, piece);
        }
        self.checking.queue.clear();
        self.set_state(desk, State::Failed);
        desk.tell(Event::DiskFailed(self.id, fault, file));
        self.durable.give_up();
        self.wind_up(desk);
    }
}

fn result(done: Done<'_>) -> Result<(), DiskFault> {
    match done {
        Done::Failed { fault, .. } => Err(fault),
        _ => Ok(()),
    }
}

//! What the owner wants of a torrent.

use world::{DiskFault, DiskOp, Time};

use super::{Ending, Job, Torrent};
use crate::desk::Desk;
use crate::picker::Order;
use crate::{Event, State};

impl Torrent {
    /// Stops: peers are parted with, and what came is written and claimed; then [`Event::Paused`].
    pub(crate) fn pause(&mut self, desk: &mut Desk, now: Time) {
        if !self.paused && self.ending.is_none() {
            self.end(desk, now, Ending::Pause);
        }
    }

    /// Goes on, also after a fault.
    pub(crate) fn resume(&mut self, desk: &mut Desk, now: Time) {
        if self.ending.is_some() {
            return;
        }
        self.paused = false;
        self.counted_until = now;
        let resume = self.resume_data();
        self.durable.begin_anew(resume);
        self.open(desk);
    }

    /// Goes, with its files or without.
    pub(crate) fn remove(&mut self, desk: &mut Desk, now: Time, delete: bool) {
        if self.ending == Some(Ending::Gone) {
            return;
        }
        self.paused = false;
        self.end(desk, now, Ending::Remove { delete });
    }

    fn end(&mut self, desk: &mut Desk, now: Time, ending: Ending) {
        self.ending = Some(ending);
        self.checking.queue.clear();
        self.part_with_all(desk, now);
        self.wind_up(desk);
    }

    /// Hashes everything that is on disk (STO-22).
    pub(crate) fn recheck(&mut self, desk: &mut Desk, now: Time) {
        if self.ending.is_some() || matches!(self.state, State::Opening | State::Checking) {
            return;
        }
        self.part_with_all(desk, now);
        let begun: Vec<u32> = self.begun.keys().copied().collect();
        for piece in begun {
            self.reopen_piece(desk, piece);
        }
        self.durable.verify_all();
        self.open(desk);
    }

    /// Sets the level of each file, 0 (not wanted) to 7; the levels of all pieces follow (PICK-08).
    pub(crate) fn set_levels(&mut self, desk: &mut Desk, now: Time, levels: Vec<u8>) {
        let before = std::mem::replace(&mut self.levels, levels);
        self.apply_levels();
        if !matches!(self.state, State::Downloading | State::Finished | State::Seeding) {
            return;
        }
        // Without levels all files were wanted, and there is room for them.
        if !before.is_empty() {
            self.make_room(desk, &before);
        }
        if self.picker.is_finished() {
            self.finish_if_done(desk, now);
        } else {
            self.set_state(desk, State::Downloading);
            self.lose_interest(desk, now);
        }
    }

    /// The level of each file.
    pub(crate) fn file_levels(&self) -> Vec<u8> {
        let level = |file| self.levels.get(file).copied().unwrap_or(crate::picker::NORMAL);
        (0..self.layout.files().len()).map(level).collect()
    }

    /// A piece is wanted as much as the file in it that is wanted most.
    pub(super) fn apply_levels(&mut self) {
        let (layout, levels) = (&self.layout, &self.levels);
        if levels.is_empty() {
            return;
        }
        self.picker.set_priorities(|piece| {
            let files = layout.files_of(piece);
            let level = |file: u32| levels.get(file as usize).copied().unwrap_or(crate::picker::NORMAL);
            let content = files.filter(|file| {
                layout
                    .file(*file)
                    .is_some_and(|file| file.kind == crate::layout::Kind::Content)
            });
            content.map(level).max().unwrap_or(0)
        });
    }

    /// Gives its places in the limits away.
    pub(crate) fn leave_limits(&self, desk: &mut Desk) {
        let (down, up) = self.slots;
        desk.limits.down.close_torrent(down);
        desk.limits.up.close_torrent(up);
    }

    /// Sets its limits.
    pub(crate) fn set_rates(&self, desk: &mut Desk, now: Time, rates: crate::Rates) {
        let (down, up) = self.slots;
        desk.limits.down.limit_torrent(now, down, rates.down);
        desk.limits.up.limit_torrent(now, up, rates.up);
    }

    /// Sets the order in which pieces are begun.
    pub(crate) fn set_order(&mut self, order: Order) {
        self.picker.set_order(order);
    }

    /// Gives a file another path (STO-24); [`Event::Renamed`] says how it went.
    pub(crate) fn rename_file(
        &mut self,
        desk: &mut Desk,
        file: u32,
        path: &str,
    ) -> Result<(), crate::layout::LayoutError> {
        self.layout.rename(file, path)?;
        let op = DiskOp::Rename { file, len: path.len() };
        self.disk(desk, self.store(), Job::Rename(file), op, path.as_bytes());
        if let Some(slot) = self.paths.get_mut(file as usize) {
            self.renaming.push((file, std::mem::replace(slot, path.to_owned())));
        }
        Ok(())
    }

    pub(super) fn renamed(&mut self, desk: &mut Desk, file: u32, result: Result<(), DiskFault>) {
        let at = self.renaming.iter().position(|(renamed, _)| *renamed == file);
        let before = at.map(|at| self.renaming.remove(at).1);
        if let (Err(_), Some(before)) = (result, before) {
            // It is where it was: the names say so again.
            let _ = self.layout.rename(file, &before);
            if let Some(slot) = self.paths.get_mut(file as usize) {
                *slot = before;
            }
        }
        desk.tell(Event::Renamed(self.id, file, result));
    }

    /// Moves all files to another folder (STO-23); [`Event::Moved`] says how it went.
    pub(crate) fn move_to(&mut self, desk: &mut Desk, folder: &str) {
        let op = DiskOp::Move { len: folder.len() };
        self.moving = Some(folder.to_owned());
        self.disk(desk, self.store(), Job::Move, op, folder.as_bytes());
    }

    pub(super) fn moved(&mut self, desk: &mut Desk, result: Result<(), DiskFault>) {
        if let (Ok(()), Some(folder)) = (result, self.moving.take()) {
            self.folder = folder;
        }
        desk.tell(Event::Moved(self.id, result));
    }
}

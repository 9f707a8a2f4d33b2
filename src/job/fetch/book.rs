//! The book of a batch: which infohashes of the list are under way, which are done, and up to where all are.

use std::collections::BTreeMap;

use store::journal::{Entry, Mark, Note};
use store::wants::Place;
use wire::InfoHash;
use world::{KeyedMap, Seed};

use super::done::{Done, GENERATION};

/// What became of every infohash that was read from the list.
pub(super) struct Book {
    done: Done,
    /// Given up by an earlier run, at this place of the same list or before. Only those above its mark are kept.
    failed: KeyedMap<InfoHash, u64>,
    /// Read and not done: the number of the reading, and the place. Bounded by the queues and by what is in work.
    open: BTreeMap<u64, Place>,
    /// In work, with all readings that it answers.
    in_work: KeyedMap<InfoHash, Vec<u64>>,
    read: u64,
    /// Before it nothing is left to be read.
    front: Place,
}

impl Book {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            done: Done::new(seed, GENERATION),
            failed: KeyedMap::with_hasher(seed.derive("failed").hasher()),
            open: BTreeMap::new(),
            in_work: KeyedMap::with_hasher(seed.derive("in work").hasher()),
            read: 0,
            front: Place::default(),
        }
    }

    /// An infohash was read from the list; gives the number of the reading.
    pub(super) fn read(&mut self, place: Place) -> u64 {
        self.read += 1;
        self.front = place;
        self.open.insert(self.read, place);
        self.read
    }

    /// The list is at its end.
    pub(super) fn read_to(&mut self, end: Place) {
        self.front = end;
    }

    /// Takes a reading in work. False if it is done already: it was fetched, or given up by an earlier run at this place.
    pub(super) fn take(&mut self, number: u64, info_hash: InfoHash) -> bool {
        let place = self.open.get(&number).copied().unwrap_or_default();
        let failed = self.failed.get(&info_hash).is_some_and(|&at| place.byte <= at);
        if failed || self.done.contains(&info_hash) {
            self.open.remove(&number);
            return false;
        }
        self.in_work.entry(info_hash).or_default().push(number);
        true
    }

    /// The last place that an infohash in work was wanted at.
    pub(super) fn place_of(&self, info_hash: &InfoHash) -> Place {
        let last = self.in_work.get(info_hash).and_then(|numbers| numbers.last());
        last.and_then(|number| self.open.get(number))
            .copied()
            .unwrap_or_default()
    }

    /// An infohash is done with, and that is written down.
    pub(super) fn close(&mut self, info_hash: &InfoHash, fetched: bool) {
        for number in self.in_work.remove(info_hash).unwrap_or_default() {
            self.open.remove(&number);
        }
        if fetched {
            self.done.insert(info_hash);
        }
    }

    /// Before it everything is done.
    pub(super) fn low(&self) -> Place {
        self.open.first_key_value().map_or(self.front, |(_, &place)| place)
    }

    /// Infohashes in work.
    pub(super) fn in_work(&self) -> usize {
        self.in_work.len()
    }
}

/// What an earlier run left in its journal, on the way into a [`Book`].
pub(super) struct Earlier<'a> {
    book: &'a mut Book,
    /// Whether a mark is one of the list that is read now.
    is_ours: &'a dyn Fn(&Mark) -> bool,
    retry_failed: bool,
    /// Of the list that is read now: up to where it is done.
    mark: Option<Mark>,
    /// The last mark was one of the list that is read now.
    ours: bool,
    /// The last mark was one of another list.
    foreign: bool,
    /// Its rows say that it failed; a note may follow that says where.
    without_note: Option<InfoHash>,
    fetched: u64,
    failed: u64,
}

/// What came of it.
pub(super) struct Resumed {
    /// Up to where the list is done.
    pub(super) from: Place,
    /// Infohashes fetched by earlier runs.
    pub(super) fetched: u64,
    /// Times that an infohash was given up by them.
    pub(super) failed: u64,
    /// The last run read another list.
    pub(super) other_list: bool,
}

impl<'a> Earlier<'a> {
    pub(super) fn new(book: &'a mut Book, is_ours: &'a dyn Fn(&Mark) -> bool, retry_failed: bool) -> Self {
        Self {
            book,
            is_ours,
            retry_failed,
            mark: None,
            ours: false,
            foreign: false,
            without_note: None,
            fetched: 0,
            failed: 0,
        }
    }

    /// Takes in what the journal says next.
    pub(super) fn learn(&mut self, entry: Entry) {
        let failed = self.without_note.take();
        match entry {
            Entry::Note(Note::Failed { info_hash, at }) => self.fail(info_hash, at),
            _ => failed.into_iter().for_each(|info_hash| self.fail(info_hash, u64::MAX)),
        }
        match entry {
            Entry::Done(done) if done.metadata_ok => {
                self.fetched += 1;
                self.book.done.insert(&done.info_hash);
            }
            Entry::Done(done) => self.without_note = Some(done.info_hash),
            Entry::Note(Note::Read(mark)) => self.mark(mark),
            Entry::Note(Note::Failed { .. }) => {}
        }
    }

    fn fail(&mut self, info_hash: InfoHash, at: u64) {
        self.failed += 1;
        if self.retry_failed {
            return;
        }
        if self.ours && at < u64::MAX {
            self.book.failed.insert(info_hash, at);
        } else {
            self.book.done.insert(&info_hash);
        }
    }

    fn mark(&mut self, mark: Mark) {
        self.ours = (self.is_ours)(&mark);
        self.foreign = !self.ours;
        if self.ours {
            // What was given up before the mark is not read again, unless it is wanted again later: then it is new.
            self.book.failed.retain(|_, &mut at| at >= mark.place.byte);
            self.mark = Some(mark);
        }
    }

    pub(super) fn finish(mut self) -> Resumed {
        if let Some(info_hash) = self.without_note.take() {
            self.fail(info_hash, u64::MAX);
        }
        let mark = self.mark.filter(|_| !self.retry_failed);
        Resumed {
            from: mark.map(|mark| mark.place).unwrap_or_default(),
            fetched: self.fetched,
            failed: self.failed,
            other_list: self.foreign,
        }
    }
}

#[cfg(test)]
mod tests;

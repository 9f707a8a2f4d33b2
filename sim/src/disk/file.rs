//! One file: pages, length and path, each with what a crash may bring back.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use world::StoreId;

use super::content::Content;
use super::pages::{PAGE, Page, Pages};
use super::past::Past;

/// Bytes that a device writes whole or not at all.
const SECTOR: usize = 512;

/// Length and time of change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
}

/// How much a crash brings back of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// Nothing.
    Loses,
    /// Everything.
    Keeps,
    /// Each page, length and path as it was at any time since the last sync; pages may be torn between sectors.
    Mixes,
}

#[derive(Debug)]
pub(crate) struct File {
    /// Who changed it last.
    pub(crate) store: Option<StoreId>,
    /// `None`: it is not there.
    pub(crate) path: Past<Option<String>>,
    pub(crate) meta: Past<Meta>,
    /// Pages that were written, or cut away. `None`: a hole.
    pages: BTreeMap<u64, Past<Option<Page>>>,
    /// Pages with a history.
    dirty: BTreeSet<u64>,
    /// What the other pages hold.
    base: Option<Content>,
    /// Bytes that are kept free for it.
    reserved: u64,
    /// Pages of `pages` that are live and no hole.
    held: u64,
}

const fn page_of(at: u64) -> u64 {
    at / PAGE as u64
}

impl File {
    /// A file that operation `by` makes, empty.
    pub(crate) fn new(by: u64, path: String, mtime_ns: i64) -> Self {
        let mut made = Past::new(None);
        made.put(by, Some(path));
        Self {
            store: None,
            path: made,
            meta: Past::new(Meta { size: 0, mtime_ns }),
            pages: BTreeMap::new(),
            dirty: BTreeSet::new(),
            base: None,
            reserved: 0,
            held: 0,
        }
    }

    /// A file that has always been there.
    pub(crate) fn planted(path: String, base: Content, mtime_ns: i64) -> Self {
        let meta = Meta {
            size: base.len(),
            mtime_ns,
        };
        Self {
            path: Past::new(Some(path)),
            meta: Past::new(meta),
            base: Some(base),
            ..Self::new(0, String::new(), mtime_ns)
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.meta.live().size
    }

    /// Whether a store has changed it since it was last synced.
    pub(crate) fn is_unsynced(&self) -> bool {
        !(self.dirty.is_empty() && self.meta.is_settled() && self.path.is_settled())
    }

    /// Whether it is there, or could be after a crash.
    pub(crate) fn can_be_found(&self) -> bool {
        self.path.live().is_some() || !self.path.is_settled()
    }

    /// Bytes that it takes on the disk.
    pub(crate) fn used(&self) -> u64 {
        if self.path.live().is_none() {
            return 0;
        }
        let base = self.base.as_ref().map_or(0, |base| base.len().div_ceil(PAGE as u64));
        ((self.held + base) * PAGE as u64).max(self.reserved)
    }

    /// Copies what is at `at`; holes, and what is beyond the end, are zeros.
    pub(crate) fn read(&self, at: u64, out: &mut [u8]) {
        let there = self.size().saturating_sub(at).min(out.len() as u64) as usize;
        let (mut rest, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        let mut at = at;
        while !rest.is_empty() {
            let skip = (at % PAGE as u64) as usize;
            let (part, later) = rest.split_at_mut((PAGE - skip).min(rest.len()));
            match self.pages.get(&page_of(at)) {
                Some(past) => match past.live() {
                    Some(page) => part.copy_from_slice(&page[skip..skip + part.len()]),
                    None => part.fill(0),
                },
                None => match &self.base {
                    Some(base) => base.read(at, part),
                    None => part.fill(0),
                },
            }
            at += part.len() as u64;
            rest = later;
        }
    }

    /// Whether anything but holes is in this range.
    pub(crate) fn has_data(&self, at: u64, len: u64) -> bool {
        let end = at.saturating_add(len).min(self.size());
        at < end && (page_of(at)..=page_of(end - 1)).any(|index| self.is_held(index))
    }

    fn is_held(&self, index: u64) -> bool {
        match self.pages.get(&index) {
            Some(past) => past.live().is_some(),
            None => self.in_base(index),
        }
    }

    fn in_base(&self, index: u64) -> bool {
        self.base
            .as_ref()
            .is_some_and(|base| index.saturating_mul(PAGE as u64) < base.len())
    }

    /// Operation `by` writes; gives how many bytes found room in the `room` that the disk has left.
    pub(crate) fn write(&mut self, by: u64, at: u64, bytes: &[u8], mtime_ns: i64, room: u64, pages: &Pages) -> usize {
        let reserve = self.reserved.saturating_sub(self.used_by_pages());
        let mut room = room.saturating_add(reserve);
        let mut written = 0;
        while written < bytes.len() {
            let here = at + written as u64;
            let index = page_of(here);
            if !self.is_held(index) {
                if room < PAGE as u64 {
                    break;
                }
                room -= PAGE as u64;
            }
            let skip = (here % PAGE as u64) as usize;
            let len = (PAGE - skip).min(bytes.len() - written);
            let mut page = [0; PAGE];
            if len < PAGE {
                self.read(here - skip as u64, &mut page);
            }
            page[skip..skip + len].copy_from_slice(&bytes[written..written + len]);
            self.put(by, index, Some(pages.page(&page)));
            written += len;
        }
        if written > 0 {
            let size = self.size().max(at + written as u64);
            self.meta.put(by, Meta { size, mtime_ns });
        }
        written
    }

    /// Operation `by` puts zeros where holes are, up to a length, if there is room for all of them; whether there is.
    pub(crate) fn fill_holes(&mut self, by: u64, size: u64, room: u64, pages: &Pages) -> bool {
        let count = size.div_ceil(PAGE as u64);
        let holes = (0..count).filter(|&index| !self.is_held(index)).count() as u64;
        if holes * PAGE as u64 > room {
            return false;
        }
        let zeros = pages.page(&[0; PAGE]);
        for index in 0..count {
            if !self.is_held(index) {
                self.put(by, index, Some(Page::clone(&zeros)));
            }
        }
        true
    }

    fn used_by_pages(&self) -> u64 {
        self.held * PAGE as u64
    }

    fn put(&mut self, by: u64, index: u64, page: Option<Page>) {
        self.held -= u64::from(self.counted(index));
        if !self.pages.contains_key(&index) {
            let before = self.in_base(index).then(|| {
                let mut bytes = [0; PAGE];
                if let Some(base) = &self.base {
                    base.read(index * PAGE as u64, &mut bytes);
                }
                Page::new(bytes)
            });
            self.pages.insert(index, Past::new(before));
        }
        if let Some(past) = self.pages.get_mut(&index) {
            past.put(by, page);
        }
        self.held += u64::from(self.counted(index));
        self.dirty.insert(index);
    }

    /// Whether a page counts in `held`: those in the place of the base count with the base.
    fn counted(&self, index: u64) -> bool {
        !self.in_base(index) && self.is_held(index)
    }

    /// Operation `by` sets the length; what is cut off is gone.
    pub(crate) fn resize(&mut self, by: u64, size: u64, mtime_ns: i64, pages: &Pages) {
        if size < self.size() {
            let whole = size.div_ceil(PAGE as u64);
            if !size.is_multiple_of(PAGE as u64) && self.is_held(page_of(size)) {
                let mut page = [0; PAGE];
                let keep = (size % PAGE as u64) as usize;
                self.read(size - keep as u64, &mut page[..keep]);
                self.put(by, page_of(size), Some(pages.page(&page)));
            }
            let in_base = self.base.as_ref().map_or(0, |base| base.len().div_ceil(PAGE as u64));
            let mut cut: BTreeSet<u64> = self.pages.range(whole..).map(|(&index, _)| index).collect();
            cut.extend(whole..in_base.max(whole));
            for index in cut {
                self.put(by, index, None);
            }
        }
        self.reserved = self.reserved.min(size);
        self.meta.put(by, Meta { size, mtime_ns });
    }

    /// Keeps room for a length.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.max(bytes);
    }

    /// All that operations below `before` did is on stable storage.
    pub(crate) fn sync(&mut self, before: u64) {
        self.each_past(|past| past.sync(before));
        self.meta.sync(before);
        self.path.sync(before);
    }

    /// A sync failed; see [`Past::spoil`]. Length and path are of the file system's own journal: it keeps them to try again, or
    /// stops altogether.
    pub(crate) fn spoil(&mut self, before: u64) {
        self.each_past(|past| past.spoil(before));
    }

    fn each_past(&mut self, act: impl Fn(&mut Past<Option<Page>>)) {
        let pages = &mut self.pages;
        self.dirty.retain(|index| {
            pages.get_mut(index).is_some_and(|past| {
                act(past);
                !past.is_settled()
            })
        });
    }

    /// The power goes; gives the path at which the file is found again, and the number of who gave it.
    pub(crate) fn crash(&mut self, mood: Mood, rng: &mut ChaCha8Rng, pages: &Pages) -> (u64, Option<String>) {
        let mut pick = |choices: usize| match mood {
            Mood::Loses => 0,
            Mood::Keeps => choices - 1,
            Mood::Mixes => rng.random_range(0..choices),
        };
        let (by, path) = self.path.choice(pick(self.path.choices()));
        let path = path.clone();
        self.path.settle(path.clone());
        let meta = *self.meta.choice(pick(self.meta.choices())).1;
        self.meta.settle(meta);
        for index in std::mem::take(&mut self.dirty) {
            let Some(past) = self.pages.get_mut(&index) else {
                continue;
            };
            let choices = past.choices();
            let (head, tail) = (pick(choices), pick(choices));
            // One in four of those that could be torn is.
            let kept = if mood == Mood::Mixes && head != tail && pick(4) == 0 {
                let cut = SECTOR * pick(PAGE / SECTOR);
                Some(torn(
                    past.choice(head).1.as_ref(),
                    past.choice(tail).1.as_ref(),
                    cut,
                    pages,
                ))
            } else {
                past.choice(tail).1.clone()
            };
            past.settle(kept);
        }
        self.reserved = self.reserved.min(meta.size);
        self.forget_beyond(pages);
        (by, path)
    }

    /// What is beyond the length that a crash left is no part of the file.
    fn forget_beyond(&mut self, pages: &Pages) {
        let meta = *self.meta.live();
        // As if it had been longer: the length is where it should be, and its pages are cut to it.
        self.meta.settle(Meta { size: u64::MAX, ..meta });
        self.resize(0, meta.size, meta.mtime_ns, pages);
        self.settle();
        self.held = self
            .pages
            .iter()
            .filter(|&(&index, past)| past.live().is_some() && !self.in_base(index))
            .count() as u64;
    }

    /// Everything as it is now is on stable storage.
    pub(crate) fn settle(&mut self) {
        self.each_past(|past| past.settle(past.live().clone()));
        self.meta.settle(*self.meta.live());
        self.path.settle(self.path.live().clone());
    }
}

/// A page that begins as one of two and ends as the other.
fn torn(head: Option<&Page>, tail: Option<&Page>, cut: usize, pages: &Pages) -> Page {
    let mut bytes = [0; PAGE];
    if let Some(head) = head {
        bytes[..cut].copy_from_slice(&head[..cut]);
    }
    if let Some(tail) = tail {
        bytes[cut..].copy_from_slice(&tail[cut..]);
    }
    pages.page(&bytes)
}

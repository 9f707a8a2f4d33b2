//! Pages of 4 KiB, of which equal ones are held once: all parties of a swarm come to hold the same bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes of a page: what a crash keeps or loses, and what a file takes on the disk.
pub const PAGE: usize = 4096;

/// A page's bytes, which nobody changes.
pub(crate) type Page = Rc<[u8; PAGE]>;

/// The pages of all disks that share it. Clones are the same shelf.
#[derive(Clone, Default, Debug)]
pub(crate) struct Pages(Rc<RefCell<Shelf>>);

#[derive(Default, Debug)]
struct Shelf {
    by_hash: BTreeMap<u64, Page>,
    /// Pages that nobody holds any more are looked for when there are as many as this.
    sweep_at: usize,
}

impl Pages {
    const SWEEP_MIN: usize = 1 << 12;

    /// The page with these bytes.
    pub(crate) fn page(&self, bytes: &[u8; PAGE]) -> Page {
        let shelf = &mut *self.0.borrow_mut();
        if shelf.by_hash.len() >= shelf.sweep_at.max(Self::SWEEP_MIN) {
            shelf.by_hash.retain(|_, page| Rc::strong_count(page) > 1);
            shelf.sweep_at = 2 * shelf.by_hash.len();
        }
        let page = shelf.by_hash.entry(hash(bytes)).or_insert_with(|| Rc::new(*bytes));
        if **page == *bytes {
            Rc::clone(page)
        } else {
            // Another page has this hash already: this one is held by itself.
            Rc::new(*bytes)
        }
    }
}

/// Spreads well; collisions cost memory and nothing else.
fn hash(bytes: &[u8; PAGE]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
        let mixed = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pages_are_held_once_and_forgotten_with_their_last_holder() {
        let pages = Pages::default();
        let sharing = pages.clone();
        let one = pages.page(&[1; PAGE]);
        assert!(Rc::ptr_eq(&one, &sharing.page(&[1; PAGE])));
        assert!(!Rc::ptr_eq(&one, &pages.page(&[2; PAGE])));
        let mut bytes = [0; PAGE];
        for number in 0..3 * Pages::SWEEP_MIN as u64 {
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            pages.page(&bytes);
        }
        assert!(pages.0.borrow().by_hash.len() <= Pages::SWEEP_MIN);
        assert!(Rc::ptr_eq(&one, &pages.page(&[1; PAGE])));
    }
}

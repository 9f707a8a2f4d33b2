//! One bucket: nodes, and spares for those that fail.

use std::time::Duration;

use wire::NodeId;
use world::Time;

use crate::contacts::{Contact, K};

/// Before a node that failed once is pinged again; as much longer as it failed more often.
pub(super) const RETRY: Duration = Duration::from_secs(60);

/// A new bucket is given this long to fill from whatever else goes on.
pub(super) const SETTLE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) contact: Contact,
    /// When to ping it, unless it is heard of before.
    pub(super) due: Time,
    /// Timeouts since it last answered.
    pub(super) fails: u8,
}

impl Entry {
    pub(super) const fn answered(contact: Contact, due: Time) -> Self {
        Self { contact, due, fails: 0 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// At most [`K`].
    pub(super) live: Vec<Entry>,
    /// At most [`K`], the one that answered last at the end.
    pub(super) spare: Vec<Entry>,
    /// When to walk into it, unless a node in it answers before.
    pub(super) refresh_due: Time,
}

impl Bucket {
    pub(super) fn new(refresh_due: Time) -> Self {
        Self {
            live: Vec::with_capacity(K),
            spare: Vec::with_capacity(K),
            refresh_due,
        }
    }

    pub(super) fn find(&mut self, id: &NodeId) -> Option<&mut Entry> {
        self.live.iter_mut().find(|entry| entry.contact.id == *id)
    }

    pub(super) fn holds(&self, id: &NodeId) -> bool {
        self.live.iter().any(|entry| entry.contact.id == *id)
    }

    pub(super) fn is_full(&self) -> bool {
        self.live.len() == K
    }

    /// Whether a good node finds a place: a free one, or that of a failing node.
    pub(super) fn has_place(&self) -> bool {
        self.live.len() < K || self.live.iter().any(|entry| entry.fails > 0)
    }

    /// Puts a good node in a free place, or else in that of the node that failed most.
    pub(super) fn place(&mut self, entry: Entry) {
        if self.live.len() < K {
            self.live.push(entry);
        } else if let Some(worst) = self.live.iter_mut().max_by_key(|held| held.fails) {
            *worst = entry;
        }
    }

    /// Keeps a good node for later; the spare that answered longest ago makes way.
    pub(super) fn keep_spare(&mut self, entry: Entry) {
        let same = |held: &Entry| held.contact.id == entry.contact.id || held.contact.addr == entry.contact.addr;
        if let Some(at) = self.spare.iter().position(same) {
            self.spare.remove(at);
        } else if self.spare.len() == K {
            self.spare.remove(0);
        }
        self.spare.push(entry);
    }

    pub(super) fn remove(&mut self, id: &NodeId) {
        self.live.retain(|entry| entry.contact.id != *id);
    }

    pub(super) fn failed_often(&self, id: &NodeId, limit: u8) -> bool {
        self.live
            .iter()
            .any(|entry| entry.contact.id == *id && entry.fails >= limit)
    }
}

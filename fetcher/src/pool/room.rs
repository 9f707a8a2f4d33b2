//! How many bytes may be in assembly, over all infohashes.

use std::collections::VecDeque;

use world::ConnId;

/// A budget of claimed bytes. Claims are reserved whole before the first request, so that what was begun can be
/// finished; who finds no room waits in order. Each waiting connection is there once.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    used: u64,
    waiting: VecDeque<(ConnId, u32)>,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Reserves `size` bytes, or queues `conn` for them. Nobody overtakes those who wait.
    pub(super) fn reserve(&mut self, conn: ConnId, size: u32) -> bool {
        if self.waiting.is_empty() && self.fits(size) {
            self.used += u64::from(size);
            return true;
        }
        self.waiting.push_back((conn, size));
        false
    }

    pub(super) fn release(&mut self, size: u32) {
        self.used = self.used.saturating_sub(u64::from(size));
    }

    /// Takes the first in the queue, if there is room for it now, and reserves that room.
    pub(super) fn admit(&mut self) -> Option<ConnId> {
        let &(conn, size) = self.waiting.front()?;
        if !self.fits(size) {
            return None;
        }
        self.waiting.pop_front();
        self.used += u64::from(size);
        Some(conn)
    }

    /// `conn` waits no longer.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.waiting.retain(|&(waiting, _)| waiting != conn);
    }

    /// Whether `conn` waits.
    pub(super) fn awaits(&self, conn: ConnId) -> bool {
        self.waiting.iter().any(|&(waiting, _)| waiting == conn)
    }

    /// Bytes reserved.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    fn fits(&self, size: u32) -> bool {
        self.used.saturating_add(u64::from(size)) <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_room_waits_in_order() {
        let mut room = Room::new(10);
        assert!(room.reserve(ConnId(1), 8));
        assert!(!room.reserve(ConnId(2), 9));
        assert!(!room.reserve(ConnId(3), 1));
        assert_eq!(room.admit(), None);
        room.release(8);
        assert_eq!(room.admit(), Some(ConnId(2)));
        assert_eq!(room.admit(), Some(ConnId(3)));
        assert_eq!((room.admit(), room.used()), (None, 10));
    }

    #[test]
    fn who_left_is_passed_over() {
        let mut room = Room::new(10);
        assert!(room.reserve(ConnId(1), 10));
        assert!(!room.reserve(ConnId(2), 10));
        assert!(!room.reserve(ConnId(3), 5));
        room.forget(ConnId(2));
        room.release(10);
        assert_eq!(room.admit(), Some(ConnId(3)));
    }
}

//! What the lab will send, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use world::{ConnId, Time};

/// Something to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Write {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Close {
        conn: ConnId,
    },
    /// More of what never ends.
    Helping {
        conn: ConnId,
    },
}

/// An entry: earliest first, and among equals the first that came.
#[derive(PartialEq, Eq, Debug)]
struct Due {
    at: Time,
    number: u64,
    what: What,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl What {
    const fn size(&self) -> usize {
        match self {
            Self::Datagram { bytes, .. } | Self::Write { bytes, .. } => bytes.len(),
            Self::Close { .. } | Self::Helping { .. } => 0,
        }
    }
}

/// Everything on its way. Holds at most [`Queue::MAX`] packets and [`Queue::BYTES_MAX`] bytes: what comes on top is
/// lost, as in a router.
#[derive(Default, Debug)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Due>>,
    number: u64,
    bytes: usize,
    /// Emptied buffers for the next packets.
    spare: Vec<Vec<u8>>,
}

impl Queue {
    pub(crate) const MAX: usize = 1 << 17;
    const BYTES_MAX: usize = 256 << 20;
    const SPARE_MAX: usize = 1 << 10;

    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        // A buffer that carried metadata is not worth keeping for datagrams.
        if self.spare.len() < Self::SPARE_MAX && buffer.capacity() <= 4096 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Whether another packet fits. The end of a connection always does: there are at most as many as connections.
    pub(crate) fn has_room(&self) -> bool {
        self.heap.len() < Self::MAX && self.bytes < Self::BYTES_MAX
    }

    pub(crate) fn push(&mut self, at: Time, what: What) {
        self.number += 1;
        self.bytes += what.size();
        self.heap.push(Reverse(Due {
            at,
            number: self.number,
            what,
        }));
    }

    pub(crate) fn pop(&mut self, now: Time) -> Option<What> {
        if self.next()? > now {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        self.bytes -= due.what.size();
        Some(due.what)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_equals_in_order() {
        let mut queue = Queue::default();
        let close = |number| What::Close { conn: ConnId(number) };
        for (second, number) in [(2, 1), (1, 2), (2, 3), (1, 4)] {
            queue.push(Time::from_secs(second), close(number));
        }
        assert_eq!(queue.pop(Time::ZERO), None);
        assert_eq!(queue.next(), Some(Time::from_secs(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(Time::from_secs(9))).collect();
        assert_eq!(order, [2, 4, 1, 3].map(close));
    }
}

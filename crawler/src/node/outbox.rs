//! Answers of ours between the query that caused them and the poll that sends them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Answers that can wait. Each is polled out before the next datagram is handled, so one would do; a caller that
/// handles a batch first loses only what exceeds this.
const SLOTS: usize = 64;

/// A ring of buffers that keep their memory.
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<(SocketAddr, Vec<u8>)>,
    first: usize,
    len: usize,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            slots: vec![(nowhere, Vec::new()); SLOTS],
            first: 0,
            len: 0,
        }
    }

    /// An empty buffer to write an answer into, sent if [`Outbox::commit`] follows; `None` when all wait to be sent.
    pub(super) fn buffer(&mut self) -> Option<&mut Vec<u8>> {
        if self.len == SLOTS {
            return None;
        }
        let (_, buffer) = &mut self.slots[(self.first + self.len) % SLOTS];
        buffer.clear();
        Some(buffer)
    }

    /// The buffer last given is to be sent to `to`; an empty one is not.
    pub(super) fn commit(&mut self, to: SocketAddr) -> bool {
        let slot = &mut self.slots[(self.first + self.len) % SLOTS];
        if slot.1.is_empty() || self.len == SLOTS {
            return false;
        }
        slot.0 = to;
        self.len += 1;
        true
    }

    /// Appends the oldest answer to `payload`: its destination and length.
    pub(super) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<(SocketAddr, usize)> {
        if self.len == 0 {
            return None;
        }
        let (to, buffer) = &self.slots[self.first];
        payload.extend_from_slice(buffer);
        let sent = (*to, buffer.len());
        self.first = (self.first + 1) % SLOTS;
        self.len -= 1;
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_order_and_a_full_box_takes_no_more() {
        let to = |port: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        let mut outbox = Outbox::new();
        for port in 0..SLOTS {
            outbox.buffer().unwrap().push(u8::try_from(port).unwrap());
            assert!(outbox.commit(to(port)));
        }
        assert!(outbox.buffer().is_none());
        for port in 0..SLOTS {
            let mut payload = Vec::new();
            assert_eq!(outbox.pop(&mut payload), Some((to(port), 1)));
            assert_eq!(payload, [u8::try_from(port).unwrap()]);
        }
        assert_eq!(outbox.pop(&mut Vec::new()), None);
    }

    #[test]
    fn nothing_written_nothing_sent() {
        let mut outbox = Outbox::new();
        outbox.buffer().unwrap();
        assert!(!outbox.commit(SocketAddr::from(([127, 0, 0, 1], 1))));
    }
}

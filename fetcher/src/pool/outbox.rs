//! What was decided and not yet told to the world.

use std::collections::VecDeque;
use std::net::SocketAddr;

use world::{ConnId, Effect, Output, Via};

use crate::Event;

#[derive(Debug)]
enum Item {
    Dial {
        conn: ConnId,
        to: SocketAddr,
        via: Option<Via>,
    },
    Write {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Close {
        conn: ConnId,
    },
    Event(Event),
}

/// Effects and events in the order they were decided. Empty between inputs, since the world polls until it is; holds at
/// most what one input or command brings about.
#[derive(Default, Debug)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
}

impl Outbox {
    pub(super) fn dial(&mut self, conn: ConnId, to: SocketAddr, via: Option<Via>) {
        self.items.push_back(Item::Dial { conn, to, via });
    }

    pub(super) fn close(&mut self, conn: ConnId) {
        self.items.push_back(Item::Close { conn });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.items.push_back(Item::Event(event));
    }

    /// Writes to `conn` what `fill` appends, in one effect with what was last written if that is still here.
    pub(super) fn write(&mut self, conn: ConnId, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Item::Write { conn: last, bytes }) = self.items.back_mut()
            && *last == conn
        {
            fill(bytes);
            return;
        }
        let mut bytes = Vec::new();
        fill(&mut bytes);
        if !bytes.is_empty() {
            self.items.push_back(Item::Write { conn, bytes });
        }
    }

    /// The next effect or event; what it writes is appended to `payload`.
    pub(super) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        Some(match self.items.pop_front()? {
            Item::Dial { conn, to, via } => Output::Effect(Effect::Dial { conn, to, via }),
            Item::Close { conn } => Output::Effect(Effect::Close { conn }),
            Item::Event(event) => Output::Event(event),
            Item::Write { conn, bytes } => {
                payload.extend_from_slice(&bytes);
                let len = bytes.len();
                Output::Effect(Effect::Write { conn, len })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_writes_go_out_together() {
        let mut outbox = Outbox::default();
        outbox.write(ConnId(1), |out| out.extend_from_slice(b"ab"));
        outbox.write(ConnId(1), |out| out.extend_from_slice(b"c"));
        outbox.write(ConnId(2), |out| out.extend_from_slice(b"d"));
        let mut payload = Vec::new();
        let write = |conn, len| {
            Some(Output::Effect(Effect::Write {
                conn: ConnId(conn),
                len,
            }))
        };
        assert_eq!(outbox.pop(&mut payload), write(1, 3));
        assert_eq!(outbox.pop(&mut payload), write(2, 1));
        assert_eq!(outbox.pop(&mut payload), None);
        assert_eq!(payload, b"abcd");
    }
}

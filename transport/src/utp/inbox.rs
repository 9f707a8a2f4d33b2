//! What the owner was not told yet.

use std::collections::VecDeque;

use world::ConnId;

use crate::Above;

/// Bytes not yet polled, beyond which datagrams are dropped. An owner that polls after each datagram never comes near.
const FULL: usize = 1 << 20;

#[derive(Debug)]
struct Item {
    /// `None` once the stream was closed by its owner, who is not to hear of it again.
    what: Option<Above>,
    conn: ConnId,
    len: usize,
}

/// Events and the bytes that belong to them, in order. The buffer is used again.
#[derive(Default, Debug)]
pub(super) struct Inbox {
    items: VecDeque<Item>,
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() > FULL
    }

    /// An event without bytes.
    pub(super) fn tell(&mut self, conn: ConnId, what: Above) {
        self.items.push_back(Item {
            what: Some(what),
            conn,
            len: 0,
        });
    }

    /// Bytes of `conn`, in one event with those before if nothing came between.
    pub(super) fn received(&mut self, conn: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        if let Some(last) = self.items.back_mut()
            && let Some(Above::Received { conn: before, len }) = &mut last.what
            && *before == conn
        {
            *len += bytes.len();
            last.len = *len;
            return;
        }
        let len = bytes.len();
        let what = Some(Above::Received { conn, len });
        self.items.push_back(Item { what, conn, len });
    }

    /// Nothing more of `conn`.
    pub(super) fn forget(&mut self, conn: ConnId) {
        for item in self.items.iter_mut().filter(|item| item.conn == conn) {
            item.what = None;
        }
    }

    /// The next event; its bytes are appended to `payload`.
    pub(super) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<Above> {
        while let Some(item) = self.items.pop_front() {
            let bytes = self.bytes.get(self.taken..self.taken + item.len).unwrap_or_default();
            if item.what.is_some() {
                payload.extend_from_slice(bytes);
            }
            self.taken += item.len;
            if self.items.is_empty() {
                self.bytes.clear();
                self.taken = 0;
            }
            if item.what.is_some() {
                return item.what;
            }
        }
        None
    }
}

//! What was decided and not yet told, to the world below or to the mind above.

use std::collections::VecDeque;

use world::{ConnId, Effect, Output};

use crate::Above;

/// Outputs in the order they were decided, and their bytes one after the other in one buffer: in the steady state nothing
/// is allocated. Empty between inputs, since the owner polls until it is; holds what one input brings about.
#[derive(Default, Debug)]
pub(crate) struct Outbox {
    items: VecDeque<Output<Above>>,
    bytes: Vec<u8>,
    /// Bytes that were taken.
    taken: usize,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// An effect without bytes.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.items.push_back(Output::Effect(effect));
    }

    /// A word to the mind above, without bytes.
    pub(crate) fn tell(&mut self, above: Above) {
        self.items.push_back(Output::Event(above));
    }

    /// Bytes for the world; what was put may still be changed.
    pub(crate) fn write(&mut self, conn: ConnId, bytes: &[u8]) -> &mut [u8] {
        let len = bytes.len();
        self.put(Output::Effect(Effect::Write { conn, len }), bytes)
    }

    /// Bytes for the mind above; what was put may still be changed.
    pub(crate) fn pass_up(&mut self, conn: ConnId, bytes: &[u8]) -> &mut [u8] {
        let len = bytes.len();
        self.put(Output::Event(Above::Received { conn, len }), bytes)
    }

    fn put(&mut self, output: Output<Above>, bytes: &[u8]) -> &mut [u8] {
        if bytes.is_empty() {
            return &mut [];
        }
        self.items.push_back(output);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.bytes.get_mut(at..).unwrap_or_default()
    }

    /// The next; its bytes are appended to `payload`.
    pub(crate) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<Output<Above>> {
        let item = self.items.pop_front()?;
        if let Output::Effect(Effect::Write { len, .. }) | Output::Event(Above::Received { len, .. }) = item {
            let end = self.taken + len;
            payload.extend_from_slice(self.bytes.get(self.taken..end).unwrap_or_default());
            self.taken = end;
        }
        if self.items.is_empty() {
            self.bytes.clear();
            self.taken = 0;
        }
        Some(item)
    }
}

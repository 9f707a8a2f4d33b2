//! What was decided and not yet told.

use std::collections::VecDeque;

use world::{ConnId, Effect, Output};

use crate::Event;

/// Effects and events in the order they were decided, and the bytes of the effects one after the other in one buffer: in the
/// steady state nothing is allocated. Empty between inputs, since the world polls until it is.
#[derive(Default, Debug)]
pub(crate) struct Outbox {
    items: VecDeque<(Output<Event>, usize)>,
    bytes: VecDeque<u8>,
}

impl Outbox {
    /// An effect without bytes.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.items.push_back((Output::Effect(effect), 0));
    }

    /// An effect with the bytes that go with it.
    pub(crate) fn effect_with(&mut self, effect: Effect, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.items.push_back((Output::Effect(effect), bytes.len()));
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.effect(Effect::Close { conn });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.items.push_back((Output::Event(event), 0));
    }

    /// The next; its bytes are appended to `payload`.
    pub(crate) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        let (output, len) = self.items.pop_front()?;
        payload.extend(self.bytes.drain(..len));
        Some(output)
    }
}

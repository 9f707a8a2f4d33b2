//! All streams at once.

use std::collections::VecDeque;

use world::{Effect, Input, Output, Time};

use crate::Above;

/// Streams to peers, by whatever works.
#[derive(Default, Debug)]
pub struct Transport {
    /// What the mind above asked for and the world was not told yet, with the bytes of a write.
    down: VecDeque<(Effect, Vec<u8>)>,
}

impl Transport {
    /// No stream yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a datagram is of a stream (uTP, BEP 29), not a DHT message.
    pub fn claims(_datagram: &[u8]) -> bool {
        false
    }

    /// Takes what the mind above asks for: to dial, write or close. `payload` is what a write writes.
    pub fn act(&mut self, _now: Time, effect: Effect, payload: &[u8]) {
        self.down.push_back((effect, payload.to_vec()));
    }

    /// Takes what the world tells. What concerns the mind above as it is comes back; all else comes from
    /// [`poll`](Self::poll).
    pub fn receive<'a>(&mut self, _now: Time, input: Input<'a>) -> Option<Input<'a>> {
        Some(input)
    }

    /// The next thing to do or to tell.
    pub fn poll(&mut self, _now: Time, payload: &mut Vec<u8>) -> Option<Output<Above>> {
        let (effect, bytes) = self.down.pop_front()?;
        payload.extend_from_slice(&bytes);
        Some(Output::Effect(effect))
    }

    /// When to be told [`Input::Tick`].
    pub fn deadline(&self) -> Option<Time> {
        None
    }
}

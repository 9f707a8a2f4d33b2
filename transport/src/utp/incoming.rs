//! The receiving half of a stream: what is due, and what came before it was.

use std::collections::VecDeque;

/// Bytes of a selective acknowledgement: tells of 256 packets.
pub(super) const MAX_MASK: usize = 32;

/// Buffers that are used again; of all streams of a socket.
#[derive(Default, Debug)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// Kept for later; more are freed.
    const KEPT: usize = 64;

    fn fill(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.0.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if self.0.len() < Self::KEPT && buffer.capacity() > 0 {
            self.0.push(buffer);
        }
    }
}

/// What became of a packet with payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// It was due: it and what waited for it was delivered.
    Due,
    /// It waits for an earlier one.
    Early,
    /// It came before.
    Again,
    /// No room for it, or far from what is due.
    NoRoom,
    /// Its number is after the last one.
    AfterEnd,
}

/// Numbers received, and packets that wait for an earlier one.
#[derive(Debug)]
pub(super) struct Incoming {
    ack_nr: u16,
    /// Packets from number `ack_nr + 2` on; the last one is never `None`.
    early: VecDeque<Option<Vec<u8>>>,
    held: u32,
    /// Number of the other side's FIN.
    last: Option<u16>,
}

impl Incoming {
    /// Whose last packet received has the number `ack_nr`.
    pub(super) const fn new(ack_nr: u16) -> Self {
        Self {
            ack_nr,
            early: VecDeque::new(),
            held: 0,
            last: None,
        }
    }

    pub(super) const fn ack_nr(&self) -> u16 {
        self.ack_nr
    }

    /// Bytes that wait.
    pub(super) const fn held(&self) -> u32 {
        self.held
    }

    /// Whether everything was received, the FIN too.
    pub(super) fn is_ended(&self) -> bool {
        self.last == Some(self.ack_nr)
    }

    /// Packets that may wait: half a KiB each fill the window; libutp's packets are seldom smaller.
    fn max_early(window: u32) -> usize {
        usize::try_from(window / 512).unwrap_or(usize::MAX).clamp(32, 1_024)
    }

    /// Whether a number is one that the other side could be at.
    pub(super) fn is_near(&self, seq_nr: u16, window: u32) -> bool {
        let ahead = usize::from(seq_nr.wrapping_sub(self.ack_nr));
        ahead <= Self::max_early(window) + 1 || ahead >= (1 << 16) - 1_024
    }

    /// A packet with payload, or a FIN with none. `room` is how many bytes may still be kept, of this stream and of all.
    /// What is due goes to `deliver`, in order.
    pub(super) fn arrive(
        &mut self,
        seq_nr: u16,
        payload: &[u8],
        fin: bool,
        limits: Limits,
        spare: &mut Spare,
        mut deliver: impl FnMut(&[u8]),
    ) -> Arrival {
        let ahead = seq_nr.wrapping_sub(self.ack_nr);
        if ahead == 0 || ahead >= 1 << 15 {
            return Arrival::Again;
        }
        if let Some(last) = self.last
            && seq_nr != last
            && seq_nr.wrapping_sub(last) < 1 << 15
        {
            return Arrival::AfterEnd;
        }
        let place = usize::from(ahead) - 1;
        if place == 0 {
            deliver(payload);
            if fin {
                self.last = Some(seq_nr);
            }
            self.advance(spare, deliver);
            return Arrival::Due;
        }
        let Ok(len) = u32::try_from(payload.len()) else {
            return Arrival::NoRoom;
        };
        let too_many = place > Self::max_early(limits.window);
        if too_many || len > limits.window.saturating_sub(self.held) || payload.len() > limits.shared {
            return Arrival::NoRoom;
        }
        if self.early.len() < place {
            self.early.resize_with(place, || None);
        }
        match self.early.get_mut(place - 1) {
            Some(slot @ None) => *slot = Some(spare.fill(payload)),
            _ => return Arrival::Again,
        }
        self.held += len;
        if fin {
            self.last = Some(seq_nr);
        }
        Arrival::Early
    }

    /// The packet that was due is here: deliver it all up to the next gap.
    fn advance(&mut self, spare: &mut Spare, mut deliver: impl FnMut(&[u8])) {
        loop {
            self.ack_nr = self.ack_nr.wrapping_add(1);
            if self.is_ended() {
                return self.forget(spare);
            }
            let Some(bytes) = self.early.pop_front().flatten() else {
                return;
            };
            deliver(&bytes);
            self.held -= u32::try_from(bytes.len()).unwrap_or(0);
            spare.give_back(bytes);
        }
    }

    /// Drops what waits.
    pub(super) fn forget(&mut self, spare: &mut Spare) {
        self.early.drain(..).flatten().for_each(|bytes| spare.give_back(bytes));
        self.held = 0;
    }

    /// Writes which packets wait as a mask, and says how long it is: 0 if none does.
    pub(super) fn mask(&self, mask: &mut [u8; MAX_MASK]) -> usize {
        let told = self.early.len().min(MAX_MASK * 8);
        for (at, early) in self.early.iter().take(told).enumerate() {
            if early.is_some()
                && let Some(byte) = mask.get_mut(at / 8)
            {
                *byte |= 1 << (at % 8);
            }
        }
        told.div_ceil(32) * 4
    }

    /// Gives memory back while nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.early.is_empty() {
            self.early = VecDeque::new();
        }
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of this stream.
    pub(super) window: u32,
    /// Bytes that are left of those for all streams.
    pub(super) shared: usize,
}

//! One direction of a party's line: who waits for it, and until when it is taken.

use std::collections::VecDeque;

use world::Time;

/// Bytes of a block, as noise counts them, and the most that a stream sends in one turn.
pub(super) const BLOCK: usize = 16 * 1024;
/// What a packet carries: no turn is shorter, if there is so much to send.
const PACKET: usize = 1_460;

/// An end of a stream: number, and 0 for who dialled, 1 for who was called.
pub(super) type End = (u64, usize);

/// What takes turns on a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// What this end writes, on the way up; what it is to receive, on the way down.
    Stream(End),
    /// All datagrams together.
    Datagrams,
    /// A document.
    Web(u64),
}

/// One direction. Flows take turns; each flow is in the line at most once.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) flows: VecDeque<Flow>,
    /// Something is under way; an event will tell its end.
    pub(super) is_busy: bool,
    /// Bytes of datagrams that passed in the turn they have.
    pub(super) spent: usize,
    /// When it is free, nanoseconds: exact, so that rounding to microseconds adds up to nothing.
    free_ns: u64,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            flows: VecDeque::new(),
            is_busy: false,
            spent: 0,
            free_ns: 0,
        }
    }

    /// Datagrams have passed, and more wait or not: whether they go on, or another flow is next.
    pub(super) fn datagram_passed(&mut self, bytes: usize, rate: u64, more: bool) {
        self.spent += bytes;
        let goes_on = more && self.spent < turn(rate);
        if !goes_on {
            self.spent = 0;
        }
        if more {
            self.queue(Flow::Datagrams, goes_on);
        }
    }

    /// A flow has more: next, or after all others.
    pub(super) fn queue(&mut self, flow: Flow, goes_on: bool) {
        if goes_on {
            self.flows.push_front(flow);
        } else {
            self.flows.push_back(flow);
        }
    }

    /// Nobody waits any more.
    pub(super) fn clear(&mut self) {
        self.flows.clear();
        self.spent = 0;
    }

    /// Passes so many bytes; gives the time when they have passed.
    pub(super) fn pass(&mut self, now: Time, bytes: usize, rate: u64) -> Time {
        // Who was woken at the microsecond after the line became free has not wasted its rest.
        let now_ns = now.as_micros().saturating_mul(1_000).saturating_sub(999);
        let takes = u128::from(bytes as u64) * 1_000_000_000 / u128::from(rate.max(1));
        self.free_ns = self.free_ns.max(now_ns) + u64::try_from(takes).unwrap_or(u64::MAX / 2);
        self.is_busy = true;
        Time::from_micros(self.free_ns.div_ceil(1_000)).max(now)
    }
}

/// Bytes of a turn on a line: 8 ms of it, so that small messages need not wait long.
pub(super) fn turn(rate: u64) -> usize {
    ((rate / 128) as usize).clamp(PACKET, BLOCK)
}

/// What a flow has left of its turn: it may overdraw by its last bytes, and then has less of the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    left: usize,
    owed: usize,
}

impl Left {
    pub(super) const fn new() -> Self {
        Self { left: 0, owed: 0 }
    }

    /// Bytes of the flow pass a line of this rate; whether the turn goes on.
    pub(super) fn pass(&mut self, bytes: usize, rate: u64) -> bool {
        let Self { left, owed } = self;
        if *left == 0 {
            *left = turn(rate).saturating_sub(*owed);
            *owed = 0;
        }
        *owed = bytes.saturating_sub(*left);
        *left = left.saturating_sub(bytes);
        *left > 0
    }

    /// The flow has nothing to send: its turn is over.
    pub(super) const fn end(&mut self) {
        self.left = 0;
    }
}

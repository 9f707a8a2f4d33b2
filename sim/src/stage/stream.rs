//! One stream: two ends and the bytes between them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use world::{ConnId, Time};

use super::line::Left;

/// How an end of a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It dialled and has heard nothing yet.
    Dialling,
    /// It is to be called.
    Uncalled,
    /// Both may write.
    Open,
    /// Its machine closed it, or was told that it ended.
    Closed,
    /// Its machine died: who writes to it is told, if the party is up again or only the process died.
    Dead,
}

/// What comes through a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Bytes(Vec<u8>),
    /// No more bytes.
    Fin,
}

impl Item {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Fin => 0,
        }
    }
}

/// One end, and what it writes.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) party: usize,
    pub(super) conn: ConnId,
    pub(super) state: State,
    /// Written, and not yet on its way.
    pub(super) backlog: VecDeque<u8>,
    /// On their way and not acknowledged.
    pub(super) in_flight: usize,
    /// All that went on its way before: the offset of the backlog in the stream.
    pub(super) sent: u64,
    /// The machine wants to know when the backlog is short.
    pub(super) reports: bool,
    /// After the backlog comes a [`Item::Fin`].
    pub(super) ends: bool,
    pub(super) fin_sent: bool,
    /// The other end has it.
    pub(super) fin_arrived: bool,
    /// It waits for its turn on the way up.
    pub(super) is_queued: bool,
    pub(super) up_left: Left,
    /// When the last that it sent arrives.
    arrives: Time,
    /// Arrived at this end, from the other, and not yet through the line down.
    pub(super) landed: VecDeque<Item>,
    /// It waits for its turn on the way down, or is having it.
    pub(super) is_landing: bool,
    pub(super) down_left: Left,
}

impl Half {
    pub(super) const fn new(party: usize, conn: ConnId, state: State) -> Self {
        Self {
            party,
            conn,
            state,
            backlog: VecDeque::new(),
            in_flight: 0,
            sent: 0,
            reports: false,
            ends: false,
            fin_sent: false,
            fin_arrived: false,
            is_queued: false,
            up_left: Left::new(),
            arrives: Time::ZERO,
            landed: VecDeque::new(),
            is_landing: false,
            down_left: Left::new(),
        }
    }

    /// Its machine hears no more of it. What it wrote is dropped, unless it closed by itself.
    pub(super) fn end(&mut self, state: State) {
        self.state = state;
        self.reports = false;
        self.landed.clear();
        self.ends = false;
        self.backlog.clear();
    }

    /// Whether all that it wrote has arrived.
    const fn is_through(&self) -> bool {
        !self.ends || self.fin_arrived
    }

    /// When something arrives that would at `at`: not before what was sent earlier, should the path have become shorter.
    pub(super) fn arrives_after(&mut self, at: Time) -> Time {
        self.arrives = self.arrives.max(at);
        self.arrives
    }

    /// Whether it has something to send, with so many bytes allowed on their way.
    pub(super) fn wants_turn(&self, window: usize) -> bool {
        if self.fin_sent || matches!(self.state, State::Dialling | State::Uncalled | State::Dead) {
            return false;
        }
        if self.backlog.is_empty() {
            self.ends
        } else {
            self.in_flight < window
        }
    }
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) halves: [Half; 2],
    /// From where it was dialled, and what.
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Stream {
    /// Whether it can be forgotten.
    pub(super) fn is_over(&self) -> bool {
        let [one, other] = &self.halves;
        let told = |half: &Half| matches!(half.state, State::Closed | State::Dead);
        let dead = one.state == State::Dead || other.state == State::Dead;
        told(one) && told(other) && (dead || one.is_through() && other.is_through())
    }
}

//! The way from the thread that reads a list to the machines that fetch: bounded, and nobody on it waits for the network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use host::Waker;
use store::wants::{Asked, Place};
use wire::InfoHash;

use super::book::Book;
use super::machine::{Next, Source, Want};

/// Infohashes that wait for one machine. The reader waits when they are as many: some seconds of a fast fetch.
const DEPTH: usize = 1_024;

/// Infohashes that are passed over in one call because they are done; the loop must turn in between.
const SKIPS_PER_CALL: usize = 4_096;

/// What happened on the way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    /// Infohashes given to a machine; repetitions of one in work included.
    pub(super) taken: u64,
    /// Infohashes done before, passed over.
    pub(super) skipped: u64,
    /// Lines that are no rows.
    pub(super) bad: u64,
    /// Peers beyond those kept of one infohash.
    pub(super) surplus: u64,
    /// Infohashes left out: of the opt-out list, or without a peer that is not blocked.
    pub(super) left_out: u64,
    /// Peers left out: in blocked networks.
    pub(super) blocked: u64,
    /// Bytes of the source that were read for what was taken; packed, if it is.
    pub(super) source_bytes: u64,
}

/// How the reading of a list ended.
pub(super) enum End {
    /// All of it was read.
    At(Place),
    /// It cannot be read to its end, and why.
    Trouble(String),
    /// Nobody wanted the rest.
    Unwanted,
}

/// One infohash on its way.
struct Item {
    number: u64,
    source_bytes: u64,
    info_hash: InfoHash,
    peers: Vec<SocketAddr>,
}

/// What waits for one machine.
#[derive(Default)]
struct Lane {
    queue: VecDeque<Item>,
    waker: Option<Waker>,
    /// The machine was told that there is nothing yet.
    hungry: bool,
}

impl Lane {
    fn wake(&mut self) {
        if std::mem::take(&mut self.hungry)
            && let Some(waker) = &self.waker
        {
            waker.wake();
        }
    }
}

struct State {
    lanes: Vec<Lane>,
    book: Book,
    counts: Counts,
    /// Lines for people, from the reader's thread.
    notes: Vec<String>,
    /// The list is read; what kept it from its end, if something did.
    ended: bool,
    trouble: Option<String>,
    /// Nobody takes anything any more.
    closed: bool,
}

/// Everything between the reader and the machines.
pub(super) struct Feed {
    state: Mutex<State>,
    /// Somewhere a queue has become shorter.
    room: Condvar,
}

impl Feed {
    /// For as many machines as there are `lanes`.
    pub(super) fn new(lanes: usize, book: Book) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                lanes: (0..lanes.max(1)).map(|_| Lane::default()).collect(),
                book,
                counts: Counts::default(),
                notes: Vec::new(),
                ended: false,
                trouble: None,
                closed: false,
            }),
            room: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings an infohash to its machine: always the same one, so that whoever has it in work hears of it again. Waits
    /// while that machine has enough; false if nobody takes anything any more.
    pub(super) fn push(&self, asked: Asked, source_bytes: u64) -> bool {
        let mut state = self.state();
        let lane = lane_of(&asked.info_hash, state.lanes.len());
        while !state.closed && state.lanes[lane].queue.len() >= DEPTH {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        let number = state.book.read(asked.place);
        state.counts.surplus += asked.surplus;
        state.lanes[lane].queue.push_back(Item {
            number,
            source_bytes,
            info_hash: asked.info_hash,
            peers: asked.peers,
        });
        state.lanes[lane].wake();
        true
    }

    /// Changes the counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.state().counts);
    }

    /// Leaves a line for people, to be said by the thread that speaks to them.
    pub(super) fn leave_note(&self, note: String) {
        self.state().notes.push(note);
    }

    /// Nothing more will be brought.
    pub(super) fn finish(&self, end: End) {
        let mut state = self.state();
        state.ended = true;
        match end {
            End::At(place) => state.book.read_to(place),
            End::Trouble(trouble) => state.trouble = Some(trouble),
            End::Unwanted => {}
        }
        state.lanes.iter_mut().for_each(Lane::wake);
    }

    /// Nobody takes anything any more: the reader may end.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.notify_all();
    }

    fn next(&self, lane: usize) -> Next {
        let mut state = self.state();
        for _ in 0..SKIPS_PER_CALL {
            let Some(item) = state.lanes.get_mut(lane).and_then(|lane| lane.queue.pop_front()) else {
                return state.empty(lane);
            };
            if state.lanes[lane].queue.len() == DEPTH / 2 {
                self.room.notify_all();
            }
            state.counts.source_bytes = state.counts.source_bytes.max(item.source_bytes);
            if state.book.take(item.number, item.info_hash) {
                state.counts.taken += 1;
                return Next::Want(Want {
                    info_hash: item.info_hash,
                    peers: item.peers,
                });
            }
            state.counts.skipped += 1;
        }
        // More of the same at the next turn.
        state.lanes[lane].hungry = true;
        state.lanes[lane].wake();
        Next::Later
    }

    /// Where the list is done up to.
    pub(super) fn low(&self) -> Place {
        self.state().book.low()
    }

    /// The last place that an infohash in work was wanted at.
    pub(super) fn place_of(&self, info_hash: &InfoHash) -> Place {
        self.state().book.place_of(info_hash)
    }

    /// An infohash is done with, and that is written down.
    pub(super) fn done(&self, info_hash: &InfoHash, fetched: bool) {
        self.state().book.close(info_hash, fetched);
    }

    /// What happened so far, infohashes in work, and new lines for people.
    pub(super) fn look(&self) -> (Counts, usize, Vec<String>) {
        let mut state = self.state();
        let notes = std::mem::take(&mut state.notes);
        (state.counts, state.book.in_work(), notes)
    }

    /// Whether the list was read to its end; what kept it from it, if something did.
    pub(super) fn end(&self) -> (bool, Option<String>) {
        let state = self.state();
        (state.ended, state.trouble.clone())
    }
}

impl State {
    fn empty(&mut self, lane: usize) -> Next {
        if self.ended {
            return Next::End;
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.hungry = true;
        }
        Next::Later
    }
}

fn lane_of(info_hash: &InfoHash, lanes: usize) -> usize {
    let [a, b, ..] = *info_hash.as_bytes();
    usize::from(u16::from_be_bytes([a, b])) % lanes
}

/// One machine's end of the feed.
pub(super) struct Lanes {
    feed: Arc<Feed>,
    lane: usize,
}

impl Lanes {
    /// The end of machine number `lane`, which `waker` wakes.
    pub(super) fn new(feed: &Arc<Feed>, lane: usize, waker: Waker) -> Self {
        if let Some(lane) = feed.state().lanes.get_mut(lane) {
            lane.waker = Some(waker);
        }
        let feed = Arc::clone(feed);
        Self { feed, lane }
    }
}

impl Source for Lanes {
    fn next(&mut self) -> Next {
        self.feed.next(self.lane)
    }
}

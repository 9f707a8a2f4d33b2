//! How other crawlers go about it, as machines of the simulator: what our policies are held against.
//!
//! Written from the description of their behaviour (`crawlers.md` 1.1 to 1.4), not from their code, and faithful in what
//! decides yield and load: whom they sample and when again, how they look for peers, how they dial them, at which rates.
//! Left out is what a lab cannot tell apart: storage, output, and the answers that they give to others. Where the
//! description leaves something open, the choice is the one that favours the crawler described; so are its faults that
//! are no policy (crawlers F3: the Python original throws away most metadata) mended here.
//!
//! All speak through a [`Desk`], which matches answers to questions and carries their dials, and which sends no more
//! queries a second than the line is given, as [`Setup::rate`] says: policies are compared on one line.

mod bitmagnet;
mod desk;
mod estudely;
mod fetch;
mod limiter;
mod magnetico;
mod mldht;

use std::net::SocketAddr;

use wire::InfoHash;
use world::{Input, Machine, Output, Seed, Time, closed_list};

use desk::{Answer, Desk, Question};
use fetch::Ended;

closed_list! {
    /// A crawler that is not ours.
    Like {
        /// The Python original (crawlers 1.1).
        Estudely => "estudely-like",
        /// bitmagnet (crawlers 1.2).
        Bitmagnet => "bitmagnet-like",
        /// magnetico, as tgragnato keeps it (crawlers 1.3).
        Magnetico => "magnetico-like",
        /// TorrentDumper of mldht (crawlers 1.4).
        Mldht => "mldht-like",
    }
}

/// What a baseline tells, each of an infohash once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A sample, or a question of others that it follows, named it.
    Seen(InfoHash),
    /// A node named a peer of it.
    Peers(InfoHash),
    /// Its metadata was fetched, and hashes to it.
    Fetched(InfoHash),
}

/// Where a baseline stands, and what its line carries.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Nodes to join by.
    pub routers: Vec<SocketAddr>,
    /// Queries a second at the most.
    pub rate: u32,
}

/// One of the crawlers, at work.
pub struct Baseline {
    desk: Desk,
    habit: Box<dyn Habit>,
}

/// What makes one crawler unlike another.
trait Habit {
    /// What it does of itself: joins, ticks, takes up work. Called after whatever happened.
    fn act(&mut self, now: Time, desk: &mut Desk);
    /// A question was answered by a reply.
    fn answered(&mut self, now: Time, desk: &mut Desk, answer: &Answer<'_>);
    /// A question was answered by an error, or not in time.
    fn failed(&mut self, now: Time, desk: &mut Desk, to: SocketAddr, question: Question);
    /// A dial is over.
    fn fetched(&mut self, now: Time, desk: &mut Desk, ended: Ended);
    /// Somebody asked who has this.
    fn asked(&mut self, _now: Time, _desk: &mut Desk, _info_hash: InfoHash) {}
    /// When it wants to act of itself.
    fn wake(&self, desk: &Desk) -> Option<Time>;
}

impl Baseline {
    /// A crawler that knows nobody yet.
    pub fn new(like: Like, setup: Setup, seed: Seed) -> Self {
        let seed = seed.derive(world::Member::label(like));
        let Setup { routers, rate } = setup;
        let habit: Box<dyn Habit> = match like {
            Like::Estudely => Box::new(estudely::Estudely::new(routers, seed)),
            Like::Bitmagnet => Box::new(bitmagnet::Bitmagnet::new(routers, seed)),
            Like::Magnetico => Box::new(magnetico::Magnetico::new(routers, seed)),
            Like::Mldht => Box::new(mldht::Mldht::new(routers, seed)),
        };
        let encrypted = like == Like::Magnetico;
        Self {
            desk: Desk::new(rate, encrypted, seed),
            habit,
        }
    }

    /// Ends what is overdue, passes on what ended, and lets the crawler act.
    fn settle(&mut self, now: Time) {
        while let Some((to, question)) = self.desk.expired(now) {
            self.habit.failed(now, &mut self.desk, to, question);
        }
        self.desk.fetches.expire(now);
        while let Some(ended) = self.desk.fetches.ended() {
            if ended.fetched {
                self.desk.tell_fetched(ended.info_hash);
            }
            self.habit.fetched(now, &mut self.desk, ended);
        }
        self.habit.act(now, &mut self.desk);
    }
}

impl Machine for Baseline {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input {
            match self.desk.heard(now, from, bytes) {
                Some(desk::Heard::Answer(answer)) => self.habit.answered(now, &mut self.desk, &answer),
                Some(desk::Heard::Refused(question)) => self.habit.failed(now, &mut self.desk, from, question),
                Some(desk::Heard::Asked(info_hash)) => self.habit.asked(now, &mut self.desk, info_hash),
                None => {}
            }
        } else {
            self.desk.stream(now, input);
        }
        self.settle(now);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        loop {
            if let Some(output) = self.desk.poll(now, payload) {
                return Some(output);
            }
            let before = self.desk.turns();
            self.settle(now);
            if self.desk.turns() == before {
                return None;
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.desk
            .deadline()
            .into_iter()
            .chain(self.habit.wake(&self.desk))
            .min()
    }
}

#[cfg(test)]
mod tests;

//! One infohash in work.

use std::net::SocketAddr;
use std::time::Duration;

use world::{ConnId, Tally, Time};

use crate::Failure;
use crate::assembly::{Assembly, Key};
use crate::config::Dialling;
use crate::pool::meetings::Progress;
use crate::pool::peers::Peers;

/// One infohash in work: its peers, the connections that it holds, and what they brought together.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) peers: Peers,
    /// Connections on which it is hunted, at most [`Dialling::parallel`] and [`Dialling::CALLERS`].
    pub(super) live: Vec<ConnId>,
    /// Connections on which peers may name others.
    pub(super) listeners: Vec<ConnId>,
    /// Peers that a relay lets us meet, each once.
    pub(super) meetings: Vec<(SocketAddr, Progress)>,
    /// One for each size that is claimed, at most as many as `live` may be.
    pub(super) assemblies: Vec<Assembly>,
    /// Shared pieces once made the wrong bytes: from then on each peer delivers alone.
    pub(super) alone: bool,
    /// Nobody will name more peers.
    pub(super) no_more_peers: bool,
    /// Peers dialled.
    pub(super) tried: u32,
    /// How they ended.
    pub(super) reasons: Tally<Failure>,
    /// When it was taken in work.
    pub(super) begun: Time,
    /// When the first peer was dialled.
    pub(super) first_dial: Option<Time>,
    /// When it is given up, whatever happens.
    pub(super) deadline: Time,
    /// Waits for a free connection.
    pub(super) hungry: bool,
    /// Is in the queue of those that are looked at next.
    pub(super) awake: bool,
}

/// Whether one more peer may be dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// At once.
    Now,
    /// At this time, if nothing else happens.
    At(Time),
    /// Not before something else happens.
    Never,
}

impl Hunt {
    pub(super) fn new(now: Time, total: Duration, dialling: &Dialling) -> Self {
        let limit = match dialling.peers_per_infohash {
            0 => Dialling::PEERS_CEILING,
            limit => limit.min(Dialling::PEERS_CEILING),
        };
        Self {
            peers: Peers::new(limit),
            live: Vec::new(),
            listeners: Vec::new(),
            meetings: Vec::new(),
            assemblies: Vec::new(),
            alone: false,
            no_more_peers: false,
            tried: 0,
            reasons: Tally::new(),
            begun: now,
            first_dial: None,
            deadline: now + total,
            hungry: false,
            awake: false,
        }
    }

    /// Whether as many peers were dialled as may be.
    pub(super) fn attempts_spent(&self, dialling: &Dialling) -> bool {
        dialling.attempts_per_infohash != 0 && self.tried >= dialling.attempts_per_infohash
    }

    /// Whether one more peer may be dialled, if there is one and it is free. Those that get on hold others back until
    /// `held_until`; beside one that is `likely` to deliver, the first of all is dialled only after a stagger.
    pub(super) fn turn(&self, now: Time, held_until: Time, likely: bool, dialling: &Dialling) -> Turn {
        if self.attempts_spent(dialling) || self.live.len() >= dialling.parallel {
            return Turn::Never;
        }
        if now < held_until {
            return Turn::At(held_until);
        }
        let start = if likely { 1 } else { dialling.start };
        let start = start.clamp(1, dialling.parallel.max(1));
        let Some(first_dial) = self.first_dial.filter(|_| self.live.len() >= start) else {
            return Turn::Now;
        };
        // One more than `start` after one stagger, two more after two: with `live` held, this many must have passed.
        let steps = u32::try_from(self.live.len() + 1 - start).unwrap_or(u32::MAX);
        let at = first_dial + dialling.stagger.saturating_mul(steps);
        if now < at { Turn::At(at) } else { Turn::Now }
    }

    pub(super) fn assembly(&mut self, key: Key) -> Option<&mut Assembly> {
        self.assemblies.iter_mut().find(|assembly| assembly.key() == key)
    }

    pub(super) fn take_assembly(&mut self, key: Key) -> Option<Assembly> {
        let at = self.assemblies.iter().position(|assembly| assembly.key() == key)?;
        Some(self.assemblies.swap_remove(at))
    }

    /// Lets peers that are no longer connected be tried again, for their share of bytes that were wrong as a whole.
    pub(super) fn retry(&mut self, peers: impl Iterator<Item = SocketAddr>) {
        for peer in peers {
            self.peers.retry(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALLING: Dialling = Dialling {
        start: 2,
        stagger: Duration::from_millis(750),
        parallel: 4,
        patience: Duration::from_millis(500),
        hold_back: Duration::from_secs(3),
        attempts_per_infohash: 10,
        peers_per_infohash: 20,
    };

    fn hunt_with(live: u64) -> Hunt {
        let mut hunt = Hunt::new(Time::ZERO, Duration::from_secs(30), &DIALLING);
        hunt.live = (0..live).map(ConnId).collect();
        hunt.first_dial = (live > 0).then_some(Time::ZERO);
        hunt
    }

    #[test]
    fn two_at_once_then_one_each_stagger_to_four() {
        let turn = |live| hunt_with(live).turn(Time::ZERO, Time::ZERO, false, &DIALLING);
        assert_eq!(turn(0), Turn::Now);
        assert_eq!(turn(1), Turn::Now);
        assert_eq!(turn(2), Turn::At(Time::from_micros(750_000)));
        assert_eq!(turn(3), Turn::At(Time::from_micros(1_500_000)));
        assert_eq!(turn(4), Turn::Never);
        let later = Time::from_micros(1_500_000);
        assert_eq!(hunt_with(3).turn(later, Time::ZERO, false, &DIALLING), Turn::Now);
    }

    #[test]
    fn beside_a_likely_peer_the_second_waits_a_stagger() {
        let turn = |live| hunt_with(live).turn(Time::ZERO, Time::ZERO, true, &DIALLING);
        assert_eq!(turn(0), Turn::Now);
        assert_eq!(turn(1), Turn::At(Time::from_micros(750_000)));
        assert_eq!(turn(2), Turn::At(Time::from_micros(1_500_000)));
    }

    #[test]
    fn a_delivering_peer_holds_back_the_next() {
        let held_until = Time::from_secs(3);
        let turn = |now| hunt_with(1).turn(now, held_until, false, &DIALLING);
        assert_eq!(turn(Time::ZERO), Turn::At(held_until));
        assert_eq!(turn(held_until), Turn::Now);
    }

    #[test]
    fn attempts_end_the_dialling() {
        let mut hunt = hunt_with(0);
        hunt.tried = DIALLING.attempts_per_infohash;
        assert_eq!(hunt.turn(Time::ZERO, Time::ZERO, false, &DIALLING), Turn::Never);
    }
}

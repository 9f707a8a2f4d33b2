//! Who is dialled when, and how a hunt ends.

use std::net::SocketAddr;

use wire::InfoHash;
use world::{ConnId, Tally, Time};

use crate::pool::Pool;
use crate::pool::hosts::Host;
use crate::pool::hunt::{Hunt, Turn};
use crate::pool::memory::Standing;
use crate::pool::side::End;
use crate::pool::talk::Talk;
use crate::pool::timers::Alarm;
use crate::{Ending, Event, Failure, Stage};

/// Whom a hunt came upon.
enum Pick {
    /// A peer to be dialled.
    Peer(SocketAddr),
    /// One that was set aside: we have a connection with its host.
    Busy(Host),
}

impl Pool {
    /// Does for one hunt what can be done now: dials, gives up, or sets the time to look again.
    pub(super) fn pursue(&mut self, now: Time, info_hash: InfoHash) {
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        hunt.awake = false;
        let turn = self.dial_all(now, info_hash);
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        let spent = hunt.attempts_spent(&self.config.dialling);
        // Who is listened to may name more.
        let nobody_left = hunt.no_more_peers && hunt.peers.all_done() && hunt.listeners.is_empty();
        if hunt.live.is_empty() && (spent || nobody_left) {
            let why = match (spent, hunt.peers.is_empty()) {
                (true, _) => Ending::AttemptsSpent,
                (false, true) => Ending::NoPeers,
                (false, false) => Ending::AllTried,
            };
            // Nobody is connected, so no failure is told.
            self.end_hunt(now, info_hash, why, Failure::Cancelled);
            return;
        }
        let at = match turn {
            Turn::At(at) => at.min(hunt.deadline),
            Turn::Now | Turn::Never => hunt.deadline,
        };
        self.timers.set(Alarm::Hunt(info_hash), at);
    }

    /// Dials as many peers as may be dialled now, and says when the next may be.
    fn dial_all(&mut self, now: Time, info_hash: InfoHash) -> Turn {
        loop {
            let may_dial = self.may_dial();
            let Some(hunt) = self.hunts.get_mut(&info_hash) else {
                return Turn::Never;
            };
            if !hunt.peers.any_ready() {
                return Turn::Never;
            }
            let talks = || hunt.live.iter().filter_map(|conn| self.talks.get(conn));
            let held_until = talks().map(|talk| talk.holds_until).max().unwrap_or(Time::ZERO);
            let likely = talks().any(|talk| talk.likely);
            let turn = hunt.turn(now, held_until, likely, &self.config.dialling);
            if turn != Turn::Now {
                return turn;
            }
            if !may_dial {
                if !hunt.hungry {
                    hunt.hungry = true;
                    self.hungry.push_back(info_hash);
                }
                return Turn::Never;
            }
            match self.pick(now, info_hash) {
                Some(Pick::Peer(peer)) => self.dial(now, info_hash, peer),
                Some(Pick::Busy(host)) => self.stop_listening_to(now, host),
                None => {}
            }
        }
    }

    /// The best peer that can be dialled now. Puts those aside whose host is busy, and those away that are not worth it.
    fn pick(&mut self, now: Time, info_hash: InfoHash) -> Option<Pick> {
        let hunt = self.hunts.get_mut(&info_hash)?;
        while let Some(peer) = hunt.peers.best(|peer| self.memory.standing(now, peer)) {
            let host = Host::of(peer, self.config.exclusion);
            let comes = hunt.peers.via(peer).is_some();
            if !comes && self.memory.standing(now, peer) == Standing::Avoided {
                hunt.peers.done(peer);
                self.stats.remembered += 1;
            } else if self.hosts.is_busy(host) {
                hunt.peers.set_aside(peer, host);
                self.hosts.wait(host, info_hash);
                self.stats.set_aside += 1;
                if self.listeners > 0 {
                    return Some(Pick::Busy(host));
                }
            } else {
                return Some(Pick::Peer(peer));
            }
        }
        None
    }

    fn dial(&mut self, now: Time, info_hash: InfoHash, peer: SocketAddr) {
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.dials_allowed = self.dials_allowed.saturating_sub(1);
        let host = Host::of(peer, self.config.exclusion);
        let via = hunt.peers.via(peer);
        hunt.peers.done(peer);
        hunt.live.push(conn);
        hunt.tried += 1;
        hunt.first_dial.get_or_insert(now);
        self.hosts.take(host);
        let mut talk = Talk::new(now, info_hash, peer, host, &self.config);
        talk.likely = self.luck.is_good() || matches!(self.memory.standing(now, peer), Standing::Proven(_));
        self.talks.insert(conn, talk);
        self.timers.set(Alarm::Talk(conn), now + self.config.deadlines.connect);
        self.stats.funnel.count(Stage::Dialled);
        self.note_connections();
        self.outbox.dial(conn, peer, via);
    }

    /// A connection with `host` is over: who has waited for it longest is looked at, then the next if that one did not
    /// take it.
    pub(super) fn host_is_free(&mut self, host: Host) {
        let Some(info_hash) = self.hosts.next_waiting(host) else {
            return;
        };
        if let Some(hunt) = self.hunts.get_mut(&info_hash) {
            hunt.peers.host_is_free(host);
            self.wake(info_hash);
        }
        self.freed.push_back(host);
    }

    pub(super) fn hunt_alarm(&mut self, now: Time, info_hash: InfoHash) {
        let over = self.hunts.get(&info_hash).is_some_and(|hunt| now >= hunt.deadline);
        if over {
            self.end_hunt(now, info_hash, Ending::Deadline, Failure::Deadline);
        } else {
            self.wake(info_hash);
        }
    }

    /// Gives up a hunt: those still connected end with `failure`.
    pub(super) fn end_hunt(&mut self, now: Time, info_hash: InfoHash, why: Ending, failure: Failure) {
        if let Some(hunt) = self.remove_hunt(now, info_hash, |_| Err(failure)) {
            self.give_up(info_hash, why, hunt.tried, hunt.reasons);
        }
    }

    pub(super) fn give_up(&mut self, info_hash: InfoHash, why: Ending, tried: u32, reasons: Tally<Failure>) {
        self.stats.endings.count(why);
        let reasons = Box::new(reasons);
        self.outbox.tell(Event::GaveUp {
            info_hash,
            why,
            tried,
            reasons,
        });
    }

    /// Takes a hunt out of work, with all that it holds. Each peer still connected ends as `result` says.
    pub(super) fn remove_hunt(
        &mut self,
        now: Time,
        info_hash: InfoHash,
        result: impl Fn(SocketAddr) -> Result<(), Failure>,
    ) -> Option<Hunt> {
        let live = self.hunts.get(&info_hash)?.live.clone();
        for conn in live {
            if let Some(peer) = self.talks.get(&conn).map(|talk| talk.peer) {
                self.hang_up(now, conn, result(peer));
            }
        }
        let listeners = self.hunts.get(&info_hash)?.listeners.clone();
        for conn in listeners {
            self.leave_side(now, conn, End::Over);
        }
        let hunt = self.hunts.remove(&info_hash)?;
        self.timers.clear(Alarm::Hunt(info_hash));
        for assembly in &hunt.assemblies {
            self.room.release(assembly.key().size);
        }
        for host in hunt.peers.awaited() {
            self.hosts.forget(host, info_hash);
        }
        if hunt.hungry {
            self.hungry.retain(|hungry| *hungry != info_hash);
        }
        Some(hunt)
    }
}

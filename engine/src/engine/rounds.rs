//! What comes around: the pulse of each second, the choker's rounds, turns of those who wait for a limit, and the end.

use world::{Effect, Time};

use super::{Engine, PULSE};
use crate::announce::Stats;
use crate::{Event, State};

impl Engine {
    pub(super) fn rounds(&mut self, now: Time) {
        self.grant(now);
        self.note(now);
        let Some(due) = self.next_pulse.filter(|due| *due <= now) else {
            return;
        };
        self.next_pulse = Some((due + PULSE).max(now));
        self.expire_strangers(now);
        for torrent in self.torrents.iter_mut().flatten() {
            torrent.pulse(&mut self.desk, now);
        }
        if self.choker.deadline() <= now {
            self.choke(now);
        }
    }

    /// Pieces that came since the last note (see `durable`).
    fn note(&mut self, now: Time) {
        if self.desk.notes_due.is_some_and(|due| due <= now) {
            self.desk.notes_due = None;
            for torrent in self.torrents.iter_mut().flatten() {
                torrent.note(&mut self.desk, now);
            }
        }
    }

    /// Who waited for a limit and may go on.
    fn grant(&mut self, now: Time) {
        while let Some((whom, bytes)) = self.desk.limits.down.grant(now) {
            if let Some((torrent, desk)) = self.with(whom.0) {
                torrent.ask_with(desk, now, whom.1, bytes);
            }
        }
        while let Some((whom, bytes)) = self.desk.limits.up.grant(now) {
            if let Some((torrent, desk)) = self.with(whom.0) {
                torrent.serve_with(desk, now, whom.1, bytes);
            }
        }
    }

    /// A round of the choker (PICK-22 to 24).
    fn choke(&mut self, now: Time) {
        self.candidates.clear();
        for torrent in self.torrents.iter_mut().flatten() {
            torrent.candidates(&self.desk, &mut self.candidates);
        }
        if self.candidates.is_empty() {
            self.desk.unchoked = 0;
            self.desk.slots_now = self.auto_slots.slots();
        }
        let slots = match self.desk.config.rates.up {
            Some(limit) => {
                let saturated = self.desk.limits.up.take_waited();
                let rate = self.desk.totals.up.rate(now);
                self.auto_slots.review(rate, limit, saturated)
            }
            None => {
                let round = self.desk.config.choking.interval;
                self.auto_slots
                    .review_unlimited(&self.candidates, round, &mut self.rates)
            }
        };
        self.choker.round(now, &self.candidates, slots, &mut self.chosen);
        self.chosen.sort_unstable_by_key(|chosen| chosen.key);
        self.desk.slots_now = slots;
        self.desk.unchoked = self.chosen.len();
        for candidate in &self.candidates {
            let found = self.chosen.binary_search_by_key(&candidate.key, |chosen| chosen.key);
            let optimistic = found
                .ok()
                .and_then(|at| self.chosen.get(at))
                .is_some_and(|chosen| chosen.optimistic);
            let (id, key) = candidate.key;
            let torrent = self.torrents.get_mut(id.0 as usize).and_then(Option::as_deref_mut);
            if let Some(torrent) = torrent {
                torrent.set_choked(&mut self.desk, now, key, found.is_err());
                if let Some(peer) = torrent.peer_mut(key) {
                    peer.optimistic = optimistic;
                }
            }
        }
    }

    /// Winds everything up: after that, [`Event::Stopped`].
    pub(super) fn stop(&mut self, now: Time) {
        if std::mem::replace(&mut self.desk.stopping, true) {
            return;
        }
        self.leave_by = Some(now + self.desk.config.deadlines.leave);
        let torrents = &self.torrents;
        self.announcer
            .shut_down(now, |torrent| super::owner::stats(torrents, torrent));
        for torrent in self.torrents.iter_mut().flatten() {
            torrent.pause(&mut self.desk, now);
        }
        while let Some(&stranger) = self.strangers.front() {
            self.hang_up(stranger);
        }
    }

    /// Whether the end has come, and was not told yet.
    pub(super) fn over(&mut self, now: Time) -> Option<Event> {
        if !self.desk.stopping || self.stopped {
            return None;
        }
        let all = self
            .torrents
            .iter()
            .flatten()
            .all(|torrent| torrent.paused || torrent.state == State::Failed);
        let late = self.leave_by.is_some_and(|by| by <= now);
        if late || (all && self.announcer.is_idle()) {
            self.stopped = true;
            self.leave_by = None;
            self.next_pulse = None;
            return Some(Event::Stopped);
        }
        None
    }

    /// The next thing that a web seed asks for.
    pub(super) fn fetch_from_webseeds(&mut self, payload: &mut Vec<u8>) -> Option<Effect> {
        while let Some(&id) = self.desk.web_work.front() {
            let effect = self.with(id).and_then(|(torrent, _)| torrent.web_asks(payload));
            if effect.is_some() {
                return effect;
            }
            self.desk.web_work.pop_front();
        }
        None
    }

    /// For trackers: what a torrent has moved, and what it lacks.
    pub(super) const fn no_stats() -> Stats {
        Stats {
            uploaded: 0,
            downloaded: 0,
            left: 0,
        }
    }
}

//! Whom to unchoke: tit for tat while we want something, by turns when we only give, and now and then somebody unknown.
//!
//! A round looks at all candidates, of one torrent or of a whole session, and costs two selections and a sort of at most
//! as many as there are slots: nothing is kept of them but who was the optimistic choice.

use std::cmp::Reverse;
use std::time::Duration;

use world::Time;

pub use slots::{AutoConfig, AutoSlots};

mod slots;

/// What a choker is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Time from one regular round to the next. Recommended: 10 s (BEP 3; D-07).
    pub interval: Duration,
    /// An optimistic choice stays for this many intervals. Recommended: 3.
    pub optimistic_rounds: u32,
    /// Slots that are given optimistically, of all slots; never the last one. Recommended: 1, or a fifth of many.
    pub optimistic: usize,
    /// The order among those who give us nothing, because we need nothing or they have not yet. Recommended: by turns.
    pub seeding: Rule,
}

/// How a seed chooses among peers that can give nothing in return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Each keeps its slot until it was given enough, for long enough; then who has waited longest has it.
    RoundRobin {
        /// Pieces that are enough. Recommended: 20.
        pieces: u32,
        /// No slot is taken away before this. Recommended: 1 min.
        least: Duration,
    },
    /// Who takes fastest keeps its slot, and who waits longest has those that are left.
    FastestUpload,
}

/// What we are in a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We want pieces: who gives is given.
    Leeching,
    /// We want none.
    Seeding,
}

/// A connected peer that could be unchoked. `K` names it: a `PeerKey`, or (torrent, peer) in a round over all torrents.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<K> {
    /// Its name, unique in a round.
    pub key: K,
    /// What we are in its torrent.
    pub role: Role,
    /// Whether it wants something of us. Who does not is never chosen.
    pub interested: bool,
    /// On the local network: always unchoked, and takes no slot (PICK-29).
    pub local: bool,
    /// It took our requests and sends nothing: what it gave earlier does not count.
    pub snubbed: bool,
    /// It had part in a piece that failed: what it gives does not count until a piece of its own passes.
    pub on_parole: bool,
    /// Whether we unchoke it now.
    pub unchoked: bool,
    /// Since when: when it was last unchoked or choked, or came. So who comes back anew waits behind all others.
    pub since: Time,
    /// Bytes of blocks that it gave us since the last round.
    pub gave: u64,
    /// Bytes of blocks that we gave it since the last round.
    pub took: u64,
    /// Bytes of blocks that we gave it since it was unchoked.
    pub took_since_unchoke: u64,
    /// Length of a piece of its torrent, for the quota of the round robin.
    pub piece_length: u32,
}

/// Somebody to unchoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unchoke<K> {
    /// Whom.
    pub key: K,
    /// As an optimistic choice (flag 0x800 of SES-17).
    pub optimistic: bool,
}

/// The memory between rounds. Bounded by the slots and, while a round runs, by its candidates.
#[derive(Debug)]
pub struct Choker<K> {
    config: Config,
    /// The optimistic choices of the last round, and when each was made.
    optimistic: Vec<(K, Time)>,
    last: Option<Time>,
    /// Places of candidates, the better first. Kept for its memory.
    order: Vec<usize>,
}

/// The better the lower.
type Rank<K> = (u8, Reverse<u64>, Time, K);

impl<K: Copy + Ord> Choker<K> {
    /// A choker before its first round.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            optimistic: Vec::new(),
            last: None,
            order: Vec::new(),
        }
    }

    /// When the next regular round is due: at once if there was none. A round between (somebody became interested while
    /// a slot is free) is harmless: optimistic choices change with time, not with the number of rounds.
    pub fn deadline(&self) -> Time {
        self.last.map_or(Time::ZERO, |last| last + self.config.interval)
    }

    /// Chooses; `out` is cleared and filled with all that should be unchoked from now on, everybody else should be
    /// choked. At most `slots` (0 counts as 1) and the local ones. Every slot is filled while anybody is interested, but
    /// for snubbing peers, who only have optimistic slots.
    pub fn round(&mut self, now: Time, candidates: &[Candidate<K>], slots: usize, out: &mut Vec<Unchoke<K>>) {
        out.clear();
        self.last = Some(now);
        let slots = slots.max(1);
        let spare = self.config.optimistic.min(slots - 1);
        self.order.clear();
        let wanting = candidates.iter().enumerate().filter(|(_, peer)| peer.interested);
        for (place, peer) in wanting {
            if peer.local {
                out.push(Unchoke {
                    key: peer.key,
                    optimistic: false,
                });
            } else {
                self.order.push(place);
            }
        }
        let locals = out.len();
        let reserved = spare.min(self.order.len().saturating_sub(slots - spare));
        self.regular(now, candidates, slots - reserved, out);
        self.optimistic(now, candidates, slots - (out.len() - locals), reserved, out);
    }

    /// Fills the slots that are earned or had by turns, and takes them out of the order.
    fn regular(&mut self, now: Time, candidates: &[Candidate<K>], slots: usize, out: &mut Vec<Unchoke<K>>) {
        let interval = self.config.interval;
        let rule = self.config.seeding;
        let rank = |place: &usize| candidates.get(*place).map(|peer| peer.rank(now, rule, interval));
        // Snubbing peers are last, so that a cut never takes one before another.
        if slots < self.order.len() {
            self.order.select_nth_unstable_by_key(slots, rank);
        }
        let cut = slots.min(self.order.len());
        if let Some(head) = self.order.get_mut(..cut) {
            head.sort_unstable_by_key(rank);
        }
        let mut kept = 0;
        for place in self.order.iter().take(cut) {
            match candidates.get(*place) {
                Some(peer) if !peer.is_snubbing() => {
                    kept += 1;
                    out.push(Unchoke {
                        key: peer.key,
                        optimistic: false,
                    });
                }
                _ => break,
            }
        }
        self.order.drain(..kept);
    }

    /// Fills `slots` with who was chosen before, while its time lasts, and then with who has waited longest. `reserved`
    /// of them are for this; more are only free if nobody but snubbing peers is left.
    fn optimistic(
        &mut self,
        now: Time,
        candidates: &[Candidate<K>],
        slots: usize,
        reserved: usize,
        out: &mut Vec<Unchoke<K>>,
    ) {
        let stay = self
            .config
            .interval
            .saturating_mul(self.config.optimistic_rounds.max(1));
        let before = &self.optimistic;
        let made_at = |key: K| before.iter().find(|(chosen, _)| *chosen == key).map(|(_, at)| *at);
        // In its time an old choice is first, after it last.
        let waits = |place: &usize| {
            candidates.get(*place).map(|peer| {
                let class = made_at(peer.key).map_or(1, |at| if now.since(at) < stay { 0 } else { 2 });
                (class, peer.since, peer.key)
            })
        };
        let slots = slots.min(self.order.len()).min(reserved.max(1));
        if slots < self.order.len() {
            self.order.select_nth_unstable_by_key(slots, waits);
        }
        let first = out.len();
        let chosen = self.order.iter().take(slots).filter_map(|place| candidates.get(*place));
        out.extend(chosen.map(|peer| Unchoke {
            key: peer.key,
            optimistic: true,
        }));
        let chosen = out.iter().skip(first).map(|peer| peer.key);
        let kept = |key: K| made_at(key).filter(|at| now.since(*at) < stay).unwrap_or(now);
        self.optimistic = chosen.map(|key| (key, kept(key))).collect();
    }
}

impl<K: Copy + Ord> Candidate<K> {
    /// It has nothing of a slot while it gives nothing of what we ask.
    fn is_snubbing(&self) -> bool {
        self.role == Role::Leeching && self.snubbed
    }

    /// Who gives comes first, by what it gives. Then the rule for those who give nothing, and last those who snub us.
    fn rank(&self, now: Time, rule: Rule, interval: Duration) -> Rank<K> {
        if self.is_snubbing() {
            return (5, Reverse(0), self.since, self.key);
        }
        if self.role == Role::Leeching && self.gave > 0 && !self.on_parole {
            return (0, Reverse(self.gave), self.since, self.key);
        }
        let had = now.since(self.since);
        // In its first round it could not take much; afterwards a slot that is not used is free.
        let holds = self.unchoked && (self.took > 0 || had < interval);
        let sated = match rule {
            Rule::RoundRobin { pieces, least } => {
                let quota = u64::from(pieces) * u64::from(self.piece_length);
                self.took_since_unchoke >= quota && had >= least
            }
            Rule::FastestUpload => false,
        };
        let class = match (self.unchoked, holds, sated) {
            (_, true, false) => 1,
            (false, ..) => 2,
            (_, true, true) => 3,
            (_, false, _) => 4,
        };
        let taken = if holds { self.took } else { 0 };
        (class, Reverse(taken), self.since, self.key)
    }
}

#[cfg(test)]
mod tests;

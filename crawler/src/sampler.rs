//! Whose store to sample next (BEP 51).
//!
//! The sampler walks the whole DHT, scattered, and asks each node once in its interval; of those that may be asked, whoever
//! is expected to show most that is new. A node's answer
//! names those around it, so a sweep that asks every node about its own neighbourhood finds every node. What it may not
//! forget stands in the [ledger](crate::ledger); what it may ask of whom, the [guard](crate::guard) says.
//!
//! | a node | is asked next |
//! |---|---|
//! | was never asked | for a sample |
//! | answered with samples | after its interval, the floor, or six hours if it is a libtorrent with a frozen sample (F2) |
//! | answered, without samples | which nodes it knows, after a day |
//! | was silent | which nodes it knows, after a pause: its kind may be silent to samples only |
//! | is alive after all | for a sample, unless its `v` says that it does not sample |
//! | was silent twice | after hours, longer each time |

mod choose;
mod fresh;
mod harvest;
mod kept;
mod sample;
mod zones;

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use wire::NodeId;
use wire::krpc::{Reply, error_code};
use world::{Seed, Time};

use crate::guard::{Guard, Verdict};
use crate::ledger::{Client, Entry, Learned, Ledger, Node, Provenance, Standing, Turn, USUAL_SAMPLE};
use crate::{Contact, Families, Family, Few};

pub use crate::ledger::Probe;
use fresh::Fresh;
use harvest::{Harvest, Try};
pub use sample::{MAX_INTERVAL, MAX_SAMPLES, Sample};
use zones::Zones;
pub use zones::{Config as ZonesConfig, Zone};

/// Bounds and pauses.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Nodes remembered, 64 bytes each; when full, those that never answered give way.
    pub max_nodes: usize,
    /// Queries unanswered at once; while there are so many, nobody is asked.
    pub max_in_flight: usize,
    /// No node is sampled more often than this, whatever interval it allows.
    pub interval_floor: Duration,
    /// After the first silence, a node is asked again no sooner.
    pub retry_after: Duration,
    /// After the second, no sooner than this; doubled twice by further ones.
    pub silent_rest: Duration,
    /// A node that does not sample is not asked again sooner.
    pub non_sampler_rest: Duration,
    /// A census: only zones drawn by lot are sampled, each once.
    pub zones: Option<ZonesConfig>,
}

/// A query to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// To whom. Another id in the answer is somebody else's answer.
    pub to: Contact,
    /// Which.
    pub probe: Probe,
    /// The point of the key space around which to name nodes.
    pub target: NodeId,
}

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Sampling queries.
    pub sample_queries: u64,
    /// Of these, answered with samples.
    pub samples: u64,
    /// Of these, answered without samples.
    pub without_samples: u64,
    /// Sampling queries that a node left unanswered before it answered one: losses.
    pub repeats: u64,
    /// Sampling queries to a node inside its interval. Zero, or the schedule is wrong.
    pub inside_interval: u64,
    /// Sampling queries to a node known not to sample. Zero, or the schedule is wrong.
    pub to_non_samplers: u64,
    /// `find_node` queries.
    pub find_node_queries: u64,
    /// Of these, answered.
    pub find_node_answers: u64,
    /// Queries refused by a KRPC error.
    pub errors: u64,
    /// Queries answered under another id than was asked for.
    pub strangers: u64,
    /// Queries not answered in time.
    pub silences: u64,
    /// Of these, those whose timeout nobody reported.
    pub overdue: u64,
    /// Nodes that answered with samples at least once.
    pub sampled_nodes: u64,
    /// Nodes that came into the ledger.
    pub learned: u64,
    /// Contacts refused: special-purpose, blocked or own addresses, routers, a DHT that we take no part in.
    pub refused: u64,
    /// Contacts for which the full ledger had no room.
    pub no_room: u64,
    /// Nodes displaced from the full ledger.
    pub evicted: u64,
    /// Samples whose `num` does not agree with what they showed.
    pub implausible: u64,
    /// Samples of more than [`MAX_SAMPLES`].
    pub oversized: u64,
    /// Samples that lie too far from their node to be honest: noted, and their infohashes not told.
    pub far_fetched: u64,
}

impl Stats {
    /// Sampling queries for each answer with samples, to nodes that did answer. Above one by the queries that were lost.
    pub fn queries_per_sample(&self) -> f64 {
        (self.samples + self.repeats) as f64 / self.samples.max(1) as f64
    }
}

/// Contacts taken from one answer: both families, twice over. Of more, the first count.
const MAX_NAMED: usize = 32;

/// Candidates that the guard is asked about in one call.
const MAX_TRIES: usize = 16;

/// Rest after so many candidates in vain. Either all have to wait, because the flow budget is spent, and this keeps the
/// search from spinning; or many are of one host, and it goes on soon.
const VAIN: Duration = Duration::from_millis(10);

/// Rest when nobody is to be asked although some may be: a census waits for those in its zones.
const NOBODY: Duration = Duration::from_millis(100);

/// Nodes that become ready in one call.
const MAX_WOKEN: usize = 64;

/// Whom the guard makes wait is not proposed again sooner than this, however little it is. A host with thousands of
/// ports in the ledger would otherwise be all that is ever proposed.
const MIN_WAIT: Duration = Duration::from_secs(10);

/// A query whose end nobody reported is taken to be lost after this many seconds: longer than any timeout.
const OVERDUE: u32 = 120;

/// The policy.
pub struct Sampler {
    config: Config,
    families: Families,
    routers: Vec<SocketAddr>,
    own_ids: [Option<NodeId>; 2],
    ledger: Ledger,
    cursors: [usize; Turn::ALL.len()],
    /// Of each turn the one of whom most was expected, of those passed by in scattered order since it was last asked.
    held: [Option<Entry>; Turn::ALL.len()],
    fresh: Fresh,
    harvest: Harvest,
    zones: Option<Zones>,
    in_flight: usize,
    asks: u64,
    /// Nobody may be asked before.
    pause: Time,
    rng: ChaCha8Rng,
    stats: Stats,
}

impl Sampler {
    /// A sampler that knows nobody.
    pub fn new(config: Config, families: Families, seed: Seed) -> Self {
        let seed = seed.derive("sampler");
        Self {
            config,
            families,
            routers: Vec::new(),
            own_ids: [None; 2],
            ledger: Ledger::new(config.max_nodes, seed),
            cursors: [0; Turn::ALL.len()],
            held: [None; Turn::ALL.len()],
            fresh: Fresh::new(seed.derive("fresh")),
            harvest: Harvest::new(config.max_nodes),
            zones: config.zones.map(|zones| Zones::new(zones, seed.derive("zones").rng())),
            in_flight: 0,
            asks: 0,
            pause: Time::ZERO,
            rng: seed.derive("targets").rng(),
            stats: Stats::default(),
        }
    }

    /// Bootstrap nodes, which are never sampled.
    pub fn set_routers(&mut self, routers: &[SocketAddr]) {
        self.routers = routers.to_vec();
    }

    /// Our own id in one of the DHTs: whoever names it names us.
    pub const fn set_own_id(&mut self, family: Family, id: NodeId) {
        self.own_ids[family as usize] = Some(id);
    }

    /// Somebody was named, asked us, or answered a question that the sampler did not ask. `version` is the `v` of its own
    /// message, if this is one.
    pub fn learn(
        &mut self,
        now: Time,
        contact: &Contact,
        provenance: Provenance,
        version: Option<&[u8]>,
        guard: &Guard,
    ) {
        let Some(entry) = self.take_note(contact, provenance, guard) else {
            return;
        };
        if provenance == Provenance::Named {
            return;
        }
        let client = Client::of(version);
        self.ledger.update(entry, |node| {
            // The source of a question may be forged, so a question moves nobody who is known to sample.
            if provenance == Provenance::Answered || node.standing != Standing::Samples {
                node.heard(client, provenance == Provenance::Answered);
            }
        });
        if provenance == Provenance::Answered && self.ledger.node(entry).turn() == Turn::Sure {
            self.fresh.heard(secs(now), entry);
        }
        // It is up, and perhaps its NAT is open for us just now: no need to wait out its silence (network-model 7.6).
        let Node { failures, asked, .. } = *self.ledger.node(entry);
        if let Some(due) = self.ledger.waits_until(entry).filter(|_| failures > 0) {
            let sooner = asked + secs_up(self.config.retry_after);
            self.ledger.put_off(entry, sooner.max(secs(now)).min(due));
        }
    }

    /// An answer to a question that the sampler did not ask: who gave it, and whom it names.
    pub fn overheard(&mut self, now: Time, from: &Contact, version: Option<&[u8]>, reply: &Reply<'_>, guard: &Guard) {
        self.learn(now, from, Provenance::Answered, version, guard);
        self.learn_named(reply, guard);
    }

    /// Whom to ask now. Whoever calls this sends the query, charges it to the guard, and reports its end.
    ///
    /// Never a router, a node inside its interval, or a sampling query to a node known not to sample.
    pub fn next(&mut self, now: Time, guard: &mut Guard) -> Option<Ask> {
        self.wake_up(now);
        let nobody = !self.ledger.any_ready() && self.zones.is_none();
        if now < self.pause || self.in_flight >= self.config.max_in_flight || nobody {
            return None;
        }
        self.pause = guard.next_global(now);
        if now < self.pause {
            return None;
        }
        for _ in 0..MAX_TRIES {
            let Some(entry) = self.pick(now) else {
                self.pause = now + NOBODY;
                return None;
            };
            match guard.may_ask(now, self.ledger.contact(entry).addr) {
                Verdict::Go | Verdict::Spare => return Some(self.ask(now, entry)),
                Verdict::Wait(until) => self.ledger.put_off(entry, due_at(until.max(now + MIN_WAIT))),
                Verdict::Off(until) => self.ledger.put_off(entry, due_at(until)),
                Verdict::Never(_) => self.ledger.remove(entry),
            }
        }
        self.pause = now + VAIN;
        None
    }

    /// When [`Sampler::next`] is next worth calling; the past if it is now.
    pub fn wake(&self) -> Option<Time> {
        let due = self.ledger.first_due().map(|due| Time::from_secs(u64::from(due)));
        let somebody = self.ledger.any_ready() || self.zones.as_ref().is_some_and(|zones| !zones.is_over());
        let soonest = if somebody && self.in_flight < self.config.max_in_flight {
            Time::ZERO
        } else {
            due?
        };
        Some(soonest.max(self.pause))
    }

    /// `from` answered what [`Sampler::next`] asked. Returns what it showed.
    pub fn on_reply(
        &mut self,
        now: Time,
        from: &Contact,
        version: Option<&[u8]>,
        reply: &Reply<'_>,
        guard: &Guard,
    ) -> Option<Sample> {
        let asked = self.ledger.find(&from.addr).and_then(|entry| self.ledger.asked(entry));
        let entry = self.take_note(from, Provenance::Answered, guard);
        self.learn_named(reply, guard);
        let entry = entry?;
        let tried = self.tried(entry);
        if asked.is_some() {
            self.in_flight -= 1;
        }
        let client = Client::of(version);
        self.ledger.update(entry, |node| node.heard(client, true));
        let sample = Sample::read(*from, reply);
        if asked == Some(Probe::Sample) {
            match &sample {
                Some(_) => self.harvest.shown(tried, self.ledger.node(entry)),
                None => self.harvest.in_vain(tried),
            }
        }
        let rest = match (&sample, asked) {
            (Some(sample), _) => self.sampled(entry, sample),
            (None, Some(Probe::Sample)) => {
                self.stats.without_samples += 1;
                self.ledger.update(entry, Node::does_not_sample);
                self.config.non_sampler_rest
            }
            (None, Some(Probe::FindNode)) => {
                self.stats.find_node_answers += 1;
                match self.ledger.node(entry).standing {
                    Standing::Never => self.config.non_sampler_rest,
                    // Alive, and to be sampled next.
                    _ => Duration::ZERO,
                }
            }
            (None, None) => return None,
        };
        self.ledger.put_off(entry, due_at(now + rest));
        sample
    }

    /// The network is taken to be of so many nodes that a lookup can find.
    pub fn sized(&mut self, nodes: f64) {
        self.harvest.sized(nodes);
    }

    /// The owner says of an infohash that the node with this id showed whether it was new.
    pub fn sighted(&mut self, by: &NodeId, new: bool) {
        self.harvest.sighted(by, new);
    }

    /// `from` refused what [`Sampler::next`] asked, with KRPC error `code`.
    pub fn on_error(&mut self, now: Time, from: SocketAddr, code: i64) {
        let Some((entry, probe)) = self.ended(from) else {
            return;
        };
        self.stats.errors += 1;
        if code == error_code::METHOD_UNKNOWN && probe == Probe::Sample {
            self.ledger.update(entry, Node::does_not_sample);
            self.ledger.put_off(entry, due_at(now + self.config.retry_after));
        } else {
            self.rest_after_failure(now, entry);
        }
    }

    /// `from` answered a sampling query after its timeout, and showed no sample: it does not sample.
    pub fn on_belated_refusal(&mut self, now: Time, from: SocketAddr) {
        if let Some(entry) = self.ledger.find(&from) {
            self.ledger.update(entry, Node::does_not_sample);
            self.ledger.put_off(entry, due_at(now + self.config.non_sampler_rest));
        }
    }

    /// Somebody else than was asked for stands at `to`: the answer carries another id, and is not taken. Whoever it is has
    /// shown its sample, and is not asked again within the longest interval.
    pub fn on_stranger(&mut self, now: Time, to: SocketAddr) {
        if let Some((entry, _)) = self.ended(to) {
            self.stats.strangers += 1;
            self.ledger
                .put_off(entry, due_at(now + Duration::from_secs(MAX_INTERVAL.into())));
        }
    }

    /// `to` did not answer in time what [`Sampler::next`] asked; or the query could not be sent.
    pub fn on_timeout(&mut self, now: Time, to: SocketAddr) {
        if let Some((entry, _)) = self.ended(to) {
            self.stats.silences += 1;
            self.rest_after_failure(now, entry);
        }
    }

    /// The nodes nearest to `target` that answered when they were last asked, nearest first: good ones to begin a lookup
    /// with.
    pub fn closest_known(&self, target: &NodeId, family: Family) -> Few {
        self.ledger.closest(target, family)
    }

    /// Nodes known.
    pub fn known(&self) -> usize {
        self.ledger.len()
    }

    /// Queries not answered yet.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes held: about 64 for each node, 80 for one of IPv6, and 6 for each that there is room for.
    pub fn memory_bytes(&self) -> usize {
        self.ledger.memory_bytes() + self.harvest.bytes()
    }

    /// Counters since the start.
    pub const fn stats(&self) -> Stats {
        Stats {
            evicted: self.ledger.evicted(),
            ..self.stats
        }
    }

    fn learn_named(&mut self, reply: &Reply<'_>, guard: &Guard) {
        for named in reply.contacts().take(MAX_NAMED) {
            let contact = Contact {
                id: named.id,
                addr: named.addr,
            };
            self.take_note(&contact, Provenance::Named, guard);
        }
    }

    fn take_note(&mut self, contact: &Contact, provenance: Provenance, guard: &Guard) -> Option<Entry> {
        let family = Family::of(&contact.addr);
        if !self.families.has(family)
            || self.routers.contains(&contact.addr)
            || self.own_ids[family as usize] == Some(contact.id)
            || !guard.admits_contact(&contact.addr)
        {
            self.stats.refused += 1;
            return None;
        }
        match self.ledger.learn(contact, provenance) {
            Learned::New(entry) => {
                self.stats.learned += 1;
                Some(entry)
            }
            Learned::Known(entry) => Some(entry),
            Learned::Full => {
                self.stats.no_room += 1;
                None
            }
        }
    }

    fn wake_up(&mut self, now: Time) {
        for _ in 0..MAX_WOKEN {
            match self.ledger.wake(secs(now)) {
                None => break,
                Some(None) => {}
                Some(Some(overdue)) => {
                    self.stats.overdue += 1;
                    self.on_timeout(now, self.ledger.contact(overdue).addr);
                }
            }
        }
    }

    fn ask(&mut self, now: Time, entry: Entry) -> Ask {
        let node = *self.ledger.node(entry);
        let probe = node.turn().probe();
        self.asks += 1;
        self.in_flight += 1;
        match probe {
            Probe::Sample => {
                self.stats.sample_queries += 1;
                let sampled = node.standing == Standing::Samples;
                let inside = node.failures == 0 && secs(now) < node.asked + u32::from(node.interval);
                self.stats.inside_interval += u64::from(sampled && inside);
                self.stats.to_non_samplers += u64::from(!sampled && node.client.samples() == Some(false));
            }
            Probe::FindNode => self.stats.find_node_queries += 1,
        }
        self.fresh.asked(secs(now), entry);
        self.ledger.ask(entry, probe, secs(now), secs(now) + OVERDUE);
        let to = self.ledger.contact(entry);
        Ask {
            to,
            probe,
            target: self.target(&to),
        }
    }

    /// Takes down a sample, and says how long the node is to be left alone.
    fn sampled(&mut self, entry: Entry, sample: &Sample) -> Duration {
        let node = self.ledger.node(entry);
        let first = node.standing != Standing::Samples;
        let num = sample.believed_num();
        let frozen = node.client == Client::Libtorrent && num >= USUAL_SAMPLE;
        let allowed = if frozen { MAX_INTERVAL } else { sample.interval() };
        let rest = Duration::from_secs(u64::from(allowed)).max(self.config.interval_floor);
        self.stats.samples += 1;
        self.stats.repeats += u64::from(node.failures);
        self.stats.sampled_nodes += u64::from(first);
        self.stats.implausible += u64::from(!sample.is_plausible());
        self.stats.oversized += u64::from(sample.is_oversized());
        self.stats.far_fetched += u64::from(self.doubts(sample));
        self.ledger.update(entry, |node| {
            node.standing = Standing::Samples;
            node.num = num;
            node.interval = u16::try_from(rest.as_secs()).unwrap_or(u16::MAX);
            node.failures = 0;
        });
        rest
    }

    /// Whether the infohashes of a sample lie too far from its node to be what it stores, in a network as large as the one we know
    /// (network-model 4.7).
    pub fn doubts(&self, sample: &Sample) -> bool {
        sample.is_far_fetched(self.ledger.len())
    }

    /// As what a node was asked that is done with now.
    fn tried(&mut self, entry: Entry) -> Try {
        Try {
            turn: self.ledger.node(entry).turn(),
            fresh: self.fresh.ended(entry),
        }
    }

    /// The node at `addr`, and what it was asked, if nothing came of that before now.
    fn ended(&mut self, addr: SocketAddr) -> Option<(Entry, Probe)> {
        let entry = self.ledger.find(&addr)?;
        let probe = self.ledger.asked(entry)?;
        self.in_flight -= 1;
        let tried = self.tried(entry);
        if probe == Probe::Sample {
            self.harvest.in_vain(tried);
        }
        Some((entry, probe))
    }

    fn rest_after_failure(&mut self, now: Time, entry: Entry) {
        self.ledger.update(entry, Node::failed);
        let node = self.ledger.node(entry);
        let rest = match (node.standing, node.failures) {
            (Standing::Never, 0) => self.config.non_sampler_rest,
            (_, 0 | 1) => self.config.retry_after,
            (_, failures) => self.config.silent_rest * (1 << u32::from(failures - 2).min(2)),
        };
        self.ledger.put_off(entry, due_at(now + rest));
    }
}

/// Whole seconds, rounded down: what has passed.
fn secs(time: Time) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Whole seconds, rounded up: what is still to pass.
fn secs_up(span: Duration) -> u32 {
    u32::try_from(span.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// When `time` has surely come.
fn due_at(time: Time) -> u32 {
    secs_up(time.since(Time::ZERO))
}

#[cfg(test)]
mod tests;

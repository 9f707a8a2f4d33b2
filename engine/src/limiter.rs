//! Rate limits in a tree: global, torrent, flow; each optional. One limiter for each direction.
//!
//! A flow asks ([`Limiter::take`]) and is granted what all buckets on its way allow. If that is nothing it waits, in the
//! order of asking, at the bucket that holds it up, and [`Limiter::grant`] says when its turn has come and how much it
//! has; then it waits for the rest behind the others (round robin, with turns as long as what is there allows). Who asks while others wait, waits behind them; so asking often wins nothing.
//! What it had at the buckets before is kept for it meanwhile, so that no bucket is waited for twice.
//!
//! Who is exempt (a peer on the local network, PICK-29) does not ask.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use world::Time;

use bucket::Bucket;

mod bucket;

/// What a limiter is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How much time's worth is gathered before somebody that waits is woken. Recommended: 10 ms.
    pub tick: Duration,
    /// How much time's worth can be saved up: the lateness of a wake that costs nothing. Recommended: 50 ms.
    pub burst: Duration,
    /// Bytes that can be saved up however slow the rate is, and the most that one turn need be while many wait.
    /// Recommended: a block, 16,384.
    pub least_burst: u64,
    /// No smaller part of what is wanted is granted, bytes: a system call is worth it. Recommended: 512.
    pub grain: u64,
}

/// A torrent's place in a limiter. Used again after [`Limiter::close_torrent`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentSlot(u32);

/// A flow's place in a limiter: one peer of a torrent, in one direction. Used again after [`Limiter::close`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flow(u32);

/// The bucket that all share.
const GLOBAL: u32 = 0;

/// The buckets of a flow, its own first. No bucket where no limit was ever set.
type Path = [Option<u32>; 3];

/// A tree of buckets and the flows that wait for them. Allocates nothing once its tables have grown.
#[derive(Debug)]
pub struct Limiter {
    config: Config,
    buckets: Vec<Bucket>,
    free_buckets: Vec<u32>,
    /// The bucket of each torrent.
    torrents: Vec<Option<u32>>,
    free_torrents: Vec<u32>,
    flows: Vec<Entry>,
    free_flows: Vec<u32>,
    /// When to look at which bucket. Only those count that a bucket has in `armed`.
    alarms: BinaryHeap<Reverse<(Time, u32)>>,
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    torrent: u32,
    bucket: Option<u32>,
    waits: Option<Ask>,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    /// The buckets to pass; a limit set later is for the next ask.
    path: Path,
    /// Which of them is next. Those before have been paid `want`.
    next: usize,
    want: u64,
    least: u64,
}

impl Limiter {
    /// A limiter with its global limit, bytes a second; `None` is none, 0 lets nothing pass.
    pub fn new(now: Time, config: Config, limit: Option<u64>) -> Self {
        Self {
            config,
            buckets: vec![Bucket::new(now, limit, &config)],
            free_buckets: Vec::new(),
            torrents: Vec::new(),
            free_torrents: Vec::new(),
            flows: Vec::new(),
            free_flows: Vec::new(),
            alarms: BinaryHeap::new(),
            waiting: 0,
        }
    }

    /// Sets the global limit.
    pub fn limit(&mut self, now: Time, limit: Option<u64>) {
        self.set_rate(now, GLOBAL, limit);
    }

    /// A place for a torrent, without a limit of its own.
    pub fn open_torrent(&mut self) -> TorrentSlot {
        TorrentSlot(place(&mut self.torrents, &mut self.free_torrents, None))
    }

    /// Sets a torrent's limit.
    pub fn limit_torrent(&mut self, now: Time, torrent: TorrentSlot, limit: Option<u64>) {
        let old = self.torrents.get(torrent.0 as usize).copied().flatten();
        let new = self.relimit(now, old, limit);
        if let Some(bucket) = self.torrents.get_mut(torrent.0 as usize) {
            *bucket = new;
        }
    }

    /// Gives a torrent's place away. Close its flows before.
    pub fn close_torrent(&mut self, torrent: TorrentSlot) {
        if let Some(bucket) = self.torrents.get_mut(torrent.0 as usize) {
            self.free_buckets.extend(bucket.take());
            self.free_torrents.push(torrent.0);
        }
    }

    /// A place for a peer of a torrent, without a limit of its own.
    pub fn open(&mut self, torrent: TorrentSlot) -> Flow {
        let entry = Entry {
            torrent: torrent.0,
            bucket: None,
            waits: None,
        };
        Flow(place(&mut self.flows, &mut self.free_flows, entry))
    }

    /// Sets a peer's limit.
    pub fn limit_flow(&mut self, now: Time, flow: Flow, limit: Option<u64>) {
        let old = self.flows.get(flow.0 as usize).and_then(|entry| entry.bucket);
        let new = self.relimit(now, old, limit);
        if let Some(entry) = self.flows.get_mut(flow.0 as usize) {
            entry.bucket = new;
        }
    }

    /// Gives a flow's place away; if it waits, it waits no more.
    pub fn close(&mut self, flow: Flow) {
        self.withdraw(flow);
        if let Some(entry) = self.flows.get_mut(flow.0 as usize) {
            self.free_buckets.extend(entry.bucket.take());
            self.free_flows.push(flow.0);
        }
    }

    /// Asks for `want` bytes; what is granted is charged to all buckets at once. If it is 0, the flow waits:
    /// [`Self::grant`] names it, perhaps several times, until it has all of it. Asking again meanwhile only changes what
    /// it still waits for.
    ///
    /// `least` is the smallest grant that is of use: 1 for a stream, `want` for something that goes whole or not at
    /// all. It is granted as soon as anything is, and what is missing is a debt that the next ones wait for: so a block
    /// passes a limit of 4 KiB/s every four seconds.
    pub fn take(&mut self, now: Time, flow: Flow, want: u64, least: u64) -> u64 {
        let path = self.path(flow);
        let Some(entry) = self.flows.get_mut(flow.0 as usize) else {
            return 0;
        };
        if entry.waits.is_some() {
            self.ask_again(flow, want, least);
            return 0;
        }
        if want == 0 {
            return 0;
        }
        let ask = Ask {
            path,
            next: 0,
            want,
            least: least.min(want),
        };
        self.climb(now, flow, ask, false).unwrap_or(0)
    }

    /// A flow that waited and what it is granted now, of what it asked for; `None` when nobody can be given anything
    /// before [`Self::deadline`].
    pub fn grant(&mut self, now: Time) -> Option<(Flow, u64)> {
        while let Some(Reverse((at, place))) = self.alarms.peek().copied() {
            if !self.is_armed(place, at) {
                self.alarms.pop();
                continue;
            }
            if at > now {
                return None;
            }
            if let Some(granted) = self.serve(now, place) {
                return Some(granted);
            }
            self.alarms.pop();
            if let Some(bucket) = self.buckets.get_mut(place as usize) {
                bucket.armed = None;
            }
            self.arm(now, place);
        }
        None
    }

    /// When [`Self::grant`] may have something; `None` while nobody waits for anything that will come.
    pub fn deadline(&mut self) -> Option<Time> {
        while let Some(Reverse((at, place))) = self.alarms.peek().copied() {
            if self.is_armed(place, at) {
                return Some(at);
            }
            self.alarms.pop();
        }
        None
    }

    /// Returns bytes that were granted and not used.
    pub fn give_back(&mut self, now: Time, flow: Flow, bytes: u64) {
        for place in self.path(flow).into_iter().flatten() {
            let config = self.config;
            if let Some(bucket) = self.buckets.get_mut(place as usize) {
                bucket.fill(now, &config);
                bucket.refund(bytes, &config);
                bucket.armed = None;
            }
            self.arm(now, place);
        }
    }

    /// Charges bytes that passed without asking, as headers do ([`overhead`]), or what was read beyond a grant. Others
    /// wait for it the longer.
    pub fn charge(&mut self, now: Time, flow: Flow, bytes: u64) {
        for place in self.path(flow).into_iter().flatten() {
            if let Some(bucket) = self.buckets.get_mut(place as usize) {
                bucket.fill(now, &self.config);
                bucket.pay(bytes);
            }
        }
    }

    /// The flow wants nothing any more.
    pub fn withdraw(&mut self, flow: Flow) {
        let waits = self.flows.get_mut(flow.0 as usize).and_then(|entry| entry.waits.take());
        let Some(ask) = waits else { return };
        self.waiting -= 1;
        self.refund(&ask, ask.want);
        let place = ask.path.get(ask.next).copied().flatten();
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place as usize)) {
            bucket.leave(flow.0);
        }
    }

    /// Whether a flow waits for its turn (the bw states of PICK-31).
    pub fn is_waiting(&self, flow: Flow) -> bool {
        self.flows
            .get(flow.0 as usize)
            .is_some_and(|entry| entry.waits.is_some())
    }

    /// Flows that wait (`up_bandwidth_queue`, `down_bandwidth_queue`).
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Grants something to the first at a bucket that can have something; sends on those that another bucket holds up.
    /// `None` if the bucket is dry, or nobody is left.
    fn serve(&mut self, now: Time, place: u32) -> Option<(Flow, u64)> {
        loop {
            let bucket = self.buckets.get_mut(place as usize)?;
            let flow = Flow(*bucket.queue.front()?);
            let entry = self.flows.get_mut(flow.0 as usize)?;
            let ask = entry.waits?;
            bucket.fill(now, &self.config);
            if !bucket.passes(ask.want, &self.config) {
                return None;
            }
            entry.waits = None;
            self.waiting -= 1;
            let granted = self.climb(now, flow, ask, true);
            if let Some(bucket) = self.buckets.get_mut(place as usize) {
                bucket.leave_first();
            }
            let Some(granted) = granted else { continue };
            let rest = Ask {
                next: 0,
                want: ask.want - granted,
                least: ask.least.min(ask.want - granted),
                ..ask
            };
            // More at once only if nobody else waits.
            let more = if rest.want > 0 {
                self.climb(now, flow, rest, false)
            } else {
                None
            };
            return Some((flow, granted + more.unwrap_or(0)));
        }
    }

    /// Pays bucket after bucket; what is granted when all are passed. `None` if one is dry, or others wait there: then
    /// the flow waits behind them. Who `waited` is still the first in the queue of the bucket where it goes on.
    fn climb(&mut self, now: Time, flow: Flow, mut ask: Ask, waited: bool) -> Option<u64> {
        let first = ask.next;
        while let Some(step) = ask.path.get(ask.next).copied() {
            let bucket = step.and_then(|place| self.buckets.get_mut(place as usize));
            if let (Some(place), Some(bucket)) = (step, bucket) {
                let its_turn = waited && ask.next == first;
                bucket.fill(now, &self.config);
                if !bucket.passes(ask.want, &self.config) || !(its_turn || bucket.queue.is_empty()) {
                    self.park(now, flow, ask, place);
                    return None;
                }
                let waiting = if its_turn { bucket.queue.len() } else { 1 };
                let share = bucket.turn(ask.want, waiting, &self.config).max(ask.least);
                bucket.pay(share);
                self.refund(&ask, ask.want - share);
                ask.want = share;
            }
            ask.next += 1;
        }
        Some(ask.want)
    }

    /// Changes what a flow waits for. Not to more than it has paid for: it may ask for the rest when it has that.
    fn ask_again(&mut self, flow: Flow, want: u64, least: u64) {
        let Some(entry) = self.flows.get_mut(flow.0 as usize) else {
            return;
        };
        let Some(ask) = &mut entry.waits else { return };
        if want == 0 {
            self.withdraw(flow);
            return;
        }
        let before = *ask;
        let paid = before.path.iter().take(before.next).any(Option::is_some);
        ask.want = if paid { want.min(before.want) } else { want };
        ask.least = least.min(ask.want);
        let less = before.want.saturating_sub(ask.want);
        self.refund(&before, less);
    }

    /// Puts back what an ask has paid too much.
    fn refund(&mut self, ask: &Ask, bytes: u64) {
        for place in ask.path.iter().take(ask.next).flatten() {
            if let Some(bucket) = self.buckets.get_mut(*place as usize) {
                bucket.refund(bytes, &self.config);
            }
        }
    }

    fn park(&mut self, now: Time, flow: Flow, ask: Ask, place: u32) {
        let Some(entry) = self.flows.get_mut(flow.0 as usize) else {
            return;
        };
        entry.waits = Some(ask);
        self.waiting += 1;
        if let Some(bucket) = self.buckets.get_mut(place as usize) {
            bucket.queue.push_back(flow.0);
        }
        self.arm(now, place);
    }

    /// Sets the alarm of a bucket where somebody waits, unless it is set.
    fn arm(&mut self, now: Time, place: u32) {
        let Some(bucket) = self.buckets.get_mut(place as usize) else {
            return;
        };
        let first = bucket.queue.front().and_then(|flow| self.flows.get(*flow as usize));
        let Some(ask) = first.and_then(|entry| entry.waits) else {
            return;
        };
        if bucket.armed.is_none()
            && let Some(at) = bucket.ready_at(ask.want, &self.config)
        {
            let at = at.max(now);
            bucket.armed = Some(at);
            self.alarms.push(Reverse((at, place)));
        }
    }

    fn is_armed(&self, place: u32, at: Time) -> bool {
        self.buckets
            .get(place as usize)
            .is_some_and(|bucket| bucket.armed == Some(at))
    }

    fn path(&self, flow: Flow) -> Path {
        let entry = self.flows.get(flow.0 as usize);
        let torrent = entry.and_then(|entry| self.torrents.get(entry.torrent as usize).copied().flatten());
        [entry.and_then(|entry| entry.bucket), torrent, Some(GLOBAL)]
    }

    /// A bucket with the limit: the old one, or a new one if there was none and one is needed.
    fn relimit(&mut self, now: Time, old: Option<u32>, limit: Option<u64>) -> Option<u32> {
        if let Some(place) = old {
            self.set_rate(now, place, limit);
            return Some(place);
        }
        limit.map(|rate| {
            let bucket = Bucket::new(now, Some(rate), &self.config);
            place(&mut self.buckets, &mut self.free_buckets, bucket)
        })
    }

    fn set_rate(&mut self, now: Time, place: u32, limit: Option<u64>) {
        if let Some(bucket) = self.buckets.get_mut(place as usize) {
            bucket.set_rate(now, limit, &self.config);
            bucket.armed = None;
        }
        self.arm(now, place);
    }
}

/// Puts a thing into a free place of a table, or a new one.
fn place<T>(table: &mut Vec<T>, free: &mut Vec<u32>, thing: T) -> u32 {
    if let Some(place) = free.pop()
        && let Some(old) = table.get_mut(place as usize)
    {
        *old = thing;
        return place;
    }
    table.push(thing);
    u32::try_from(table.len() - 1).unwrap_or(u32::MAX)
}

/// What TCP and IP add to a stream of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overhead {
    /// Headers of the packets that carry the bytes, to be charged in their direction.
    pub carried: u64,
    /// Acknowledgements, to be charged in the other.
    pub acknowledged: u64,
}

/// The headers of a stream of `bytes`, estimated: full packets of 1,500 bytes, no options, one acknowledgement for two
/// packets (PICK-30).
pub const fn overhead(bytes: u64, is_v6: bool) -> Overhead {
    let headers = if is_v6 { 60 } else { 40 };
    let packets = bytes.div_ceil(1_500 - headers);
    Overhead {
        carried: packets * headers,
        acknowledged: packets.div_ceil(2) * headers,
    }
}

#[cfg(test)]
mod tests;

//! Politeness: how much may be asked of whom, and who is never asked.
//!
//! The one choke point. Whoever wants to send a query asks [`Guard::may_ask`], which charges nothing, and tells
//! [`Guard::charge`] when it is sent. All limits of DESIGN section 6 are kept here, for queries of any kind together:
//!
//! | limit | of what | when reached |
//! |---|---|---|
//! | [`Config::per_host`] | an IPv4 address or IPv6 /64 | wait |
//! | [`Config::per_network`] | an IPv4 /24 or IPv6 /48 | wait |
//! | [`Config::total`] | everything | wait |
//! | [`Config::max_flows`] | distinct endpoints within [`Config::flow_window`] | new endpoints wait |
//! | [`Config::back_off`] | silent endpoints and hosts, and hosts that refused | off until a time |
//!
//! Never asked: special-purpose addresses, blocked ones, our own, port 0, and ports under 1024 that no user named.
//!
//! Memory is taken at the start and fixed by the configuration ([`Guard::memory_bytes`]); each call takes constant time
//! (amortized) and allocates nothing.

mod admission;
mod answers;
mod backoff;
pub mod bogon;
mod bucket;
mod census;
mod cidr;
mod flows;
mod hosts;
mod networks;
pub(crate) mod place;
mod recent;
mod toll;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use world::{Seed, Tally, Time, closed_list};

use answers::Answers;
use backoff::BackOffs;
use bucket::Bucket;
use census::Census;
use flows::Flows;
use hosts::Hosts;
use networks::Networks;
use place::{Host, Network, endpoint};
use toll::Toll;

pub use admission::Admission;
pub use backoff::BackOff;
pub use bucket::Limit;
pub use census::Histogram;
pub use cidr::{Cidr, CidrError};

/// Limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Queries to one host: an IPv4 address, or an IPv6 /64 (DESIGN 6: one a second, burst 3).
    pub per_host: Limit,
    /// Queries to one network: an IPv4 /24, or an IPv6 /48. Not in a lab, whose hosts are all in 127.0.0.0/8.
    pub per_network: Limit,
    /// Queries altogether.
    pub total: Limit,
    /// Distinct endpoints touched within `flow_window`. About 70 bytes each.
    pub max_flows: usize,
    /// How long a router on the way remembers an endpoint that answered (crawlers R11: 120 s).
    pub flow_window: Duration,
    /// How long whoever does not answer is left alone.
    pub back_off: BackOff,
    /// Our answers to one host.
    pub answers_per_host: Limit,
    /// Our answers altogether.
    pub answers_in_total: Limit,
    /// Blocks that the user forbids: never asked, never answered, never believed.
    pub blocklist: Vec<Cidr>,
}

/// Whether a query may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Now.
    Go,
    /// Now, but rather somebody else who would do as well: it was asked often within the hour.
    Spare,
    /// At this time, if nothing else is sent before: a rate or the flow budget is used up. Seconds away, or the flow
    /// window at most.
    Wait(Time),
    /// Left alone until this time, for its silence or its refusal: minutes away, or hours.
    Off(Time),
    /// Whenever.
    Never(Refusal),
}

closed_list! {
    /// Why a destination is not asked.
    Refusal {
        /// A special-purpose address; in a lab, an address outside it.
        Bogon => "bogon",
        /// Port 0, or a port under 1024 that no user named.
        Port => "port",
        /// On the user's blocklist.
        Blocked => "blocked",
        /// Our own address.
        Own => "own",
        /// Silent lately, or it said that we ask too much.
        BackOff => "back_off",
    }
}

/// Figures of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Queries sent.
    pub queries: u64,
    /// Queries that would have been sent, had the destination been another.
    pub refusals: Tally<Refusal>,
    /// Answers withheld from hosts that ask too much.
    pub answers_withheld: u64,
    /// The most queries that any host was sent within one second.
    pub busiest_second: u32,
    /// The most queries that any host was sent within ten seconds.
    pub busiest_ten_seconds: u32,
    /// The most endpoints touched within one flow window.
    pub most_flows: usize,
}

/// Own addresses remembered: bound and voted, both families, with room for a change. The oldest gives way.
const OWN: usize = 8;

/// Addresses that users name, at most; further ones are treated as named by strangers.
const NAMED: usize = 256;

/// Silence of an address that a user named is not held against it for longer: it was not forged, nobody else is to be
/// asked in its place, and a router whose first answer was lost must not end a crawl before it began.
const NAMED_SILENCE: Duration = Duration::from_secs(15);

/// The keeper of our manners.
pub struct Guard {
    lab: bool,
    total_limit: Limit,
    total: Bucket,
    hosts: Hosts,
    networks: Option<Networks>,
    flows: Flows,
    back_offs: BackOffs,
    answers: Answers,
    admission: Admission,
    census: Census,
    /// Hosts that answered, each with its answers.
    answering: Census,
    toll: Toll,
    own: Vec<SocketAddr>,
    named: Vec<(SocketAddr, Time)>,
    stats: Stats,
}

impl Guard {
    /// A guard that has seen nothing. In a `lab`, loopback addresses are admitted and no others, and networks have no
    /// limit of their own.
    pub fn new(config: &Config, lab: bool, seed: Seed) -> Self {
        let seed = seed.derive("guard");
        Self {
            lab,
            total_limit: config.total,
            total: Bucket::default(),
            hosts: Hosts::new(config.per_host, &config.total, seed),
            networks: (!lab).then(|| Networks::new(config.per_network, &config.total, seed)),
            flows: Flows::new(config.max_flows, config.flow_window, seed),
            back_offs: BackOffs::new(config.back_off, seed),
            answers: Answers::new(config.answers_per_host, config.answers_in_total, seed),
            admission: Admission::new(&config.blocklist, lab),
            census: Census::new(seed),
            answering: Census::new(seed.derive("answering")),
            toll: Toll::new(&config.total, seed),
            own: Vec::with_capacity(OWN),
            named: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// The user named this address: a router, or the argument of a command. Its port may be under 1024, and its silence
    /// is forgiven soon; everything else holds for it too.
    pub fn named_by_user(&mut self, addr: SocketAddr) {
        let addr = endpoint(addr);
        if self.named.len() < NAMED && self.name_of(addr).is_none() {
            self.named.push((addr, Time::ZERO));
        }
    }

    /// This is an address of ours: bound, or as strangers see us. On the Internet none of its ports is asked; in a lab,
    /// where one address may serve several, only this one.
    pub fn own(&mut self, addr: SocketAddr) {
        let addr = endpoint(addr);
        if addr.ip().is_unspecified() || self.own.contains(&addr) {
            return;
        }
        if self.own.len() == OWN {
            self.own.remove(0);
        }
        self.own.push(addr);
    }

    /// Whether a query may be sent to `to`. Charges nothing; counts a refusal.
    pub fn may_ask(&mut self, now: Time, to: SocketAddr) -> Verdict {
        if let Some(refusal) = self.refusal(&to) {
            self.stats.refusals.count(refusal);
            return Verdict::Never(refusal);
        }
        let off_until = self.off_until(to);
        if now < off_until {
            self.stats.refusals.count(Refusal::BackOff);
            return Verdict::Off(off_until);
        }
        let host = Host::of(to.ip());
        let mut ready = self
            .next_global(now)
            .max(self.hosts.ready(now, host))
            .max(self.flows.ready(now, to));
        if let Some(networks) = &mut self.networks {
            ready = ready.max(networks.ready(now, Network::of(to.ip())));
        }
        if ready > now {
            Verdict::Wait(ready)
        } else if self.toll.is_spared(now, host) {
            Verdict::Spare
        } else {
            Verdict::Go
        }
    }

    /// A query is being sent to `to`, after [`may_ask`](Self::may_ask) said that it may.
    pub fn charge(&mut self, now: Time, to: SocketAddr) {
        let host = Host::of(to.ip());
        self.total.take(now, &self.total_limit);
        self.hosts.take(now, host);
        if let Some(networks) = &mut self.networks {
            networks.take(now, Network::of(to.ip()));
        }
        self.flows.touch(now, to);
        self.back_offs.asked(now, to);
        self.census.count(host);
        self.toll.count(now, host);
        self.stats.queries += 1;
    }

    /// `from` answered a query of ours.
    pub fn answered(&mut self, now: Time, from: SocketAddr) {
        self.back_offs.answered(now, from);
        self.answering.count(Host::of(from.ip()));
        self.forgive(from, Time::ZERO);
    }

    /// `to` left a query of ours unanswered.
    pub fn silent(&mut self, now: Time, to: SocketAddr) {
        if !self.forgive(to, now + NAMED_SILENCE) {
            self.back_offs.silent(now, to);
        }
    }

    /// `from` answered a query of ours with KRPC error `code`. 201 and 203 are how limiters speak (crawlers F4); other
    /// codes are answers like any other.
    pub fn refused(&mut self, now: Time, from: SocketAddr, code: i64) {
        if matches!(code, 201 | 203) {
            self.back_offs.refused(now, from);
        } else {
            self.answered(now, from);
        }
    }

    /// Whether a query of `from` is to be answered; if so, the answer is counted.
    pub fn may_answer(&mut self, now: Time, from: SocketAddr) -> bool {
        let admitted = self.answers.admit(now, Host::of(from.ip()));
        self.stats.answers_withheld += u64::from(!admitted);
        admitted
    }

    /// Whether `addr` may be believed to be a node or a peer at all. For contacts and peers that strangers name, before
    /// they are stored anywhere.
    pub fn admits_contact(&self, addr: &SocketAddr) -> bool {
        self.refusal(addr).is_none()
    }

    /// Whether the user forbids this host.
    pub fn is_blocked(&self, ip: IpAddr) -> bool {
        self.admission.is_blocked(ip)
    }

    /// A packet other than a query went to `addr`, or came from it: a flow on the routers in between.
    pub fn touch_flow(&mut self, now: Time, addr: SocketAddr) {
        self.flows.touch(now, addr);
    }

    /// Keeps so many endpoints of the flow budget free of queries.
    pub(crate) fn keep_flows_free(&mut self, endpoints: usize) {
        self.flows.keep_free(endpoints);
    }

    /// Endpoints touched within the flow window.
    pub fn flows(&mut self, now: Time) -> usize {
        self.flows.open(now)
    }

    /// When the global rate allows the next query; not after `now` means at once.
    pub fn next_global(&self, now: Time) -> Time {
        self.total.ready(&self.total_limit).max(now)
    }

    /// Figures so far.
    pub fn stats(&self) -> Stats {
        let [busiest_second, busiest_ten_seconds] = self.hosts.busiest();
        Stats {
            busiest_second,
            busiest_ten_seconds,
            most_flows: self.flows.most(),
            ..self.stats
        }
    }

    /// Hosts by the number of queries that each was sent.
    pub fn histogram(&self) -> Histogram {
        self.census.histogram()
    }

    /// Hosts by the number of queries that each answered.
    pub fn answers_histogram(&self) -> Histogram {
        self.answering.histogram()
    }

    /// Bytes of the tables, taken at the start.
    pub fn memory_bytes(&self) -> usize {
        let networks = self.networks.as_ref().map_or(0, Networks::memory_bytes);
        self.hosts.memory_bytes()
            + networks
            + self.flows.memory_bytes()
            + self.back_offs.memory_bytes()
            + self.answers.memory_bytes()
            + self.census.memory_bytes()
            + self.answering.memory_bytes()
            + self.toll.memory_bytes()
    }

    /// Why `addr` is never asked, whatever the time.
    fn refusal(&self, addr: &SocketAddr) -> Option<Refusal> {
        let ip = addr.ip().to_canonical();
        if !self.admission.in_reach(ip) {
            Some(Refusal::Bogon)
        } else if addr.port() == 0 || addr.port() < 1024 && self.name_of(*addr).is_none() {
            Some(Refusal::Port)
        } else if self.admission.is_blocked(ip) {
            Some(Refusal::Blocked)
        } else if self.is_own(addr) {
            Some(Refusal::Own)
        } else {
            None
        }
    }

    fn is_own(&self, addr: &SocketAddr) -> bool {
        let addr = endpoint(*addr);
        let same = |own: &SocketAddr| own.ip() == addr.ip() && (!self.lab || own.port() == addr.port());
        self.own.iter().any(same)
    }

    /// Where in the list of addresses that users named `addr` is.
    fn name_of(&self, addr: SocketAddr) -> Option<usize> {
        let addr = endpoint(addr);
        self.named.iter().position(|(named, _)| *named == addr)
    }

    /// Sets until when an address that a user named is left alone; false for any other.
    fn forgive(&mut self, addr: SocketAddr, off_until: Time) -> bool {
        let Some(at) = self.name_of(addr) else {
            return false;
        };
        self.named[at].1 = off_until;
        true
    }

    fn off_until(&self, to: SocketAddr) -> Time {
        let named = self.name_of(to).map_or(Time::ZERO, |at| self.named[at].1);
        self.back_offs.off_until(to).max(named)
    }
}

#[cfg(test)]
mod tests;

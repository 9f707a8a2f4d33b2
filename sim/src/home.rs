//! The router in front of a client at home: its table of mappings, their timers, and what falls by the wayside when it is
//! full (`network-model.md` 3.4).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use world::{ConnId, KeyedMap, Seed, Time};

use crate::profile::{Net, Profile, Rtt};

/// What such a router is like. Its NAT is port-restricted: only who was sent something can send.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Router {
    /// Mappings that it has room for; what needs another is dropped.
    pub table: usize,
    /// Of these, taken by other devices.
    pub others: usize,
    /// How long a mapping of UDP lives that nobody has answered.
    pub udp_unreplied: Duration,
    /// The same once somebody has.
    pub udp_replied: Duration,
    /// How long a SYN is waited for.
    pub tcp_syn: Duration,
    /// How long an open connection without traffic is kept.
    pub tcp_established: Duration,
    /// How long one that has ended is.
    pub tcp_closed: Duration,
    /// New mappings in one second that the provider tolerates.
    pub new_per_second: u32,
    /// How long it lets no new one through when there were more.
    pub penalty: Duration,
}

impl Profile {
    /// The same as `realistic` from behind a cheap router at home (3.4). Its bandwidth and its daily change of address are not here:
    /// a crawl of 50 queries a second fills a hundredth of the line.
    pub fn nat_home() -> Self {
        let realistic = Self::realistic();
        Self {
            name: "nat-home",
            net: Net {
                // The median of 155 ms of 3.4, in the way of `internet`.
                rtt: Rtt::Map {
                    side_ms: 80.0,
                    height_ms: 40.0,
                    height_sigma: 1.28,
                },
                ..realistic.net
            },
            home: Some(Router {
                table: 4096,
                others: 600,
                udp_unreplied: Duration::from_secs(30),
                udp_replied: Duration::from_secs(120),
                tcp_syn: Duration::from_secs(60),
                tcp_established: Duration::from_secs(7200),
                tcp_closed: Duration::from_secs(120), // K: as Linux waits (TIME_WAIT)
                new_per_second: 300,
                penalty: Duration::from_secs(60),
            }),
            ..realistic
        }
    }
}

/// What happened at a router.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct HomeCounts {
    /// Most mappings at once, those of other devices included.
    pub most: usize,
    /// New flows that were dropped because the table was full.
    pub overflows: u64,
    /// New flows that were dropped because the provider punished too many.
    pub punished: u64,
    /// Packets from outside that met no mapping.
    pub uninvited: u64,
    /// Most endpoints touched in any 120 s, as a flow budget counts them.
    pub most_flows: usize,
    /// Their mean from [`Home::WARM`] on.
    pub mean_flows: f64,
}

/// What a mapping is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Flow {
    Datagrams(SocketAddr),
    Stream(ConnId),
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    until: Time,
    replied: bool,
}

/// The router at work.
#[derive(Debug)]
pub(crate) struct Home {
    router: Router,
    mappings: KeyedMap<Flow, Mapping>,
    /// When to look at a mapping again: once for each, so it is as large as the table.
    ends: BinaryHeap<Reverse<(Time, Flow)>>,
    /// The second of late, and new mappings in it.
    second: (u64, u32),
    punished_until: Time,
    touched: KeyedMap<SocketAddr, Time>,
    touched_ends: BinaryHeap<Reverse<(Time, SocketAddr)>>,
    counts: HomeCounts,
    /// Flows times seconds since [`Home::WARM`], and until when that is.
    sum: (f64, Time),
}

impl Home {
    /// What a flow budget counts over.
    const WINDOW: Duration = Duration::from_secs(120);
    /// A client needs some minutes until it knows enough nodes to use its budget.
    pub(crate) const WARM: Time = Time::from_secs(300);

    pub(crate) fn new(router: Router, seed: Seed) -> Self {
        let seed = seed.derive("home");
        Self {
            router,
            mappings: KeyedMap::with_hasher(seed.derive("mappings").hasher()),
            ends: BinaryHeap::new(),
            second: (0, 0),
            punished_until: Time::ZERO,
            touched: KeyedMap::with_hasher(seed.derive("touched").hasher()),
            touched_ends: BinaryHeap::new(),
            counts: HomeCounts::default(),
            sum: (0.0, Self::WARM),
        }
    }

    pub(crate) fn counts(&self) -> HomeCounts {
        let lasted = self.sum.1.since(Self::WARM).as_secs_f64();
        HomeCounts {
            mean_flows: if lasted > 0.0 { self.sum.0 / lasted } else { 0.0 },
            ..self.counts
        }
    }

    /// A datagram leaves; false if it is dropped.
    pub(crate) fn sends(&mut self, now: Time, to: SocketAddr) -> bool {
        self.touch(now, to);
        let replied = self
            .mappings
            .get(&Flow::Datagrams(to))
            .is_some_and(|mapping| mapping.replied);
        let lives = if replied {
            self.router.udp_replied
        } else {
            self.router.udp_unreplied
        };
        self.open(now, Flow::Datagrams(to), lives)
    }

    /// A datagram comes; false if nobody inside is waiting for it.
    pub(crate) fn comes(&mut self, now: Time, from: SocketAddr) -> bool {
        self.forget(now);
        let Some(mapping) = self.mappings.get_mut(&Flow::Datagrams(from)) else {
            self.counts.uninvited += 1;
            return false;
        };
        (mapping.replied, mapping.until) = (true, now + self.router.udp_replied);
        true
    }

    /// A SYN leaves; false if it is dropped.
    pub(crate) fn dials(&mut self, now: Time, conn: ConnId, to: SocketAddr) -> bool {
        self.touch(now, to);
        self.open(now, Flow::Stream(conn), self.router.tcp_syn)
    }

    /// A connection opened.
    pub(crate) fn opened(&mut self, now: Time, conn: ConnId) {
        self.renew(now, conn, self.router.tcp_established);
    }

    /// A connection that was open ended.
    pub(crate) fn closed(&mut self, now: Time, conn: ConnId) {
        self.renew(now, conn, self.router.tcp_closed);
    }

    fn renew(&mut self, now: Time, conn: ConnId, lives: Duration) {
        if let Some(mapping) = self.mappings.get_mut(&Flow::Stream(conn)) {
            mapping.until = now + lives;
            // It may be due sooner than it was.
            self.ends.push(Reverse((mapping.until, Flow::Stream(conn))));
        }
    }

    fn open(&mut self, now: Time, flow: Flow, lives: Duration) -> bool {
        self.forget(now);
        if let Some(mapping) = self.mappings.get_mut(&flow) {
            mapping.until = now + lives;
            return true;
        }
        if self.mappings.len() + self.router.others >= self.router.table {
            self.counts.overflows += 1;
            return false;
        }
        if self.second.0 != now.as_secs() {
            self.second = (now.as_secs(), 0);
        }
        self.second.1 += 1;
        if self.second.1 > self.router.new_per_second {
            self.punished_until = now + self.router.penalty;
        }
        if now < self.punished_until {
            self.counts.punished += 1;
            return false;
        }
        let until = now + lives;
        self.mappings.insert(flow, Mapping { until, replied: false });
        self.ends.push(Reverse((until, flow)));
        self.counts.most = self.counts.most.max(self.mappings.len() + self.router.others);
        true
    }

    /// Takes out the mappings whose time has come.
    fn forget(&mut self, now: Time) {
        while let Some(Reverse((at, flow))) = self.ends.peek().copied()
            && at <= now
        {
            self.ends.pop();
            match self.mappings.get(&flow).map(|mapping| mapping.until) {
                Some(until) if until <= now => drop(self.mappings.remove(&flow)),
                // Used meanwhile.
                Some(until) => self.ends.push(Reverse((until, flow))),
                None => {}
            }
        }
    }

    fn touch(&mut self, now: Time, to: SocketAddr) {
        if now > self.sum.1 {
            self.sum.0 += self.touched.len() as f64 * now.since(self.sum.1).as_secs_f64();
            self.sum.1 = now;
        }
        while let Some(Reverse((at, addr))) = self.touched_ends.peek().copied()
            && at <= now
        {
            self.touched_ends.pop();
            match self.touched.get(&addr).map(|last| *last + Self::WINDOW) {
                Some(end) if end <= now => drop(self.touched.remove(&addr)),
                Some(end) => self.touched_ends.push(Reverse((end, addr))),
                None => {}
            }
        }
        if self.touched.insert(to, now).is_none() {
            self.touched_ends.push(Reverse((now + Self::WINDOW, to)));
        }
        self.counts.most_flows = self.counts.most_flows.max(self.touched.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(table: usize) -> Home {
        let router = Profile::nat_home().home.unwrap();
        Home::new(Router { table, ..router }, Seed::from_number(1))
    }

    fn host(last: u8) -> SocketAddr {
        SocketAddr::from(([9, 9, 9, last], 6881))
    }

    #[test]
    fn only_who_was_sent_something_lately_gets_in() {
        let mut home = home(4096);
        assert!(!home.comes(Time::ZERO, host(1)));
        assert!(home.sends(Time::ZERO, host(1)));
        assert!(!home.comes(Time::from_secs(31), host(1)), "30 s without an answer");
        assert!(home.sends(Time::from_secs(40), host(1)) && home.comes(Time::from_secs(41), host(1)));
        assert!(home.comes(Time::from_secs(160), host(1)), "120 s once there was one");
        assert!(!home.comes(Time::from_secs(281), host(1)));
        assert_eq!(home.counts().uninvited, 3);
    }

    #[test]
    fn a_full_table_drops_what_is_new() {
        let mut home = home(602);
        let now = Time::from_secs(1);
        assert!(home.sends(now, host(1)) && home.dials(now, ConnId(1), host(2)));
        assert!(!home.sends(now, host(3)) && home.sends(now, host(1)));
        assert!(home.sends(Time::from_secs(32), host(3)), "the first was not answered");
        assert_eq!(
            (home.counts().overflows, home.counts().most, home.counts().most_flows),
            (1, 602, 3)
        );
    }

    #[test]
    fn connections_stay_in_the_table_for_a_while() {
        let mut home = home(601);
        let dials = |home: &mut Home, secs, conn| home.dials(Time::from_secs(secs), ConnId(conn), host(1));
        assert!(dials(&mut home, 0, 1) && !dials(&mut home, 59, 2));
        assert!(dials(&mut home, 60, 2));
        home.opened(Time::from_secs(61), ConnId(2));
        assert!(!dials(&mut home, 7_000, 3));
        home.closed(Time::from_secs(7_000), ConnId(2));
        assert!(!dials(&mut home, 7_119, 3) && dials(&mut home, 7_120, 3));
    }

    #[test]
    fn too_many_new_flows_in_a_second_are_punished() {
        let mut home = home(4096);
        let sent = |home: &mut Home, secs, from: u16, count: u16| {
            let to = |port| SocketAddr::from(([9, 9, 9, 9], port));
            (from..from + count)
                .filter(|port| home.sends(Time::from_secs(secs), to(*port)))
                .count()
        };
        assert_eq!(sent(&mut home, 1, 1, 400), 300);
        assert_eq!(sent(&mut home, 30, 500, 10), 0);
        assert_eq!(sent(&mut home, 62, 500, 10), 10);
        assert_eq!(home.counts().punished, 110);
    }
}

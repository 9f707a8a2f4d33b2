//! The network between the parties: what is on its way, and what happens when it arrives.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use world::{Closed, ConnId, Seed, Time, Via, WebId};

use super::fetches::{Fetch, Part};
use super::line::{End, Flow, Line};
use super::place::{Limits, Noise, Place, Reach};
use super::stream::{Half, Item, State, Stream};
use super::web::{Site, Web};
use super::{Traffic, place};
use crate::dice::Dice;

/// The first port that calls come from.
const EPHEMERAL: u16 = 32_768;

/// Whether a party's machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Up,
    /// The process has ended; its host answers with resets.
    Ended,
    /// Nothing answers.
    Dark,
}

/// Something for a party's machine.
#[derive(Debug)]
pub(super) enum Inbound {
    Opened(ConnId),
    Accepted {
        conn: ConnId,
        from: SocketAddr,
        to: SocketAddr,
    },
    Received(ConnId, Vec<u8>),
    Closed(ConnId, Closed),
    Flushed(ConnId),
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Http(WebId, Part),
    Resolved(WebId, Vec<SocketAddr>),
    Stop,
}

/// Something on its way.
#[derive(Debug)]
pub(super) enum What {
    /// A call arrives.
    Syn(u64),
    /// Its answer arrives.
    Answered(u64),
    Refused(u64),
    /// A party's line up is free.
    Free(usize),
    /// Something has passed a party's line down.
    Passed(usize),
    /// Something arrives before the line down of the party at this end.
    Landed(End, Item),
    /// So many bytes that this end sent are acknowledged.
    Credit(End, usize),
    /// A reset arrives at this end.
    Rst(End),
    /// A datagram arrives before the line down of a party.
    Datagram {
        party: usize,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// A datagram arrives at a server.
    Served {
        server: usize,
        party: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    /// A party is told something, if it still lives the life of this number.
    Tell(usize, u64, Inbound),
    /// A document goes on.
    Web(u64),
}

#[derive(Debug)]
struct Due {
    at: Time,
    number: u64,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What passes a line down.
#[derive(Debug)]
pub(super) enum Passing {
    Stream(End, Item),
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Web(u64, Vec<u8>),
}

/// A party as the network has it.
pub(super) struct Host {
    pub(super) addr: SocketAddr,
    pub(super) line: place::Line,
    pub(super) reach: Reach,
    pub(super) noise: Noise,
    pub(super) life: Life,
    /// How often it was started.
    pub(super) lives: u64,
    pub(super) conns: BTreeMap<ConnId, End>,
    pub(super) up: Line,
    pub(super) down: Line,
    pub(super) passing: Option<Passing>,
    pub(super) outbox: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(super) inbox: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(super) traffic: Traffic,
}

/// Answers datagrams.
pub(super) type Answers = dyn FnMut(Time, SocketAddr, &[u8]) -> Vec<Vec<u8>>;

struct Server {
    addr: SocketAddr,
    delay: Duration,
    answers: Box<Answers>,
}

pub(super) struct Net {
    pub(super) hosts: Vec<Host>,
    by_addr: BTreeMap<SocketAddr, usize>,
    servers: Vec<Server>,
    pub(super) web: Box<dyn Web>,
    pub(super) fetches: BTreeMap<u64, Fetch>,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// Streams and documents so far.
    pub(super) begun: u64,
    accepted: u64,
    due: BinaryHeap<Reverse<Due>>,
    number: u64,
    pub(super) limits: Limits,
    delays: BTreeMap<(usize, usize), Duration>,
    pub(super) noise: Dice,
    datagrams: Dice,
    /// Emptied buffers.
    spare: Vec<Vec<u8>>,
}

impl Net {
    const SPARE_MAX: usize = 256;

    pub(super) fn new(limits: Limits, seed: Seed) -> Self {
        Self {
            hosts: Vec::new(),
            by_addr: BTreeMap::new(),
            servers: Vec::new(),
            web: Box::new(Site::new()),
            fetches: BTreeMap::new(),
            streams: BTreeMap::new(),
            begun: 0,
            accepted: 0,
            due: BinaryHeap::new(),
            number: 0,
            limits,
            delays: BTreeMap::new(),
            noise: Dice::new(seed, "noise"),
            datagrams: Dice::new(seed, "datagrams"),
            spare: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, place: &Place) -> usize {
        let party = self.hosts.len();
        let taken = self.by_addr.insert(place.addr, party);
        assert!(taken.is_none(), "two parties at {}", place.addr);
        self.hosts.push(Host {
            addr: place.addr,
            line: place.line,
            reach: place.reach,
            noise: place.noise,
            life: Life::Up,
            lives: 0,
            conns: BTreeMap::new(),
            up: Line::new(),
            down: Line::new(),
            passing: None,
            outbox: VecDeque::new(),
            inbox: VecDeque::new(),
            traffic: Traffic::default(),
        });
        party
    }

    pub(super) fn serve(&mut self, addr: SocketAddr, delay: Duration, answers: Box<Answers>) {
        self.servers.push(Server { addr, delay, answers });
    }

    pub(super) fn set_delay(&mut self, one: usize, other: usize, delay: Duration) {
        self.delays.insert((one.min(other), one.max(other)), delay);
    }

    /// One way between two parties.
    pub(super) fn delay(&self, one: usize, other: usize) -> Duration {
        let lines = self.hosts[one].line.delay + self.hosts[other].line.delay;
        self.delays
            .get(&(one.min(other), one.max(other)))
            .copied()
            .unwrap_or(lines)
    }

    pub(super) fn push(&mut self, at: Time, what: What) {
        self.number += 1;
        let number = self.number;
        self.due.push(Reverse(Due { at, number, what }));
    }

    pub(super) fn tell(&mut self, now: Time, party: usize, what: Inbound) {
        let life = self.hosts[party].lives;
        self.push(now, What::Tell(party, life, what));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// Goes on until something is for a machine, or nothing is due.
    pub(super) fn take(&mut self, now: Time) -> Option<(usize, Inbound)> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse(due) = self.due.pop()?;
            let arrival = self.happen(now, due.what);
            if arrival.is_some() {
                return arrival;
            }
        }
        None
    }

    fn happen(&mut self, now: Time, what: What) -> Option<(usize, Inbound)> {
        match what {
            What::Syn(stream) => return self.called(now, stream),
            What::Answered(stream) => return self.answered(now, stream),
            What::Refused(stream) => return self.refused(stream),
            What::Free(party) => {
                self.hosts[party].up.is_busy = false;
                self.start_up(now, party);
            }
            What::Passed(party) => return self.passed(now, party),
            What::Landed(end, item) => self.landed(now, end, item),
            What::Credit(end, bytes) => {
                if let Some(half) = self.half(end) {
                    half.in_flight = half.in_flight.saturating_sub(bytes);
                    self.offer(now, end);
                }
            }
            What::Rst(end) => return self.reset(end),
            What::Datagram { party, from, to, bytes } => self.datagram_landed(now, party, (from, to, bytes)),
            What::Served {
                server,
                party,
                from,
                bytes,
            } => self.served(now, server, party, from, &bytes),
            What::Tell(party, life, what) => return self.told(party, life, what),
            What::Web(fetch) => return self.web_goes_on(now, fetch),
        }
        None
    }

    fn told(&mut self, party: usize, life: u64, what: Inbound) -> Option<(usize, Inbound)> {
        let host = &mut self.hosts[party];
        if host.lives != life || host.life != Life::Up {
            return None;
        }
        let stays = match &what {
            Inbound::Flushed(conn) => host.conns.contains_key(conn),
            Inbound::Closed(conn, _) => host.conns.remove(conn).is_some(),
            _ => true,
        };
        stays.then_some((party, what))
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < Self::SPARE_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    pub(super) fn half(&mut self, (stream, side): End) -> Option<&mut Half> {
        self.streams.get_mut(&stream).map(|stream| &mut stream.halves[side])
    }

    // Calls.

    pub(super) fn dial(&mut self, now: Time, party: usize, conn: ConnId, to: SocketAddr, via: Option<Via>) {
        assert!(!conn.is_accepted(), "party {party} dials with a number of the world's");
        self.begun += 1;
        let id = self.begun;
        let host = &mut self.hosts[party];
        let fresh = host.conns.insert(conn, (id, 0)).is_none();
        assert!(fresh, "party {party} dials with {conn:?}, which is taken");
        host.traffic.dialled += 1;
        let calls = host.traffic.dialled % u64::from(u16::MAX - EPHEMERAL);
        let from = SocketAddr::new(host.addr.ip(), EPHEMERAL + calls as u16);
        if via.is_some_and(|via| via != Via::Tcp) {
            return self.tell(now, party, Inbound::Closed(conn, Closed::Unreachable));
        }
        let by_addr = self.by_addr.get(&to).copied();
        let at_host = || self.hosts.iter().position(|host| host.addr.ip() == to.ip());
        let Some(target) = by_addr.or_else(at_host) else {
            // Nobody is there: silence. The number stays taken until it is given up.
            return;
        };
        let halves = [
            Half::new(party, conn, State::Dialling),
            Half::new(target, ConnId(0), State::Uncalled),
        ];
        self.streams.insert(id, Stream { halves, from, to });
        let at = now + self.delay(party, target);
        self.push(at, What::Syn(id));
    }

    fn called(&mut self, now: Time, id: u64) -> Option<(usize, Inbound)> {
        let stream = self.streams.get_mut(&id)?;
        let [party, target] = [0, 1].map(|side| stream.halves[side].party);
        let back = now + self.delay(party, target);
        let stream = self.streams.get_mut(&id)?;
        let host = &mut self.hosts[target];
        if host.life == Life::Dark || host.reach == Reach::Silent {
            return None;
        }
        if host.life == Life::Ended || host.reach == Reach::Refuses || host.addr != stream.to {
            self.push(back, What::Refused(id));
            return None;
        }
        self.accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.accepted);
        host.conns.insert(conn, (id, 1));
        host.traffic.accepted += 1;
        stream.halves[1].conn = conn;
        stream.halves[1].state = State::Open;
        let (from, to) = (stream.from, stream.to);
        let back = stream.halves[1].arrives_after(back);
        self.push(back, What::Answered(id));
        Some((target, Inbound::Accepted { conn, from, to }))
    }

    fn answered(&mut self, now: Time, id: u64) -> Option<(usize, Inbound)> {
        let half = self.half((id, 0))?;
        if half.state != State::Dialling {
            return None;
        }
        half.state = State::Open;
        let (party, conn, reports) = (half.party, half.conn, half.reports);
        if reports {
            half.reports = false;
            self.report(now, party, conn);
        }
        self.offer(now, (id, 0));
        Some((party, Inbound::Opened(conn)))
    }

    fn refused(&mut self, id: u64) -> Option<(usize, Inbound)> {
        let stream = self.streams.remove(&id)?;
        let Half { party, conn, .. } = stream.halves[0];
        self.hosts[party].conns.remove(&conn)?;
        Some((party, Inbound::Closed(conn, Closed::Refused)))
    }

    // Datagrams.

    pub(super) fn send(&mut self, now: Time, party: usize, from: Option<SocketAddr>, to: SocketAddr, bytes: &[u8]) {
        let mut copy = self.buffer();
        copy.extend_from_slice(bytes);
        let host = &mut self.hosts[party];
        host.traffic.datagrams_sent += 1;
        if host.outbox.len() >= self.limits.datagrams {
            host.traffic.datagrams_lost += 1;
            return;
        }
        let mut from = from.unwrap_or(host.addr);
        if from.port() == 0 {
            from.set_port(host.addr.port());
        }
        host.outbox.push_back((from, to, copy));
        if host.outbox.len() == 1 {
            host.up.flows.push_back(Flow::Datagrams);
            self.start_up(now, party);
        }
    }

    /// A datagram has passed the line of who sent it.
    pub(super) fn depart(&mut self, at: Time, party: usize, (from, to, bytes): (SocketAddr, SocketAddr, Vec<u8>)) {
        let host = &self.hosts[party];
        let line = host.line;
        let (path, number) = (party as u64, host.traffic.datagrams_sent - host.outbox.len() as u64);
        let dice = self.datagrams.of(path);
        let others: Vec<usize> = if to.ip().is_multicast() {
            (0..self.hosts.len()).filter(|&other| other != party).collect()
        } else {
            self.by_addr.get(&to).copied().into_iter().collect()
        };
        let server = self.servers.iter().position(|server| server.addr == to);
        if dice.happens(number, 0, line.loss) || (others.is_empty() && server.is_none()) {
            self.hosts[party].traffic.datagrams_lost += 1;
            return self.recycle(bytes);
        }
        if let Some(server) = server {
            let at = at + line.delay + self.servers[server].delay;
            let what = What::Served {
                server,
                party,
                from,
                bytes: bytes.clone(),
            };
            self.push(at, what);
        }
        let twice = dice.happens(number, 1, line.duplicates);
        for target in others {
            for copy in 0..=u64::from(twice) {
                let spread = line.jitter.as_micros() as u64 + 1;
                let jitter = Duration::from_micros(dice.below(number, 2 + copy, spread));
                let bytes = bytes.clone();
                let what = What::Datagram {
                    party: target,
                    from,
                    to,
                    bytes,
                };
                self.push(at + self.delay(party, target) + jitter, what);
            }
        }
        self.recycle(bytes);
    }

    fn datagram_landed(&mut self, now: Time, party: usize, datagram: (SocketAddr, SocketAddr, Vec<u8>)) {
        let host = &mut self.hosts[party];
        if host.life != Life::Up {
            return;
        }
        if host.inbox.len() >= self.limits.datagrams {
            host.traffic.datagrams_lost += 1;
            return;
        }
        host.inbox.push_back(datagram);
        if host.inbox.len() == 1 {
            host.down.flows.push_back(Flow::Datagrams);
            self.start_down(now, party);
        }
    }

    fn served(&mut self, now: Time, server: usize, party: usize, from: SocketAddr, bytes: &[u8]) {
        let Server { addr, delay, answers } = &mut self.servers[server];
        let (addr, delay) = (*addr, *delay);
        for bytes in answers(now, from, bytes) {
            let at = now + delay + self.hosts[party].line.delay;
            let what = What::Datagram {
                party,
                from: addr,
                to: from,
                bytes,
            };
            self.push(at, what);
        }
    }

    // Life and death.

    /// A party's machine is gone.
    pub(super) fn die(&mut self, now: Time, party: usize, life: Life) {
        let host = &mut self.hosts[party];
        host.life = life;
        host.lives += 1;
        host.outbox.clear();
        host.inbox.clear();
        host.up.clear();
        host.down.clear();
        for (_, (id, side)) in std::mem::take(&mut host.conns) {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.halves[side].end(State::Dead);
            let other = &stream.halves[1 - side];
            let (state, target) = (other.state, other.party);
            if state == State::Uncalled || stream.is_over() {
                self.streams.remove(&id);
            } else if life == Life::Ended {
                let at = now + self.delay(party, target);
                self.push(at, What::Rst((id, 1 - side)));
            }
        }
        self.fetches.retain(|_, fetch| fetch.party != party);
    }

    /// A party's machine is there again.
    pub(super) fn live(&mut self, party: usize) {
        self.hosts[party].life = Life::Up;
    }
}

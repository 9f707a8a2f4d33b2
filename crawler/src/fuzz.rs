//! The promises of the node for any list of inputs, and of its saved state: what the fuzz target and the property tests
//! call.

mod setup;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use wire::krpc::{Body, Message, Method, Query, Want};
use wire::{InfoHash, NodeId};
use world::{Effect, Input, Machine, Output, Seed, Time};

use crate::guard::Cidr;
use crate::sampler::Sampler;
use crate::{Config, Depth, Event, Few, Node, Plan, Question, sampler, state};

pub use setup::{lab_config, sampling};
pub use steps::steps;

/// Queries to one host in a row, and a second: the manners of DESIGN 6.
const BURST: usize = 3;

/// One thing that happens to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A datagram from a host; even hosts are in 127.0.0.0/8, where the node's lab is, odd ones are not.
    Datagram {
        /// Which host.
        host: u8,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// The host answers the question of ours that it was sent last, with these bytes in place of its body.
    Answer {
        /// Which host.
        host: u8,
        /// What follows the transaction id: the rest of a bencoded message.
        body: Vec<u8>,
    },
    /// Time passes.
    Wait {
        /// Milliseconds.
        millis: u32,
    },
    /// The owner wants peers of an infohash, which this host showed.
    GetPeers {
        /// Which host.
        host: u8,
        /// First byte of the infohash.
        first: u8,
    },
    /// The owner asks one host something.
    Ask {
        /// Which host.
        host: u8,
    },
    /// The owner wants the nodes nearest to a point.
    FindNode {
        /// First byte of the point.
        first: u8,
    },
    /// The host announces itself, with the token that it was given last.
    Announce {
        /// Which host.
        host: u8,
        /// First byte of the infohash.
        first: u8,
    },
    /// The owner serves a torrent, and announces it.
    Serve {
        /// First byte of the infohash.
        first: u8,
        /// It has all of it.
        seed: bool,
    },
    /// The run ends; what comes after must not make the node ask anything.
    Stop,
}

/// Whatever happens: no panic, no spinning, no query to a special-purpose address or beyond a host's budget, nothing
/// sent unasked after the stop, nobody sampled too early or in vain, nothing announced but what the owner serves, each time with a token that the
/// very host gave us, every lookup ended once, all queues within their bounds.
pub fn node(steps: &[Step]) {
    let config = Config {
        sampling: Some(sampler::Config {
            max_nodes: 20,
            max_in_flight: 5,
            ..sampling()
        }),
        ..lab_config()
    };
    let bounds = (
        config.rpc.max_outstanding,
        config.lookup.max_running + config.lookup.max_waiting,
    );
    let mut bench = Bench {
        node: Node::new(config, Seed::from_number(1), None),
        now: Time::ZERO,
        queries: BTreeMap::new(),
        last: BTreeMap::new(),
        tokens: BTreeMap::new(),
        given: BTreeSet::new(),
        served: BTreeSet::new(),
        lookups: 0,
        ended: 0,
        stopped: false,
    };
    bench.node.set_announce_port(6881);
    bench.node.bootstrap(bench.now);
    bench.drain();
    for step in steps {
        bench.take(step);
        let gauges = bench.node.gauges();
        assert!(
            gauges.outstanding <= bounds.0 && gauges.lookups <= bounds.1,
            "{gauges:?}"
        );
        if let Some(sampler) = bench.node.sampler() {
            let stats = sampler.stats();
            assert_eq!((stats.inside_interval, stats.to_non_samplers), (0, 0), "{stats:?}");
            assert!(sampler.known() <= 20);
        }
    }
    bench.node.handle(bench.now, Input::Stop);
    bench.stopped = true;
    bench.drain();
    assert_eq!(bench.lookups, bench.ended, "every lookup ends, and once");
}

struct Bench {
    node: Node,
    now: Time,
    /// When each host was sent queries.
    queries: BTreeMap<IpAddr, Vec<Time>>,
    /// The transaction of the last query to each host.
    last: BTreeMap<SocketAddr, Vec<u8>>,
    /// The last token that each host was given.
    tokens: BTreeMap<SocketAddr, Vec<u8>>,
    /// All tokens that hosts gave us.
    given: BTreeSet<(SocketAddr, Vec<u8>)>,
    /// What the owner serves.
    served: BTreeSet<InfoHash>,
    lookups: usize,
    ended: usize,
    stopped: bool,
}

fn addr_of(host: u8) -> SocketAddr {
    let first = if host.is_multiple_of(2) { 127 } else { 10 };
    SocketAddr::from((Ipv4Addr::new(first, 0, 0, host), 6881))
}

impl Bench {
    fn take(&mut self, step: &Step) {
        let to = SocketAddr::from(([127, 0, 0, 1], 6881));
        match step {
            Step::Datagram { host, bytes } => {
                let from = addr_of(*host);
                self.heard(from, bytes);
                self.node.handle(self.now, Input::Datagram { from, to, bytes });
            }
            Step::Answer { host, body } => {
                let from = addr_of(*host);
                let Some(transaction) = self.last.get(&from) else {
                    return;
                };
                let mut bytes = b"d1:t6:".to_vec();
                bytes.extend_from_slice(transaction);
                bytes.extend_from_slice(body);
                let bytes = &bytes;
                self.heard(from, bytes);
                self.node.handle(self.now, Input::Datagram { from, to, bytes });
            }
            Step::Wait { millis } => self.wait(Duration::from_millis(u64::from(*millis))),
            Step::GetPeers { host, first } => {
                let info_hash = InfoHash::new([*first; 20]);
                let point = info_hash.as_target();
                let mut plan = Plan {
                    first: Few::new(),
                    avoid: [None; crate::K],
                    depth: Depth::Replicas { max_queries: 4 },
                };
                plan.first.push(wire::compact::Contact {
                    id: point,
                    addr: addr_of(*host),
                });
                self.node.get_peers(self.now, info_hash, plan);
                self.lookups += 1;
            }
            Step::Ask { host } => {
                self.node.ask(self.now, addr_of(*host), Question::Ping);
            }
            Step::FindNode { first } => {
                self.node.find_node(self.now, NodeId::new([*first; 20]));
                self.lookups += 1;
            }
            Step::Announce { host, first } => self.announced(addr_of(*host), [*first; 20]),
            Step::Serve { first, seed } => {
                let info_hash = InfoHash::new([*first; 20]);
                self.node.announce(self.now, info_hash, *seed);
                self.served.insert(info_hash);
                self.lookups += 1;
            }
            Step::Stop => {
                self.node.handle(self.now, Input::Stop);
                self.stopped = true;
            }
        }
        self.drain();
    }

    /// Notes the token that a host gives us.
    fn heard(&mut self, from: SocketAddr, bytes: &[u8]) {
        if let Ok(Body::Reply(reply)) = Message::decode(bytes).map(|message| message.body)
            && let Some(token) = reply.token
        {
            self.given.insert((from, token.to_vec()));
        }
    }

    fn announced(&mut self, from: SocketAddr, info_hash: [u8; 20]) {
        let Some(token) = self.tokens.get(&from) else {
            return;
        };
        let method = Method::AnnouncePeer {
            info_hash: InfoHash::new(info_hash),
            port: 6881,
            implied_port: false,
            token,
            name: None,
            seed: false,
        };
        let query = Query {
            id: NodeId::new([3; 20]),
            method,
            want: Want::default(),
        };
        let mut bytes = Vec::new();
        Message::new(b"an", Body::Query(query)).encode(&mut bytes);
        let (to, bytes) = (SocketAddr::from(([127, 0, 0, 1], 6881)), &bytes);
        self.node.handle(self.now, Input::Datagram { from, to, bytes });
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.node.deadline().filter(|&due| due <= end) {
            assert!(due > self.now, "due at {due:?}, polled at {:?}", self.now);
            self.now = due;
            self.node.handle(self.now, Input::Tick);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut payload = Vec::new();
        while let Some(output) = self.node.poll(self.now, &mut payload) {
            match output {
                Output::Event(Event::LookupDone(_)) => self.ended += 1,
                Output::Event(_) => {}
                Output::Effect(Effect::Send { to, len, .. }) => {
                    assert_eq!(len, payload.len());
                    self.sent(to, &payload);
                    payload.clear();
                }
                Output::Effect(effect) => panic!("a node has no connections: {effect:?}"),
            }
        }
    }

    fn sent(&mut self, to: SocketAddr, bytes: &[u8]) {
        assert!(to.ip().is_loopback(), "sent to {to}");
        let message = Message::decode(bytes).expect("we send what we can read");
        if let Body::Reply(reply) = &message.body
            && let Some(token) = reply.token
        {
            self.tokens.insert(to, token.to_vec());
        }
        let Body::Query(query) = &message.body else {
            return;
        };
        if let Method::AnnouncePeer { info_hash, token, .. } = query.method {
            assert!(self.served.contains(&info_hash), "{info_hash:?} is not served");
            assert!(self.given.contains(&(to, token.to_vec())), "{to} gave no such token");
        }
        assert!(!self.stopped, "asks after the stop");
        self.last.insert(to, message.transaction.to_vec());
        let times = self.queries.entry(to.ip()).or_default();
        times.push(self.now);
        if let Some(&earlier) = times.len().checked_sub(BURST + 1).and_then(|at| times.get(at)) {
            assert!(
                self.now.since(earlier) >= Duration::from_secs(1),
                "{to} was asked {BURST} times and once more"
            );
        }
    }
}

/// Blocks of addresses: what is read survives being written and read.
pub fn cidr(text: &str) {
    if let Ok(block) = text.parse::<Cidr>() {
        assert_eq!(block.to_string().parse().as_ref(), Ok(&block));
        assert!(block.first() <= block.last());
    }
}

/// Whatever a file of a kept ledger holds: it is read or refused, and what is read is kept.
pub fn kept_ledger(bytes: &[u8]) {
    let mut config = lab_config();
    config.sampling = Some(sampling());
    let mut node = Node::new(config, Seed::from_number(1), None);
    if node.restore_ledger(Time::ZERO, bytes, 1_000).is_err() {
        return;
    }
    let kept = node.keep_ledger(Time::ZERO, 1_000).unwrap_or_default();
    let known = node.sampler().map(Sampler::known);
    assert_eq!(node.restore_ledger(Time::ZERO, &kept, 1_000).ok(), known);
}

/// Whatever a file of saved state holds: what is read of it reads the same once written, and a node can start from it.
pub fn saved_state(bytes: &[u8]) {
    let Ok(saved) = state::decode(bytes) else {
        return;
    };
    assert_eq!(state::decode(&state::encode(&saved)).as_ref(), Ok(&saved));
    let mut node = Node::new(lab_config(), Seed::from_number(1), Some(saved));
    node.bootstrap(Time::ZERO);
    let mut payload = Vec::new();
    while let Some(output) = node.poll(Time::ZERO, &mut payload) {
        if let Output::Effect(Effect::Send { to, .. }) = output {
            assert!(to.ip().is_loopback(), "sent to {to}");
        }
        payload.clear();
    }
}

#[cfg(test)]
mod tests;

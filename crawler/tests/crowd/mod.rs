//! Everybody else, in virtual time: whoever is asked answers at once, from buffers that are there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crawler::fuzz::{lab_config, sampling};
use crawler::{Config, Contact, Depth, Event, Few, Node, Plan};
use wire::krpc::{Body, Message, Method, Query, Reply, Values, Want};
use wire::{InfoHash, NodeId, compact};
use world::{Effect, Input, Machine, Output, Seed, Time};

/// Nodes of the crowd.
pub(crate) const CROWD: u32 = 4000;

/// A node of ours among them, and how much went on.
pub(crate) struct Crowd {
    pub(crate) node: Node,
    pub(crate) now: Time,
    /// Datagrams that our node received.
    pub(crate) received: u64,
    /// Infohashes shown to it.
    pub(crate) sightings: u64,
    /// Peers told.
    pub(crate) peers: u64,
    /// Look for the peers of every so many infohashes that are shown; 0 for none.
    pub(crate) look_up_every: u64,
    /// The last datagram that our node sent.
    pub(crate) sent: Vec<u8>,
    payload: Vec<u8>,
    answers: VecDeque<(SocketAddr, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    nodes: Vec<u8>,
    samples: Vec<u8>,
    drawn: u64,
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id_bytes(number: u64) -> [u8; 20] {
    let mut id = [0; 20];
    for (word, chunk) in (1..).zip(id.chunks_mut(8)) {
        let bytes = mix(number.wrapping_mul(8).wrapping_add(word)).to_be_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
    id
}

/// One of the crowd.
pub(crate) fn one(number: u32) -> Contact {
    let [_, high, mid, low] = number.to_be_bytes();
    Contact {
        id: NodeId::new(id_bytes(u64::from(number))),
        addr: SocketAddr::from(([127, high + 1, mid, low], 6881)),
    }
}

fn number_of(addr: SocketAddr) -> u32 {
    let SocketAddr::V4(addr) = addr else { return 0 };
    let [_, high, mid, low] = addr.ip().octets();
    u32::from_be_bytes([0, high - 1, mid, low])
}

/// A query as others send it.
pub(crate) fn query(method: Method<'_>) -> Vec<u8> {
    let (id, want) = (NodeId::new([0x77; 20]), Want::default());
    let mut bytes = Vec::new();
    Message::new(b"aa", Body::Query(Query { id, method, want })).encode(&mut bytes);
    bytes
}

impl Crowd {
    /// A crawler that knows one of the crowd, and that has sampled all of them after a virtual day.
    pub(crate) fn new(sampled: bool) -> Self {
        let mut config = Config {
            sampling: sampled.then(|| crawler::sampler::Config {
                max_nodes: 10_000,
                ..sampling()
            }),
            ..lab_config()
        };
        config.guard.total = crawler::guard::Limit::per_second(50, 5);
        config.guard.max_flows = 100_000;
        config.guard.answers_per_host = crawler::guard::Limit::per_second(0, 0);
        config.guard.answers_in_total = crawler::guard::Limit::per_second(0, 0);
        let mut crowd = Self {
            node: Node::new(config, Seed::from_number(1), None),
            now: Time::ZERO,
            received: 0,
            sightings: 0,
            peers: 0,
            look_up_every: 0,
            sent: Vec::with_capacity(2048),
            payload: Vec::with_capacity(2048),
            answers: VecDeque::with_capacity(64),
            spare: (0..64).map(|_| Vec::with_capacity(2048)).collect(),
            nodes: Vec::with_capacity(2048),
            samples: Vec::with_capacity(2048),
            drawn: 0,
        };
        crowd.node.bootstrap(crowd.now);
        crowd.node.add_node(crowd.now, one(1).addr);
        crowd.drain();
        crowd
    }

    /// Lets time pass, and everybody answer.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            while let Some((from, answer)) = self.answers.pop_front() {
                self.deliver(from, &answer);
                self.spare.push(answer);
            }
            let Some(due) = self.node.deadline().filter(|&due| due <= end) else {
                break;
            };
            self.now = due;
            self.node.handle(due, Input::Tick);
            self.drain();
        }
        self.now = end;
    }

    /// Hands our node one datagram, and takes what comes of it.
    pub(crate) fn deliver(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.received += 1;
        let to = SocketAddr::from(([127, 0, 0, 1], 6881));
        self.node.handle(self.now, Input::Datagram { from, to, bytes });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll(self.now, &mut self.payload) {
            match output {
                Output::Effect(Effect::Send { to, .. }) => {
                    self.sent.clone_from(&self.payload);
                    self.ask(to);
                }
                Output::Event(Event::Sighting(sighting)) => self.sighted(sighting.info_hash, sighting.from),
                Output::Event(Event::Peers { .. }) => self.peers += 1,
                _ => {}
            }
            self.payload.clear();
        }
    }

    fn sighted(&mut self, info_hash: InfoHash, from: Contact) {
        self.sightings += 1;
        if self.look_up_every > 0 && self.sightings.is_multiple_of(self.look_up_every) {
            let mut first = Few::new();
            first.push(from);
            let depth = Depth::Replicas { max_queries: 4 };
            let avoid = [None; crawler::K];
            self.node.get_peers(self.now, info_hash, Plan { first, avoid, depth });
        }
    }

    /// One of the crowd is asked: eight others by chance, twenty infohashes of its own, two peers.
    fn ask(&mut self, to: SocketAddr) {
        let Ok(Message {
            transaction,
            body: Body::Query(query),
            ..
        }) = Message::decode(&self.payload)
        else {
            return;
        };
        self.nodes.clear();
        self.samples.clear();
        for _ in 0..8 {
            self.drawn += 1;
            let number = u32::try_from(mix(self.drawn) % u64::from(CROWD)).unwrap_or(0);
            compact::put_contact(&one(number), &mut self.nodes);
        }
        let own = u64::from(number_of(to)) * 1_000_000;
        for sample in 0..20 {
            // As near to the node as what it stores would be: what is far off is not told of.
            let mut info_hash = id_bytes(own + sample);
            info_hash[..2].copy_from_slice(&one(number_of(to)).id.as_bytes()[..2]);
            self.samples.extend_from_slice(&info_hash);
        }
        let peers = [
            SocketAddr::from(([127, 200, 0, 1], 51413)),
            SocketAddr::from(([127, 200, 0, 2], 51413)),
        ];
        let mut reply = Reply {
            nodes: &self.nodes,
            ..Reply::new(one(number_of(to)).id)
        };
        match query.method {
            Method::SampleInfohashes { .. } => {
                (reply.samples, reply.num, reply.interval) = (Some(&self.samples[..]), Some(500), Some(21_600));
            }
            Method::GetPeers { .. } => (reply.values, reply.token) = (Values::from(&peers[..]), Some(&b"token"[..])),
            _ => {}
        }
        let mut answer = self.spare.pop().unwrap_or_default();
        answer.clear();
        Message {
            version: Some(b"LT\x02\x01"),
            ..Message::new(transaction, Body::Reply(reply))
        }
        .encode(&mut answer);
        self.answers.push_back((to, answer));
    }
}

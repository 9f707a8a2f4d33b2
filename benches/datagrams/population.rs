//! Who asks the node, and what it knows before it is asked.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crawler::fuzz::{lab_config, sampling};
use crawler::guard::{self, Limit};
use crawler::{Config, Node, sampler};
use rand::{Rng, RngExt};
use wire::krpc::{Body, Message, Method, Query, Want};
use wire::{InfoHash, NodeId};
use world::{Effect, Input, Machine, Output, Seed, Time};

use crate::load::{Question, pong};

/// Hosts that ask: so many that none is asked or answered beyond a limit.
const HOSTS: u32 = 8192;
/// Infohashes stored (libtorrent's limit).
const KEYS: u32 = 2000;
/// Peers of the most popular one.
const MOST_PEERS: u32 = 500;
/// Questions of the mix, put again and again.
const MIX: usize = 16_384;

/// The node at an address.
pub(crate) fn id_at(host: IpAddr) -> NodeId {
    NodeId::new(random_bytes("id", host_number(host)))
}

fn host(number: u32) -> IpAddr {
    IpAddr::from(Ipv4Addr::from_bits((127 << 24 | 1 << 16) + number % HOSTS))
}

fn host_number(host: IpAddr) -> u32 {
    match host {
        IpAddr::V4(host) => host.to_bits() & 0xffff,
        IpAddr::V6(_) => 0,
    }
}

fn key(number: u32) -> InfoHash {
    InfoHash::new(random_bytes("key", number))
}

fn random_bytes(label: &str, number: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    Seed::from_number(1)
        .derive_number(label, u64::from(number))
        .rng()
        .fill_bytes(&mut bytes);
    bytes
}

/// A node that all hosts have asked something, and the questions that they will ask next. All are at `port`.
pub(crate) fn fill(port: u16) -> (Node, Vec<Question>) {
    let mut node = Node::new(config(), Seed::from_number(1), None);
    node.pause_sampling(true);
    let mut town = Town {
        node,
        port,
        tokens: Vec::new(),
    };
    for number in 0..HOSTS {
        let answer = town.ask(number, get_peers(key(number % KEYS)));
        let token = token_of(&answer);
        town.tokens.push(token);
    }
    let mut teller = 0;
    for number in 0..KEYS {
        // As few swarms are large as Zipf has it.
        for _ in 0..=MOST_PEERS / (number + 1) {
            teller = (teller + 1) % HOSTS;
            let announce = town.announce(teller, number);
            town.ask_bytes(teller, &announce);
        }
    }
    let questions = (0..MIX).map(|at| town.draw(at)).collect();
    (town.node, questions)
}

/// A node, and those around it.
struct Town {
    node: Node,
    port: u16,
    /// The write token of each host.
    tokens: Vec<Vec<u8>>,
}

impl Town {
    /// One question, and what is answered; the node's own questions are answered meanwhile.
    fn ask(&mut self, number: u32, method: Method<'_>) -> Vec<u8> {
        self.ask_bytes(number, &query(number, method))
    }

    fn ask_bytes(&mut self, number: u32, question: &[u8]) -> Vec<u8> {
        let mut inbox = VecDeque::from([(host(number), question.to_vec())]);
        let (mut answer, mut payload) = (Vec::new(), Vec::new());
        while let Some((from, bytes)) = inbox.pop_front() {
            let (from, to) = (
                SocketAddr::new(from, self.port),
                SocketAddr::from(([127, 0, 0, 1], 6881)),
            );
            let bytes = &bytes;
            self.node.handle(Time::ZERO, Input::Datagram { from, to, bytes });
            while let Some(output) = self.node.poll(Time::ZERO, &mut payload) {
                match output {
                    Output::Effect(Effect::Send { to, .. }) if payload.ends_with(b"1:y1:qe") => {
                        inbox.extend(pong(to.ip(), &payload));
                    }
                    Output::Effect(_) => answer.clone_from(&payload),
                    Output::Event(_) => {}
                }
                payload.clear();
            }
        }
        answer
    }

    fn announce(&self, number: u32, swarm: u32) -> Vec<u8> {
        let method = Method::AnnouncePeer {
            info_hash: key(swarm),
            port: 0,
            implied_port: true,
            token: &self.tokens[number as usize],
            name: None,
            seed: number.is_multiple_of(2),
        };
        query(number, method)
    }

    /// One question of the mix: what strangers ask of a node, roughly (network-model F12: one get_peers in four), with
    /// more announces and samples than they would.
    fn draw(&self, at: usize) -> Question {
        let mut rng = Seed::from_number(2).derive_number("question", at as u64).rng();
        let number = rng.random_range(0..HOSTS);
        let target = NodeId::new(rng.random());
        // Large swarms are asked for more often: the square pulls towards 0.
        let popular = rng.random_range(0..KEYS) * rng.random_range(0..KEYS) / KEYS;
        let bytes = match rng.random_range(0..100) {
            0..20 => query(number, Method::Ping),
            20..60 => query(number, Method::FindNode { target }),
            60..75 => query(number, get_peers(key(popular))),
            75..90 => query(number, get_peers(InfoHash::new(rng.random()))),
            90..95 => query(number, Method::SampleInfohashes { target }),
            _ => self.announce(number, popular),
        };
        Question {
            from: host(number),
            bytes,
        }
    }
}

const fn get_peers(info_hash: InfoHash) -> Method<'static> {
    Method::GetPeers {
        info_hash,
        noseed: false,
        scrape: false,
    }
}

fn query(number: u32, method: Method<'_>) -> Vec<u8> {
    let (id, want) = (id_at(host(number)), Want::default());
    let message = Message {
        version: Some(b"LT\x02\x01"),
        ..Message::new(b"\x12\x34", Body::Query(Query { id, method, want }))
    };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn token_of(answer: &[u8]) -> Vec<u8> {
    match Message::decode(answer).expect("the node writes sound messages").body {
        Body::Reply(reply) => reply.token.expect("there is room in its store").to_vec(),
        _ => panic!("no reply"),
    }
}

/// As on a server, with limits that are kept and that nobody here reaches.
fn config() -> Config {
    let base = lab_config();
    let guard = guard::Config {
        total: Limit::per_second(0, 0),
        max_flows: 60_000,
        answers_per_host: Limit::per_second(1_000, 10),
        answers_in_total: Limit::per_second(1_000_000, 20_000),
        ..base.guard
    };
    let mut responder = base.responder;
    responder.store.max_keys = KEYS as usize;
    responder.store.max_peers_per_key = MOST_PEERS as usize;
    Config {
        guard,
        responder,
        sampling: Some(sampler::Config {
            max_nodes: 1_000_000,
            ..sampling()
        }),
        ..base
    }
}

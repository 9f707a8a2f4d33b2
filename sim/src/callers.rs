//! Nodes that ask the client: whoever has been heard in the DHT is soon known in it.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt};
use wire::NodeId;
use wire::krpc::{Body, Message, Method, Query, Want};
use world::{Seed, Time};

use crate::address::Host;
use crate::population::Population;

/// One client that asks the lab, and is asked.
#[derive(Debug)]
struct Known {
    addr: SocketAddr,
    id: NodeId,
    heard: Time,
    next: Time,
}

/// The stream of questions to clients. Knows at most [`Callers::MAX`] clients; more are not asked.
#[derive(Debug)]
pub(crate) struct Callers {
    known: Vec<Known>,
    rng: ChaCha8Rng,
    per_second: f64,
}

/// A question to a client.
pub(crate) struct Call {
    pub(crate) node: Host,
    pub(crate) to: SocketAddr,
}

/// Nodes looked at to find one that is there; the last of them calls whether it is or not.
const TRIES: usize = 16;

impl Callers {
    const MAX: usize = 16;
    /// A client that asks nothing for so long has left.
    const FORGET: Duration = Duration::from_secs(300);

    pub(crate) fn new(per_second: f64, seed: Seed) -> Self {
        Self {
            known: Vec::new(),
            rng: seed.derive("callers").rng(),
            per_second,
        }
    }

    fn wait(&mut self) -> Duration {
        let even: f64 = self.rng.random();
        Duration::try_from_secs_f64(-(1.0 - even).ln() / self.per_second).unwrap_or(Duration::MAX)
    }

    /// A query came from a client that answers queries itself.
    pub(crate) fn heard(&mut self, now: Time, addr: SocketAddr, id: NodeId) {
        if let Some(known) = self.known.iter_mut().find(|known| known.addr == addr) {
            known.heard = now;
        } else if self.known.len() < Self::MAX && self.per_second > 0.0 {
            let next = now + self.wait();
            self.known.push(Known {
                addr,
                id,
                heard: now,
                next,
            });
        }
    }

    /// Where the client is that was known first.
    pub(crate) fn first(&self) -> Option<SocketAddr> {
        self.known.first().map(|known| known.addr)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.known.iter().map(|known| known.next).min()
    }

    /// The next question that is due, written to `out`.
    pub(crate) fn call(&mut self, now: Time, population: &Population, out: &mut Vec<u8>) -> Option<Call> {
        self.known.retain(|known| now.since(known.heard) < Self::FORGET);
        let at = self.known.iter().position(|known| known.next <= now)?;
        self.known[at].next = now + self.wait();
        // Where nodes come and go, two of five are there.
        let mut node = 0;
        for _ in 0..TRIES {
            node = self.rng.random_range(0..population.nodes.len()) as Host;
            if population.nodes.is_there(node, now) {
                break;
            }
        }
        let transaction: [u8; 2] = self.rng.random();
        // F12: of 37 queries in four minutes ten were get_peers.
        let method = match self.rng.random_range(0..37) {
            0..10 => Method::GetPeers {
                info_hash: self.wanted(population),
                noseed: false,
                scrape: false,
            },
            10..27 => Method::FindNode {
                target: self.near(self.known[at].id),
            },
            _ => Method::Ping,
        };
        let query = Query {
            id: population.nodes.id(node),
            method,
            want: Want::default(),
        };
        let mut message = Message::new(&transaction, Body::Query(query));
        let traits = population.nodes.traits(node)?;
        message.version = population.config.profile.habits(traits.kind).version;
        message.encode(out);
        Some(Call {
            node,
            to: self.known[at].addr,
        })
    }

    fn wanted(&mut self, population: &Population) -> wire::InfoHash {
        let keys = population.keys.all();
        let random = self.rng.random_range(0..keys.len().max(1));
        keys.get(random)
            .map_or(wire::InfoHash::new([1; 20]), |key| key.infohash)
    }

    /// A node asks those whom it finds close to what it looks for.
    fn near(&mut self, id: NodeId) -> NodeId {
        let mut bytes = *id.as_bytes();
        self.rng.fill_bytes(&mut bytes[2..]);
        NodeId::new(bytes)
    }
}

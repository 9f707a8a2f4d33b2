//! Answers to the queries of others: BEP 5, with BEP 32 (`want`), 33 (scrape), 42 (`ip`) and 51 (samples).
//!
//! Honest throughout. What we store is what was announced to us; a sample is a fair one; the nodes named are good ones
//! of our own table; who asks from where is told in `ip`.
//!
//! Of BEP 44 nothing is stored. `get` is answered with nodes and neither value nor token, so that lookups pass through
//! us and nobody tries to store here; `put` is answered like any method that we do not know. So is a method with a
//! target that we do not know: an asker learns more from error 204 than from an answer to a question it did not put.

mod room;
mod samples;
mod scratch;

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use wire::krpc::{Body, Message, Method, Query, Reply, error_code};
use wire::{InfoHash, NodeId};
use world::{Seed, Tally, Time, closed_list};

use crate::event::{Sighting, Source};
use crate::peer_store::{self, PeerStore, Swarm};
use crate::tokens::Tokens;
use crate::{Closest, Contact, Family};
use room::Room;
use samples::Samples;
use scratch::Scratch;

/// Infohashes of a sample (BEP 51 leaves room for more in a packet; 20 is what libtorrent and mldht show).
pub const SAMPLE: usize = 20;

/// Limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is stored of what others announce, in each of the two DHTs.
    pub store: peer_store::Config,
    /// Peers in a reply at most (DHT-08 `max_peers_reply`: 50).
    pub max_peers_reply: usize,
    /// How long a sample of more than [`SAMPLE`] infohashes stays as it is (BEP 51: 21600 s at most).
    pub sample_interval: Duration,
    /// The interval we name while all that we store fits in one sample. New infohashes then show at once; this is how
    /// soon looking again is worth a query.
    pub whole_interval: Duration,
}

/// What the node lends the responder for one answer.
pub struct OurSide<'a> {
    /// Our id in the DHT of who asks.
    pub id: NodeId,
    /// Our client version, `v`.
    pub version: &'a [u8],
    /// Whom we know.
    pub nodes: &'a dyn Closest,
}

/// What a query told us, besides what it asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// An infohash that somebody wants peers of.
    Sighting(Sighting),
    /// A peer, with a token that proves its address.
    Announce {
        /// What it is a peer of, and the node that said so.
        sighting: Sighting,
        /// Where it says that it listens: the address is proven, the port is not.
        peer: SocketAddr,
    },
}

closed_list! {
    /// What others ask of us, and what we refuse.
    Served {
        /// `ping` answered.
        Ping => "ping",
        /// `find_node` answered.
        FindNode => "find_node",
        /// `get_peers` answered.
        GetPeers => "get_peers",
        /// `announce_peer` stored.
        Announce => "announce_peer",
        /// `sample_infohashes` answered.
        Sample => "sample_infohashes",
        /// `get` of BEP 44 answered, with nodes.
        Get => "get",
        /// Refused: the query is malformed, or names an infohash that cannot be.
        Malformed => "malformed",
        /// Refused: the token is not one that we gave this address lately.
        BadToken => "bad_token",
        /// Refused: the store is full.
        StoreFull => "store_full",
        /// Refused: a method that we do not serve.
        UnknownMethod => "unknown_method",
    }
}

/// What is kept for one of the two DHTs.
struct Shelf {
    store: PeerStore,
    samples: Samples,
}

/// Answers others.
pub struct Responder {
    config: Config,
    tokens: Tokens,
    shelves: [Shelf; 2],
    rng: ChaCha8Rng,
    scratch: Scratch,
    served: Tally<Served>,
}

/// One answer under way.
struct Call<'a> {
    now: Time,
    from: SocketAddr,
    transaction: &'a [u8],
    query: &'a Query<'a>,
    our: &'a OurSide<'a>,
    out: &'a mut Vec<u8>,
}

impl Responder {
    /// A responder that was told nothing yet.
    pub fn new(config: Config, seed: Seed) -> Self {
        let seed = seed.derive("responder");
        let shelf = |number| Shelf {
            store: PeerStore::new(config.store, seed.derive_number("shelf", number)),
            samples: Samples::default(),
        };
        Self {
            shelves: [shelf(0), shelf(1)],
            config,
            tokens: Tokens::new(seed),
            rng: seed.derive("picks").rng(),
            scratch: Scratch::default(),
            served: Tally::default(),
        }
    }

    /// Appends the whole answer to `query` to `out`: one datagram, of no more than 1,200 bytes.
    ///
    /// Whether the asker is to be answered at all is the caller's business (`guard`), and so is that a node which says
    /// that it is read-only (BEP 43) enters no table; it is answered like any other.
    pub fn answer(
        &mut self,
        now: Time,
        from: SocketAddr,
        transaction: &[u8],
        query: &Query<'_>,
        our: &OurSide<'_>,
        out: &mut Vec<u8>,
    ) -> Heard {
        self.scratch.clear();
        let mut call = Call {
            now,
            from,
            transaction,
            query,
            our,
            out,
        };
        match query.method {
            Method::Ping => self.pong(&mut call),
            Method::FindNode { target } => self.name_nodes(&mut call, &target, Served::FindNode),
            Method::Get { target, .. } => self.name_nodes(&mut call, &target, Served::Get),
            Method::SampleInfohashes { target } => self.show_sample(&mut call, &target),
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => return self.name_peers(&mut call, info_hash, noseed, scrape),
            Method::AnnouncePeer {
                info_hash,
                port,
                implied_port,
                token,
                name,
                seed,
            } => {
                let port = if implied_port { from.port() } else { port };
                let announce = Announce {
                    info_hash,
                    peer: SocketAddr::new(from.ip(), port),
                    token,
                    name,
                    seed,
                };
                return self.take_announce(&mut call, &announce);
            }
            Method::Put { .. } | Method::Unknown { .. } => self.refuse(&mut call, Served::UnknownMethod),
        }
        Heard::Nothing
    }

    /// Appends error 203 to `out`: the answer to a query of which no more than its transaction could be read.
    pub fn answer_malformed(&mut self, from: SocketAddr, transaction: &[u8], version: &[u8], out: &mut Vec<u8>) {
        self.served.count(Served::Malformed);
        write(from, transaction, version, Served::Malformed.refusal(), out);
    }

    /// What was served and refused so far.
    pub const fn served(&self) -> &Tally<Served> {
        &self.served
    }

    /// The peers announced to us in the DHT of `family`.
    pub const fn store(&self, family: Family) -> &PeerStore {
        &self.shelves[family as usize].store
    }

    /// Peers of a torrent that announced themselves to us lately, at most `most`, in no order.
    pub fn announced(&mut self, now: Time, info_hash: &InfoHash, most: usize) -> Vec<SocketAddr> {
        let mut peers = Vec::new();
        for shelf in &mut self.shelves {
            if let Some(swarm) = shelf.store.swarm(now, info_hash) {
                swarm.pick(&mut self.rng, false, most, &mut peers);
            }
        }
        peers
    }

    fn pong(&mut self, call: &mut Call<'_>) {
        self.served.count(Served::Ping);
        call.reply(Reply::new(call.our.id));
    }

    fn name_nodes(&mut self, call: &mut Call<'_>, target: &NodeId, served: Served) {
        self.served.count(served);
        self.scratch.name_nodes(&mut Room::new(), call, target);
        call.reply(self.scratch.reply(call.our.id));
    }

    fn show_sample(&mut self, call: &mut Call<'_>, target: &NodeId) {
        self.served.count(Served::Sample);
        let Shelf { store, samples } = &mut self.shelves[call.family() as usize];
        let shown = samples.show(call.now, &self.config, store, &mut self.rng);
        self.scratch.show(shown.samples);
        let mut room = Room::new();
        room.take(room::SAMPLE);
        self.scratch.name_nodes(&mut room, call, target);
        call.reply(Reply {
            samples: Some(&self.scratch.samples),
            num: i64::try_from(store.keys()).ok(),
            interval: i64::try_from(shown.seconds).ok(),
            ..self.scratch.reply(call.our.id)
        });
    }

    fn name_peers(&mut self, call: &mut Call<'_>, info_hash: InfoHash, noseed: bool, scrape: bool) -> Heard {
        self.served.count(Served::GetPeers);
        let family = call.family();
        let store = &mut self.shelves[family as usize].store;
        // No token, no announce: where the store is full, it goes to the next nearest node.
        let wanted = info_hash != NO_INFO_HASH;
        let token = (wanted && store.has_room(&info_hash)).then(|| self.tokens.issue(call.now, call.from.ip()));

        let mut swarm = store.swarm(call.now, &info_hash);
        let mut room = Room::new();
        let blooms = swarm
            .as_ref()
            .filter(|_| scrape && room.take(room::BLOOMS))
            .map(|swarm| swarm.blooms());
        self.scratch.name_nodes(&mut room, call, &info_hash.as_target());
        let named = swarm
            .as_ref()
            .and_then(|swarm| swarm.name())
            .is_some_and(|name| room.take(room::NAME + name.len()));
        if let Some(swarm) = &mut swarm {
            let most = room.peers(family).min(self.config.max_peers_reply);
            swarm.pick(&mut self.rng, noseed, most, &mut self.scratch.peers);
        }
        let values = swarm.as_ref().map(|_| self.scratch.values());
        call.reply(Reply {
            values: values.unwrap_or_default(),
            token: token.as_ref().map(<[u8; Tokens::LEN]>::as_slice),
            bloom_seeds: blooms.as_ref().map(|[seeds, _]| seeds.as_bytes()),
            bloom_peers: blooms.as_ref().map(|[_, peers]| peers.as_bytes()),
            name: swarm.as_deref().filter(|_| named).and_then(Swarm::name),
            ..self.scratch.reply(call.our.id)
        });
        if wanted {
            Heard::Sighting(call.sighting(info_hash, Source::GetPeers))
        } else {
            Heard::Nothing
        }
    }

    fn take_announce(&mut self, call: &mut Call<'_>, announce: &Announce<'_>) -> Heard {
        let &Announce {
            info_hash,
            peer,
            token,
            name,
            seed,
        } = announce;
        if info_hash == NO_INFO_HASH || peer.port() == 0 {
            self.refuse(call, Served::Malformed);
            return Heard::Nothing;
        }
        if !self.tokens.is_valid(call.now, call.from.ip(), token) {
            self.refuse(call, Served::BadToken);
            return Heard::Nothing;
        }
        let store = &mut self.shelves[call.family() as usize].store;
        if store.announce(call.now, info_hash, peer, seed, name) {
            self.served.count(Served::Announce);
            call.reply(Reply::new(call.our.id));
        } else {
            self.refuse(call, Served::StoreFull);
        }
        Heard::Announce {
            sighting: call.sighting(info_hash, Source::Announce),
            peer,
        }
    }

    fn refuse(&mut self, call: &mut Call<'_>, why: Served) {
        self.served.count(why);
        call.write(why.refusal());
    }
}

/// The infohash that nothing has: some clients announce it by mistake, in great numbers (network-model 7.7).
const NO_INFO_HASH: InfoHash = InfoHash::new([0; 20]);

/// The arguments of an `announce_peer`.
struct Announce<'a> {
    info_hash: InfoHash,
    peer: SocketAddr,
    token: &'a [u8],
    name: Option<&'a [u8]>,
    seed: bool,
}

impl Call<'_> {
    /// The DHT that the asker belongs to.
    fn family(&self) -> Family {
        Family::of_ip(&self.from.ip().to_canonical())
    }

    fn sighting(&self, info_hash: InfoHash, source: Source) -> Sighting {
        let from = Contact {
            id: self.query.id,
            addr: self.from,
        };
        Sighting {
            info_hash,
            from,
            source,
        }
    }

    fn reply(&mut self, reply: Reply<'_>) {
        self.write(Body::Reply(reply));
    }

    fn write(&mut self, body: Body<'_>) {
        write(self.from, self.transaction, self.our.version, body, self.out);
    }
}

impl Served {
    /// The error that tells of a refusal (BEP 5).
    const fn refusal(self) -> Body<'static> {
        let (code, text): (_, &[u8]) = match self {
            Self::BadToken => (error_code::PROTOCOL, b"Bad token"),
            Self::StoreFull => (error_code::SERVER, b"Store full"),
            Self::UnknownMethod => (error_code::METHOD_UNKNOWN, b"Method Unknown"),
            _ => (error_code::PROTOCOL, b"Protocol Error"),
        };
        Body::Error { code, text }
    }
}

/// Appends a message that answers `transaction` of `from`, and tells it where it came from (BEP 42).
fn write(from: SocketAddr, transaction: &[u8], version: &[u8], body: Body<'_>, out: &mut Vec<u8>) {
    let message = Message {
        transaction,
        version: Some(version),
        read_only: false,
        ip: Some(SocketAddr::new(from.ip().to_canonical(), from.port())),
        body,
    };
    message.encode(out);
}

#[cfg(test)]
mod tests;

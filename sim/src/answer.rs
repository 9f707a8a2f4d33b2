//! How a node of the lab answers: by the habits of its kind, from what it knows and holds.

use std::net::SocketAddr;

use wire::bloom::Bloom;
use wire::compact::{self, Contact};
use wire::krpc::{Body, Message, Method, Query, Reply, Values, error_code};
use wire::{InfoHash, NodeId};
use world::Time;

use crate::address::Host;
use crate::client::{Habits, Order, SAMPLE_MAX, Unheard};
use crate::dice::Dice;
use crate::guests::Guests;
use crate::keys::KeyIndex;
use crate::nearest::Near;
use crate::nodes::{Knower, Traits};
use crate::population::Population;
use crate::sample;

/// Who answers whom, when.
pub(crate) struct Asked<'a> {
    pub(crate) population: &'a Population,
    pub(crate) guests: &'a mut Guests,
    pub(crate) node: Host,
    pub(crate) traits: Traits,
    /// The sample that the node keeps showing, and when it made it.
    pub(crate) frozen: &'a mut Option<(Time, Box<[KeyIndex]>)>,
    pub(crate) from: SocketAddr,
    pub(crate) now: Time,
    /// Draws of this answer.
    pub(crate) dice: Dice,
}

/// What an answer will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// What the draft has.
    Reply,
    /// A code and a text (BEP 5).
    Error(i64, &'static [u8]),
    Silence,
}

/// The parts of a reply, in buffers that serve again.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: Option<NodeId>,
    pub(crate) nodes: Vec<u8>,
    pub(crate) values: Option<Vec<SocketAddr>>,
    token: Vec<u8>,
    pub(crate) samples: Option<Vec<u8>>,
    pub(crate) num: Option<i64>,
    pub(crate) interval: Option<i64>,
    blooms: Option<(Bloom, Bloom)>,
    /// The keys that `samples` shows.
    pub(crate) shown: Vec<KeyIndex>,
    near: Vec<Near>,
    picked: Vec<usize>,
}

/// A token is good for this period and the next, as in BEP 5.
const TOKEN_PERIOD_SECS: u64 = 600;

impl Draft {
    fn clear(&mut self) {
        self.id = None;
        self.nodes.clear();
        self.values = None;
        self.token.clear();
        self.samples = None;
        self.num = None;
        self.interval = None;
        self.blooms = None;
        self.shown.clear();
    }

    /// Appends the drafted reply, or the error.
    pub(crate) fn encode(&self, said: Said, asked: &Asked<'_>, transaction: &[u8], out: &mut Vec<u8>) {
        let habits = asked.habits();
        let body = match said {
            Said::Silence => return,
            Said::Error(code, text) => Body::Error { code, text },
            Said::Reply => {
                let own = asked.population.nodes.id(asked.node);
                let mut reply = Reply::new(self.id.unwrap_or(own));
                reply.nodes = &self.nodes;
                reply.values = self.values.as_deref().map_or(Values::ABSENT, Values::from);
                reply.token = Some(&self.token[..]).filter(|token| !token.is_empty());
                reply.samples = self.samples.as_deref();
                reply.num = self.num;
                reply.interval = self.interval;
                if let Some((seeds, peers)) = &self.blooms {
                    reply.bloom_seeds = Some(seeds.as_bytes());
                    reply.bloom_peers = Some(peers.as_bytes());
                }
                Body::Reply(reply)
            }
        };
        let mut message = Message::new(transaction, body);
        message.version = habits.version;
        message.ip = habits.tells_ip.then_some(asked.from);
        message.encode(out);
    }
}

impl Asked<'_> {
    fn habits(&self) -> &Habits {
        self.population.config.profile.habits(self.traits.kind)
    }

    /// Drafts the answer to a query.
    pub(crate) fn answer(&mut self, query: &Query<'_>, draft: &mut Draft) -> Said {
        draft.clear();
        match query.method {
            Method::Ping => Said::Reply,
            Method::FindNode { target } => self.find_node(&target, draft),
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                self.find_node(&info_hash.as_target(), draft);
                self.token(self.now, &mut draft.token);
                self.peers(&info_hash, noseed, scrape, draft);
                Said::Reply
            }
            Method::AnnouncePeer {
                info_hash,
                port,
                implied_port,
                token,
                ..
            } => self.announce(
                &info_hash,
                if implied_port { self.from.port() } else { port },
                token,
                draft,
            ),
            Method::SampleInfohashes { target } if self.traits.samples => {
                self.find_node(&target, draft);
                self.sample(draft);
                Said::Reply
            }
            Method::SampleInfohashes { target } => self.unheard(Some(target), draft),
            // BEP 44 is spoken, but nothing is stored.
            Method::Get { target, .. } => {
                self.token(self.now, &mut draft.token);
                self.find_node(&target, draft)
            }
            Method::Put { .. } => self.unheard(None, draft),
            Method::Unknown { target, .. } => self.unheard(target, draft),
        }
    }

    fn unheard(&self, target: Option<NodeId>, draft: &mut Draft) -> Said {
        match (self.habits().unheard, target) {
            (Unheard::Silence, _) => Said::Silence,
            (Unheard::FindNode, Some(target)) => self.find_node(&target, draft),
            _ => Said::Error(error_code::METHOD_UNKNOWN, b"Method Unknown"),
        }
    }

    fn find_node(&self, target: &NodeId, draft: &mut Draft) -> Said {
        let population = self.population;
        let knower = Knower {
            node: self.node,
            buckets: &self.habits().buckets,
            now: self.now,
        };
        population.nodes.known_to(&knower, target, &mut draft.near);
        put_rumours(population, &draft.near, &mut draft.nodes);
        Said::Reply
    }

    /// A write token for the asker's address: the node's secret is its place in the dice.
    fn token(&self, at: Time, out: &mut Vec<u8>) {
        let period = at.as_secs() / TOKEN_PERIOD_SECS;
        let dice = self.population.streams.tokens.of(u64::from(self.node)).of(period);
        let address = match self.from.ip() {
            std::net::IpAddr::V4(ip) => u64::from(u32::from(ip)),
            std::net::IpAddr::V6(_) => 0,
        };
        out.clear();
        for word in 0.. {
            out.extend_from_slice(&dice.bits(address, word).to_be_bytes());
            if out.len() >= self.habits().token_len {
                break;
            }
        }
        out.truncate(self.habits().token_len);
    }

    fn announce(&mut self, infohash: &InfoHash, port: u16, token: &[u8], draft: &mut Draft) -> Said {
        let before = Time::from_secs(self.now.as_secs().saturating_sub(TOKEN_PERIOD_SECS));
        let valid = [self.now, before].into_iter().any(|at| {
            self.token(at, &mut draft.token);
            draft.token == token
        });
        draft.token.clear();
        if !valid || port == 0 {
            return Said::Error(error_code::PROTOCOL, b"invalid token");
        }
        self.guests
            .announce(self.now, self.node, *infohash, SocketAddr::new(self.from.ip(), port));
        Said::Reply
    }

    /// The peers that the node holds of a key: a selection, or filters of all of them.
    fn peers(&self, infohash: &InfoHash, noseed: bool, scrape: bool, draft: &mut Draft) {
        let population = self.population;
        let mut values: Vec<SocketAddr> = self.guests.of(self.now, self.node, infohash).collect();
        let (mut seeds, mut leeches) = (Bloom::new(), Bloom::new());
        if let Some((held, key)) = population.find_held(self.node, infohash, self.now) {
            let filters = scrape && self.traits.scrapes;
            let listed = (0..key.peers)
                .filter(|rank| held.lists(*rank))
                .take(self.habits().max_peers);
            let listed: Vec<u32> = if noseed {
                listed.filter(|rank| !population.peer(key, *rank).seed).collect()
            } else {
                listed.collect()
            };
            if filters {
                for rank in &listed {
                    let filter = if population.peer(key, *rank).seed {
                        &mut seeds
                    } else {
                        &mut leeches
                    };
                    filter.insert(population.peer_addr(key, *rank).ip());
                }
                // libtorrent and uTorrent send filters instead of values (crawlers F5).
                draft.blooms = Some((seeds, leeches));
                return;
            }
            self.select(&listed, draft);
            values.extend(draft.picked.iter().map(|at| population.peer_addr(key, listed[*at])));
        }
        values.truncate(self.habits().values_max);
        draft.values = Some(values).filter(|values| !values.is_empty());
    }

    /// Which of the listed peers a reply has room for; into `draft.picked`.
    fn select(&self, listed: &[u32], draft: &mut Draft) {
        let habits = self.habits();
        match habits.values_order {
            Order::Random => sample::pick(
                listed.len(),
                habits.values_max,
                habits.biased_pick,
                self.dice,
                &mut draft.picked,
            ),
            Order::Slice => {
                let start = self.dice.below(0, 0, listed.len() as u64) as usize;
                draft.picked.clear();
                draft
                    .picked
                    .extend((start..listed.len()).chain(0..start).take(habits.values_max));
            }
        }
    }

    /// A sample of the node's keys (BEP 51): frozen for the interval, as libtorrent and mldht keep it, unless all
    /// keys fit. What is frozen stays, though its keys may have gone meanwhile.
    fn sample(&mut self, draft: &mut Draft) {
        let interval = self.habits().interval;
        let held = self.population.held_by(self.node, self.now);
        let is_fresh = |made: Time| self.now.since(made).as_secs() < u64::from(interval);
        match &*self.frozen {
            Some((made, keys)) if is_fresh(*made) && held.len() >= SAMPLE_MAX => draft.shown.extend_from_slice(keys),
            _ => {
                let samples = self.population.streams.samples;
                let dice = samples.of(u64::from(self.node)).of(self.now.as_micros());
                let biased = self.habits().biased_pick;
                sample::pick(held.len(), SAMPLE_MAX, biased, dice, &mut draft.picked);
                draft.shown.extend(draft.picked.iter().map(|at| held[*at].key));
                *self.frozen = Some((self.now, draft.shown.as_slice().into()));
            }
        }
        let keys = self.population.keys.all();
        let hashes = draft
            .shown
            .iter()
            .flat_map(|key| *keys[*key as usize].infohash.as_bytes());
        draft.samples = Some(hashes.collect());
        draft.num = i64::try_from(held.len()).ok();
        draft.interval = Some(i64::from(interval));
    }
}

/// Appends contacts as compact nodes.
pub(crate) fn put_rumours(population: &Population, near: &[Near], out: &mut Vec<u8>) {
    for (_, at) in near {
        let rumour = population.nodes.rumours()[*at as usize];
        let contact = Contact {
            id: rumour.id,
            addr: population.node_addr(rumour.host).into(),
        };
        compact::put_contact(&contact, out);
    }
}

//! Nodes that answer with lies (`network-model.md` table J).

use std::net::{Ipv4Addr, SocketAddr};

use wire::NodeId;
use wire::compact::{self, Contact};
use wire::krpc::{Method, Query};

use crate::answer::{Asked, Draft};
use crate::dice::Dice;
use crate::malformed;
use crate::places::IDS;
use crate::profile::Liars;
use crate::swarm::Outcome;

/// One way to lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lie {
    /// An id close to the target, a new one each time, and siblings on one network.
    IdChaser,
    /// Peers that do not exist, for any infohash.
    FakeValues,
    /// Infohashes that do not exist.
    FakeSamples,
    /// Replies padded beyond what fits a packet.
    Oversize,
    /// Bytes that are nearly KRPC.
    Malformed,
    /// Contacts that must not be contacted.
    BadNodes,
    /// The datagram as it came.
    Reflector,
    /// Hundreds of ids on one address, which name one another.
    ManyIds,
}

impl Lie {
    /// Each way of a single node, with its share of all contacts.
    pub(crate) const fn shares(liars: &Liars) -> [(Self, f64); 7] {
        [
            (Self::IdChaser, liars.id_chaser),
            (Self::FakeValues, liars.fake_values),
            (Self::FakeSamples, liars.fake_samples),
            (Self::Oversize, liars.oversize),
            (Self::Malformed, liars.malformed),
            (Self::BadNodes, liars.bad_nodes),
            (Self::Reflector, liars.reflector),
        ]
    }
}

/// The most that a liar claims to hold: its `num` is as likely of any size (3.3 `num_lie`).
const MOST_NUM: f64 = 2_147_483_647.0;

/// Most of a datagram that a padded reply fills: what IPv4 can carry (J5).
const PADDED: [usize; 4] = [1472, 4096, 8192, 65_507];

/// Intervals that a liar names: the usual one half of the time, else absurd ones (3.3).
const INTERVALS: [i64; 10] = [21_600, 21_600, 21_600, 21_600, 21_600, -1, 0, 1, 21_601, 9_999_999_999];

/// A victim is named at so many of its ports (3.3), which begin so far above that of the lab.
const VICTIM_PORTS: u16 = 8;
const VICTIM_ABOVE: u16 = 20;

/// Addresses that nobody may send to. None is ever routed, so that even a reader without a filter does no harm.
const FORBIDDEN: [Ipv4Addr; 5] = [
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::new(255, 255, 255, 255),
    Ipv4Addr::new(127, 200, 1, 1), // with port 0
];

impl Lie {
    /// Changes what a reply says.
    pub(crate) fn spoil(self, asked: &Asked<'_>, query: &Query<'_>, draft: &mut Draft) {
        let dice = asked.dice;
        let port = asked.population.config.port;
        match self {
            Self::IdChaser => {
                let near = target(query).unwrap_or(query.id);
                let id = sibling(&near, dice, 0);
                draft.id = Some(id);
                if !draft.nodes.is_empty() {
                    draft.nodes.clear();
                    let network = asked.population.addresses.of(asked.node).octets();
                    for host in 1..=8 {
                        let ip = Ipv4Addr::new(network[0], network[1], network[2], host);
                        put(&mut draft.nodes, sibling(&near, dice, u64::from(host)), ip, port);
                    }
                }
            }
            Self::FakeValues if matches!(query.method, Method::GetPeers { .. }) => {
                let peers = (0..50).map(|number| {
                    let ip = asked.population.addresses.of(dice.bits(number, 1) as u32);
                    SocketAddr::from((ip, Outcome::Silent.port(port)))
                });
                draft.values = Some(peers.collect());
            }
            Self::FakeSamples if matches!(query.method, Method::SampleInfohashes { .. }) => {
                let own = Dice::new(asked.population.seed, "invented").of(u64::from(asked.node));
                // Half of them show the same twenty again and again, the others never the same.
                let shown = if own.happens(0, 1, 0.5) { own } else { dice };
                let bytes = (0..50).flat_map(|word| shown.bits(word, 2).to_be_bytes());
                draft.samples = Some(bytes.take(400).collect());
                draft.num = Some((dice.unit(0, 3) * MOST_NUM.ln()).exp() as i64);
                let interval = dice.below(0, 9, INTERVALS.len() as u64) as usize;
                draft.interval = Some(INTERVALS[interval]);
                draft.shown.clear();
            }
            Self::BadNodes if !draft.nodes.is_empty() => {
                draft.nodes.clear();
                if dice.happens(0, 10, 0.5) {
                    let victim = asked.population.victim();
                    for number in 0..VICTIM_PORTS {
                        let (id, port) = (sibling(&query.id, dice, number.into()), port + VICTIM_ABOVE + number);
                        put(&mut draft.nodes, id, victim, port);
                    }
                    return;
                }
                for (number, ip) in (0..).zip(FORBIDDEN) {
                    let port = if ip.is_loopback() { 0 } else { port };
                    put(&mut draft.nodes, sibling(&query.id, dice, number), ip, port);
                }
                let SocketAddr::V4(asker) = asked.from else { return };
                put(&mut draft.nodes, query.id, *asker.ip(), asker.port());
            }
            Self::ManyIds if !draft.nodes.is_empty() => {
                draft.nodes.clear();
                for number in 0..8 {
                    let sister = asked
                        .population
                        .nodes
                        .sister(asked.node, dice.below(number, 11, IDS.into()) as u32);
                    let addr = asked.population.node_addr(sister);
                    put(
                        &mut draft.nodes,
                        asked.population.nodes.id(sister),
                        *addr.ip(),
                        addr.port(),
                    );
                }
            }
            _ => {}
        }
    }

    /// Changes the bytes of an answer. `heard` is the question.
    pub(crate) fn garble(self, dice: Dice, heard: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Reflector => {
                out.clear();
                out.extend_from_slice(heard);
            }
            Self::Oversize if out.last() == Some(&b'e') => {
                let size = PADDED[dice.below(0, 4, PADDED.len() as u64) as usize];
                out.pop();
                // A key after all that KRPC knows.
                let room = size.saturating_sub(out.len() + "1:z65507:e".len());
                out.extend_from_slice(format!("1:z{room}:").as_bytes());
                out.resize(out.len() + room, b'.');
                out.push(b'e');
            }
            Self::Malformed => malformed::spoil(dice.below(0, 6, malformed::COUNT), dice, out),
            _ => {}
        }
    }
}

fn target(query: &Query<'_>) -> Option<NodeId> {
    match query.method {
        Method::FindNode { target } | Method::SampleInfohashes { target } => Some(target),
        Method::GetPeers { info_hash, .. } => Some(info_hash.as_target()),
        _ => None,
    }
}

/// An id that shares the first 2 to 18 bytes with another.
fn sibling(id: &NodeId, dice: Dice, number: u64) -> NodeId {
    let mut bytes = *id.as_bytes();
    let keep = 2 + dice.below(number, 7, 17) as usize;
    for (byte, at) in bytes.iter_mut().zip(0..).skip(keep) {
        *byte = dice.bits(number, 8 + at) as u8;
    }
    NodeId::new(bytes)
}

fn put(nodes: &mut Vec<u8>, id: NodeId, ip: Ipv4Addr, port: u16) {
    let addr = SocketAddr::from((ip, port));
    compact::put_contact(&Contact { id, addr }, nodes);
}

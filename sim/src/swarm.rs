//! What the peers of a swarm turn out to be, for whoever dials them (`network-model.md` G5 and G6).

use world::Seed;

use crate::client::Kind;
use crate::dice::{Beta, Dice};
use crate::keys::Key;
use crate::profile::{Meta, Peers, Profile};

/// What a listed address does when it is dialled. A lab on sockets has one listening port for all peers, so the listed
/// port says it: see [`Outcome::port`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Accepts the connection.
    Accept,
    /// Never answers the SYN.
    Silent,
    /// Answers the SYN with a RST.
    Refused,
}

impl Outcome {
    /// The port that a peer of this outcome is listed with: the lab's own, the next, where a full backlog swallows
    /// every SYN, or the one after it, where nobody listens.
    pub const fn port(self, lab: u16) -> u16 {
        match self {
            Self::Accept => lab,
            Self::Silent => lab.wrapping_add(1),
            Self::Refused => lab.wrapping_add(2),
        }
    }

    /// The outcome that a port of the lab stands for.
    pub const fn of_port(port: u16, lab: u16) -> Self {
        if port == lab {
            Self::Accept
        } else if port == lab.wrapping_add(1) {
            Self::Silent
        } else {
            Self::Refused
        }
    }
}

/// How a peer behaves; fixed for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Conduct {
    /// Gives the metadata to whoever asks properly.
    Delivers,
    /// Behind a NAT or a firewall.
    Silent,
    /// Gone since it was listed.
    Stale,
    /// Refuses.
    Resets,
    /// Accepts and closes: full, or wants obfuscation, which this is not.
    HangsUp,
    /// A byte in ten seconds.
    Tarpit,
    /// A handshake without the extension bit (BEP 10).
    NoExtensions,
    /// An extended handshake without ut_metadata.
    NoUtMetadata,
    /// Knows ut_metadata and has nothing yet: no size, and rejects.
    NoMetadata,
    /// Closes before all is sent.
    Quits,
    /// Sends bytes that do not hash to the infohash.
    Fakes,
    /// Claims a size that no info dictionary has.
    Absurd,
}

/// The order of weights in [`Swarms`]: all ways not to deliver.
const FAILURES: [Conduct; 9] = [
    Conduct::Stale,
    Conduct::Silent,
    Conduct::Resets,
    Conduct::Tarpit,
    Conduct::HangsUp,
    Conduct::NoExtensions,
    Conduct::NoUtMetadata,
    Conduct::NoMetadata,
    Conduct::Quits,
];

/// One peer of one swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    pub(crate) conduct: Conduct,
    pub(crate) kind: Kind,
    pub(crate) seed: bool,
}

impl Peer {
    /// What dialling it gives.
    pub(crate) const fn outcome(self) -> Outcome {
        match self.conduct {
            Conduct::Silent | Conduct::Stale => Outcome::Silent,
            Conduct::Resets => Outcome::Refused,
            _ => Outcome::Accept,
        }
    }
}

/// The rule by which peers are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Swarms {
    dice: Dice,
    peers: Peers,
    meta: Meta,
    kinds: [f64; 6],
    /// How well the peers of one swarm deliver; the mean is `peers.delivers()`.
    quality: Option<Beta>,
    failures: [f64; FAILURES.len()],
}

impl Swarms {
    pub(crate) fn new(profile: &Profile, seed: Seed) -> Self {
        let peers = profile.peers;
        let delivers = peers.delivers();
        let shakes = peers.accept * peers.handshake;
        let extended = shakes * peers.ut_metadata;
        let tarpits = peers.accept * peers.tarpit;
        let failures = [
            peers.stale,
            peers.silent,
            peers.reset,
            tarpits,
            (peers.accept - shakes - tarpits).max(0.0),
            (shakes - extended) / 2.0,
            (shakes - extended) / 2.0,
            extended * (1.0 - peers.has_metadata),
            extended * peers.has_metadata * (1.0 - peers.finish),
        ];
        Self {
            dice: Dice::new(seed, "swarms"),
            peers,
            meta: profile.meta,
            kinds: profile.nodes.kinds,
            quality: peers
                .correlation
                .map(|concentration| Beta::new(concentration * delivers, concentration * (1.0 - delivers))),
            failures,
        }
    }

    /// The peer with this rank in the swarm of `key`. Only a torrent can be delivered.
    pub(crate) fn peer(&self, key: &Key, torrent: bool, rank: u32) -> Peer {
        let (swarm, rank) = (self.dice.of(u64::from(key.origin)), u64::from(rank));
        let quality = self
            .quality
            .as_ref()
            .map_or(self.peers.delivers(), |beta| beta.at(swarm.unit(u64::MAX, 0)));
        let conduct = if !torrent {
            [Conduct::Silent, Conduct::Resets][swarm.pick(rank, 0, &[self.peers.silent, self.peers.reset])]
        } else if !swarm.happens(rank, 1, quality) {
            FAILURES[swarm.pick(rank, 2, &self.failures)]
        } else if swarm.happens(rank, 3, self.meta.fake) {
            Conduct::Fakes
        } else if swarm.happens(rank, 4, self.meta.absurd) {
            Conduct::Absurd
        } else {
            Conduct::Delivers
        };
        Peer {
            conduct,
            kind: Kind::ALL[swarm.pick(rank, 5, &self.kinds)],
            seed: swarm.happens(rank, 6, self.peers.seeds),
        }
    }

    /// Whether any listed peer would deliver over plain TCP.
    pub(crate) fn fetchable(&self, key: &Key, torrent: bool) -> bool {
        torrent && (0..key.peers).any(|rank| self.peer(key, torrent, rank).conduct == Conduct::Delivers)
    }
}

#[cfg(test)]
mod tests {
    use wire::InfoHash;

    use super::*;

    fn key(origin: u32) -> Key {
        Key {
            infohash: InfoHash::new([0; 20]),
            origin,
            first_peer: 0,
            peers: 10,
        }
    }

    #[test]
    fn outcomes_are_as_frequent_as_the_model_says() {
        let swarms = Swarms::new(&Profile::realistic(), Seed::from_number(1));
        let peers: Vec<Peer> = (0..20_000).map(|origin| swarms.peer(&key(origin), true, 0)).collect();
        let share = |is: &dyn Fn(&Peer) -> bool| peers.iter().filter(|peer| is(peer)).count() as f64 / 20_000.0;
        let about = |have: f64, want: f64| assert!((have - want).abs() < 0.012, "{have} for {want}");
        about(share(&|peer| peer.conduct == Conduct::Delivers), 0.172);
        about(share(&|peer| peer.outcome() == Outcome::Accept), 0.27);
        about(share(&|peer| peer.conduct == Conduct::Stale), 0.20);
        about(share(&|peer| peer.outcome() == Outcome::Refused), 0.06);
        about(share(&|peer| peer.seed), 0.75);
    }

    #[test]
    fn peers_of_a_swarm_are_alike() {
        let swarms = Swarms::new(&Profile::realistic(), Seed::from_number(1));
        let both = |origin: u32| {
            let delivers = |rank| swarms.peer(&key(origin), true, rank).conduct == Conduct::Delivers;
            delivers(0) && delivers(1)
        };
        let share = (0..20_000).filter(|origin| both(*origin)).count() as f64 / 20_000.0;
        // Independent peers: 0.172 squared, 0.030. Beta with concentration 6: 0.172 * (1 + 6 * 0.172) / 7, 0.050.
        assert!((0.045..0.055).contains(&share), "{share}");
    }

    #[test]
    fn keys_without_a_torrent_deliver_nothing() {
        let swarms = Swarms::new(&Profile::realistic(), Seed::from_number(1));
        assert!((0..1000).all(|origin| !swarms.fetchable(&key(origin), false)));
        let ideal = Swarms::new(&Profile::ideal(), Seed::from_number(1));
        assert!((0..1000).all(|origin| ideal.fetchable(&key(origin), true)));
    }

    #[test]
    fn ports_tell_outcomes() {
        for outcome in [Outcome::Accept, Outcome::Silent, Outcome::Refused] {
            assert_eq!(Outcome::of_port(outcome.port(7000), 7000), outcome);
        }
    }
}

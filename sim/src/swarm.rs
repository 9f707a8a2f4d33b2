//! What the peers of a swarm turn out to be, for whoever dials them (`network-model.md` G5 and G6).

use world::{Seed, Via};

use crate::abuse::Abuse;
use crate::client::Kind;
use crate::dice::{Beta, Dice};
use crate::keys::Key;
use crate::profile::{Peers, Profile};

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
    /// Accepts and closes: full.
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
    /// Means harm.
    Abuses(Abuse),
}

/// By what a peer can be reached, if it is there at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// TCP, obfuscated or not.
    Open,
    /// TCP, and hangs up on plaintext (G8).
    Obfuscated,
    /// uTP alone (G7).
    UtpOnly,
}

/// All doors, in the order of [`Peers::shakes`].
const DOORS: [Door; 3] = [Door::Open, Door::Obfuscated, Door::UtpOnly];

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
    pub(crate) door: Door,
    /// Answers uTP.
    pub(crate) utp: bool,
    pub(crate) kind: Kind,
    pub(crate) seed: bool,
}

/// Who has what an operator minted: for that one alone it was made (J11).
pub(crate) const OPERATOR: Peer = Peer {
    conduct: Conduct::Delivers,
    door: Door::Open,
    utp: false,
    kind: Kind::Libtorrent,
    seed: true,
};

impl Peer {
    /// What dialling it by TCP gives.
    pub(crate) const fn outcome(self) -> Outcome {
        match (self.conduct, self.door) {
            (Conduct::Silent | Conduct::Stale, _) | (_, Door::UtpOnly) => Outcome::Silent,
            (Conduct::Resets, _) => Outcome::Refused,
            _ => Outcome::Accept,
        }
    }

    /// The plainest way by which it delivers, if it does.
    pub(crate) fn delivers(self) -> Option<Via> {
        (self.conduct == Conduct::Delivers).then_some(match self.door {
            Door::Open => Via::Tcp,
            Door::Obfuscated => Via::TcpMse,
            Door::UtpOnly => Via::Utp,
        })
    }
}

/// The rule by which peers are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Swarms {
    dice: Dice,
    peers: Peers,
    kinds: [f64; 6],
    /// How well the peers of one swarm deliver; the mean is `peers.delivers()`.
    quality: Option<Beta>,
    failures: [f64; FAILURES.len()],
}

impl Swarms {
    pub(crate) fn new(profile: &Profile, seed: Seed) -> Self {
        let peers = profile.peers;
        let delivers = peers.delivers();
        let shakes = peers.shakes().iter().sum::<f64>();
        let extended = shakes * peers.ut_metadata;
        let reached = peers.accept + peers.utp_only;
        let tarpits = reached * peers.tarpit;
        let failures = [
            peers.stale,
            (peers.silent - peers.utp_only).max(0.0),
            peers.reset,
            tarpits,
            (reached - shakes - tarpits).max(0.0),
            (shakes - extended) / 2.0,
            (shakes - extended) / 2.0,
            extended * (1.0 - peers.has_metadata),
            extended * peers.has_metadata * (1.0 - peers.finish),
        ];
        Self {
            dice: Dice::new(seed, "swarms"),
            peers,
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
        } else {
            self.abuse(swarm, rank).map_or(Conduct::Delivers, Conduct::Abuses)
        };
        let door = match conduct {
            Conduct::Silent | Conduct::Stale | Conduct::Resets => Door::Open,
            // Nobody hears what they want to be spoken to in.
            Conduct::Tarpit | Conduct::HangsUp => {
                DOORS[swarm.pick(rank, 7, &[self.peers.accept, 0.0, self.peers.utp_only])]
            }
            _ => DOORS[swarm.pick(rank, 7, &self.peers.shakes())],
        };
        let answers = !matches!(conduct, Conduct::Silent | Conduct::Stale | Conduct::Resets);
        Peer {
            conduct,
            door,
            utp: answers && (door == Door::UtpOnly || swarm.happens(rank, 8, self.peers.utp)),
            kind: Kind::ALL[swarm.pick(rank, 5, &self.kinds)],
            seed: swarm.happens(rank, 6, self.peers.seeds),
        }
    }

    /// What a peer that would deliver does instead, if it means harm.
    fn abuse(&self, swarm: Dice, rank: u64) -> Option<Abuse> {
        let mut at = swarm.unit(rank, 3);
        self.peers.abuse.iter().find_map(|&(abuse, share)| {
            at -= share;
            (at < 0.0).then_some(abuse)
        })
    }

    /// The plainest way by which any listed peer delivers, if one does.
    pub(crate) fn fetchable(&self, key: &Key, torrent: bool) -> Option<Via> {
        let ways = (0..key.peers).filter_map(|rank| self.peer(key, torrent, rank).delivers());
        // In the order of the list, and hardly ever all of them: most torrents have a peer that any client reaches.
        let mut best = None;
        for way in ways.take_while(|_| torrent) {
            best = best.into_iter().chain([way]).min();
            if way == Via::Tcp {
                break;
            }
        }
        best
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
        about(share(&|peer| peer.delivers() == Some(Via::Tcp)), 0.172);
        about(share(&|peer| peer.delivers() == Some(Via::TcpMse)), 0.008);
        about(share(&|peer| peer.delivers() == Some(Via::Utp)), 0.025);
        about(share(&|peer| peer.utp), 0.04 + 0.27 * 0.8);
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
        // Independent peers: 0.206 squared, 0.042. Beta with concentration 6: 0.206 * (1 + 6 * 0.206) / 7, 0.066.
        assert!((0.060..0.071).contains(&share), "{share}");
    }

    #[test]
    fn keys_without_a_torrent_deliver_nothing() {
        let swarms = Swarms::new(&Profile::realistic(), Seed::from_number(1));
        assert!((0..1000).all(|origin| swarms.fetchable(&key(origin), false).is_none()));
        let ideal = Swarms::new(&Profile::ideal(), Seed::from_number(1));
        assert!((0..1000).all(|origin| ideal.fetchable(&key(origin), true) == Some(Via::Tcp)));
    }

    #[test]
    fn ports_tell_outcomes() {
        for outcome in [Outcome::Accept, Outcome::Silent, Outcome::Refused] {
            assert_eq!(Outcome::of_port(outcome.port(7000), 7000), outcome);
        }
    }
}

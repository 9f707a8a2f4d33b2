//! Worlds as plain data: `ideal` for correctness, `realistic` for policies, `hostile` for limits, `nat-home` for routers
//! (`network-model.md` 3.1 to 3.4).
//!
//! Marks as there: F seen in public, C read in source code, D derived, G guessed so that the whole reproduces the F.

use std::time::Duration;

use crate::abuse::{Abuse, Trap};
use crate::client::{Habits, Kind};
use crate::home::Router;

mod liars;

pub use crate::life::Churn;
pub use liars::{Flood, Liars};

/// Everything that makes one lab unlike another, apart from its size and its seed.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// What `--profile` calls it.
    pub name: &'static str,
    /// The paths between hosts.
    pub net: Net,
    /// Who is there, and who is said to be.
    pub nodes: Nodes,
    /// What each kind of program does, by [`Kind::index`].
    pub habits: [Habits; 6],
    /// Who holds which key.
    pub store: Store,
    /// What is announced.
    pub keys: Keys,
    /// Who announced it.
    pub peers: Peers,
    /// What they have.
    pub meta: Meta,
    /// Nodes that lie.
    pub liars: Liars,
    /// The router in front of the client; none if it has an address of its own. In virtual time alone.
    pub home: Option<Router>,
}

/// Delay and loss.
#[derive(Clone, PartialEq, Debug)]
pub struct Net {
    /// Round-trip time of a pair of hosts.
    pub rtt: Rtt,
    /// Deviation of the logarithm of a packet's delay.
    pub jitter_sigma: f64,
    /// Bursty loss, by path and direction; `None` loses nothing.
    pub loss: Option<Loss>,
    /// Share of replies that arrive twice.
    pub duplicate: f64,
    /// Share of replies that are overtaken: one more round trip late.
    pub reorder: f64,
    /// Share of replies that come once more from another port of their host.
    pub spoofed: f64,
    /// How long a host takes to answer.
    pub think: Think,
}

/// How far apart two hosts are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rtt {
    /// Every pair this far.
    Const(Duration),
    /// Distance in a square of side `side_ms` plus the access delay ("height") of both ends.
    Map {
        /// Side of the square, milliseconds.
        side_ms: f64,
        /// Median height, milliseconds.
        height_ms: f64,
        /// Deviation of the logarithm of the height.
        height_sigma: f64,
    },
}

/// Gilbert and Elliott: a path is good or bad for exponential times.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Loss {
    /// Mean length of a good spell, seconds.
    pub good_s: f64,
    /// Mean length of a bad spell, seconds.
    pub bad_s: f64,
    /// Loss while good.
    pub in_good: f64,
    /// Loss while bad.
    pub in_bad: f64,
}

impl Loss {
    /// Share of packets that get lost in the long run.
    pub fn mean(&self) -> f64 {
        (self.good_s * self.in_good + self.bad_s * self.in_bad) / (self.good_s + self.bad_s)
    }
}

/// Time to answer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Think {
    /// Median, milliseconds.
    pub median_ms: f64,
    /// Deviation of the logarithm.
    pub sigma: f64,
    /// Share of answers that wait for a full queue or a sleeping device besides.
    pub slow: f64,
    /// Mean of that wait, milliseconds.
    pub slow_mean_ms: f64,
}

/// Who is there.
#[derive(Clone, PartialEq, Debug)]
pub struct Nodes {
    /// Classes of the nodes that are alive; adds up to 1.
    pub classes: Classes,
    /// What the contacts that others hand out turn out to be; adds up to 1.
    pub contacts: Contacts,
    /// Kinds of the answering nodes by [`Kind::index`]; adds up to 1.
    pub kinds: [f64; 6],
    /// Share of the answering nodes whose NAT forgets a host that has been silent for `mapping_idle`.
    pub forgetful: f64,
    /// How long such a NAT remembers, seconds, with weights.
    pub mapping_idle: &'static [(u64, f64)],
    /// After how much silence the node can be reached afresh.
    pub mapping_reopens: Duration,
    /// Queries that the whole DHT sends to one client that it has come to know, per second.
    pub inbound_per_second: f64,
    /// Some addresses have several nodes (A6). On the Internet alone.
    pub shared: bool,
    /// Nodes come and go. On the Internet alone; elsewhere a contact is dead from the start or never.
    pub churn: Option<Churn>,
}

/// Classes of living nodes (B8).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Classes {
    /// Answers everybody.
    pub open: f64,
    /// Behind a full-cone NAT: answers everybody while its mapping lasts.
    pub fullcone: f64,
    /// Behind a port-restricted or symmetric NAT: answers whom it has just asked.
    pub restricted: f64,
    /// Asks, but its firewall lets nothing in but replies.
    pub oneway: f64,
    /// Read-only (BEP 43), or never answers.
    pub readonly: f64,
}

/// What contacts are worth (B9).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Contacts {
    /// Answer.
    pub answering: f64,
    /// Gone.
    pub dead: f64,
    /// Alive, but behind a NAT.
    pub natted: f64,
    /// Made up.
    pub forged: f64,
}

/// Who holds which key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Store {
    /// A peer announces to this many of the closest nodes that it found.
    pub announce_to: usize,
    /// Chance that it misses a node on the way.
    pub announce_miss: f64,
    /// Both parameters of the Beta distribution of how easily a node is found; `None` for all alike.
    pub visibility: Option<f64>,
}

/// What is announced.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Keys {
    /// Most peers of one infohash. Their number `x` has the weight `x^-2 * exp(-x / popularity_cut)`.
    pub popularity_max: u32,
    /// Where the tail bends.
    pub popularity_cut: f64,
    /// Keys without any torrent, for each torrent: other programs, probes.
    pub bogus: f64,
    /// Share of the keys whose peers have all gone while samples still show them.
    pub dead: f64,
    /// The all-zero key is there too.
    pub zero: bool,
}

/// What a listed peer turns out to be. The four outcomes add up to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Peers {
    /// Accepts a TCP connection.
    pub accept: f64,
    /// Does not answer a SYN: NAT, firewall.
    pub silent: f64,
    /// Of all listed peers: answers uTP and is silent by TCP. A part of `silent`.
    pub utp_only: f64,
    /// Of those that accept: answers uTP, too.
    pub utp: f64,
    /// Of those that accept: hangs up on whoever does not obfuscate (MSE).
    pub mse_required: f64,
    /// Refuses.
    pub reset: f64,
    /// Has gone.
    pub stale: f64,
    /// Of those that are reached: the handshake comes back, in the clear.
    pub handshake: f64,
    /// Of those that are reached: a tarpit, which sends a byte in ten seconds.
    pub tarpit: f64,
    /// Of those that shake hands: knows the extension protocol and ut_metadata.
    pub ut_metadata: f64,
    /// Of those: has the metadata itself.
    pub has_metadata: f64,
    /// Of those: stays until all is sent.
    pub finish: f64,
    /// Concentration of the Beta distribution that makes the peers of one swarm alike; `None` for independent peers.
    pub correlation: Option<f64>,
    /// Share of seeds.
    pub seeds: f64,
    /// Median time that a peer takes for each step, milliseconds; 0 for none.
    pub step_ms: f64,
    /// Deviation of its logarithm.
    pub step_sigma: f64,
    /// Of those that would deliver: what they do instead.
    pub abuse: &'static [(Abuse, f64)],
}

impl Peers {
    /// Shares of all listed peers that shake hands: in the clear over TCP, obfuscated over TCP only, over uTP only.
    pub fn shakes(&self) -> [f64; 3] {
        [
            self.accept * self.handshake,
            self.accept * self.mse_required,
            self.utp_only * self.handshake,
        ]
    }

    /// Chance that one listed peer would deliver the metadata by some transport, if it is no enemy.
    pub fn delivers(&self) -> f64 {
        self.shakes().iter().sum::<f64>() * self.ut_metadata * self.has_metadata * self.finish
    }
}

/// What the torrents are like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Meta {
    /// Share of torrents with several files.
    pub multi_file: f64,
    /// Share that is v2 only (BEP 52).
    pub v2: f64,
    /// Share that is hybrid.
    pub hybrid: f64,
    /// Share of names that trip careless readers: broken UTF-8, control characters, quotes, 300 bytes.
    pub odd_names: f64,
    /// Shares of torrents that are made to trip their readers.
    pub traps: &'static [(Trap, f64)],
    /// Names are of one template.
    pub templated: bool,
}

impl Meta {
    /// What an operator mints: all alike, nothing odd (J11).
    pub(crate) const fn minted(&self) -> Self {
        Self {
            odd_names: 0.0,
            traps: &[],
            templated: true,
            ..*self
        }
    }
}

/// What peers do in `hostile`. Where 3.3 has no figure it is 0.01 (G).
const HOSTILE_PEERS: &[(Abuse, f64)] = &[
    (Abuse::Fake, 0.05),
    (Abuse::Absurd, 0.03),
    (Abuse::OversizePrefix, 0.03),
    (Abuse::WrongInfoHash, 0.03),
    (Abuse::Rejects, 0.05),
    (Abuse::EndlessKeepalive, 0.02),
    (Abuse::EndlessExtended, 0.02),
    (Abuse::Slow, 0.05),
    (Abuse::Silence, 0.01),
    (Abuse::WrongId, 0.01),
    (Abuse::WrongIndex, 0.01),
    (Abuse::WrongLength, 0.01),
    (Abuse::Twice, 0.01),
];

impl Profile {
    /// The habits of a kind.
    pub fn habits(&self, kind: Kind) -> &Habits {
        &self.habits[kind.index()]
    }

    /// Everybody answers, everything is there: correctness and upper bounds.
    pub fn ideal() -> Self {
        let habits = Habits {
            // A full sweep must find every key; nobody limits the sweep.
            interval: 0,
            biased_pick: false,
            ban: None,
            upload: None,
            ..Habits::of(Kind::Libtorrent)
        };
        Self {
            name: "ideal",
            net: Self::wire(),
            nodes: Self::open_nodes(),
            habits: std::array::from_fn(|_| habits.clone()),
            store: Store {
                announce_to: 8,
                announce_miss: 0.0,
                visibility: None,
            },
            keys: Keys {
                popularity_max: 2000,
                popularity_cut: f64::INFINITY,
                bogus: 0.0,
                dead: 0.0,
                zero: false,
            },
            peers: Peers {
                accept: 1.0,
                silent: 0.0,
                utp_only: 0.0,
                utp: 1.0,
                mse_required: 0.0,
                reset: 0.0,
                stale: 0.0,
                handshake: 1.0,
                tarpit: 0.0,
                ut_metadata: 1.0,
                has_metadata: 1.0,
                finish: 1.0,
                correlation: None,
                seeds: 1.0,
                step_ms: 0.0,
                step_sigma: 0.0,
                abuse: &[],
            },
            meta: Self::meta(),
            liars: Liars::NONE,
            home: None,
        }
    }

    /// The Internet of 2026, as far as anybody has measured it.
    pub fn realistic() -> Self {
        Self {
            name: "realistic",
            net: Self::internet(),
            nodes: Self::mixed_nodes(),
            habits: Kind::ALL.map(Habits::of),
            store: Store {
                announce_to: 8,
                announce_miss: 0.30,   // F6 D
                visibility: Some(1.2), // section 5, run 5 D
            },
            keys: Keys {
                popularity_max: 100_000,  // G4 D
                popularity_cut: 40_000.0, // G4 D
                bogus: 0.07,              // F11 G
                dead: 0.20,               // 1.E, sampling quirk 2 G
                zero: true,               // A7 F
            },
            peers: Peers {
                accept: 0.27, // G5 G, as the next three
                silent: 0.47,
                utp_only: 0.04,     // G7 G
                utp: 0.80,          // G: on by default in LT, UT and TR, which are 0.87 of all (I3)
                mse_required: 0.04, // G8 G
                reset: 0.06,
                stale: 0.20,
                handshake: 0.84, // G6 G, as the next four
                tarpit: 0.01,
                ut_metadata: 0.95,
                has_metadata: 0.93,
                finish: 0.86,
                correlation: Some(6.0), // 3.2 G
                seeds: 0.75,            // G2 F
                step_ms: 230.0,         // three steps and three round trips: median 1.1 s (G11 G)
                step_sigma: 0.9,        // G11 G
                abuse: &[
                    (Abuse::Fake, 0.002),    // J9 G
                    (Abuse::Absurd, 0.0003), // J10 F
                ],
            },
            meta: Self::meta(),
            liars: Liars {
                id_chaser: 0.02,     // J1 G
                fake_values: 0.005,  // J2 G
                fake_samples: 0.002, // J4 G
                oversize: 0.001,     // J5 G
                malformed: 0.002,    // J6 G
                bad_nodes: 0.005,    // J7 G
                reflector: 0.001,    // J12 G
                many_ids: 0.01,      // J3 G
                bait_keys: 0.005,    // J11 G
                ..Liars::NONE
            },
            home: None,
        }
    }

    /// The same with many enemies among nodes, peers and torrents (3.3).
    pub fn hostile() -> Self {
        let realistic = Self::realistic();
        Self {
            name: "hostile",
            net: Net {
                loss: Some(Loss {
                    good_s: 30.0,
                    bad_s: 2.0,
                    in_good: 0.01,
                    in_bad: 0.50,
                }),
                duplicate: 0.01,
                reorder: 0.02,
                spoofed: 0.01,
                ..realistic.net
            },
            nodes: Nodes {
                contacts: Contacts {
                    answering: 0.40,
                    dead: 0.25,
                    natted: 0.10,
                    forged: 0.25,
                },
                ..realistic.nodes
            },
            peers: Peers {
                tarpit: 0.10,
                handshake: 0.75, // what the tarpits leave of 0.84
                abuse: HOSTILE_PEERS,
                ..realistic.peers
            },
            meta: Meta {
                traps: &[(Trap::Nesting, 0.005), (Trap::Paths, 0.01), (Trap::Pieces, 0.005)],
                odd_names: 0.04, // 0.02 more for control characters and reading directions
                ..realistic.meta
            },
            // Table J, as shares of the contacts that answer: of all contacts they would leave one node in ten honest.
            liars: Liars {
                id_chaser: 0.4 * 0.12,
                fake_values: 0.4 * 0.05,
                fake_samples: 0.4 * 0.05,
                oversize: 0.4 * 0.02,
                malformed: 0.4 * 0.05,
                bad_nodes: 0.4 * 0.05,
                reflector: 0.4 * 0.01,
                many_ids: 0.4 * 0.08,
                bait_keys: 0.20,
                // 3.3, but not without end: a thirtieth of the time is enough to do harm, and a week ends.
                flood: Some(Flood {
                    per_second: 2_000,
                    sources: 500,
                    lasts: Duration::from_secs(20),
                    every: Duration::from_secs(600),
                }),
                absent: false,
            },
            ..realistic
        }
    }

    /// Everybody is there, and every peer only holds the line: what ten thousand connections at once are measured with.
    pub fn tarpit() -> Self {
        let ideal = Self::ideal();
        Self {
            name: "tarpit",
            peers: Peers {
                abuse: &[(Abuse::Silence, 1.0)],
                ..ideal.peers
            },
            ..ideal
        }
    }

    fn wire() -> Net {
        Net {
            rtt: Rtt::Const(Duration::from_millis(20)),
            jitter_sigma: 0.0,
            loss: None,
            duplicate: 0.0,
            reorder: 0.0,
            spoofed: 0.0,
            think: Think {
                median_ms: 0.0,
                sigma: 0.0,
                slow: 0.0,
                slow_mean_ms: 0.0,
            },
        }
    }

    fn open_nodes() -> Nodes {
        Nodes {
            classes: Classes {
                open: 1.0,
                fullcone: 0.0,
                restricted: 0.0,
                oneway: 0.0,
                readonly: 0.0,
            },
            contacts: Contacts {
                answering: 1.0,
                dead: 0.0,
                natted: 0.0,
                forged: 0.0,
            },
            kinds: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            forgetful: 0.0,
            mapping_idle: &[],
            mapping_reopens: Duration::ZERO,
            inbound_per_second: 0.15,
            shared: false,
            churn: None,
        }
    }

    fn internet() -> Net {
        Net {
            // Fitted to C1 (median 140 ms, sigma 0.824) by a Monte Carlo run over pairs: P20 80, P50 136, P80 260,
            // P95 522.
            rtt: Rtt::Map {
                side_ms: 70.0,
                height_ms: 36.0,
                height_sigma: 1.28,
            },
            jitter_sigma: 0.08, // C3 G
            // C6 G: 1.05 % on average.
            loss: Some(Loss {
                good_s: 60.0,
                bad_s: 1.0,
                in_good: 0.004,
                in_bad: 0.40,
            }),
            duplicate: 0.0005,
            reorder: 0.002,
            spoofed: 0.0,
            // C4 G.
            think: Think {
                median_ms: 4.0,
                sigma: 1.0,
                slow: 0.05,
                slow_mean_ms: 400.0,
            },
        }
    }

    fn mixed_nodes() -> Nodes {
        Nodes {
            // B8 D.
            classes: Classes {
                open: 0.40,
                fullcone: 0.08,
                restricted: 0.35,
                oneway: 0.12,
                readonly: 0.05,
            },
            // B9 G.
            contacts: Contacts {
                answering: 0.58,
                dead: 0.27,
                natted: 0.12,
                forged: 0.03,
            },
            kinds: [0.66, 0.15, 0.06, 0.02, 0.02, 0.09], // I3 G
            // B4 and B6 F: 0.60 answer a stranger, a good third of all still does after five idle minutes.
            forgetful: 0.43,
            mapping_idle: &[(30, 0.35), (60, 0.20), (120, 0.25), (180, 0.20)], // B12 G
            // G: its own refresh of the contact, long after.
            mapping_reopens: Duration::from_secs(3600),
            inbound_per_second: 0.15, // F12 F: 37 in 4 minutes
            shared: true,             // A6 G
            churn: Some(Churn {
                short: 0.75, // D2 D, as the next two
                short_mean: Duration::from_secs(190 * 60),
                long_mean: Duration::from_secs(4_245 * 60),
                off_median: Duration::from_secs(10 * 3600), // D8 G, as the next
                off_sigma: 1.2,
                diurnal: 0.29,                            // A3 D
                named_for: Duration::from_secs(2 * 3600), // G, within the six hours of B9
                keys_per_day: 0.004,                      // 3.2 G
            }),
        }
    }

    fn meta() -> Meta {
        Meta {
            multi_file: 0.72, // H5 F
            v2: 0.01,         // H9 G: 1 to 2 % together
            hybrid: 0.01,
            odd_names: 0.02, // H10 G
            traps: &[],
            templated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_one() {
        for profile in [Profile::ideal(), Profile::realistic(), Profile::hostile()] {
            let Classes {
                open,
                fullcone,
                restricted,
                oneway,
                readonly,
            } = profile.nodes.classes;
            let Contacts {
                answering,
                dead,
                natted,
                forged,
            } = profile.nodes.contacts;
            let peers = profile.peers;
            for sum in [
                open + fullcone + restricted + oneway + readonly,
                answering + dead + natted + forged,
                profile.nodes.kinds.iter().sum(),
                peers.accept + peers.silent + peers.reset + peers.stale,
            ] {
                assert!((sum - 1.0_f64).abs() < 1e-9, "{}: {sum}", profile.name);
            }
        }
    }

    #[test]
    fn derived_shares_are_those_of_the_model() {
        let profile = Profile::realistic();
        let [plain, ..] = profile.peers.shakes();
        let after = profile.peers.delivers() / profile.peers.shakes().iter().sum::<f64>();
        assert!((plain * after - 0.172).abs() < 0.001); // G6
        assert!((profile.peers.delivers() - 0.206).abs() < 0.001); // G6, G7 and G8
        let sampling: f64 = Kind::ALL
            .iter()
            .map(|kind| profile.nodes.kinds[kind.index()] * profile.habits(*kind).sampling)
            .sum();
        assert!((sampling - 0.70).abs() < 0.01); // F1
    }
}

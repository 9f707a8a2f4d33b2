//! What a choker does, round by round.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROUND: Duration = Duration::from_secs(10);
const CONFIG: Config = Config {
    interval: ROUND,
    optimistic_rounds: 3,
    optimistic: 1,
    seeding: Rule::RoundRobin {
        pieces: 20,
        least: Duration::from_secs(60),
    },
};

fn peer(key: u32) -> Candidate<u32> {
    Candidate {
        key,
        role: Role::Leeching,
        interested: true,
        local: false,
        snubbed: false,
        on_parole: false,
        unchoked: false,
        since: Time::ZERO,
        gave: 0,
        took: 0,
        took_since_unchoke: 0,
        piece_length: 1 << 18,
    }
}

fn giving(key: u32, gave: u64) -> Candidate<u32> {
    Candidate { gave, ..peer(key) }
}

fn seeded(key: u32) -> Candidate<u32> {
    Candidate {
        role: Role::Seeding,
        ..peer(key)
    }
}

/// Rounds over peers whose choking state is kept as an engine would.
struct Swarm {
    choker: Choker<u32>,
    peers: Vec<Candidate<u32>>,
    now: Time,
    chosen: Vec<Unchoke<u32>>,
}

impl Swarm {
    fn new(config: Config, peers: Vec<Candidate<u32>>) -> Self {
        Self {
            choker: Choker::new(config),
            peers,
            now: Time::ZERO,
            chosen: Vec::new(),
        }
    }

    fn round(&mut self, slots: usize) -> Vec<u32> {
        self.choker.round(self.now, &self.peers, slots, &mut self.chosen);
        for peer in &mut self.peers {
            let chosen = self.chosen.iter().any(|unchoke| unchoke.key == peer.key);
            if chosen != peer.unchoked {
                peer.unchoked = chosen;
                peer.since = self.now;
                peer.took_since_unchoke = 0;
            }
        }
        self.now = self.choker.deadline();
        self.keys(|_| true)
    }

    fn keys(&self, which: impl Fn(&Unchoke<u32>) -> bool) -> Vec<u32> {
        let mut keys: Vec<u32> = self.chosen.iter().filter(|one| which(one)).map(|one| one.key).collect();
        keys.sort_unstable();
        keys
    }

    fn optimistic(&self) -> Vec<u32> {
        self.keys(|one| one.optimistic)
    }

    /// Everybody unchoked takes as much as `rate` says, bytes a second, until the next round.
    fn upload(&mut self, rate: impl Fn(u32) -> u64) {
        for peer in &mut self.peers {
            peer.took = if peer.unchoked { rate(peer.key) * 10 } else { 0 };
            peer.took_since_unchoke += peer.took;
        }
    }
}

#[test]
fn the_best_givers_and_one_other_are_unchoked() {
    let peers = (0..10).map(|key| giving(key, u64::from(key) * 100)).collect();
    let mut swarm = Swarm::new(CONFIG, peers);
    swarm.round(4);
    assert_eq!(swarm.keys(|one| !one.optimistic), [7, 8, 9]);
    assert_eq!(swarm.optimistic(), [0]);
}

#[test]
fn the_optimistic_choice_stays_for_three_rounds_and_everybody_has_a_turn() {
    let peers = (0..7).map(|key| giving(key, if key < 3 { 1_000 } else { 0 })).collect();
    let mut swarm = Swarm::new(CONFIG, peers);
    let turns: Vec<u32> = (0..24)
        .map(|_| {
            swarm.round(4);
            swarm.optimistic()[0]
        })
        .collect();
    let expected: Vec<u32> = [3, 4, 5, 6, 3, 4, 5, 6].into_iter().flat_map(|key| [key; 3]).collect();
    assert_eq!(turns, expected);
}

#[test]
fn an_optimistic_choice_that_gives_is_kept_for_it_and_another_is_made() {
    let peers = (0..7).map(|key| giving(key, if key < 3 { 1_000 } else { 0 })).collect();
    let mut swarm = Swarm::new(CONFIG, peers);
    swarm.round(4);
    assert_eq!(swarm.optimistic(), [3]);
    swarm.peers[3].gave = 5_000;
    swarm.round(4);
    assert_eq!(swarm.keys(|one| !one.optimistic), [0, 1, 3]);
    // One that gives, and has no place for it, waits like everybody: as it was choked just now, behind them.
    assert_eq!(swarm.optimistic(), [2]);
    swarm.peers[2].gave = 0;
    let seen: BTreeSet<u32> = (0..12)
        .flat_map(|_| {
            swarm.round(4);
            swarm.optimistic()
        })
        .collect();
    assert_eq!(seen, BTreeSet::from([2, 4, 5, 6]));
}

#[test]
fn who_reconnects_waits_behind_those_that_stayed() {
    let mut peers: Vec<_> = (0..6).map(|key| giving(key, if key < 3 { 1_000 } else { 0 })).collect();
    peers[3].since = Time::from_secs(5);
    let mut swarm = Swarm::new(CONFIG, peers);
    swarm.now = Time::from_secs(10);
    swarm.round(4);
    assert_eq!(swarm.optimistic(), [4]);
}

#[test]
fn a_snubbing_peer_is_only_an_optimistic_choice() {
    let mut peers = vec![giving(0, 9_000), giving(1, 10), peer(2), peer(3)];
    peers[0].snubbed = true;
    let mut swarm = Swarm::new(CONFIG, peers.clone());
    swarm.round(4);
    assert_eq!(
        (swarm.keys(|one| !one.optimistic), swarm.optimistic()),
        (vec![1, 2, 3], vec![0])
    );
    // Even the last slot, but no more than one of them.
    for peer in &mut peers {
        peer.snubbed = true;
    }
    let mut swarm = Swarm::new(CONFIG, peers);
    assert_eq!((swarm.round(1).len(), swarm.round(4).len()), (1, 1));
    assert_eq!(swarm.optimistic().len(), 1);
}

#[test]
fn what_a_peer_on_parole_gives_does_not_count() {
    let mut peers = vec![giving(0, 9_000), giving(1, 10)];
    peers[0].on_parole = true;
    assert_eq!(Swarm::new(CONFIG, peers).round(1), [1]);
}

#[test]
fn nobody_uninterested_has_a_slot() {
    let mut peers = vec![giving(0, 9_000), peer(1)];
    peers[0].interested = false;
    assert_eq!(Swarm::new(CONFIG, peers).round(4), [1]);
}

#[test]
fn local_peers_are_unchoked_beside_the_slots() {
    let mut peers: Vec<_> = (0..6).map(|key| giving(key, 100 - u64::from(key))).collect();
    peers[5].local = true;
    peers[4].local = true;
    peers[4].interested = false;
    assert_eq!(Swarm::new(CONFIG, peers).round(1), [0, 5]);
}

#[test]
fn no_slots_are_one_slot() {
    let mut swarm = Swarm::new(CONFIG, vec![giving(0, 1), giving(1, 2), peer(2)]);
    assert_eq!(swarm.round(0), [1]);
}

#[test]
fn a_seed_serves_by_turns_and_nobody_less_than_the_quota() {
    let peers = (0..12).map(seeded).collect();
    let config = Config {
        optimistic: 0,
        ..CONFIG
    };
    let mut swarm = Swarm::new(config, peers);
    let mut turns = vec![0u32; 12];
    let mut before: Vec<u32> = Vec::new();
    for _ in 0..240 {
        let chosen = swarm.round(4);
        assert_eq!(chosen.len(), 4);
        for key in before.iter().filter(|key| !chosen.contains(key)) {
            // 100 kB/s take 52 s for 20 pieces of 256 KiB; the minute is longer.
            let peer = &swarm.peers[*key as usize];
            assert_eq!(peer.since, swarm.now - ROUND);
            turns[*key as usize] += 1;
        }
        swarm.upload(|_| 100_000);
        for peer in swarm
            .peers
            .iter()
            .filter(|peer| peer.unchoked && before.contains(&peer.key))
        {
            assert!(peer.took_since_unchoke <= 7 * 1_000_000);
        }
        before = chosen;
    }
    // 40 minutes of four slots in turns of a minute, for twelve.
    assert!(turns.iter().all(|turns| (12..=14).contains(turns)), "{turns:?}");
}

#[test]
fn a_slow_peer_keeps_its_slot_until_it_has_its_pieces() {
    let peers = (0..3).map(seeded).collect();
    let config = Config {
        optimistic: 0,
        ..CONFIG
    };
    let mut swarm = Swarm::new(config, peers);
    let mut rounds = 0;
    while swarm.round(1) == [0] {
        swarm.upload(|_| 20_000);
        rounds += 1;
    }
    // 5,242,880 bytes at 200,000 a round.
    assert_eq!(rounds, 27);
}

#[test]
fn a_slot_that_is_not_used_goes_to_who_waits() {
    let peers = (0..3).map(seeded).collect();
    let config = Config {
        optimistic: 0,
        ..CONFIG
    };
    let mut swarm = Swarm::new(config, peers);
    let turns: Vec<Vec<u32>> = (0..4).map(|_| swarm.round(1)).collect();
    assert_eq!(turns, [[0], [1], [2], [0]]);
}

#[test]
fn the_fastest_takers_stay_under_the_other_rule() {
    let peers = (0..8).map(seeded).collect();
    let config = Config {
        seeding: Rule::FastestUpload,
        ..CONFIG
    };
    let mut swarm = Swarm::new(config, peers);
    for _ in 0..40 {
        swarm.round(3);
        swarm.upload(|key| u64::from(key + 1) * 10_000);
    }
    assert_eq!(swarm.keys(|one| !one.optimistic), [6, 7]);
}

#[test]
fn a_round_may_be_over_several_torrents() {
    let mut choker: Choker<(u32, u32)> = Choker::new(CONFIG);
    let named = |torrent, base: Candidate<u32>| Candidate {
        key: (torrent, base.key),
        role: base.role,
        interested: true,
        local: false,
        snubbed: false,
        on_parole: false,
        unchoked: false,
        since: Time::ZERO,
        gave: base.gave,
        took: 0,
        took_since_unchoke: 0,
        piece_length: 1 << 18,
    };
    let peers = [
        named(1, giving(0, 50)),
        named(1, giving(1, 60)),
        named(2, giving(0, 70)),
        named(3, seeded(0)),
    ];
    let mut out = Vec::new();
    choker.round(Time::ZERO, &peers, 3, &mut out);
    let keys: BTreeSet<_> = out.iter().map(|one| one.key).collect();
    // The two best of all torrents, and by turns whoever waits.
    assert_eq!(keys, BTreeSet::from([(2, 0), (1, 1), (1, 0)]));
}

#[test]
fn a_round_in_between_does_not_shorten_an_optimistic_turn() {
    let peers = (0..7).map(|key| giving(key, if key < 3 { 1_000 } else { 0 })).collect();
    let mut swarm = Swarm::new(CONFIG, peers);
    for second in 0..30 {
        swarm.now = Time::from_secs(second);
        swarm.round(4);
        assert_eq!(swarm.optimistic(), [3]);
    }
    swarm.now = Time::from_secs(30);
    swarm.round(4);
    assert_eq!(swarm.optimistic(), [4]);
}

fn candidates() -> impl Strategy<Value = Vec<Candidate<u32>>> {
    let flags = prop::array::uniform6(prop::bool::weighted(0.3));
    let one = (flags, 0u64..5, 0u64..4, 0u64..100);
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let named = all.into_iter().enumerate();
        let made = named.map(|(key, (flags, gave, took, since))| Candidate {
            key: u32::try_from(key).unwrap(),
            role: if flags[0] { Role::Seeding } else { Role::Leeching },
            interested: !flags[1],
            local: flags[2] && flags[3],
            snubbed: flags[3],
            on_parole: flags[4],
            unchoked: flags[5],
            since: Time::from_secs(since),
            gave,
            took,
            took_since_unchoke: took * 3_000_000,
            piece_length: 1 << 18,
        });
        made.collect()
    })
}

proptest! {
    /// Against everything sorted: no slot too many, none idle, the best in, no one twice, nobody who must not.
    #[test]
    fn a_choice_is_that_of_a_full_sort(
        peers in candidates(),
        slots in 0usize..12,
        optimistic in 0usize..4,
    ) {
        let config = Config { optimistic, ..CONFIG };
        let now = Time::from_secs(100);
        let mut choker = Choker::new(config);
        let mut out = Vec::new();
        choker.round(now, &peers, slots, &mut out);
        let slots = slots.max(1);

        let chosen: BTreeSet<u32> = out.iter().map(|one| one.key).collect();
        prop_assert_eq!(chosen.len(), out.len());
        let local: BTreeSet<u32> = peers.iter().filter(|peer| peer.interested && peer.local).map(|peer| peer.key).collect();
        prop_assert!(local.is_subset(&chosen));
        prop_assert!(out.len() - local.len() <= slots);
        prop_assert!(peers.iter().all(|peer| peer.interested || !chosen.contains(&peer.key)));

        let mut order: Vec<&Candidate<u32>> = peers.iter().filter(|peer| peer.interested && !peer.local).collect();
        order.sort_by_key(|peer| peer.rank(now, config.seeding, ROUND));
        let spare = optimistic.min(slots - 1);
        let earned: BTreeSet<u32> =
            order.iter().filter(|peer| !peer.is_snubbing()).take(slots - spare).map(|peer| peer.key).collect();
        let regular: BTreeSet<u32> = out.iter().filter(|one| !one.optimistic).map(|one| one.key).collect();
        prop_assert!(earned.is_subset(&regular), "{:?} in {:?}", earned, regular);

        // Nobody but snubbing peers is choked while a slot is free.
        let willing = order.iter().filter(|peer| !peer.is_snubbing()).count();
        prop_assert!(out.len() - local.len() >= slots.min(willing));
        // The optimistic ones have waited longest of all that have no other slot.
        let mut waiting: Vec<_> = order.iter().filter(|peer| !regular.contains(&peer.key)).map(|peer| (peer.since, peer.key)).collect();
        waiting.sort_unstable();
        let guesses: BTreeSet<u32> = out.iter().filter(|one| one.optimistic).map(|one| one.key).collect();
        prop_assert!(guesses.len() <= spare.max(1));
        let first: BTreeSet<u32> = waiting.iter().take(guesses.len()).map(|(_, key)| *key).collect();
        prop_assert_eq!(guesses, first);
    }
}

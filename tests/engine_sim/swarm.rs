//! Many peers: how soon the last has everything, beside libtorrent's published policy; and who is banned.

use std::time::Duration;

use engine::{Config, Event, choker, window};
use sim::stage::{Line, Noise, Place};
use wire::metainfo::Version;

use crate::made::Made;
use crate::scene::{FOLDER, Scene, config, secs};

/// libtorrent's policy as far as its published settings say it in terms of ours: a round of the choker every 15 s
/// (`unchoke_interval`), 8 slots (`unchoke_slots_limit`), another optimistic unchoke every 30 s
/// (`optimistic_unchoke_interval`), of which there is one in five slots, requests for 3 s of the rate
/// (`request_queue_time`), 2 at least and 500 at the most (`max_out_request_queue`), whole pieces from who gives one in
/// 20 s (`whole_pieces_threshold`), 4 random pieces first (`initial_picker_threshold`), requests that time out after 60 s
/// (`request_timeout`) or 20 s of silence (`piece_timeout`), seeds by turns of 20 pieces (`seeding_piece_quota`).
fn libtorrents() -> Config {
    Config {
        choking: choker::Config {
            interval: Duration::from_secs(15),
            optimistic_rounds: 2,
            optimistic: 1,
            seeding: choker::Rule::RoundRobin {
                pieces: 20,
                least: Duration::from_secs(60),
            },
        },
        slots: choker::AutoConfig {
            least: 8,
            most: 8,
            step: 2_048,
        },
        window: window::Config {
            floor: 2,
            least: 2,
            cap: 500,
            queue_time: Duration::from_secs(3),
            piece_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(60),
            whole_pieces: Duration::from_secs(20),
        },
        random_first: 4,
        ..config()
    }
}

/// One seed and eight with unequal lines; gives when each was done, seconds.
fn eight(made: &Made, config: &Config, number: u64) -> Vec<f64> {
    let mut scene = Scene::new(made.clone(), number);
    let line = |up: u64, down: u64, delay: u64| Line::new(up * 1_000, down * 1_000, Duration::from_millis(delay));
    scene.seed(scene.place(line(120, 1_000, 15)), config.clone());
    let lines = [
        (25, 200, 60),
        (50, 300, 10),
        (50, 1_000, 40),
        (100, 400, 5),
        (100, 2_000, 20),
        (200, 1_000, 80),
        (400, 4_000, 10),
        (1_000, 10_000, 25),
    ];
    let leeches: Vec<usize> = lines
        .into_iter()
        .map(|(up, down, delay)| scene.leech(scene.place(line(up, down, delay)), config.clone()))
        .collect();
    for &leech in &leeches {
        (0..leech).for_each(|other| scene.introduce(leech, other));
    }
    let done = scene.until_done(&leeches, 3_600);
    for leech in leeches {
        scene.made.assert_there(scene.disk(leech), FOLDER);
    }
    scene.assert_ends_clean();
    done.into_iter().map(secs).collect()
}

fn compare(made: &Made, numbers: std::ops::Range<u64>) {
    let ours = config();
    let (mut sum, mut theirs_sum) = (0.0, 0.0);
    for number in numbers {
        let last = |config: &Config| eight(made, config, number).into_iter().fold(0.0, f64::max);
        let (we, they) = (last(&ours), last(&libtorrents()));
        println!("seed {number}: the last is done after {we:.1} s; under libtorrent's policy {they:.1} s");
        (sum, theirs_sum) = (sum + we, theirs_sum + they);
    }
    assert!(sum <= 1.05 * theirs_sum, "{sum} s in all, beside {theirs_sum} s");
}

#[test]
fn the_last_of_eight_is_done_no_later_than_under_libtorrents_policy() {
    compare(&Made::plain(64 << 10, 4 << 20, 1), 1..4);
}

#[test]
#[ignore = "minutes: more content, more seeds"]
fn the_last_of_eight_is_done_no_later_with_more_content() {
    compare(&Made::plain(256 << 10, 32 << 20, 1), 1..5);
}

/// `peers` peers, of which a tenth has everything, as many give garbage now and then, and all lines break at times.
fn noisy(peers: usize, size: u64, number: u64) {
    let version = if number.is_multiple_of(2) {
        Version::Hybrid
    } else {
        Version::V1
    };
    let made = Made::new(version, 32 << 10, &[("a", size / 3), ("b", size - size / 3)], number);
    let mut scene = Scene::new(made, number);
    let line = |party: usize| {
        let up = 100_000 + 50_000 * (party as u64 % 7);
        Line::new(up, 4 * up, Duration::from_millis(5 + 10 * (party as u64 % 5)))
    };
    let noise = |made: &Made| Noise {
        garbled: 0.0,
        // A twentieth of all downloads is cut off.
        cut: 0.05 / (made.len() as f64 / 16_384.0),
    };
    let (mut liars, mut leeches) = (Vec::new(), Vec::new());
    for party in 0..peers {
        let place = Place {
            noise: noise(&scene.made),
            ..scene.place(line(party))
        };
        match party % 20 {
            0 | 1 => {
                scene.seed(place, config());
            }
            2 => {
                let liar = scene.seed(place, config());
                // One block in twenty is wrong.
                scene.stage.disk_mut(liar).faults_mut().garbled_reads = 0.05;
                liars.push(liar);
            }
            _ => leeches.push(scene.leech(place, config())),
        }
    }
    for &leech in &leeches {
        // Who lies, who has all, and others: they tell of the rest.
        for step in [1, 2, 3, 7, 20, 41] {
            scene.introduce(leech, (leech + peers - step) % peers);
        }
        scene.introduce(leech, liars[leech % liars.len()]);
    }
    let done = scene.until_done(&leeches, 3_600);
    for &leech in &leeches {
        scene.made.assert_there(scene.disk(leech), FOLDER);
        scene.assert_claims_hold(leech);
    }
    let liars_at: Vec<_> = liars.iter().map(|liar| scene.stage.addr(*liar).ip()).collect();
    let mut banned = std::collections::BTreeSet::new();
    for (_, party, event) in &scene.log {
        if let Event::Banned(_, ip) = event {
            assert!(liars_at.contains(ip), "party {party} bans an honest one, {ip}");
            banned.insert(*ip);
        }
    }
    let wrong = scene.told(|event| matches!(event, Event::HashFailed(..))).count();
    let cut: u64 = (0..peers).map(|party| scene.stage.traffic(party).cut).sum();
    let garbled: u64 = liars.iter().map(|liar| scene.disk(*liar).counts().garbled).sum();
    let last = done.iter().copied().map(secs).fold(0.0, f64::max);
    println!(
        "seed {number}: {peers} peers done after {last:.1} s; {} of {} liars banned, {garbled} wrong blocks, {wrong} wrong \
         pieces, {cut} connections cut",
        banned.len(),
        liars.len()
    );
    assert!(wrong > 0 && cut > 0 && garbled > 0);
    assert!(!banned.is_empty(), "nobody was banned");
    scene.assert_ends_clean();
}

#[test]
fn liars_among_forty_peers_are_banned_and_honest_ones_never() {
    noisy(40, 1 << 20, 1);
    noisy(40, 1 << 20, 2);
}

#[test]
#[ignore = "minutes: 200 peers"]
fn liars_among_two_hundred_peers_are_banned_and_honest_ones_never() {
    (1..5).for_each(|number| noisy(200, 2 << 20, number));
}

//! Limits of payload are held.

use std::time::Duration;

use engine::Rates;

use crate::made::Made;
use crate::scene::{HOME, Scene, config};

const LIMIT: u64 = 100 << 10;

/// Bytes in so many seconds are the limit, give or take a twentieth.
fn assert_held(bytes: u64, secs: u64) {
    let should = (LIMIT * secs) as f64;
    let off = (bytes as f64 - should) / should;
    println!("{bytes} bytes in {secs} s: {:+.1} %", off * 100.0);
    assert!(off.abs() <= 0.05, "{bytes} bytes in {secs} s are off by {off:.3}");
}

/// Payload that a party got in 30 s, after 5 s to come into swing.
fn in_30_s(scene: &mut Scene, party: usize) -> u64 {
    scene.pass(Duration::from_secs(5));
    let before = scene.status(party).downloaded;
    scene.pass(Duration::from_secs(30));
    scene.status(party).downloaded - before
}

#[test]
fn a_limit_down_is_held_whatever_seeds_there_are() {
    for seeds in [1, 4] {
        let mut scene = Scene::new(Made::plain(64 << 10, 6 << 20, 1), 1);
        let mut limited = config();
        limited.rates = Rates {
            down: Some(LIMIT),
            up: None,
        };
        let leech = scene.leech(scene.place(HOME), limited);
        for _ in 0..seeds {
            let seed = scene.seed(scene.place(HOME), config());
            scene.introduce(leech, seed);
        }
        assert_held(in_30_s(&mut scene, leech), 30);
    }
}

#[test]
fn a_limit_up_is_held_whoever_asks() {
    for leeches in [1, 4] {
        let mut scene = Scene::new(Made::plain(64 << 10, 6 << 20, 2), 2);
        let mut limited = config();
        limited.rates = Rates {
            down: None,
            up: Some(LIMIT),
        };
        scene.passes_on = false;
        let seed = scene.seed(scene.place(HOME), limited);
        let leeches: Vec<usize> = (0..leeches).map(|_| scene.leech(scene.place(HOME), config())).collect();
        for &leech in &leeches {
            scene.introduce(leech, seed);
        }
        scene.pass(Duration::from_secs(15));
        let before = scene.status(seed).uploaded;
        scene.pass(Duration::from_secs(30));
        assert_held(scene.status(seed).uploaded - before, 30);
    }
}

#[test]
fn a_limit_that_is_lifted_is_no_more() {
    let mut scene = Scene::new(Made::plain(64 << 10, 6 << 20, 3), 3);
    let mut limited = config();
    limited.rates.down = Some(LIMIT);
    let leech = scene.leech(scene.place(HOME), limited);
    let seed = scene.seed(scene.place(HOME), config());
    scene.introduce(leech, seed);
    assert_held(in_30_s(&mut scene, leech), 30);
    let now = scene.stage.now();
    scene.at(leech).set_rates(now, Rates::default());
    let done = scene.until_done(&[leech], 60);
    // 2.7 MB at 1 MB/s.
    assert!(done[0].since(now) < Duration::from_secs(6), "{:?}", done[0].since(now));
}

#[test]
fn peers_that_give_least_make_room_for_others() {
    let mut scene = Scene::new(Made::plain(64 << 10, 6 << 20, 4), 4);
    let mut crowded = config();
    crowded.limits.connections_per_torrent = 4;
    let mut slow = config();
    slow.rates.up = Some(1 << 10);
    let leech = scene.leech(scene.place(HOME), crowded);
    for _ in 0..4 {
        let seed = scene.seed(scene.place(HOME), slow.clone());
        scene.introduce(leech, seed);
    }
    scene.pass(Duration::from_secs(10));
    let fast = scene.seed(scene.place(HOME), config());
    scene.introduce(leech, fast);
    scene.pass(Duration::from_secs(280));
    assert!(scene.status(leech).progress() < 0.5, "no place for who is fast");
    // Five minutes after the beginning one of the slow ones goes.
    let done = scene.until_done(&[leech], 60);
    assert_eq!(done.len(), 1);
}

//! Disks that fail: the torrent stops and says so, and goes on when its owner says so.

use std::time::Duration;

use engine::{Event, State};
use sim::disk::{Failure, Kind};
use wire::metainfo::Version;
use world::{DiskFault, Time};

use crate::made::Made;
use crate::scene::{FOLDER, HOME, IT, Scene, config};

const SEED: usize = 0;
const LEECH: usize = 1;

fn scene(number: u64) -> Scene {
    let made = Made::new(
        Version::V1,
        64 << 10,
        &[("a", 500_000), ("b", 300_000), ("c", 1_000)],
        number,
    );
    let mut scene = Scene::new(made, number);
    scene.seed(scene.place(HOME), config());
    scene.leech(scene.place(HOME), config());
    scene
}

/// Goes on until the disk of the party failed the torrent.
fn until_failed(scene: &mut Scene, party: usize, fault: DiskFault) {
    let end = scene.stage.now() + Duration::from_secs(60);
    let failed = scene.until(end, |_, who, event| {
        who == party && matches!(event, Event::DiskFailed(_, why, _) if *why == fault)
    });
    assert!(failed, "{}", scene.describe(&[party]));
    scene.pass(Duration::from_secs(5));
    assert_eq!(scene.state(party), State::Failed);
    assert_eq!(scene.status(party).fault.map(|(why, _)| why), Some(fault));
    assert_eq!(scene.ask(party).connections(), 0, "it goes on though its disk failed");
}

fn go_on(scene: &mut Scene) {
    let now = scene.stage.now();
    assert!(scene.at(LEECH).resume(now, IT));
    scene.introduce(LEECH, SEED);
    scene.until_done(&[LEECH], 200);
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
    scene.assert_ends_clean();
    let resume = scene.assert_claims_hold(LEECH);
    assert!(resume.have.is_full() && resume.clean, "{resume:?}");
}

#[test]
fn a_full_disk_stops_a_torrent_until_there_is_room() {
    for number in 1..4 {
        let mut scene = scene(number);
        scene.stage.disk_mut(LEECH).faults_mut().space = Some(400_000);
        scene.introduce(LEECH, SEED);
        until_failed(&mut scene, LEECH, DiskFault::Full);
        scene.assert_claims_hold(LEECH);
        // Still no room.
        let now = scene.stage.now();
        scene.at(LEECH).resume(now, IT);
        scene.introduce(LEECH, SEED);
        until_failed(&mut scene, LEECH, DiskFault::Full);
        scene.stage.disk_mut(LEECH).faults_mut().space = None;
        go_on(&mut scene);
    }
}

#[test]
fn a_disk_that_was_full_for_the_journal_too_claims_nothing_wrong_afterwards() {
    let mut scene = scene(5);
    scene.introduce(LEECH, SEED);
    scene.until(Time::from_secs(60), |_, _, event| matches!(event, Event::Piece(..)));
    let used = scene.disk(LEECH).used();
    scene.stage.disk_mut(LEECH).faults_mut().space = Some(used);
    until_failed(&mut scene, LEECH, DiskFault::Full);
    scene.stage.disk_mut(LEECH).faults_mut().space = None;
    go_on(&mut scene);
}

#[test]
fn a_write_or_a_sync_that_fails_once_loses_nothing_that_is_claimed() {
    for (on, nth) in [
        (Kind::Write, 3),
        (Kind::Write, 20),
        (Kind::Write, 45),
        (Kind::Sync, 1),
        (Kind::Sync, 3),
    ] {
        let mut scene = scene(6);
        scene.stage.disk_mut(LEECH).faults_mut().failures = vec![Failure {
            on,
            nth,
            count: 1,
            fault: DiskFault::Device,
        }];
        scene.introduce(LEECH, SEED);
        let end = Time::from_secs(60);
        let failed = scene.until(end, |_, who, event| {
            who == LEECH && matches!(event, Event::DiskFailed(..))
        });
        if failed {
            scene.pass(Duration::from_secs(2));
            assert_eq!(scene.state(LEECH), State::Failed, "{on:?} {nth}");
        }
        scene.assert_claims_hold(LEECH);
        scene.log.clear();
        if failed {
            let now = scene.stage.now();
            scene.at(LEECH).resume(now, IT);
            scene.introduce(LEECH, SEED);
            scene.until_done(&[LEECH], 200);
        }
        scene.made.assert_there(scene.disk(LEECH), FOLDER);
        scene.pass(Duration::from_secs(10));
        scene.assert_claims_hold(LEECH);
        // What the disk forgot when the sync failed is not claimed.
        scene.stage.lose_power(LEECH);
        scene.assert_claims_hold(LEECH);
    }
}

#[test]
fn a_seed_that_cannot_read_stops_and_gives_nothing_wrong() {
    let mut scene = scene(7);
    scene.stage.disk_mut(SEED).faults_mut().failures = vec![Failure {
        on: Kind::Read,
        nth: 2,
        count: u64::MAX - 2,
        fault: DiskFault::Device,
    }];
    scene.introduce(LEECH, SEED);
    until_failed(&mut scene, SEED, DiskFault::Device);
    assert_eq!(scene.told(|event| matches!(event, Event::HashFailed(..))).count(), 0);
    scene.stage.disk_mut(SEED).faults_mut().failures.clear();
    let now = scene.stage.now();
    scene.at(SEED).resume(now, IT);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.state(SEED), State::Seeding);
    scene.introduce(LEECH, SEED);
    scene.until_done(&[LEECH], 300);
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
    scene.assert_ends_clean();
}

#[test]
fn a_file_that_somebody_deletes_is_fetched_again() {
    let mut scene = scene(8);
    scene.introduce(LEECH, SEED);
    let mut pieces = 0;
    scene.until(Time::from_secs(60), |_, party, event| {
        pieces += u32::from(party == LEECH && matches!(event, Event::Piece(..)));
        pieces == 5
    });
    let path = scene.made.files(FOLDER)[0].0.clone();
    assert!(scene.stage.disk_mut(LEECH).remove(&path));
    let end = scene.stage.now() + Duration::from_secs(60);
    let failed = scene.until(end, |_, who, event| {
        who == LEECH && matches!(event, Event::DiskFailed(..))
    });
    assert!(failed, "nobody noticed: {}", scene.describe(&[LEECH]));
    scene.log.clear();
    scene.pass(Duration::from_secs(2));
    let now = scene.stage.now();
    scene.at(LEECH).resume(now, IT);
    scene.introduce(LEECH, SEED);
    scene.until_done(&[LEECH], 200);
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
}

#[test]
fn a_disk_that_hangs_is_waited_for() {
    let mut scene = scene(9);
    scene.stage.disk_mut(LEECH).faults_mut().stalled_until = Time::from_secs(30);
    scene.introduce(LEECH, SEED);
    let done = scene.until_done(&[LEECH], 200);
    assert!(done[0] >= Time::from_secs(30));
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
    scene.assert_ends_clean();
}

#[test]
fn a_torrent_that_is_removed_asks_the_disk_for_that_once() {
    for (delete, kind) in [(true, Kind::Delete), (false, Kind::Release)] {
        let mut scene = scene(8);
        scene.introduce(LEECH, SEED);
        scene.until_done(&[LEECH], 60);
        let before = scene.disk(LEECH).counts().done[kind];
        let now = scene.stage.now();
        scene.at(LEECH).remove(now, IT, delete);
        scene.pass(Duration::from_secs(5));
        assert_eq!(scene.told(|event| *event == Event::Removed(IT)).count(), 1);
        assert_eq!(scene.disk(LEECH).counts().done[kind], before + 1);
        let is_there = scene.disk(LEECH).file(&scene.made.files(FOLDER)[0].0).is_some();
        assert_eq!(is_there, !delete);
    }
}

//! A stop at every point at which a disk is asked or answers: what the journal claims is there, and little comes again.

use std::time::Duration;

use engine::{Config, Event};
use sim::disk::Speed;
use sim::stage::{Line, Place};
use wire::metainfo::Version;
use world::Time;

use crate::made::Made;
use crate::scene::{FOLDER, IT, Scene, config};

const SEED: usize = 0;
const LEECH: usize = 1;

/// 12 pieces of two blocks, with borders of files in the middle of pieces.
fn made(version: Version) -> Made {
    Made::new(
        version,
        32 << 10,
        &[("a", 100_000), ("b/empty", 0), ("b/x", 20_000), ("c", 240_000)],
        1,
    )
}

/// What is written is claimed soon, so that a short run has many claims.
fn hasty() -> Config {
    let mut config = config();
    config.deadlines.durable_bytes = 64 << 10;
    config.deadlines.durable = Duration::from_secs(2);
    // A process that comes again calls from the address of the one that died.
    config.roster.several_per_ip = true;
    config.roster.per_ip = 100;
    config.roster.reconnect = Duration::from_secs(5);
    config
}

fn scene(version: Version, number: u64) -> Scene {
    let mut scene = Scene::new(made(version), number);
    let line = Line::new(60_000, 200_000, Duration::from_millis(10));
    scene.seed(scene.place(line), hasty());
    let slow = Place {
        speed: Speed::SPINNING,
        ..scene.place(line)
    };
    scene.leech(slow, hasty());
    scene.introduce(LEECH, SEED);
    scene
}

/// Runs until all is at hand and claimed and the engine has stopped, or the disk stops.
fn run(scene: &mut Scene) {
    let finished = |event: &Event| matches!(event, Event::Finished(_));
    let end = scene.stage.now() + Duration::from_secs(300);
    let came = scene.until(end, |_, party, event| party == LEECH && finished(event));
    assert!(came, "{}", scene.describe(&[LEECH]));
    if !scene.disk(LEECH).is_stopped() {
        scene.stage.stop(LEECH);
        let end = scene.stage.now() + Duration::from_secs(60);
        assert!(scene.until(end, |_, party, event| party == LEECH && *event == Event::Stopped));
    }
}

/// Stops at a point, looks, goes on. Gives pieces claimed, pieces suspect, and bytes that came again.
fn crash(version: Version, number: u64, point: u64, power: bool) -> (u32, usize, u64) {
    let mut scene = scene(version, number);
    scene.stage.disk_mut(LEECH).crash_at(Some(point));
    run(&mut scene);
    assert!(scene.disk(LEECH).is_stopped(), "point {point}");
    let before = scene.status(LEECH);
    if power {
        scene.stage.lose_power(LEECH);
    } else {
        scene.stage.kill(LEECH);
    }
    scene.stage.disk_mut(LEECH).crash_at(None);
    let claims = scene.restart(LEECH, hasty());
    // What was claimed aloud is claimed in the journal.
    assert!(claims.have.count() >= before.pieces_durable, "point {point}");
    scene.introduce(LEECH, SEED);
    run(&mut scene);
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
    let resume = scene.assert_claims_hold(LEECH);
    assert!(resume.have.is_full() && resume.clean, "point {point}: {resume:?}");
    let status = scene.status(LEECH);
    let layout = scene.made.layout();
    let claimed: u64 = claims.have.iter().map(|piece| u64::from(layout.piece_len(piece))).sum();
    assert!(
        status.downloaded - status.redundant <= layout.total() - claimed,
        "point {point}: {} bytes came though {claimed} of {} were claimed",
        status.downloaded,
        layout.total()
    );
    if !power && claims.length > 0 {
        // The cache survives: what was whole is found again by a look at what is suspect.
        let most = u64::from(before.pieces - before.pieces_done) * u64::from(layout.piece_length());
        // A piece that was whole and had not been noted: up to a tenth of a second of them, at 60 kB/s.
        let unnoted = 6_000 + 2 * u64::from(layout.piece_length());
        assert!(
            status.downloaded <= most + unnoted,
            "point {point}: {} bytes came",
            status.downloaded
        );
    }
    let banned = scene.told(|event| matches!(event, Event::Banned(..))).count();
    assert_eq!(banned, 0, "point {point}: an honest seed is banned");
    (claims.have.count(), claims.suspect.len(), status.downloaded)
}

fn crash_at_all(version: Version, stride: usize) {
    let mut whole = scene(version, 1);
    run(&mut whole);
    whole.made.assert_there(whole.disk(LEECH), FOLDER);
    let points = whole.disk(LEECH).points();
    let mut claimed = std::collections::BTreeMap::new();
    let mut suspects = 0;
    for point in (1..=points).step_by(stride) {
        for power in [false, true] {
            let (claims, suspect, _) = crash(version, 1, point, power);
            *claimed.entry(claims).or_insert(0) += 1;
            suspects += suspect;
        }
    }
    println!("{version:?}: {points} points; runs by pieces claimed: {claimed:?}; {suspects} suspects in all");
    assert!(claimed.len() > 3, "{claimed:?}");
    assert!(suspects > 0);
}

#[test]
fn what_is_claimed_is_there_after_a_stop_at_many_points() {
    crash_at_all(Version::V1, 11);
    crash_at_all(Version::Hybrid, 37);
}

#[test]
#[ignore = "minutes: all points, all versions"]
fn what_is_claimed_is_there_after_a_stop_at_any_point() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        crash_at_all(version, 1);
    }
}

#[test]
fn a_pause_keeps_parts_of_pieces() {
    let mut scene = scene(Version::V1, 2);
    let mut pieces = 0;
    scene.until(Time::from_secs(100), |_, party, event| {
        pieces += u32::from(party == LEECH && matches!(event, Event::Piece(..)));
        pieces == 3
    });
    // In the middle of the next piece.
    scene.pass(Duration::from_millis(350));
    let had = scene.status(LEECH).downloaded;
    scene.stage.stop(LEECH);
    let end = scene.stage.now() + Duration::from_secs(60);
    assert!(scene.until(end, |_, party, event| party == LEECH && *event == Event::Stopped));
    scene.stage.lose_power(LEECH);
    let claims = scene.restart(LEECH, hasty());
    assert!(claims.clean && claims.have.count() >= 3);
    scene.introduce(LEECH, SEED);
    run(&mut scene);
    scene.made.assert_there(scene.disk(LEECH), FOLDER);
    let again = had + scene.status(LEECH).downloaded - scene.made.len();
    // Of a block that was under way, what had come.
    assert!(again < 2 * 16_384, "{again} bytes came twice");
    assert_eq!(scene.told(|event| matches!(event, Event::HashFailed(..))).count(), 0);
}

#[test]
fn two_crashes_one_after_the_other_lose_nothing_that_was_claimed() {
    for number in 1..6 {
        let mut scene = scene(Version::V1, number);
        let mut claimed = 0;
        for _ in 0..4 {
            scene.pass(Duration::from_millis(1_700));
            scene.stage.lose_power(LEECH);
            let claims = scene.restart(LEECH, hasty());
            assert!(claims.have.count() >= claimed, "seed {number}");
            claimed = claims.have.count();
            scene.introduce(LEECH, SEED);
        }
        run(&mut scene);
        scene.made.assert_there(scene.disk(LEECH), FOLDER);
        assert!(scene.ask(LEECH).resume_data(IT).unwrap().have.is_full());
    }
}

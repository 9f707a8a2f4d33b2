//! One seed, one that wants: torrents of every kind arrive as they are.

use engine::{Event, State};
use sim::disk::Speed;
use sim::stage::Place;
use wire::metainfo::Version;

use crate::made::Made;
use crate::scene::{FOLDER, HOME, IT, Scene, config};

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::Hybrid];

/// Files that are empty, of one byte, of a block, of several pieces, and in folders.
const FILES: [(&str, u64); 8] = [
    ("a/empty", 0),
    ("a/one", 1),
    ("b/c/block", 16_384),
    ("b/c/d/odd", 70_001),
    ("big", 900_000),
    ("last empty", 0),
    ("zz", 524_288),
    ("z\u{e9}\u{4e2d}\u{1f600}", 33_333),
];

/// Brings a torrent from one to the other, and looks at everything. Gives how long it took, seconds.
fn bring(scene: &mut Scene, speed: Speed, from_roots: bool) -> f64 {
    let place = Place {
        speed,
        ..scene.place(HOME)
    };
    let seed = scene.seed(place, config());
    let place = Place {
        speed,
        ..scene.place(HOME)
    };
    let add = if from_roots {
        scene.made.add_from_roots(FOLDER)
    } else {
        scene.made.add(FOLDER)
    };
    let leech = scene.leech_with(place, config(), add);
    scene.introduce(leech, seed);
    let done = scene.until_done(&[leech], 120);
    scene.made.assert_there(scene.disk(leech), FOLDER);
    let status = scene.status(leech);
    assert_eq!((status.pieces_done, status.state), (status.pieces, State::Seeding));
    assert_eq!(status.failed, 0);
    assert_eq!(scene.told(|event| matches!(event, Event::HashFailed(..))).count(), 0);
    assert_eq!(status.redundant, 0, "nothing comes twice from one peer");
    scene.assert_ends_clean();
    scene.made.assert_there(scene.disk(leech), FOLDER);
    let resume = scene.assert_claims_hold(leech);
    assert!(resume.have.is_full() && resume.clean, "{resume:?}");
    crate::scene::secs(done[0])
}

#[test]
fn a_torrent_of_any_version_and_piece_length_arrives() {
    for version in VERSIONS {
        for piece_length in [16 << 10, 256 << 10] {
            let made = Made::new(version, piece_length, &FILES, 1);
            let took = bring(&mut Scene::new(made, 1), Speed::SOLID, false);
            // 1.5 MB at 1 MB/s.
            assert!(took < 4.0, "{version:?}, pieces of {piece_length}: {took} s");
        }
    }
}

#[test]
fn a_torrent_arrives_on_a_slow_disk_and_on_one_that_answers_at_once() {
    for speed in [Speed::SPINNING, Speed::INSTANT] {
        let made = Made::new(Version::V1, 64 << 10, &FILES, 2);
        bring(&mut Scene::new(made, 2), speed, false);
    }
}

#[test]
fn hash_trees_of_which_only_the_roots_are_known_come_from_peers() {
    for version in [Version::V2, Version::Hybrid] {
        for piece_length in [16 << 10, 64 << 10] {
            let made = Made::new(version, piece_length, &FILES, 3);
            bring(&mut Scene::new(made, 3), Speed::SOLID, true);
        }
    }
}

#[test]
fn a_torrent_of_empty_files_only_is_done_at_once() {
    let made = Made::new(Version::V1, 16 << 10, &[("a", 0), ("b/c", 0)], 4);
    let mut scene = Scene::new(made, 4);
    let leech = scene.leech(scene.place(HOME), config());
    scene.until_done(&[leech], 10);
    scene.made.assert_there(scene.disk(leech), FOLDER);
    scene.assert_ends_clean();
}

#[test]
fn a_seed_that_is_asked_to_check_finds_everything() {
    for version in VERSIONS {
        let made = Made::new(version, 64 << 10, &FILES, 5);
        let mut scene = Scene::new(made, 5);
        let seed = scene.seed(scene.place(HOME), config());
        scene.until_done(&[seed], 10);
        let now = scene.stage.now();
        scene.at(seed).recheck(now, IT);
        let seeds = |event: &Event| *event == Event::State(IT, State::Seeding);
        let again = scene.until(now + std::time::Duration::from_secs(60), |_, _, event| seeds(event));
        assert!(again, "{version:?}: {}", scene.describe(&[seed]));
        assert_eq!(scene.status(seed).pieces_done, scene.made.pieces());
    }
}

#[test]
fn only_the_files_that_are_wanted_come_and_the_rest_later() {
    for version in VERSIONS {
        let made = Made::new(version, 64 << 10, &FILES, 6);
        let mut scene = Scene::new(made, 6);
        let seed = scene.seed(scene.place(HOME), config());
        let mut add = scene.made.add(FOLDER);
        let number = add.layout.files().position(|file| file.path.ends_with("odd")).unwrap();
        let mut levels = vec![0; add.layout.files().len()];
        levels[number] = engine::picker::NORMAL;
        add.levels = levels;
        let leech = scene.leech_with(scene.place(HOME), config(), add);
        scene.introduce(leech, seed);
        scene.until_done(&[leech], 60);
        assert_eq!(scene.state(leech), State::Finished);
        let (path, content) = scene
            .made
            .files(FOLDER)
            .into_iter()
            .find(|(path, _)| path.ends_with("odd"))
            .unwrap();
        assert!(scene.disk(leech).holds(&path, &content));
        let before = scene.status(leech).downloaded;
        assert!(before < 70_001 + 2 * 65_536, "{before} bytes for a file of 70,001");
        let now = scene.stage.now();
        let files = scene.ask(leech).layout(IT).unwrap().files().len();
        scene.at(leech).set_levels(now, IT, vec![engine::picker::NORMAL; files]);
        // The two parted, having nothing for each other.
        scene.introduce(leech, seed);
        let done = scene.until(now + std::time::Duration::from_secs(200), |_, _, event| {
            *event == Event::State(IT, State::Seeding)
        });
        assert!(done, "{version:?}: {}", scene.describe(&[leech]));
        scene.made.assert_there(scene.disk(leech), FOLDER);
        scene.assert_ends_clean();
    }
}

#[test]
fn a_seed_gives_the_same_run() {
    let run = || {
        let mut scene = Scene::new(Made::new(Version::Hybrid, 64 << 10, &FILES, 7), 7);
        bring(&mut scene, Speed::SOLID, false);
        scene.stage.fingerprint()
    };
    assert_eq!(run(), run());
}

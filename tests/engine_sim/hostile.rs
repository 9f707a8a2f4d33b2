//! Peers that do not do what they should: what is wanted comes from the honest one all the same.

use std::time::Duration;

use engine::Event;
use sim::stage::{Line, Noise, Place};
use wire::metainfo::Version;

use crate::made::Made;
use crate::scene::{FOLDER, HOME, Party, Scene, config, secs};
use crate::script::{Part, Script};

/// The script of a party.
fn script(scene: &Scene, party: usize) -> &Script {
    match scene.stage.machine(party) {
        Some(Party::Script(script)) => script,
        _ => panic!("no script"),
    }
}

/// A download from one honest seed and one that plays a part. Gives the party that plays, and how long it took.
fn beside(part: Part, number: u64) -> (Scene, usize, f64) {
    let made = Made::plain(64 << 10, 2 << 20, number);
    let mut scene = Scene::new(made, number);
    let seed = scene.seed(
        scene.place(Line::new(300_000, 300_000, Duration::from_millis(10))),
        config(),
    );
    let player = Script::new(part, &scene.made);
    let player = scene.script(scene.place(HOME), player);
    let leech = scene.leech(scene.place(HOME), config());
    scene.introduce(leech, player);
    scene.pass(Duration::from_millis(500));
    scene.introduce(leech, seed);
    let done = scene.until_done(&[leech], 600);
    scene.made.assert_there(scene.disk(leech), FOLDER);
    let honest = scene.stage.addr(seed).ip();
    let banned = scene
        .told(|event| matches!(event, Event::Banned(_, ip) if *ip == honest))
        .count();
    assert_eq!(banned, 0, "the honest one is banned");
    scene.assert_ends_clean();
    (scene, player, secs(done[0]))
}

#[test]
fn a_peer_that_gives_nothing_is_given_up() {
    let (scene, player, took) = beside(Part::Silent, 1);
    assert!(script(&scene, player).asked > 0);
    assert!(script(&scene, player).cancels > 0);
    // 7 s without it; what it was asked for is given to others after 20 s at the latest.
    assert!(took < 30.0, "{took} s");
}

#[test]
fn near_the_end_a_slow_peer_is_not_waited_for() {
    let (scene, player, took) = beside(Part::Slow(Duration::from_secs(15)), 2);
    assert!(script(&scene, player).asked > 0);
    assert!(took < 14.0, "{took} s");
}

#[test]
fn a_peer_without_the_pieces_that_it_tells_of_is_given_up() {
    let (scene, player, took) = beside(Part::LiesAboutPieces, 3);
    let asked = script(&scene, player).asked;
    assert!(took < 20.0, "{took} s");
    assert!(asked < 2_000, "it was asked {asked} times");
}

#[test]
fn a_peer_that_chokes_and_unchokes_all_the_time_gives_what_it_gives() {
    let (_, _, took) = beside(Part::Flapping, 4);
    assert!(took < 20.0, "{took} s");
}

#[test]
fn blocks_that_nobody_asked_for_change_nothing() {
    let (scene, ..) = beside(Part::Unasked, 5);
    assert_eq!(scene.told(|event| matches!(event, Event::HashFailed(..))).count(), 0);
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let (scene, player, took) = beside(Part::Floods, 6);
    assert!(took < 20.0, "{took} s");
    let traffic = scene.stage.traffic(player);
    // 40,000 requests a second: what cannot be served is refused, or dropped, and the peer with it.
    assert!(traffic.sent > 1_000_000, "{traffic:?}");
}

#[test]
fn blocks_and_states_that_come_twice_do_no_harm() {
    beside(Part::Repeats, 7);
}

#[test]
fn a_frame_without_end_is_the_last_of_its_connection() {
    let (scene, player, _) = beside(Part::Endless, 8);
    assert!(script(&scene, player).closed > 0);
}

/// aria2 tells a bitfield where it would tell many pieces one by one.
#[test]
fn a_peer_that_tells_what_it_has_anew_when_it_has_more_is_heard() {
    let (scene, player, _) = beside(Part::Gains, 10);
    assert!(script(&scene, player).asked > 0);
}

#[test]
fn a_peer_that_takes_back_what_it_has_is_heard_no_more() {
    let (scene, player, _) = beside(Part::Loses, 11);
    assert!(script(&scene, player).closed > 0);
}

#[test]
fn blocks_that_go_beyond_the_end_of_a_file_of_v2_are_given_with_zeros() {
    let files = [("a", 100_000), ("b", 17), ("c", 70_000)];
    let mut scene = Scene::new(Made::new(Version::V2, 64 << 10, &files, 12), 12);
    let seed = scene.seed(scene.place(HOME), config());
    let player = Script::new(Part::Aligned, &scene.made);
    let player = scene.script(scene.place(HOME), player);
    scene.introduce(seed, player);
    scene.pass(Duration::from_secs(10));
    // 7 blocks of the first, 1 of the second, and of the last 4 and what is left.
    assert_eq!(script(&scene, player).got, 12 * (16 << 10) + (70_000 - (64 << 10)));
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let (_, _, took) = beside(Part::Absurd, 9);
    assert!(took < 20.0, "{took} s");
}

/// Bytes of a stream that are garbled anywhere: lengths, handshakes, blocks. Only wholeness is wanted, and no ban of the
/// honest one.
#[test]
fn a_peer_whose_line_garbles_everything_does_not_keep_a_torrent_from_its_end() {
    for number in 1..4 {
        let made = Made::plain(32 << 10, 1 << 20, number);
        let mut scene = Scene::new(made, number);
        let noisy = Place {
            noise: Noise { garbled: 0.3, cut: 0.0 },
            ..scene.place(HOME)
        };
        let noisy = scene.seed(noisy, config());
        let seed = scene.seed(
            scene.place(Line::new(100_000, 100_000, Duration::from_millis(10))),
            config(),
        );
        let leech = scene.leech(scene.place(HOME), config());
        scene.introduce(leech, noisy);
        scene.introduce(leech, seed);
        scene.until_done(&[leech], 900);
        scene.made.assert_there(scene.disk(leech), FOLDER);
        let honest = scene.stage.addr(seed).ip();
        assert_eq!(
            scene
                .told(|event| matches!(event, Event::Banned(_, ip) if *ip == honest))
                .count(),
            0
        );
        scene.assert_ends_clean();
    }
}

//! Web seeds, without any peer; trackers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use engine::{Add, Event};
use sim::disk::Content;
use sim::stage::{Line, Response, Site};

use crate::made::Made;
use crate::scene::{FOLDER, HOME, Scene, config};

/// Of the folder that has the torrent; the file is below.
const URL: &str = "http://192.0.2.80/";
const FILE: &str = "http://192.0.2.80/made/file";

/// A leecher of the torrent that knows nobody but the server at this URL.
fn alone(url: &str, site: Site) -> (Scene, usize) {
    let mut scene = Scene::new(Made::plain(64 << 10, 3 << 20, 5), 5);
    scene.stage.set_web(site);
    let add = Add {
        web_seeds: vec![url.to_owned()],
        ..scene.made.add(FOLDER)
    };
    let leech = scene.leech_with(scene.place(HOME), config(), add);
    (scene, leech)
}

fn content() -> Content {
    let made = Made::plain(64 << 10, 3 << 20, 5);
    let pieces = (0..made.pieces()).flat_map(|piece| made.block(piece, 0, 64 << 10));
    Content::bytes(pieces.collect::<Vec<u8>>())
}

/// More than the first pieces, which are chosen at random: the others are chosen by how rare they are among peers.
#[test]
fn a_web_seed_alone_gives_all() {
    let (mut scene, leech) = alone(URL, Site::new().page(FILE, content()));
    scene.until_done(&[leech], 60);
    scene.made.assert_there(scene.disk(leech), FOLDER);
    scene.assert_ends_clean();
}

#[test]
fn what_a_web_seed_does_not_have_comes_from_a_peer() {
    let nothing = |_, _, _: &str, _| Response::new(404, Content::bytes([]));
    let (mut scene, leech) = alone(URL, Site::new().answer(URL, nothing));
    let seed = scene.seed(
        scene.place(Line::new(1_000_000, 1_000_000, Duration::from_millis(10))),
        config(),
    );
    scene.pass(Duration::from_secs(2));
    let dropped = scene.told(|event| matches!(event, Event::WebSeedDropped(..))).count();
    assert_eq!(dropped, 1);
    scene.introduce(leech, seed);
    scene.until_done(&[leech], 60);
    scene.made.assert_there(scene.disk(leech), FOLDER);
    scene.assert_ends_clean();
}

/// What trackers are told first stands for half an hour.
#[test]
fn a_seed_tells_its_tracker_that_nothing_is_left() {
    let said = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&said);
    let tracker = move |_, _, url: &str, _| {
        heard.borrow_mut().push(url.to_owned());
        Response::new(200, Content::bytes(*b"d8:intervali1800e5:peers0:e"))
    };
    let mut scene = Scene::new(Made::plain(64 << 10, 3 << 20, 6), 6);
    scene.stage.set_web(Site::new().answer("http://192.0.2.69/", tracker));
    let seed = scene.seed_with(scene.place(HOME), config(), |add| {
        add.trackers = vec![vec!["http://192.0.2.69/announce".to_owned()]];
    });
    scene.pass(Duration::from_secs(60));
    let said = said.borrow();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("&left=0&"), "{said:?}");
    assert!(said[0].contains("event=started"), "{said:?}");
    assert_eq!(scene.status(seed).pieces_done, scene.made.pieces());
}

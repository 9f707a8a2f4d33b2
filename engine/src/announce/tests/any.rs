//! Whatever happens, in any order: no panic, no spinning, no more at once than allowed, and in the end nothing is left.

use proptest::prelude::*;

use super::*;

const URLS: [&str; 5] = [
    A,
    B,
    "udp://192.0.2.1:6969/announce",
    "udp://u.example:6969/",
    "udp://192.0.2.2:6969",
];

fn step(world: &mut World, what: u8, torrent: u32, number: u8) {
    let now = world.now;
    let url = URLS[usize::from(number) % URLS.len()];
    let other = URLS[usize::from(number / 5) % URLS.len()];
    match what {
        0 => drop(world.add(torrent, &[&[url, other], &[C]])),
        1 => world.mind.remove(now, torrent, Stats::default()),
        2 => world.mind.pause(now, torrent, Stats::default()),
        3 => world.mind.resume(now, torrent),
        4 => world.mind.completed(now, torrent),
        5 => world
            .mind
            .reannounce(now, torrent, Duration::from_secs(u64::from(number))),
        6 => drop(world.mind.scrape(now, torrent)),
        7 => drop(
            world
                .mind
                .replace_trackers(now, torrent, &[vec![url.into()], vec![other.into()]], Stats::default()),
        ),
        8 => drop(world.mind.add_tracker(now, torrent, url, usize::from(number % 3))),
        9 => world.mind.want_peers(now, torrent),
        10 => {
            let answers = [
                reply(u32::from(number)),
                Answer::Silence,
                Answer::Trickle,
                Answer::Status(404),
                Answer::Body(b"d14:failure reason0:8:retry in5:nevere".to_vec(), 3),
                Answer::Fault(WebFault::Broken),
            ];
            world.answers(url, answers[usize::from(number) % answers.len()].clone());
        }
        11 => {
            let place = addr(["192.0.2.1:6969", "192.0.2.2:6969"][usize::from(number % 2)]);
            let tracker = world.udp.entry(place).or_default();
            tracker.dead = number & 4 > 0;
            tracker.lost = usize::from(number >> 4);
            tracker.refuses = (number & 8 > 0).then_some("no");
            tracker.restart();
        }
        12 => {
            let bytes = [0, 0, 0, number % 5, number, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
            world.hear(addr("192.0.2.1:6969"), &bytes);
        }
        _ => {
            let secs = world.now.as_secs() + u64::from(number) * u64::from(number);
            world.run_to(secs);
        }
    }
    world.drain();
    assert!(world.mind.held <= world.mind.config.most_at_once);
    let held = world.mind.requests.values().filter(|request| request.held);
    assert_eq!(held.count(), world.mind.held);
}

proptest! {
    #[test]
    fn any_life(each in any::<bool>(), steps in proptest::collection::vec((0_u8..16, 0_u32..4, any::<u8>()), 1..60)) {
        let mut world = World::new(Config { announce_to_all: each, most_at_once: 3, ..config() });
        world.names.insert("u.example:6969".into(), vec![addr("192.0.2.1:6969")]);
        for (what, torrent, number) in steps {
            step(&mut world, what, torrent, number);
        }
        world.mind.shut_down(world.now, |_| Stats::default());
        world.run_to(world.now.as_secs() + 11);
        prop_assert!(world.mind.is_idle());
        prop_assert_eq!(world.mind.deadline(), None);
        prop_assert!(world.mind.requests.is_empty() && world.mind.transactions.is_empty());
        prop_assert_eq!(world.mind.held, 0);
    }
}

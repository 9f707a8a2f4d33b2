//! Who is asked, and in which order (TRK-09, TRK-10, TRK-20, D-42).

use super::*;

#[test]
fn when_the_first_tier_is_down_the_second_is_used_and_left_again_when_it_returns() {
    let mut world = World::new(config());
    world.answers(B, reply(600));
    world.add(1, &[&[A], &[B]]);
    world.run_to(500);
    assert_eq!((world.times(A), world.times(B)), (vec![0], vec![0]));
    assert_eq!(world.mind.status(1).unwrap().current.unwrap().as_ref(), B);
    world.answers(A, reply(600));
    world.run_to(1_500);
    assert_eq!((world.times(A), world.times(B)), (vec![0, 600, 1_200], vec![0]));
    assert_eq!(world.mind.status(1).unwrap().current.unwrap().as_ref(), A);
}

#[test]
fn a_tracker_that_works_moves_to_the_front_of_its_tier() {
    let mut world = World::new(config());
    world.answers(C, reply(600));
    world.add(1, &[&[A, B, C]]);
    world.run_to(100);
    assert_eq!(world.mind.trackers(1).next().unwrap().url.as_ref(), C);
    let before = world.fetches.len();
    world.run_to(700);
    assert_eq!(world.fetches[before..].len(), 1);
    assert!(world.fetches[before].1.starts_with(C));
}

#[test]
fn a_tracker_that_works_stays_behind_those_of_lower_tiers() {
    let mut world = World::new(config());
    world.answers(C, reply(600));
    world.add(1, &[&[A], &[B, C]]);
    world.run_to(100);
    let order: Vec<&str> = world.mind.trackers(1).map(|tracker| tracker.url.as_ref()).collect();
    assert_eq!(order, [A, C, B]);
}

#[test]
fn a_tier_is_shuffled_and_tiers_are_not() {
    let order = |seed| {
        let mut world = World::seeded(config(), seed);
        world.add(1, &[&[A, B], &[C]]);
        world
            .mind
            .trackers(1)
            .map(|tracker| tracker.url.to_string())
            .collect::<Vec<_>>()
    };
    let orders: BTreeSet<_> = (0..20).map(order).collect();
    let expected = [[A, B, C], [B, A, C]].map(|order| order.map(str::to_owned).to_vec());
    assert_eq!(orders.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_first_that_works_is_enough() {
    let mut world = World::new(config());
    world.answers("http://", reply(600));
    world.add(1, &[&[A], &[B], &[C]]);
    world.run_to(1_000);
    assert_eq!(
        (world.times(A), world.times(B), world.times(C)),
        (vec![0, 600], vec![], vec![])
    );
}

#[test]
fn when_all_are_announced_to_slow_trackers_take_no_longer_than_the_slowest() {
    let mut world = World::new(Config {
        announce_to_all: true,
        ..config()
    });
    let Answer::Body(body, _) = reply(600) else {
        unreachable!()
    };
    let urls: Vec<String> = (0..5)
        .map(|number| format!("http://t{number}.example/announce"))
        .collect();
    for (delay, url) in (6..).zip(&urls) {
        world.answers(url, Answer::Body(body.clone(), delay));
    }
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    world.add(1, &[&urls]);
    world.run_to(10);
    let announced = world
        .told
        .iter()
        .filter(|(_, told)| matches!(told, Told::Announced { .. }));
    assert_eq!(
        announced.map(|(at, _)| at.as_secs()).collect::<Vec<_>>(),
        [6, 7, 8, 9, 10]
    );
}

#[test]
fn when_all_are_announced_to_each_hears_of_completion_and_of_the_end() {
    let mut world = World::new(Config {
        announce_to_all: true,
        ..config()
    });
    world.answers("http://", reply(600));
    world.add(1, &[&[A], &[B]]);
    world.run_to(10);
    world.mind.completed(world.now, 1);
    world.run_to(20);
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(30);
    let expected = [(0, "started"), (10, "completed"), (20, "stopped")].map(|(at, event)| (at, event.to_owned()));
    assert_eq!((world.asked(A), world.asked(B)), (expected.to_vec(), expected.to_vec()));
}

#[test]
fn different_torrents_are_announced_at_the_same_time_up_to_a_bound() {
    let mut world = World::new(Config {
        most_at_once: 3,
        ..config()
    });
    let Answer::Body(body, _) = reply(600) else {
        unreachable!()
    };
    world.answers(A, Answer::Body(body, 5));
    (0..7).for_each(|torrent| drop(world.add(torrent, &[&[A]])));
    world.run_to(100);
    assert_eq!((world.times(A), world.most_open), (vec![0, 0, 0, 5, 5, 5, 10], 3));
}

#[test]
fn a_replaced_list_is_used_at_the_next_announce() {
    let mut world = World::new(config());
    world.answers("http://", reply(600));
    world.add(1, &[&[A]]);
    world.run_to(100);
    let unfit = world
        .mind
        .replace_trackers(world.now, 1, &[vec![B.to_owned()]], Stats::default());
    assert!(unfit.is_empty());
    world.run_to(599);
    assert_eq!(world.times(B), [0_u64; 0]);
    world.run_to(1_000);
    assert_eq!(world.asked(B), [(600, "started".to_owned())]);
    // The one that is gone hears that we leave it.
    assert_eq!(world.asked(A), [(0, "started".to_owned()), (100, "stopped".to_owned())]);
}

#[test]
fn a_replaced_list_is_used_at_once_when_forced_and_keeps_what_it_knows() {
    let mut world = World::new(config());
    world.answers("http://", reply(600));
    world.add(1, &[&[A]]);
    world.run_to(100);
    let tiers = [vec![A.to_owned()], vec![B.to_owned()]];
    world.mind.replace_trackers(world.now, 1, &tiers, Stats::default());
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.run_to(110);
    assert_eq!(world.asked(A), [(0, "started".to_owned()), (100, String::new())]);
}

#[test]
fn an_added_tracker_is_asked_when_no_other_works() {
    let mut world = World::new(config());
    world.answers(B, reply(600));
    world.add(1, &[&[A]]);
    world.run_to(10);
    assert_eq!(world.mind.add_tracker(world.now, 1, B, 0), Ok(()));
    assert_eq!(world.mind.add_tracker(world.now, 1, B, 3), Err(Unfit::Twice));
    world.run_to(11);
    assert_eq!(world.times(B), [10]);
    assert_eq!(world.mind.add_tracker(world.now, 1, C, 0), Ok(()));
    world.run_to(500);
    assert_eq!(world.times(C), [0_u64; 0]);
    let order: Vec<&str> = world.mind.trackers(1).map(|tracker| tracker.url.as_ref()).collect();
    assert_eq!(order, [B, A, C]);
}

#[test]
fn what_is_no_tracker_is_not_taken_and_said_so() {
    let mut world = World::new(config());
    let long: Vec<String> = (0..=MAX_TRACKERS)
        .map(|number| format!("http://{number}.example/a"))
        .collect();
    let unfit = world.add(1, &[&["wss://a.example/", A], &[A]]);
    assert_eq!(
        unfit,
        [
            ("wss://a.example/".to_owned(), Unfit::Bad(BadUrl::Scheme)),
            (A.to_owned(), Unfit::Twice)
        ]
    );
    let unfit = world.mind.add(world.now, 2, swarm(2), &[long]);
    assert_eq!(unfit.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Unfit::TooMany]);
}

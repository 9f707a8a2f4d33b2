//! A torrent from its first word to its last (TRK-04, 13, 21 to 23).

use super::*;

fn events(world: &World) -> Vec<(u64, String)> {
    world.asked(A)
}

fn expect(events: &[(u64, &str)]) -> Vec<(u64, String)> {
    events.iter().map(|&(at, event)| (at, event.to_owned())).collect()
}

/// A torrent with one tracker that works.
fn one() -> World {
    let mut world = World::new(config());
    world.answers(A, reply(600));
    world.add(1, &[&[A]]);
    world
}

#[test]
fn a_tracker_hears_started_then_nothing_then_completed_once_then_stopped() {
    let mut world = one();
    world.run_to(700);
    world.mind.completed(world.now, 1);
    world.run_to(1_400);
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(3_000);
    let all = [
        (0, "started"),
        (600, ""),
        (700, "completed"),
        (1_300, ""),
        (1_400, "stopped"),
    ];
    assert_eq!(events(&world), expect(&all));
    assert!(world.mind.is_idle());
}

#[test]
fn completion_before_the_first_answer_is_told_right_after_it() {
    let mut world = one();
    world.answers(A, Answer::Silence);
    world.run_to(5);
    world.mind.completed(world.now, 1);
    world.answers(A, reply(600));
    world.run_to(30);
    assert_eq!(
        events(&world),
        expect(&[(0, "started"), (21, "started"), (21, "completed")])
    );
}

#[test]
fn what_was_announced_is_what_it_had_come_to_then() {
    let mut world = one();
    world.run_to(10);
    world.stats.left = 77;
    world.run_to(600);
    assert!(world.fetches[1].1.contains("&left=77&"));
    let last = Stats {
        uploaded: 5,
        downloaded: 6,
        left: 7,
    };
    world.mind.remove(world.now, 1, last);
    world.drain();
    assert!(world.fetches[2].1.contains("&uploaded=5&downloaded=6&left=7&"));
}

#[test]
fn at_shutdown_every_torrent_says_goodbye_and_a_silent_tracker_is_not_waited_for_beyond_10_s() {
    let mut world = World::new(config());
    world.answers("http://", reply(600));
    (0..5).for_each(|torrent| drop(world.add(torrent, &[&[A]])));
    world.add(9, &[&[B]]);
    world.run_to(100);
    world.answers(B, Answer::Silence);
    world.mind.shut_down(world.now, |_| Stats::default());
    world.run_to(109);
    assert!(!world.mind.is_idle());
    let stopped = world.fetches.iter().filter(|(_, url)| url.contains("&event=stopped"));
    assert_eq!(stopped.count(), 6);
    world.run_to(110);
    assert!(world.mind.is_idle());
    assert_eq!((world.cancels, world.mind.deadline()), (1, None));
}

#[test]
fn a_tracker_that_never_answered_hears_no_goodbye() {
    let mut world = World::new(config());
    world.add(1, &[&[A]]);
    world.run_to(2);
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(100);
    assert!(world.mind.is_idle());
    assert_eq!(events(&world), expect(&[(0, "started"), (1, "started")]));
}

#[test]
fn a_tracker_that_may_just_have_heard_of_us_hears_goodbye() {
    let mut world = one();
    world.answers(A, Answer::Silence);
    world.run_to(1);
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(2);
    assert_eq!(
        (events(&world), world.cancels),
        (expect(&[(0, "started"), (1, "stopped")]), 1)
    );
}

#[test]
fn nothing_is_told_of_a_torrent_that_is_gone() {
    let mut world = one();
    world.run_to(1);
    let before = world.told.len();
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(1_000);
    assert_eq!(world.told.len(), before);
    assert_eq!(world.mind.status(1), None);
}

#[test]
fn a_pause_stops_and_resuming_starts() {
    let mut world = one();
    world.run_to(10);
    world.mind.pause(world.now, 1, Stats::default());
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.mind.want_peers(world.now, 1);
    world.run_to(5_000);
    world.mind.resume(world.now, 1);
    world.run_to(5_001);
    assert_eq!(
        events(&world),
        expect(&[(0, "started"), (10, "stopped"), (5_000, "started")])
    );
}

#[test]
fn a_goodbye_that_was_not_heard_yet_is_taken_back_by_resuming() {
    let mut world = one();
    world.run_to(10);
    world.answers(A, Answer::Silence);
    world.mind.pause(world.now, 1, Stats::default());
    world.run_to(12);
    world.answers(A, reply(600));
    world.mind.resume(world.now, 1);
    world.run_to(100);
    assert_eq!(
        events(&world),
        expect(&[(0, "started"), (10, "stopped"), (12, "started")])
    );
    assert_eq!(world.cancels, 1);
}

#[test]
fn a_forced_announce_comes_at_once_or_after_the_given_time() {
    let mut world = one();
    world.run_to(10);
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.run_to(20);
    world.mind.reannounce(world.now, 1, Duration::from_secs(30));
    world.run_to(100);
    assert_eq!(events(&world), expect(&[(0, "started"), (10, ""), (50, "")]));
    world.run_to(650);
    assert_eq!(events(&world).last(), Some(&(650, String::new())));
}

#[test]
fn the_status_follows_one_cycle() {
    let mut world = one();
    world.answers(A, Answer::Silence);
    world.run_to(0);
    let status = world.mind.status(1).unwrap();
    let unknown = Counts::default();
    assert_eq!(
        (status.current, status.next_announce, status.counts),
        (None, None, unknown)
    );
    assert!(status.hopeful && world.mind.trackers(1).next().unwrap().asking);
    world.run_to(20);
    let status = world.mind.status(1).unwrap();
    assert_eq!(
        (status.next_announce, status.hopeful),
        (Some(Time::from_secs(21)), false)
    );
    let tracker = world.mind.trackers(1).next().unwrap();
    assert_eq!(
        (tracker.working, tracker.failures, tracker.failure),
        (false, 1, Some(&Failure::Silent))
    );
    world.answers(A, reply(600));
    world.run_to(21);
    let status = world.mind.status(1).unwrap();
    assert_eq!(status.current.unwrap().as_ref(), A);
    assert_eq!((status.counts.complete, status.counts.incomplete), (Some(3), Some(4)));
    assert_eq!(
        (status.next_announce, status.interval, status.last_scrape),
        (Some(Time::from_secs(621)), Some(Duration::from_secs(600)), None)
    );
    let tracker = world.mind.trackers(1).next().unwrap();
    assert_eq!((tracker.working, tracker.successes, tracker.failure), (true, 1, None));
}

//! What a window does, at peers that are pretended.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const CONFIG: Config = Config {
    floor: 5,
    least: 2,
    cap: 500,
    queue_time: Duration::from_secs(3),
    piece_timeout: Duration::from_secs(20),
    request_timeout: Duration::from_secs(50),
    whole_pieces: Duration::from_secs(20),
};

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// A peer behind a link: answers in order, at a rate, half a round trip away.
struct Peer {
    /// Bytes a second.
    rate: u64,
    trip: Duration,
    /// When the link has sent all it was given.
    free: Time,
    /// When blocks arrive here.
    coming: VecDeque<Time>,
}

impl Peer {
    fn new(rate: u64, trip: Duration) -> Self {
        Self {
            rate,
            trip,
            free: Time::ZERO,
            coming: VecDeque::new(),
        }
    }

    fn ask(&mut self, now: Time, blocks: usize) {
        for _ in 0..blocks {
            let begins = self.free.max(now + self.trip / 2);
            self.free = begins + Duration::from_micros(u64::from(BLOCK) * 1_000_000 / self.rate);
            self.coming.push_back(self.free + self.trip / 2);
        }
    }
}

/// Keeps the window full until `end`; how many bytes arrived after `from`.
fn download(window: &mut Window, peer: &mut Peer, from: Time, end: Time) -> u64 {
    let mut now = Time::ZERO;
    let mut bytes = 0;
    loop {
        let room = window.room(now);
        window.requested(now, room);
        peer.ask(now, room);
        now = peer.coming.pop_front().unwrap();
        if now > end {
            return bytes;
        }
        assert_eq!(window.timed_out(now), None);
        window.arrived(now, u64::from(BLOCK));
        if now > from {
            bytes += u64::from(BLOCK);
        }
    }
}

#[test]
fn one_peer_a_quarter_of_a_second_away_fills_a_gigabit() {
    let config = Config { cap: 2_000, ..CONFIG };
    let mut window = Window::new(Time::ZERO, config);
    window.allow(2_000);
    let mut peer = Peer::new(125_000_000, Duration::from_millis(250));
    let bytes = download(&mut window, &mut peer, secs(5), secs(15));
    assert!(bytes > 1_250_000_000 * 98 / 100, "{bytes} of 1,250,000,000");
}

#[test]
fn the_peer_s_own_limit_is_kept() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.allow(40);
    let mut peer = Peer::new(125_000_000, Duration::from_millis(250));
    download(&mut window, &mut peer, secs(5), secs(10));
    assert_eq!(window.target(secs(10)), 40);
    window.allow(0);
    assert_eq!(window.target(secs(10)), 1);
}

#[test]
fn a_peer_of_middling_speed_has_three_seconds_outstanding() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(1_000_000, Duration::from_millis(20));
    download(&mut window, &mut peer, secs(5), secs(20));
    let blocks = 3 * 1_000_000 / 16_384;
    let target = window.target(secs(20));
    assert!(target.abs_diff(blocks) < blocks / 10, "{target}, not {blocks}");
}

#[test]
fn slow_start_doubles_with_each_round_trip() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    assert_eq!(window.target(Time::ZERO), 5);
    for round in 1..=4u32 {
        let now = Time::from_micros(u64::from(round) * 200_000);
        window.requested(now, window.growing.unwrap());
        for _ in 0..window.outstanding() {
            window.arrived(now, u64::from(BLOCK));
        }
        assert_eq!(window.growing, Some(5 * 2usize.pow(round)));
    }
}

#[test]
fn a_slow_peer_keeps_a_small_window_that_never_times_out() {
    // 1 KiB/s: a block takes 16 s, and five of them would be overdue.
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(1_024, Duration::from_millis(100));
    window.requested(Time::ZERO, 2);
    peer.ask(Time::ZERO, 2);
    window.growing = None;
    download(&mut window, &mut peer, Time::ZERO, secs(600));
    assert!(window.target(secs(600)) <= 2);
}

#[test]
fn silence_snubs_and_the_first_block_ends_it() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(secs(1), 5);
    assert_eq!(window.deadline(), Some(secs(21)));
    assert_eq!(window.timed_out(secs(20)), None);
    assert_eq!(window.timed_out(secs(21)), Some(Late::Silent));
    assert!(window.is_snubbed());
    assert_eq!((window.target(secs(21)), window.outstanding()), (1, 0));
    assert_eq!(window.deadline(), None);
    window.requested(secs(22), 1);
    window.arrived(secs(23), u64::from(BLOCK));
    assert!(!window.is_snubbed());
    assert!(window.target(secs(23)) >= 5);
}

#[test]
fn a_snub_lasts_while_nothing_comes() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(Time::ZERO, 5);
    assert_eq!(window.timed_out(secs(20)), Some(Late::Silent));
    window.unchoked(secs(30));
    assert_eq!(window.target(secs(30)), 1);
    window.requested(secs(30), 1);
    assert_eq!(window.timed_out(secs(50)), Some(Late::Silent));
}

#[test]
fn part_of_a_block_is_a_sign_of_life() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(Time::ZERO, 1);
    window.heard(secs(15));
    assert_eq!(window.timed_out(secs(34)), None);
    assert_eq!(window.timed_out(secs(35)), Some(Late::Silent));
}

#[test]
fn an_old_request_is_overdue_and_halves_the_window() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(Time::ZERO, 40);
    window.requested(secs(10), 10);
    // Something comes all the time, but not enough.
    for at in (10..50).step_by(10) {
        window.arrived(secs(at), u64::from(BLOCK));
    }
    let before = window.target(secs(50));
    assert_eq!(window.deadline(), Some(secs(50)));
    assert_eq!(window.timed_out(secs(50)), Some(Late::Overdue(36)));
    assert_eq!(window.outstanding(), 10);
    assert_eq!(window.ceiling, Some(before / 2));
    assert!(window.target(secs(50)) <= before / 2);
    window.arrived(secs(51), u64::from(BLOCK));
    assert_eq!(window.ceiling, Some(before / 2 + 1));
}

#[test]
fn what_a_choke_drops_is_not_late() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(Time::ZERO, 5);
    window.choked();
    assert_eq!(window.deadline(), None);
    assert_eq!(window.timed_out(secs(1_000)), None);
    window.unchoked(secs(1_000));
    assert_eq!(window.room(secs(1_000)), 5);
}

#[test]
fn a_rejected_request_makes_room() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    window.requested(Time::ZERO, 5);
    assert_eq!(window.room(Time::ZERO), 0);
    window.rejected(2);
    assert_eq!((window.outstanding(), window.room(Time::ZERO)), (3, 2));
    window.rejected(9);
    assert_eq!((window.outstanding(), window.deadline()), (0, None));
}

#[test]
fn after_a_long_pause_the_window_starts_anew() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(1_000_000, Duration::from_millis(20));
    download(&mut window, &mut peer, secs(5), secs(10));
    let outstanding = window.outstanding();
    window.rejected(outstanding);
    assert!(window.growing.is_none());
    window.requested(secs(60), 1);
    assert_eq!(window.growing, Some(5));
}

#[test]
fn whole_pieces_are_for_who_sends_one_in_time() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(100_000, Duration::from_millis(20));
    download(&mut window, &mut peer, secs(5), secs(20));
    assert!(window.takes_whole(secs(20), 1 << 20));
    assert!(!window.takes_whole(secs(20), 4 << 20));
}

#[test]
fn requests_are_spread_over_as_many_pieces_as_come_in_a_second() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(100_000, Duration::from_millis(20));
    assert_eq!(window.spread(Time::ZERO, 1 << 14, 16), 1, "nothing is known of it");
    download(&mut window, &mut peer, secs(5), secs(20));
    let spreads = [1 << 12, 1 << 14, 1 << 15].map(|length| window.spread(secs(20), length, 16));
    assert_eq!(spreads, [16, 6, 1], "three pieces side by side are not worth it");
    assert_eq!(
        window.spread(secs(20), 1 << 12, 1),
        1,
        "nor is anything on this processor"
    );
}

#[test]
fn speed_is_how_long_a_piece_takes() {
    let mut window = Window::new(Time::ZERO, CONFIG);
    let mut peer = Peer::new(100_000, Duration::from_millis(20));
    download(&mut window, &mut peer, secs(5), secs(20));
    let speeds = [1 << 20, 4 << 20, 8 << 20, 16 << 20].map(|length| window.speed(secs(20), length));
    assert_eq!(speeds, [Speed::Fast, Speed::Medium, Speed::Medium, Speed::Slow]);
    assert!(window.peak(secs(20)) >= 95_000);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(usize),
    Arrive,
    Reject(usize),
    Choke,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..60).prop_map(Step::Ask),
        Just(Step::Arrive),
        (0usize..20).prop_map(Step::Reject),
        Just(Step::Choke),
        (0u64..30_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Against one list of all requests: same number outstanding, nothing late early, nothing late left.
    #[test]
    fn ages_are_those_of_a_plain_list(steps in prop::collection::vec(step(), 1..200)) {
        let mut window = Window::new(Time::ZERO, CONFIG);
        let mut list: VecDeque<Time> = VecDeque::new();
        let mut now = Time::ZERO;
        for step in steps {
            match step {
                Step::Ask(blocks) => {
                    window.requested(now, blocks);
                    list.extend(std::iter::repeat_n(now, blocks));
                }
                Step::Arrive => {
                    window.arrived(now, u64::from(BLOCK));
                    list.pop_front();
                }
                Step::Reject(blocks) => {
                    window.rejected(blocks);
                    list.drain(..blocks.min(list.len()));
                }
                Step::Choke => {
                    window.choked();
                    list.clear();
                }
                Step::Wait(millis) => now = now + Duration::from_millis(millis),
            }
            match window.timed_out(now) {
                Some(Late::Silent) => list.clear(),
                Some(Late::Overdue(count)) => {
                    let late = list.drain(..count).all(|at| at + CONFIG.request_timeout <= now + AGE_GRAIN);
                    prop_assert!(late);
                }
                None => {}
            }
            prop_assert_eq!(window.outstanding(), list.len());
            prop_assert!(list.iter().all(|at| now.since(*at) < CONFIG.request_timeout));
            prop_assert_eq!(window.ages.iter().map(|age| age.count).sum::<usize>(), list.len());
            prop_assert!((1..=CONFIG.cap).contains(&window.target(now)));
        }
    }
}

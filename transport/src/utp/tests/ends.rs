//! How streams begin and end.

use std::time::Duration;

use world::{Closed, Via};

use super::super::{Count, Ignored};
use super::config;
use super::path::{DIAL, Path, World};
use crate::Above;

fn world() -> World {
    World::new(1, Path::CLEAN, [config(), config()])
}

#[test]
fn a_stream_opens_on_both_sides() {
    let mut world = world();
    world.open();
    let via = Via::Utp;
    assert_eq!(world.sides[0].told, [Above::Opened { conn: DIAL, via }]);
    let conn = world.sides[1].conn.unwrap();
    assert!(conn.is_accepted());
    let (from, to) = (world.sides[0].addr, world.sides[1].addr);
    assert_eq!(world.sides[1].told, [Above::Accepted { conn, from, to, via }]);
}

#[test]
fn a_lost_syn_is_sent_again() {
    let mut world = world();
    world.lose = vec![0];
    world.open();
    assert_eq!(world.sides[0].socket.stats().counts[Count::SynSent], 2);
}

#[test]
fn a_lost_answer_is_given_again() {
    let mut world = world();
    world.lose = vec![1];
    world.open();
    assert_eq!(world.sides[1].socket.stats().counts[Count::SynReceived], 1);
    assert_eq!(world.sides[1].socket.streams(), 1);
}

#[test]
fn nobody_answers() {
    let mut world = world();
    world.path.loss = 100;
    world.dial();
    world.run(Duration::from_millis(3_999));
    assert_eq!(world.closed(0), []);
    world.run(Duration::from_millis(1));
    assert_eq!(world.closed(0), [Closed::TimedOut]);
    assert_eq!(world.sides[0].socket.stats().counts[Count::SynSent], 3);
    assert_eq!(world.sides[0].socket.streams(), 0);
    assert_eq!(world.sides[0].socket.deadline(), None);
}

#[test]
fn what_was_written_before_a_close_arrives() {
    let mut world = world();
    world.open();
    world.path.loss = 20;
    world.write(0, &[7; 100_000]);
    world.close(0);
    world.run(Duration::from_secs(30));
    assert_eq!(world.sides[1].bytes, [7; 100_000]);
    assert_eq!(world.closed(1), [Closed::ByRemote]);
    assert_eq!(world.closed(0), [], "it closed itself");
    world.run(Duration::from_secs(10));
    assert_eq!(world.sides.each_ref().map(|side| side.socket.streams()), [0, 0]);
    assert_eq!(world.sides.each_ref().map(|side| side.socket.deadline()), [None, None]);
}

#[test]
fn what_was_written_is_delivered_to_one_that_has_ended_its_half() {
    let mut world = world();
    world.open();
    world.write(1, &[3; 50_000]);
    world.close(0);
    world.run(Duration::from_secs(20));
    // Side 0 wanted no more, so nothing is told; but side 1 got all of it acknowledged.
    assert_eq!(world.closed(1), [Closed::ByRemote]);
    let stats = world.sides[1].socket.stats();
    assert_eq!(stats.counts[Count::Undelivered] + stats.counts[Count::ResetReceived], 0);
    assert_eq!(world.sides.each_ref().map(|side| side.socket.streams()), [0, 0]);
}

#[test]
fn nothing_is_told_after_a_close() {
    let mut world = world();
    world.open();
    let conn = world.sides[0].conn.unwrap();
    let now = world.now;
    world.write(1, b"late");
    world.sides[0].socket.close(now, conn);
    world.run(Duration::from_secs(5));
    assert!(world.sides[0].bytes.is_empty());
    assert_eq!(world.sides[0].told.len(), 1);
    assert!(world.sides[0].socket.stats().ignored[Ignored::AfterEnd] > 0);
}

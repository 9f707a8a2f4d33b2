//! What is written arrives, whatever the path does.

use std::time::Duration;

use rand::Rng;
use world::{Seed, Time};

use super::super::Count;
use super::config;
use super::path::{DIAL, Path, World};
use crate::Above;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Seed::from_number(seed).rng().fill_bytes(&mut bytes);
    bytes
}

/// A MiB each way at once.
fn both_ways(seed: u64, path: Path, limit: u64) -> World {
    let mut world = World::new(seed, path, [config(), config()]);
    let data = [noise(1, 1 << 20), noise(2, 1 << 20)];
    for (side, data) in world.sides.iter_mut().zip(&data) {
        side.to_write = data.clone();
    }
    world.dial();
    for _ in 0..limit {
        world.run(Duration::from_secs(1));
        if world.sides.iter().all(|side| side.bytes.len() >= 1 << 20) {
            break;
        }
    }
    assert!(
        world.sides[0].bytes == data[1] && world.sides[1].bytes == data[0],
        "by {:?}",
        world.now
    );
    world
}

#[test]
fn a_clean_path_takes_a_mebibyte_each_way() {
    let world = both_ways(1, Path::CLEAN, 10);
    for side in &world.sides {
        let counts = side.socket.stats().counts;
        assert_eq!(
            counts[Count::FastRetransmit] + counts[Count::Retransmit] + counts[Count::Timeout],
            0
        );
    }
}

#[test]
fn loss_order_and_copies_change_nothing() {
    for seed in 0..8 {
        let path = Path {
            jitter: Duration::from_millis(15),
            loss: 10,
            twice: 5,
            ..Path::CLEAN
        };
        let world = both_ways(seed, path, 600);
        let counts = world.sides[0].socket.stats().counts;
        assert!(counts[Count::FastRetransmit] > 0 && counts[Count::Backoff] > 0);
    }
}

#[test]
fn numbers_and_clocks_wrap() {
    // A clock of 32 bits wraps after 71 minutes, wherever it began; numbers wrap after 65,536 packets.
    let mut world = World::new(3, Path::CLEAN, [config(), config()]);
    world.open();
    let word = |round: u32| round.to_be_bytes();
    for round in 0..70_000 {
        world.write(0, &word(round));
        if round % 8 == 0 {
            world.run(Duration::from_millis(500));
        }
    }
    world.run(Duration::from_secs(1));
    assert!(world.now > Time::from_secs(4_296));
    let expected: Vec<u8> = (0..70_000).flat_map(word).collect();
    assert!(world.sides[1].bytes == expected);
    let counts = world.sides[0].socket.stats().counts;
    assert!(world.sides[0].sent > 66_000, "{}", world.sides[0].sent);
    assert_eq!(counts[Count::FastRetransmit] + counts[Count::Timeout], 0);
}

/// As the engine writes content: half of what a stream holds, and headers.
#[test]
fn who_writes_half_a_buffer_whenever_it_is_told_of_room_is_never_congested() {
    let mut world = World::new(4, Path::CLEAN, [config(), config()]);
    world.open();
    let run = noise(3, (1 << 19) + 4_096);
    for round in 1..=12 {
        world.sides[0].told.clear();
        world.write(0, &run);
        world.sides[0].socket.report(world.now, DIAL);
        let flushed = |world: &World| world.sides[0].told.contains(&Above::Flushed { conn: DIAL });
        for _ in 0..2_000 {
            if flushed(&world) {
                break;
            }
            world.run(Duration::from_millis(5));
        }
        assert!(flushed(&world), "round {round}: {:?}", world.sides[0].told);
    }
    world.run(Duration::from_secs(10));
    assert!(world.sides[1].bytes == run.repeat(12));
}

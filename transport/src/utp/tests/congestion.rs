//! How much is on its way: all that an empty path takes, little where others want it.

use std::time::Duration;

use super::super::Count;
use super::config;
use super::path::{Path, World};

/// 250 kB/s and a queue that would hold four seconds of it, as home routers do.
const HOME: Path = Path {
    delay: Duration::from_millis(25),
    rate: 250_000,
    queue: 1_000_000,
    ..Path::CLEAN
};

/// A stream that has found its rate on the path.
fn steady(seed: u64) -> World {
    let mut world = World::new(seed, HOME, [config(), config()]);
    world.skew = Duration::from_secs(1_000);
    world.sides[0].to_write = vec![9; 16 << 20];
    world.dial();
    world.run(Duration::from_secs(30));
    world
}

/// Bytes that arrive in `span`, and the longest time in the queue meanwhile.
fn measure(world: &mut World, span: Duration) -> (usize, Duration) {
    let before = world.sides[1].bytes.len();
    world.queued = Duration::ZERO;
    world.run(span);
    (world.sides[1].bytes.len() - before, world.queued)
}

#[test]
fn an_empty_link_is_filled_and_its_queue_kept_near_the_target() {
    let mut world = steady(1);
    let (bytes, queued) = measure(&mut world, Duration::from_secs(20));
    assert!(bytes > 20 * 250_000 * 9 / 10, "{bytes} bytes");
    assert!(
        queued > Duration::from_millis(50) && queued < Duration::from_millis(150),
        "{queued:?}"
    );
    assert_eq!(
        world.sides[0].socket.stats().counts[Count::Backoff],
        0,
        "by delay alone"
    );
}

#[test]
fn it_yields_to_others_and_comes_back() {
    let mut world = steady(2);
    // Somebody keeps 300 ms of the queue filled.
    let before = world.sides[1].bytes.len();
    for _ in 0..200 {
        world.fill_queue(Duration::from_millis(300));
        world.run(Duration::from_millis(100));
    }
    world.sides[1].bytes.drain(..before);
    let yielded = world.sides[1].bytes.len();
    assert!(yielded < 20 * 250_000 / 4, "{yielded} bytes in 20 s");
    assert!(yielded > 20 * 1_200, "never starved");
    world.run(Duration::from_secs(20));
    let (bytes, _) = measure(&mut world, Duration::from_secs(10));
    assert!(bytes > 10 * 250_000 * 8 / 10, "{bytes} bytes");
}

#[test]
fn loss_halves_the_window() {
    let path = Path { queue: 20_000, ..HOME };
    let mut world = World::new(3, path, [config(), config()]);
    world.sides[0].to_write = vec![9; 8 << 20];
    world.dial();
    world.run(Duration::from_secs(20));
    let counts = world.sides[0].socket.stats().counts;
    assert!(
        counts[Count::Backoff] > 3 && counts[Count::FastRetransmit] > 3,
        "{counts:?}"
    );
    assert_eq!(counts[Count::Timeout], 0, "none had to be waited for");
    let bytes = world.sides[1].bytes.len();
    assert!(bytes > 20 * 250_000 * 7 / 10, "{bytes} bytes");
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut world = World::new(4, Path::CLEAN, [config(), config()]);
    world.open();
    for _ in 0..200 {
        world.write(0, &[1; 600]);
        world.run(Duration::from_millis(100));
    }
    // All at once: what leaves before the first acknowledgement is the window.
    let before = world.sides[0].sent;
    world.write(0, &[2; 100_000]);
    assert!(world.sides[0].sent - before <= 6);
}

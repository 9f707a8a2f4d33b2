//! Thousands of torrents that nobody wants anything of.

use std::time::Duration;

use engine::{Engine, Event, State, TorrentId};
use world::disk::FileStat;
use world::{DiskOp, Done, Effect, Input, Machine, Output, Seed, Time};

use crate::made::Made;
use crate::scene::config;

/// Runs an engine alone until `end`, on a disk that has all that is asked about and answers at once. Gives how often it
/// was woken.
fn alone(engine: &mut Engine, now: &mut Time, end: Time) -> u64 {
    let mut payload = Vec::new();
    let mut wakes = 0;
    loop {
        let mut answers = Vec::new();
        payload.clear();
        while let Some(output) = engine.poll(*now, &mut payload) {
            if let Output::Effect(Effect::Disk { job, op, .. }) = output {
                answers.push((job, op));
            }
            payload.clear();
        }
        let none = answers.is_empty();
        for (job, op) in answers {
            let there = [Some(FileStat {
                size: 16_384,
                mtime_ns: 0,
            })];
            let done = if matches!(op, DiskOp::Open { .. }) {
                Done::Opened(&there)
            } else {
                Done::Ok
            };
            engine.handle(*now, Input::Disk { job, done });
        }
        if none {
            let Some(at) = engine.deadline().filter(|at| *at <= end) else {
                *now = end;
                return wakes;
            };
            *now = at.max(*now);
            wakes += 1;
            engine.handle(*now, Input::Tick);
        }
    }
}

#[test]
fn five_thousand_idle_torrents_wake_the_engine_once_a_second() {
    const COUNT: u32 = 5_000;
    let mut engine = Engine::new(config(), Seed::from_number(1));
    let mut now = Time::ZERO;
    for number in 0..COUNT {
        let made = Made::plain(16 << 10, 16 << 10, number.into());
        let mut add = made.add("/files");
        add.journal = None;
        add.resume = Some(engine::Resume {
            have: engine::Bits::full(1),
            ..engine::Resume::nothing(1)
        });
        assert_eq!(engine.add(now, add), Ok(TorrentId(number)));
    }
    alone(&mut engine, &mut now, Time::from_secs(5));
    assert_eq!(engine.torrents().count(), COUNT as usize);
    for id in engine.torrents().collect::<Vec<_>>() {
        assert_eq!(engine.status(now, id).unwrap().state, State::Seeding);
    }
    let end = now + Duration::from_secs(60);
    let wakes = alone(&mut engine, &mut now, end);
    println!("{wakes} wakes in a minute");
    assert!(wakes <= 61, "{wakes} wakes in a minute");
    engine.handle(now, Input::Stop);
    let mut stopped = false;
    let mut payload = Vec::new();
    let mut jobs = Vec::new();
    loop {
        match engine.poll(now, &mut payload) {
            Some(Output::Event(Event::Stopped)) => stopped = true,
            Some(Output::Effect(Effect::Disk { job, .. })) => jobs.push(job),
            Some(_) => {}
            None if jobs.is_empty() => break,
            None => std::mem::take(&mut jobs).into_iter().for_each(|job| {
                engine.handle(now, Input::Disk { job, done: Done::Ok });
            }),
        }
        payload.clear();
    }
    assert!(stopped);
}

//! A fetch on one thread or several. Each has a loop, sockets, a pool and a lane of the feed of its own; they meet where
//! infohashes come from and where results go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

use anyhow::Context;
use host::{Ended, HostError, Stage, Stopper};
use world::Time;

use super::Run;
use super::feed::Lanes;
use super::machine::Fetch;

/// What one thread runs.
pub(super) struct Part {
    pub(super) stage: Stage,
    pub(super) fetch: Fetch<Lanes>,
}

/// Runs all parts to their ends, the first on this thread; gives the time of the last end.
///
/// # Errors
///
/// When a loop or a thread cannot be had; then all are stopped. What goes wrong with results is told to `run`.
pub(super) fn run(parts: Vec<Part>, run: &Mutex<Run>) -> anyhow::Result<Time> {
    let stoppers: Vec<Stopper> = parts.iter().map(|part| part.stage.stopper()).collect();
    let stop_all = || stoppers.iter().for_each(stop_at_once);
    let one = |lane: usize, Part { stage, mut fetch }: Part| {
        let ended = host::run(stage, &mut fetch, |now, fetch, event| {
            lock(run).on_event(lane, now, fetch, event)
        });
        let mut run = lock(run);
        run.take_stock(lane, fetch.harvest());
        if run.is_over() || ended.is_err() {
            stop_all();
        }
        ended
    };
    let one = &one;
    thread::scope(|scope| {
        let mut parts = parts.into_iter().enumerate();
        let first = parts.next();
        let mut others = Vec::new();
        for (lane, part) in parts {
            let thread = Builder::new().name(format!("fetch {lane}"));
            match thread.spawn_scoped(scope, move || one(lane, part)) {
                Ok(thread) => others.push(thread),
                Err(error) => {
                    stop_all();
                    return Err(error).context("no thread to fetch with; try fewer --threads");
                }
            }
        }
        let mut last = Time::ZERO;
        let here = first.map(|(lane, part)| Ok(one(lane, part)));
        let there = others
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread that fetches died")));
        for ended in here.into_iter().chain(there) {
            let ended: Result<Ended, HostError> = ended?;
            last = last.max(ended?.at);
        }
        Ok(last)
    })
}

/// The output is whole after every event, so that a thread that died leaves nothing behind.
pub(super) fn lock(run: &Mutex<Run>) -> MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the second Ctrl-C does: what is under way is not waited for.
fn stop_at_once(stopper: &Stopper) {
    stopper.stop();
    stopper.stop();
}

//! How a node joins: nodes of the last run first, routers only where these do not answer (DHT-03, DHT-04, DHT-17).

use std::net::SocketAddr;
use std::time::Duration;

use world::Time;

/// Nodes of the last run are given this long before routers are asked.
const HEAD_START: Duration = Duration::from_secs(3);
/// Between two rounds of asking the routers, at first; doubles up to the second figure while nobody answers.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// What to do to join one of the two DHTs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Walk to our own id from the routers: we know nobody.
    FromRouters,
    /// Walk to our own id from the nodes that we know: we just came to know somebody.
    FromTable,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// When to ask the routers next.
    next: Time,
    pause: Duration,
    /// We know somebody, and have walked home from there.
    home: bool,
}

/// Progress of joining, for each family.
#[derive(Debug)]
pub(super) struct Join {
    wanted: bool,
    saved: Vec<SocketAddr>,
    progress: [Progress; 2],
}

impl Join {
    pub(super) fn new(saved: Vec<SocketAddr>) -> Self {
        Self {
            wanted: false,
            saved,
            progress: [Progress {
                next: Time::MAX,
                pause: PAUSE.0,
                home: false,
            }; 2],
        }
    }

    /// Joining is wanted from now on. Gives the nodes of the last run, to be pinged.
    pub(super) fn begin(&mut self, now: Time) -> Vec<SocketAddr> {
        self.wanted = true;
        let saved = std::mem::take(&mut self.saved);
        for (index, progress) in self.progress.iter_mut().enumerate() {
            let has_saved = saved.iter().any(|addr| addr.is_ipv6() == (index == 1));
            progress.next = if has_saved { now + HEAD_START } else { now };
            progress.pause = PAUSE.0;
        }
        saved
    }

    /// What to do now in the DHT `index`, whose table is `useless` if it holds no good node.
    pub(super) fn step(&mut self, now: Time, index: usize, useless: bool) -> Option<Step> {
        let progress = &mut self.progress[index];
        if !self.wanted {
            None
        } else if !useless {
            let first = !std::mem::replace(&mut progress.home, true);
            progress.pause = PAUSE.0;
            first.then_some(Step::FromTable)
        } else if now >= progress.next {
            progress.home = false;
            progress.next = now + progress.pause;
            progress.pause = (progress.pause * 2).min(PAUSE.1);
            Some(Step::FromRouters)
        } else {
            None
        }
    }

    /// When [`Join::step`] may have something to do in a DHT whose table is useless.
    pub(super) const fn wake(&self, index: usize) -> Option<Time> {
        if self.wanted {
            Some(self.progress[index].next)
        } else {
            None
        }
    }

    /// Nodes of the last run that were not pinged, because joining was never wanted.
    pub(super) fn saved(&self) -> &[SocketAddr] {
        &self.saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn without_saved_nodes_routers_are_asked_at_once_and_then_ever_more_rarely() {
        let mut join = Join::new(Vec::new());
        assert_eq!(join.step(secs(0), 0, true), None);
        join.begin(secs(0));
        let asked: Vec<u64> = (0..100).filter(|&at| join.step(secs(at), 0, true).is_some()).collect();
        assert_eq!(asked, [0, 5, 15, 35, 75]);
    }

    #[test]
    fn saved_nodes_get_a_head_start_in_their_family() {
        let mut join = Join::new(vec!["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(join.begin(secs(0)).len(), 1);
        assert_eq!(join.step(secs(0), 0, true), None);
        assert_eq!(join.step(secs(0), 1, true), Some(Step::FromRouters));
        assert_eq!(join.step(secs(1), 0, false), Some(Step::FromTable));
        assert_eq!(join.step(secs(9), 0, false), None);
    }
}

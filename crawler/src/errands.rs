//! Single questions that wait for their host's budget.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use world::Time;

use crate::guard::{Refusal, Verdict};
use crate::rpc::Call;

/// What became of an errand.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Ask this; it counts as sent.
    Ask(Call),
    /// Not to be sent: never, or not for minutes.
    Refused(Call, Refusal),
}

/// Questions by the time at which they may be sent, first come first served.
#[derive(Debug)]
pub(crate) struct Errands {
    queue: BTreeMap<(Time, u64), Call>,
    accepted: u64,
    limit: usize,
}

impl Errands {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            queue: BTreeMap::new(),
            accepted: 0,
            limit,
        }
    }

    /// Queues a question; false, and nothing happens, when the queue is full.
    pub(crate) fn push(&mut self, now: Time, call: Call) -> bool {
        if self.queue.len() >= self.limit {
            return false;
        }
        self.accepted += 1;
        self.queue.insert((now, self.accepted), call);
        true
    }

    /// Like [`Errands::push`], unless a question to the same address waits already.
    pub(crate) fn push_once(&mut self, now: Time, call: Call) -> bool {
        !self.queue.values().any(|waiting| waiting.to == call.to) && self.push(now, call)
    }

    /// The next question whose host may be asked now, or never.
    pub(crate) fn next(&mut self, now: Time, mut may_ask: impl FnMut(SocketAddr) -> Verdict) -> Option<Errand> {
        while let Some((&key, &call)) = self.queue.first_key_value() {
            if key.0 > now {
                return None;
            }
            self.queue.remove(&key);
            match may_ask(call.to) {
                Verdict::Go | Verdict::Spare => return Some(Errand::Ask(call)),
                Verdict::Off(_) => return Some(Errand::Refused(call, Refusal::BackOff)),
                Verdict::Never(refusal) => return Some(Errand::Refused(call, refusal)),
                Verdict::Wait(at) => {
                    let later = at.max(now + std::time::Duration::from_millis(1));
                    self.queue.insert((later, key.1), call);
                }
            }
        }
        None
    }

    /// When the next question may be sent.
    pub(crate) fn wake(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(key, _)| key.0)
    }

    /// Drops one question, if any is left.
    pub(crate) fn pop(&mut self) -> Option<Call> {
        self.queue.pop_first().map(|(_, call)| call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AskId;
    use crate::rpc::{Asker, Question, Request};

    fn call(last: u8) -> Call {
        Call {
            to: SocketAddr::from(([127, 0, 0, last], 6881)),
            id: None,
            request: Request::Question(Question::Ping),
            asker: Asker::Owner(AskId(u64::from(last))),
        }
    }

    fn asked(errand: Option<&Errand>) -> Option<Call> {
        match errand {
            Some(Errand::Ask(call)) => Some(*call),
            _ => None,
        }
    }

    #[test]
    fn one_whose_host_must_wait_lets_others_pass() {
        let mut errands = Errands::new(8);
        errands.push(Time::ZERO, call(1));
        errands.push(Time::ZERO, call(2));
        let busy = |to: SocketAddr| {
            if to == call(1).to {
                Verdict::Wait(Time::from_secs(5))
            } else {
                Verdict::Go
            }
        };
        assert_eq!(asked(errands.next(Time::ZERO, busy).as_ref()), Some(call(2)));
        assert!(errands.next(Time::ZERO, busy).is_none());
        assert_eq!(errands.wake(), Some(Time::from_secs(5)));
        assert_eq!(
            asked(errands.next(Time::from_secs(5), |_| Verdict::Go).as_ref()),
            Some(call(1))
        );
        assert_eq!(errands.wake(), None);
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut errands = Errands::new(1);
        assert!(errands.push(Time::ZERO, call(1)));
        assert!(!errands.push(Time::ZERO, call(2)));
    }
}

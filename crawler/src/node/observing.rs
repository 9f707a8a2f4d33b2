//! Telling the owner what came of each question, if it keeps account.

use std::net::SocketAddr;
use std::time::Duration;

use wire::krpc::{Message, Reply};

use super::Node;
use crate::event::Event;
use crate::observation::{Observation, Outcome, Purpose, Store, Version};
use crate::rpc::Call;

impl Node {
    /// Whether [`Event::Observed`] is told of each question from now on. It is not unless the owner asks for it.
    pub const fn observe(&mut self, observe: bool) {
        self.observing = observe;
    }

    /// A question was answered, in time if there is an `rtt`.
    pub(super) fn observed_answer(
        &mut self,
        from: SocketAddr,
        call: &Call,
        rtt: Option<Duration>,
        (message, reply): (&Message<'_>, &Reply<'_>),
        far_fetched: bool,
    ) {
        if !self.observing {
            return;
        }
        let store = reply.samples.map(|_| Store {
            num: reply.num,
            shown: u16::try_from(reply.samples().len()).unwrap_or(u16::MAX),
            interval: reply.interval,
            far_fetched,
        });
        self.tell(Event::Observed(Observation {
            addr: from,
            id: Some(reply.id),
            asked: call.request.asked(),
            purpose: Purpose::of(call.asker),
            outcome: if rtt.is_some() { Outcome::Answer } else { Outcome::Late },
            code: None,
            rtt,
            version: Version::of(message.version),
            store,
        }));
    }

    /// A question ended otherwise; a refusal has a code.
    pub(super) fn observed_failure(&mut self, call: &Call, outcome: Outcome, code: Option<i64>) {
        if self.observing {
            self.tell(Event::Observed(Observation {
                addr: call.to,
                id: call.id,
                asked: call.request.asked(),
                purpose: Purpose::of(call.asker),
                outcome,
                code,
                rtt: None,
                version: Version::default(),
                store: None,
            }));
        }
    }
}

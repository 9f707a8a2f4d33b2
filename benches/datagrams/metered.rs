//! The two that are compared, and how the load learns what they cost.

use std::net::SocketAddr;

use rustix::time::{ClockId, clock_gettime};
use world::{Effect, Input, Machine, Output, Time};

/// Asks a metered machine for the processor time of its thread so far; the answer is these bytes and 8 more,
/// nanoseconds, big-endian. No KRPC message begins so.
pub(crate) const METER: &[u8; 4] = b"CPU?";

/// What the meter says, if this is its answer.
pub(crate) fn reading(bytes: &[u8]) -> Option<u64> {
    let nanos = bytes.strip_prefix(METER)?;
    nanos.try_into().ok().map(u64::from_be_bytes)
}

/// A machine that also answers [`METER`].
pub(crate) struct Metered<M> {
    pub(crate) machine: M,
    asked: Option<SocketAddr>,
}

impl<M> Metered<M> {
    pub(crate) const fn new(machine: M) -> Self {
        Self { machine, asked: None }
    }
}

impl<M: Machine> Machine for Metered<M> {
    type Event = M::Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Datagram { from, bytes, .. } if bytes == METER => self.asked = Some(from),
            input => self.machine.handle(now, input),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<M::Event>> {
        let Some(to) = self.asked.take() else {
            return self.machine.poll(now, payload);
        };
        payload.extend_from_slice(METER);
        payload.extend_from_slice(&thread_time().to_be_bytes());
        let (from, len) = (None, payload.len());
        Some(Output::Effect(Effect::Send { from, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        self.machine.deadline()
    }
}

/// Processor time of this thread, user and kernel, in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

/// Sends back what it receives.
#[derive(Default)]
pub(crate) struct Echo {
    to: Option<SocketAddr>,
    bytes: Vec<u8>,
}

impl Machine for Echo {
    type Event = ();

    fn handle(&mut self, _: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input {
            self.bytes.clear();
            self.bytes.extend_from_slice(bytes);
            self.to = Some(from);
        }
    }

    fn poll(&mut self, _: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        let to = self.to.take()?;
        payload.extend_from_slice(&self.bytes);
        let (from, len) = (None, payload.len());
        Some(Output::Effect(Effect::Send { from, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

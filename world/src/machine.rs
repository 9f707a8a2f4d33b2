//! The three verbs.

use crate::{Effect, Input, Time};

/// What a poll gives: something to do, or something to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output<E> {
    /// For the world to carry out.
    Effect(Effect),
    /// For whoever composed this machine.
    Event(E),
}

/// A mind: decides, and touches nothing.
///
/// The rule of the loop: after each [`handle`](Machine::handle), [`poll`](Machine::poll) until it gives `None`; then
/// sleep until the [`deadline`](Machine::deadline) or the next input. Commands (methods of the concrete machine) count
/// as input: poll after them too.
pub trait Machine {
    /// What the machine tells its owner.
    type Event;

    /// Something happened at `now`. Returns nothing: a stranger's fault is an event or a counter, never our error.
    fn handle(&mut self, now: Time, input: Input<'_>);

    /// The next thing to do or to tell, or `None` until the next input or deadline.
    ///
    /// An effect with a payload appends it to `payload`, which the caller lends and empties between polls: one buffer
    /// serves a whole run, and the hot path allocates nothing.
    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Self::Event>>;

    /// When to send [`Input::Tick`] if nothing else happens first; `None` if only an input can change anything.
    fn deadline(&self) -> Option<Time>;
}

/// A machine that is chosen while the program runs.
impl<M: Machine + ?Sized> Machine for Box<M> {
    type Event = M::Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        (**self).handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<M::Event>> {
        (**self).poll(now, payload)
    }

    fn deadline(&self) -> Option<Time> {
        (**self).deadline()
    }
}

//! The contract between a mind and the world.
//!
//! A mind is a [`Machine`]: it is told what happened ([`Machine::handle`]), asked what it wants ([`Machine::poll`]),
//! and says when it wants to be woken ([`Machine::deadline`]). It owns no socket, file, clock, thread or die. The same
//! machine therefore runs on sockets (`host::run`) and in virtual time (`sim::run`), and a failure replays from its seed.
//!
//! This room holds names and no logic: what can happen ([`Input`]), what can be asked for ([`Effect`]), what time is
//! ([`Time`]), where chance comes from ([`Seed`]) and how things that happen are counted ([`Tally`]).

mod conns;
pub mod disk;
mod machine;
mod net;
mod seed;
mod tally;
mod time;
mod web;

pub use conns::{ConnHasher, ConnMap};
pub use disk::{DiskFault, DiskOp, Done, JobId, StoreId};
pub use machine::{Machine, Output};
pub use net::{Closed, ConnId, Effect, Input, Via};
pub use seed::{KeyedMap, KeyedSet, KeyedState, Seed};
pub use tally::{Member, Tally};
pub use time::Time;
pub use web::{Get, HttpPart, WebFault, WebId};

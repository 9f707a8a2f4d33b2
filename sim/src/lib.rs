//! The pretend world: a population from a seed, a network between, virtual time, and a judge.
//!
//! A [`Profile`] says what kind of world; a [`Population`] is drawn from it and a seed: nodes, who knows whom, who
//! holds which key, peers, torrents. Almost nothing of it is stored: what a stranger may ask is drawn again when it
//! is asked. A [`Lab`] is the population at work, one `world::Machine` behind all its addresses, with delay, loss,
//! NAT and limits inside; so the same lab runs on loopback sockets under `host::run` and in virtual time under
//! [`run()`]. [`judge()`] holds what a client found against what was planted and shown.
//!
//! A [`stage::Stage`] is another world, without a population: any number of machines of one kind, each with a line, a
//! [`disk::Disk`] and the web, and streams and datagrams between them.
//!
//! The figures are those of `network-model.md`. What it has and this room does not: IPv6, nodes that take another id when they
//! come back, peers that come and go. What needs more than one port of an address (several nodes on it, liars with hundreds of
//! ids), a key for each call (baits), no line (floods) or hours (churn, day and night) is in worlds of virtual time alone
//! ([`Population::on_internet`]); in a lab a contact is dead from the start or never.

mod abuse;
mod address;
mod answer;
pub mod baseline;
mod callers;
pub mod client;
mod content;
mod counts;
mod dice;
pub mod disk;
mod flood;
pub mod fuzz;
mod guests;
mod home;
mod infos;
mod judge;
mod keys;
mod lab;
mod liar;
mod life;
mod malformed;
mod name;
mod nearest;
mod net;
mod nodes;
mod pair;
mod peer;
mod places;
mod population;
pub mod profile;
mod queue;
mod run;
mod sample;
pub mod stage;
mod swarm;

pub use abuse::{Abuse, Trap};
pub use counts::{Counts, Queries};
pub use home::{HomeCounts, Router};
pub use judge::{Busiest, Found, Report, judge};
pub use lab::{Event, Lab};
pub use population::{Config, Population, Truth};
pub use profile::Profile;
pub use run::{Ended, Plan, Sink, run};
pub use swarm::Outcome;

//! The pretend world: a population from a seed, a network between, virtual time, and a judge.

mod address;
mod answer;
mod callers;
pub mod client;
mod content;
mod counts;
mod dice;
pub mod fuzz;
mod guests;
mod judge;
mod keys;
mod lab;
mod liar;
mod name;
mod nearest;
mod net;
mod nodes;
mod pair;
mod peer;
mod population;
pub mod profile;
mod queue;
mod run;
mod sample;
mod swarm;

pub use counts::{Counts, Queries};
pub use judge::{Busiest, Found, Report, judge};
pub use lab::{Event, Lab};
pub use population::{Config, Population, Truth};
pub use profile::Profile;
pub use run::{Ended, Plan, Sink, run};
pub use swarm::Outcome;

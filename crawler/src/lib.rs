//! The DHT mind: node, lookups, sampler, responder, politeness, frontier.
//!
//! [`Node`] is a [`world::Machine`]: datagrams in, datagrams and [`Event`]s out. It joins plain parts that know nothing
//! of one another: `rpc` (who was asked what), `routing` (who answers), `lookup` (walks towards a key), `sampler` (whose
//! store to sample next), `responder` (what we say to others), `guard` (how much we may ask of whom), `identity` (who we
//! are). The `frontier` (which infohash next) lives here too, and belongs to the job that drives the node.

mod alarms;
mod announces;
mod census;
pub mod config;
mod contacts;
mod errands;
mod event;
pub mod frontier;
pub mod fuzz;
pub mod guard;
mod identity;
pub mod ledger;
mod lookup;
mod node;
pub mod observation;
pub mod peer_store;
pub mod responder;
mod routing;
mod rpc;
mod rtt;
pub mod sampler;
pub mod state;
pub mod stats;
mod tagged;
mod tokens;

pub use census::Census;
pub use config::Config;
pub use contacts::{Closest, Contact, Families, Family, Few, K, Nearest};
pub use event::{Answer, AskId, Event, LookupDone, LookupId, NAME_HINT_MAX, Sighting, Source, Target};
pub use lookup::{Depth, Plan};
pub use node::{Gauges, Node};
pub use observation::Observation;
pub use routing::TableSize;
pub use rpc::Question;
pub use stats::Stats;

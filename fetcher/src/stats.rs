//! Counters, each of one closed list of things that can happen.

use world::Tally;

use crate::{Ending, Failure, Stage};

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// How far peers came. Each counts at every stage up to the one it reached, except [`Stage::Verified`], which counts
    /// infohashes. One that is dialled twice (see [`Stats::mixed_mismatches`]) counts twice, but is known once.
    pub funnel: Tally<Stage>,
    /// How the peers that were dialled ended, except those that delivered.
    pub failures: Tally<Failure>,
    /// How infohashes were given up.
    pub endings: Tally<Ending>,
    /// Infohashes started.
    pub started: u64,
    /// Peers offered beyond the limit of their infohash, and forgotten.
    pub surplus: u64,
    /// Peers not dialled because of what is remembered of them.
    pub remembered: u64,
    /// Times that a peer was set aside because its host was busy.
    pub set_aside: u64,
    /// Dials that the world had no room for, each taken back.
    pub no_descriptor: u64,
    /// Times that pieces of several peers did not make the info dictionary together.
    pub mixed_mismatches: u64,
    /// Bytes received on connections.
    pub bytes_received: u64,
    /// Most connections held at once.
    pub most_connections: usize,
}

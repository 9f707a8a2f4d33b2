//! Memory: how much of the DHT there is, and how much of it was seen, asked of records (network-model section 4).
//!
//! Each estimator is a pure function of what was noted. It gives an [`Estimate`]: a value, its 95% interval, and a [`Method`]
//! that says in words what is counted and what must be true for that to hold.
//!
//! | of | by | needs |
//! |---|---|---|
//! | nodes of the DHT | [`size::order_statistics`] | full lookups to random points |
//! | | [`size::zone`] | one zone of the key space listed to exhaustion, and nodes known to be in it |
//! | keys of the DHT | [`richness::chao2`], [`richness::chapman`] | samples of many nodes ([`Incidence`]) |
//! | | [`population::multiplicity`] | samples, and how many nodes hold some of the keys shown |
//! | | [`population::inverse_chance`] | samples, and which of the visited nodes hold each key |
//! | share of draws, of keys that was seen | [`richness::coverage`], [`richness::share_seen`] | samples |
//! | any mean over keys | [`population::weighted_mean`] | weights ([`rank`] has those of libtorrent's bias) |
//! | peers of a torrent | [`swarm::size`] | BEP 33 filters |
//! | how long nodes stay | [`churn::survival`], [`churn::still_there`] | nodes probed again and again |
//!
//! The intervals are tested against populations whose truth is known: `analysis/README.md` has the figures.
//! No network, no file; the only room used is `wire`.

pub mod churn;
pub mod estimate;
pub mod incidence;
pub mod population;
pub mod rank;
pub mod richness;
pub mod size;
pub mod swarm;

pub use estimate::{Estimate, Method};
pub use incidence::{Counts, Incidence};

#[cfg(test)]
mod testing;

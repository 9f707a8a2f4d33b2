//! Memory: what crawls left, asked: how much of the DHT there is, and how much of it was seen (network-model section 4).
//!
//! [`read`] is the rows of tables, [`stats`] what is counted of a `metadata.txt` as it passes, [`anonymize`] what
//! others may have of them. With the feature `cli` there is a binary around them,
//! `estudely-analyze`: its files and threads in `stage`, its arguments and all that it prints in `cli`.
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
//! | how frequencies fall | [`power_law::Frequencies::fit`] | figures and how often each is there |
//! | peers of a torrent | [`swarm::size`] | BEP 33 filters |
//! | how long nodes stay | [`churn::survival`], [`churn::still_there`] | nodes probed again and again |
//!
//! The intervals are tested against populations whose truth is known: `analysis/README.md` has the figures.
//! No network. Without the feature, no file either.

pub mod anonymize;
pub mod churn;
#[cfg(feature = "cli")]
pub mod cli;
pub mod estimate;
#[cfg(feature = "cli")]
pub mod generate;
mod hex;
pub mod incidence;
pub mod plot;
pub mod population;
pub mod power_law;
pub mod rank;
pub mod read;
pub mod richness;
pub mod size;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(feature = "cli")]
pub mod stage;
pub mod stats;
pub mod swarm;

pub use estimate::{Estimate, Method};
pub use incidence::{Counts, Incidence};

#[cfg(test)]
mod testing;

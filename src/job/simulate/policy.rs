//! The seam: a policy is a machine that asks a DHT and tells what it finds. What it costs is counted outside of it, so
//! all are counted alike.

use std::net::SocketAddr;
use std::sync::Arc;

use crawler::Sighting;
use wire::InfoHash;
use world::Machine;

use super::held::Levels;
use super::tables::Tables;
use super::{others::Other, ours};
use crate::args::{CrawlArgs, Policy};
use crate::config::Net;
use crate::job::crawl::Estimated;
use crate::job::start::Chance;
use sim::baseline::Like;

/// What a policy tells.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// An infohash was shown to it and it believes that: for the first time or again, in a sample or by who asked or announced.
    Sighting(Sighting),
    /// The same, from a policy that does not tell by whom or how.
    Seen(InfoHash),
    /// It has the info dictionary of this one, verified.
    Metadata(InfoHash, Arc<Vec<u8>>),
    /// What it takes the whole to be, if it makes estimates; now and then.
    Estimated(Box<Estimated>),
    /// What it holds, if it tells; now and then.
    Holds(Box<Levels>),
    /// It is done with this one and has no info dictionary.
    Failed(InfoHash),
    /// It has ended by itself, as a census does, and takes the whole to be this.
    Over(Option<Box<Estimated>>),
}

/// A policy at work.
pub type Client = Box<dyn Machine<Event = Told>>;

/// What a policy is made from: the settings of a real crawl, the same for all.
pub struct Setup {
    /// The flags of `estudely crawl` that the simulation stands for.
    pub args: Box<CrawlArgs>,
    /// What they mean: rate, flows, connections.
    pub net: Net,
    /// Where its chance comes from.
    pub chance: Chance,
    /// Where it is.
    pub client: SocketAddr,
    /// Where it begins.
    pub router: SocketAddr,
    /// Where it leaves its rows, if they are wanted.
    pub tables: Option<Tables>,
}

impl Policy {
    /// What tables and files call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Estudely => "estudely",
            Self::Harvest => "harvest",
            Self::Census => "census",
            Self::EstudelyLike => "estudely-like",
            Self::BitmagnetLike => "bitmagnet-like",
            Self::MagneticoLike => "magnetico-like",
            Self::MldhtLike => "mldht-like",
        }
    }

    /// Whether it is a crawl of ours, which leaves tables.
    pub const fn leaves_tables(self) -> bool {
        matches!(self, Self::Estudely | Self::Harvest | Self::Census)
    }

    /// The policy, ready to run.
    pub fn compose(self, setup: &Setup) -> Client {
        match self {
            Self::Estudely | Self::Harvest | Self::Census => Box::new(ours::Ours::new(setup)),
            Self::EstudelyLike => Box::new(Other::new(Like::Estudely, setup)),
            Self::BitmagnetLike => Box::new(Other::new(Like::Bitmagnet, setup)),
            Self::MagneticoLike => Box::new(Other::new(Like::Magnetico, setup)),
            Self::MldhtLike => Box::new(Other::new(Like::Mldht, setup)),
        }
    }
}

//! Announcing, as trackers see it. Names of rows are of FEATURES.md.

use std::net::IpAddr;

use ::world::WebFault;
use wire::tracker::{BadUrl, Counts, Event};
use wire::{InfoHash, PeerId};

use super::*;

mod any;
mod http;
mod life;
mod tiers;
mod udp;
mod world;

use self::world::{Answer, World, addr, config, reply, swarm};

const A: &str = "http://a.example/announce";
const B: &str = "http://b.example/announce";
const C: &str = "http://c.example/announce";

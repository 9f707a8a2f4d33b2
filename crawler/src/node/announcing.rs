//! Announcing what this program serves (DHT-12).

use wire::InfoHash;
use world::Time;

use super::Node;
use crate::errands::Errand;
use crate::event::{LookupId, Target};
use crate::lookup::Plan;
use crate::rpc::{Call, Request};

impl Node {
    /// Peers reach this program at `port` of the address that our datagrams come from; 0: at the very port they come
    /// from (`implied_port`), as where uTP shares the socket. Until this is said, nothing is announced.
    pub const fn set_announce_port(&mut self, port: u16) {
        self.announces.listen(port);
    }

    /// Looks for peers of a torrent by a full walk, as [`Node::get_peers`] does, then tells the eight nearest nodes
    /// that gave a token, in each DHT, that this program is a peer of it (BEP 5), and a `seed` if it has all of it
    /// (BEP 33). Only for what it really serves; again every 15 to 30 minutes, since nodes forget.
    ///
    /// Ends in one [`Event::LookupDone`](crate::Event::LookupDone). The announces follow, each when its host may be
    /// asked, counted in [`Stats`](crate::Stats) as [`Asked::Announce`](crate::stats::Asked::Announce). No more than a
    /// lookup when read-only (BEP 43), or while no [port](Node::set_announce_port) is set.
    pub fn announce(&mut self, now: Time, info_hash: InfoHash, seed: bool) -> LookupId {
        let lookup = self.look_up(now, Target::Swarm(info_hash), Plan::full());
        if !self.config.read_only && self.lookups.has(lookup) {
            self.announces.begin(lookup, info_hash, seed);
        }
        lookup
    }

    /// The next announce whose host may be asked now.
    pub(super) fn next_announce(&mut self, now: Time) -> Option<Call> {
        loop {
            let guard = &mut self.guard;
            match self.announces.next(now, |to| guard.may_ask(now, to))? {
                Errand::Ask(call) => return Some(call),
                Errand::Refused(call, _) => self.announce_over(&call),
            }
        }
    }

    /// An announce is over. One that was never sent is counted: its host is left alone, its token out of date, its
    /// infohash opted out.
    pub(super) fn announce_over(&mut self, call: &Call) {
        if let Request::Announce { number, .. } = call.request {
            self.stats.announces_unsent += u64::from(self.announces.forget(number));
        }
    }
}

//! Our address as others see it, and the id that follows from it (BEP 42).

use std::net::SocketAddr;

use world::Time;

use super::Node;
use crate::contacts::Family;
use crate::event::Event;
use crate::identity;

impl Node {
    /// A node that answered us says which address it sees us at. When enough unrelated ones agree, and our id does not fit
    /// it, we take one that does (BEP 42).
    pub(super) fn vote(&mut self, now: Time, from: SocketAddr, seen: Option<SocketAddr>) {
        let Some(seen) = seen else {
            return;
        };
        let Some(agreed) = self.votes.vote(from, seen.ip()) else {
            return;
        };
        self.guard.own(SocketAddr::new(agreed, seen.port()));
        let family = Family::of(&from);
        let table = &mut self.tables[family as usize];
        let may_move = &mut self.may_move[family as usize];
        if *may_move && !identity::fits(&table.me(), agreed) {
            *may_move = false;
            let seed = self.seed.derive("moved");
            let id = identity::node_id(agreed, &mut seed.rng());
            *table = table.rebuilt(now, id, seed);
            if let Some(sampler) = &mut self.sampler {
                sampler.set_own_id(family, id);
            }
            self.events.push_back(Event::NewNodeId(id));
        }
    }
}

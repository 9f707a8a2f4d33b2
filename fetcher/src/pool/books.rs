//! What must be true of a pool whenever nothing is left to do at the moment. The fuzz property asks after every step.

use std::collections::BTreeSet;

use crate::config::Dialling;
use crate::pool::Pool;
use crate::pool::side::Role;
use crate::pool::talk::Phase;

impl Pool {
    /// Checks that the parts agree with one another, and that every queue is within its bound.
    pub(crate) fn check_books(&self) {
        assert!(self.awake.is_empty() && self.freed.is_empty());
        assert_eq!(
            self.timers.len(),
            self.hunts.len() + self.connections(),
            "one alarm each"
        );
        let hungry = self.hunts.values().filter(|hunt| hunt.hungry).count();
        assert_eq!(self.hungry.len(), hungry, "who is hungry waits once");
        assert!(hungry == 0 || !self.may_dial(), "hungry without need");
        let mut waits = BTreeSet::new();
        let mut assembled = 0;
        for (info_hash, hunt) in &self.hunts {
            let most = self.config.dialling.parallel + Dialling::CALLERS;
            assert!(hunt.live.len() <= most && hunt.assemblies.len() <= most);
            assert!(hunt.listeners.len() <= self.config.exchange.listeners_per_infohash);
            assert!(hunt.meetings.len() <= self.config.exchange.meetings as usize);
            waits.extend(hunt.peers.awaited().map(|host| (host, *info_hash)));
            for key in hunt.assemblies.iter().map(|assembly| assembly.key()) {
                assembled += u64::from(key.size);
                assert!(key.owner.is_none_or(|owner| hunt.live.contains(&owner)), "nobody's");
            }
        }
        assert_eq!(self.room.used(), assembled, "room is reserved for what is there");
        let waiting: BTreeSet<_> = self.hosts.waits().collect();
        assert_eq!(waiting, waits, "who waits for a host is awaited there");
        for (conn, talk) in &self.talks {
            let Some(hunt) = self.hunts.get(&talk.info_hash) else {
                unreachable!("a talk of no hunt");
            };
            let waits = matches!(talk.phase, Phase::Room(_));
            assert_eq!(waits, self.room.awaits(*conn), "who waits for room is in the queue");
            if let Some(key) = talk.assembly {
                assert!(hunt.assemblies.iter().any(|assembly| assembly.key() == key));
                assert!(key.owner.is_none_or(|owner| owner == *conn), "another's");
            }
        }
        let live: usize = self.hunts.values().map(|hunt| hunt.live.len()).sum();
        assert_eq!(live, self.talks.len(), "every talk is some hunt's");
        self.check_sides();
    }

    fn check_sides(&self) {
        let is_listener = |role| matches!(role, Role::Listener { .. });
        let listeners = self.sides.values().filter(|side| is_listener(side.role)).count();
        let listened: usize = self.hunts.values().map(|hunt| hunt.listeners.len()).sum();
        assert_eq!(
            (listeners, listened),
            (self.listeners, self.listeners),
            "each is some hunt's"
        );
        assert!(listeners <= self.config.exchange.listeners);
        assert!(self.sides.len() - listeners <= self.config.serving.callers);
        assert!(self.shelf.bytes() <= self.config.serving.shelf_bytes);
        let hosts = self.talks.values().map(|talk| talk.host);
        for host in hosts.chain(self.sides.values().map(|side| side.host)) {
            assert!(self.hosts.is_busy(host), "a host that we are connected with is busy");
        }
    }
}

//! Announces of ours (BEP 5, 33): the lookups that are to end in one, the tokens that nodes give meanwhile, and who is
//! told next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use wire::krpc::Method;
use world::Time;

use crate::contacts::{Contact, Family, K};
use crate::errands::{Errand, Errands};
use crate::event::LookupId;
use crate::guard::Verdict;
use crate::rpc::{Asker, Call, Request};

/// Bytes of a token that are kept; clients give 4 to 20. Who gives a longer one is passed over for the next nearest.
pub(crate) const MAX_TOKEN: usize = 64;
/// Announces that wait for their host's turn: of 64 lookups in both DHTs. One more is given up, and counted.
const MAX_WAITING: usize = 1024;
/// A token is not used when older: its giver need not take it for longer (BEP 5: new secrets every five minutes).
const FRESH: Duration = Duration::from_secs(300);

/// What a node gave us, to be brought back unchanged.
#[derive(Clone, Copy, Debug)]
struct Token {
    bytes: [u8; MAX_TOKEN],
    len: usize,
    given: Time,
}

impl Token {
    fn new(given: Time, token: &[u8]) -> Option<Self> {
        let (len, mut bytes) = (token.len(), [0; MAX_TOKEN]);
        bytes.get_mut(..len)?.copy_from_slice(token);
        Some(Self { bytes, len, given })
    }
}

/// A lookup that is to end in announces.
#[derive(Debug)]
struct Walk {
    lookup: LookupId,
    info_hash: InfoHash,
    seed: bool,
    /// The nearest that gave a token, nearest first, in each of the two DHTs.
    givers: [Vec<(Contact, Token)>; 2],
}

/// One announce to one node, less whom it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce {
    token: Token,
    seed: bool,
    port: u16,
}

impl Announce {
    /// As it is sent.
    pub(crate) fn method(&self, info_hash: InfoHash) -> Method<'_> {
        Method::AnnouncePeer {
            info_hash,
            port: self.port,
            implied_port: self.port == 0,
            token: &self.token.bytes[..self.token.len],
            // Others look for names in what libtorrent calls `n`; whoever joins the swarm learns it there.
            name: None,
            seed: self.seed,
        }
    }
}

/// Announces to come.
#[derive(Debug)]
pub(crate) struct Announces {
    /// Where peers reach us; 0: where our datagrams come from. `None`: nowhere, so nothing is announced.
    port: Option<u16>,
    /// As many as lookups run or wait, at the most.
    walks: Vec<Walk>,
    waiting: Errands,
    /// What the errands in `waiting` bring along, by their number.
    unsent: BTreeMap<u32, Announce>,
    made: u32,
}

impl Announces {
    pub(crate) const fn new() -> Self {
        Self {
            port: None,
            walks: Vec::new(),
            waiting: Errands::new(MAX_WAITING),
            unsent: BTreeMap::new(),
            made: 0,
        }
    }

    /// Peers reach us at this port from now on.
    pub(crate) const fn listen(&mut self, port: u16) {
        self.port = Some(port);
    }

    /// This lookup is to end in announces, if peers can reach us.
    pub(crate) fn begin(&mut self, lookup: LookupId, info_hash: InfoHash, seed: bool) {
        if self.port.is_some() {
            self.walks.push(Walk {
                lookup,
                info_hash,
                seed,
                givers: [const { Vec::new() }; 2],
            });
        }
    }

    /// A node that the lookup asked gave a token.
    pub(crate) fn offer(&mut self, now: Time, lookup: LookupId, giver: Contact, token: &[u8]) {
        let Some(walk) = self.walks.iter_mut().find(|walk| walk.lookup == lookup) else {
            return;
        };
        let Some(token) = Token::new(now, token) else {
            return;
        };
        let point = walk.info_hash.as_target();
        let distance = giver.id.distance(&point);
        let nearest = &mut walk.givers[Family::of(&giver.addr) as usize];
        let at = nearest.partition_point(|(held, _)| held.id.distance(&point) <= distance);
        if at < K {
            nearest.truncate(K - 1);
            nearest.insert(at, (giver, token));
        }
    }

    /// The lookup is over: who gave tokens is told. Gives how many are not, for want of room.
    pub(crate) fn end(&mut self, now: Time, lookup: LookupId) -> u64 {
        let Some(at) = self.walks.iter().position(|walk| walk.lookup == lookup) else {
            return 0;
        };
        let Walk {
            info_hash,
            seed,
            givers,
            ..
        } = self.walks.swap_remove(at);
        let port = self.port.unwrap_or(0);
        let mut given_up = 0;
        for (giver, token) in givers.into_iter().flatten() {
            self.made = self.made.wrapping_add(1);
            let number = self.made;
            let call = Call {
                to: giver.addr,
                id: Some(giver.id),
                request: Request::Announce { info_hash, number },
                asker: Asker::Announcer,
            };
            if self.waiting.push(now, call) {
                self.unsent.insert(number, Announce { token, seed, port });
            } else {
                given_up += 1;
            }
        }
        given_up
    }

    /// The lookup was called off: nobody is told.
    pub(crate) fn cancel(&mut self, lookup: LookupId) {
        self.walks.retain(|walk| walk.lookup != lookup);
    }

    /// Tells nobody any more of what was begun.
    pub(crate) fn clear(&mut self) {
        self.walks.clear();
        self.unsent.clear();
        while self.waiting.pop().is_some() {}
    }

    /// The next announce whose host may be told now, or never.
    pub(crate) fn next(&mut self, now: Time, may_ask: impl FnMut(SocketAddr) -> Verdict) -> Option<Errand> {
        self.waiting.next(now, may_ask)
    }

    /// What the announce of this number says, which is being sent; `None` if its token is out of date.
    pub(crate) fn take(&mut self, now: Time, number: u32) -> Option<Announce> {
        let fresh = now.since(self.unsent.get(&number)?.token.given) <= FRESH;
        fresh.then(|| self.unsent.remove(&number)).flatten()
    }

    /// The announce of this number is over; true if it was never sent.
    pub(crate) fn forget(&mut self, number: u32) -> bool {
        self.unsent.remove(&number).is_some()
    }

    /// When the next announce may be sent.
    pub(crate) fn wake(&self) -> Option<Time> {
        self.waiting.wake()
    }

    /// Whether nothing is to be announced.
    pub(crate) fn is_idle(&self) -> bool {
        self.walks.is_empty() && self.unsent.is_empty()
    }
}

#[cfg(test)]
mod tests;

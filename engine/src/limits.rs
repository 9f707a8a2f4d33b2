//! Limits of payload, both ways, and who waits for which.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use world::Time;

use crate::limiter::{self, Flow, Limiter, TorrentSlot};
use crate::torrent::Whom;
use crate::{BLOCK, Rates};

/// One direction.
#[derive(Debug)]
pub(crate) struct Way {
    limiter: Limiter,
    /// Whose each flow is.
    owners: BTreeMap<Flow, Whom>,
    /// Somebody had to wait since this was last asked.
    waited: bool,
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) down: Way,
    pub(crate) up: Way,
    /// Peers of the local network are not limited (PICK-29).
    exempt_local: bool,
}

impl Limits {
    pub(crate) fn new(config: limiter::Config, rates: Rates, exempt_local: bool) -> Self {
        let way = |rate| Way {
            limiter: Limiter::new(Time::ZERO, config, rate),
            owners: BTreeMap::new(),
            waited: false,
        };
        Self {
            down: way(rates.down),
            up: way(rates.up),
            exempt_local,
        }
    }

    /// When somebody's turn comes.
    pub(crate) fn deadline(&mut self) -> Option<Time> {
        let both = [self.down.limiter.deadline(), self.up.limiter.deadline()];
        both.into_iter().flatten().min()
    }

    pub(crate) fn set(&mut self, now: Time, rates: Rates) {
        self.down.limiter.limit(now, rates.down);
        self.up.limiter.limit(now, rates.up);
    }

    /// Whether a peer is not limited.
    pub(crate) fn exempts(&self, peer: &SocketAddr) -> bool {
        self.exempt_local && is_local(peer.ip())
    }
}

impl Way {
    pub(crate) fn open_torrent(&mut self) -> TorrentSlot {
        self.limiter.open_torrent()
    }

    pub(crate) fn close_torrent(&mut self, torrent: TorrentSlot) {
        self.limiter.close_torrent(torrent);
    }

    pub(crate) fn limit_torrent(&mut self, now: Time, torrent: TorrentSlot, rate: Option<u64>) {
        self.limiter.limit_torrent(now, torrent, rate);
    }

    pub(crate) fn open(&mut self, torrent: TorrentSlot, whom: Whom) -> Flow {
        let flow = self.limiter.open(torrent);
        self.owners.insert(flow, whom);
        flow
    }

    pub(crate) fn close(&mut self, flow: Flow) {
        self.owners.remove(&flow);
        self.limiter.close(flow);
    }

    /// What of `want` bytes may pass now, a block at least; 0 if the flow has to wait: [`grant`](Self::grant) names it then.
    pub(crate) fn take(&mut self, now: Time, flow: Flow, want: u64) -> u64 {
        let granted = self.limiter.take(now, flow, want, u64::from(BLOCK).min(want));
        self.waited |= granted == 0;
        granted
    }

    /// Who has waited, and what may pass now.
    pub(crate) fn grant(&mut self, now: Time) -> Option<(Whom, u64)> {
        loop {
            let (flow, bytes) = self.limiter.grant(now)?;
            match self.owners.get(&flow) {
                Some(&whom) => return Some((whom, bytes)),
                None => self.limiter.give_back(now, flow, bytes),
            }
        }
    }

    pub(crate) fn give_back(&mut self, now: Time, flow: Flow, bytes: u64) {
        if bytes > 0 {
            self.limiter.give_back(now, flow, bytes);
        }
    }

    /// Whether anybody had to wait since this was last asked.
    pub(crate) fn take_waited(&mut self) -> bool {
        std::mem::take(&mut self.waited)
    }
}

/// Whether a host is on this machine or in its own network.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

//! Peers that give least make room for others, where there is no room: who came first is not who is best.

use world::Time;

use super::Torrent;
use super::people::Parted;
use crate::desk::Desk;
use crate::{PeerKey, State};

impl Torrent {
    /// Now and then, with nine tenths of the places taken and somebody to be dialled: one peer in 25, one at least, of those
    /// that were here half of the time at least and gave least in it. (libtorrent's `peer_turnover` has the same figures.)
    pub(super) fn turn_over(&mut self, desk: &mut Desk, now: Time) {
        let interval = desk.config.deadlines.turnover;
        if now.since(self.turned_over) < interval {
            return;
        }
        self.turned_over = now;
        let ours = self.ours(desk);
        let is_full = self.linked * 10 >= desk.config.limits.connections_per_torrent * 9;
        let mut gave: Vec<(u64, PeerKey)> = Vec::new();
        for (key, peer) in self.each_peer_mut().filter(|(_, peer)| peer.is_open()) {
            let before = std::mem::replace(&mut peer.down_at_turnover, peer.down_total);
            if now.since(peer.since) >= interval / 2 {
                gave.push((peer.down_total.saturating_sub(before), key));
            }
        }
        if !is_full || self.state != State::Downloading || self.roster.next(now, &ours).is_none() {
            return;
        }
        gave.sort_unstable();
        for &(_, key) in gave.iter().take((gave.len() / 25).max(1)) {
            self.part(desk, now, key, Parted::Replaced);
        }
    }
}

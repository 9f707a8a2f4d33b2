//! What time brings: once a second for every torrent that has peers or wants some.

use wire::message::Message;
use world::Time;

use super::Torrent;
use super::people::Parted;
use crate::choker::{Candidate, Role};
use crate::desk::Desk;
use crate::peer::Phase;
use crate::{Event, PeerKey, State, TorrentId};

/// A peer of the whole engine, for the choker.
pub(crate) type Whom = (TorrentId, PeerKey);

impl Torrent {
    /// A second has passed.
    pub(crate) fn pulse(&mut self, desk: &mut Desk, now: Time) {
        self.count_time(now);
        self.note(desk, now);
        if !self.is_active() {
            return;
        }
        if self.linked > 0 {
            for index in 0..self.peers.len() {
                if let Ok(number) = u32::try_from(index) {
                    self.look_after(desk, now, PeerKey(number));
                }
            }
            self.lose_interest(desk, now);
            self.expire_inquiries(desk, now);
        }
        let wants_more = self.state == State::Downloading || self.state == State::Seeding;
        let is_due = self
            .asked_for_peers
            .is_none_or(|asked| now.since(asked) >= desk.config.deadlines.want_peers);
        if wants_more && is_due && !self.private {
            self.asked_for_peers = Some(now);
            desk.tell(Event::WantsPeers(self.id));
        }
        self.tick_webseeds(desk, now);
        self.turn_over(desk, now);
        self.dial(desk, now);
    }

    fn count_time(&mut self, now: Time) {
        let passed = now.since(self.counted_until).as_secs();
        if passed == 0 {
            return;
        }
        self.counted_until = self.counted_until + std::time::Duration::from_secs(passed);
        if self.is_active() {
            self.counters.active_secs += passed;
            if self.state != State::Downloading {
                self.counters.seeding_secs += passed;
            }
        }
    }

    fn look_after(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let deadlines = desk.config.deadlines;
        let Some(peer) = self.peer_mut(key) else { return };
        match peer.phase {
            Phase::Dialling | Phase::Greeting => {
                if now.since(peer.since) >= deadlines.handshake {
                    self.part(desk, now, key, Parted::Silent);
                }
                return;
            }
            Phase::Open => {}
        }
        if now.since(peer.last_heard) >= deadlines.silence {
            return self.part(desk, now, key, Parted::Silent);
        }
        if peer.wanting || peer.interested {
            peer.last_interest = now;
        } else if now.since(peer.last_interest) >= deadlines.useless {
            return self.part(desk, now, key, Parted::Useless);
        }
        if now.since(peer.last_said) >= deadlines.keep_alive {
            peer.last_said = now;
            peer.tell(&Message::KeepAlive);
            self.speak(desk, key);
        }
        self.expire_requests(desk, now, key);
        self.name_peers(desk, now, key);
        self.ask_for_hashes(desk, now, key);
        self.ask(desk, now, key);
        self.serve(desk, now, key);
    }

    /// Adds its peers to those among whom the choker chooses, and begins a new count of what each gave and got.
    pub(crate) fn candidates(&mut self, desk: &Desk, out: &mut Vec<Candidate<Whom>>) {
        if !self.is_active() {
            return;
        }
        let id = self.id;
        let role = if self.state == State::Downloading {
            Role::Leeching
        } else {
            Role::Seeding
        };
        let piece_length = self.layout.piece_length();
        for (key, peer) in self.each_peer_mut() {
            if !peer.is_open() {
                continue;
            }
            let up = peer.up.total();
            out.push(Candidate {
                key: (id, key),
                role,
                interested: peer.interested,
                local: desk.limits.exempts(&peer.addr),
                snubbed: peer.window.is_snubbed(),
                on_parole: peer.parole,
                unchoked: !peer.choked,
                since: peer.unchoked_at,
                gave: peer.down_total.saturating_sub(peer.down_before),
                took: up.saturating_sub(peer.up_before),
                took_since_unchoke: peer.given_since_unchoke,
                piece_length,
            });
            peer.down_before = peer.down_total;
            peer.up_before = up;
        }
    }

    /// Whether a peer is served from now on.
    pub(crate) fn set_choked(&mut self, desk: &mut Desk, now: Time, key: PeerKey, choked: bool) {
        let Some(peer) = self.peer_mut(key).filter(|peer| peer.is_open()) else {
            return;
        };
        if peer.choked == choked {
            return;
        }
        peer.choked = choked;
        if choked {
            peer.tell(&Message::Choke);
            let requests = std::mem::take(&mut peer.requests);
            for block in requests {
                if peer.granted.contains(&block.piece) {
                    peer.requests.push_back(block);
                } else if peer.fast {
                    peer.tell(&Message::Reject(block));
                }
            }
        } else {
            peer.unchoked_at = now;
            peer.given_since_unchoke = 0;
            peer.tell(&Message::Unchoke);
        }
        self.speak(desk, key);
    }

    /// A peer becomes interested between two rounds: it is served at once while there are slots.
    pub(super) fn maybe_unchoke(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        if desk.unchoked < desk.slots_now && self.is_active() {
            desk.unchoked += 1;
            self.set_choked(desk, now, key, false);
        }
    }
}

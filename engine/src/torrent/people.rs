//! Peers: who is dialled and greeted, who calls, and how connections end.

use std::net::SocketAddr;

use wire::handshake::{self, Handshake};
use wire::message::Message;
use world::{Closed, ConnId, Effect, Time, Via, closed_list};

use super::Torrent;
use crate::bits::Bits;
use crate::desk::Desk;
use crate::peer::{Having, Peer, Phase};
use crate::roster::{Ours, Roster, Sources, Why};
use crate::window::Window;
use crate::{Event, PeerKey, TorrentId};

/// Bytes of a frame that every torrent can have: an extended message.
const LEAST_FRAME: u32 = 1 << 17;

/// Whose a connection is.
#[derive(Debug)]
pub(crate) enum Link {
    /// A peer's of a torrent.
    Peer(TorrentId, PeerKey),
    /// A stranger's, who has not said yet which torrent it calls about.
    Stranger {
        from: SocketAddr,
        via: Via,
        since: Time,
        greeting: Vec<u8>,
    },
}

closed_list! {
    /// Why we part with a peer, or it with us.
    Parted {
        /// It could not be reached.
        Unreachable => "unreachable",
        /// It hung up.
        HungUp => "hung up",
        /// It said nothing for too long.
        Silent => "silent",
        /// It is ourselves.
        Ourselves => "ourselves",
        /// It has another torrent, or speaks another protocol.
        Stranger => "not of this torrent",
        /// It is connected already.
        Twice => "connected twice",
        /// What it said makes no sense.
        Garbled => "garbled",
        /// It gave wrong bytes.
        Banned => "banned",
        /// Neither has anything for the other.
        Useless => "useless",
        /// It was of the least use, and others may be of more.
        Replaced => "replaced by another",
        /// We are leaving.
        Leaving => "leaving",
    }
}

impl Parted {
    /// What the roster is to think of a peer that was not open yet.
    const fn why(self) -> Why {
        match self {
            Self::Ourselves | Self::Stranger | Self::Banned => Why::Useless,
            Self::Twice | Self::Replaced | Self::Leaving => Why::Ours,
            _ => Why::Theirs,
        }
    }
}

impl Torrent {
    /// Somebody names a peer.
    pub(crate) fn learn_peer(&mut self, now: Time, addr: SocketAddr, source: Sources) {
        // One that is not taken is not missed.
        let _ = self.roster.add(now, addr, source);
    }

    /// What the order of dialling depends on.
    pub(super) fn ours(&self, desk: &Desk) -> Ours {
        Ours {
            finished: self.picker.is_finished(),
            ..desk.ours()
        }
    }

    /// Dials peers, as many as may be dialled now.
    pub(crate) fn dial(&mut self, desk: &mut Desk, now: Time) {
        let ours = self.ours(desk);
        while self.is_active() && self.linked < desk.config.limits.connections_per_torrent {
            let Some(addr) = self.roster.next(now, &ours) else {
                return;
            };
            if !desk.may_dial(now) {
                return;
            }
            self.roster.connecting(now, addr);
            desk.pace.dialled(now);
            let conn = desk.fresh_conn();
            let key = self.seat(desk, now, conn, addr, Via::Tcp);
            desk.half_open += 1;
            desk.links.insert(conn, Link::Peer(self.id, key));
            desk.outbox.effect(Effect::Dial {
                conn,
                to: addr,
                via: None,
            });
        }
    }

    /// A place for a connection. Keys that the picker still blames for something are left free.
    fn seat(&mut self, desk: &mut Desk, now: Time, conn: ConnId, addr: SocketAddr, via: Via) -> PeerKey {
        let frame = LEAST_FRAME.max(self.layout.pieces() / 8 + 16);
        let free = self.peers.iter().enumerate().position(|(index, peer)| {
            peer.is_none() && !self.picker.is_named(PeerKey(u32::try_from(index).unwrap_or(u32::MAX)))
        });
        let index = free.unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let key = PeerKey(u32::try_from(index).unwrap_or(u32::MAX));
        let (down, up) = self.slots;
        let flows = (
            desk.limits.down.open(down, (self.id, key)),
            desk.limits.up.open(up, (self.id, key)),
        );
        let window = Window::new(now, desk.config.window);
        if let Some(seat) = self.peers.get_mut(index) {
            *seat = Some(Box::new(Peer::new(now, conn, addr, via, window, flows, frame)));
        }
        self.linked += 1;
        desk.connections += 1;
        key
    }

    /// A connection that we dialled is open.
    pub(crate) fn opened(&mut self, desk: &mut Desk, now: Time, key: PeerKey, via: Via) {
        let Some(peer) = self.peer_mut(key) else { return };
        if peer.phase != Phase::Dialling {
            return;
        }
        peer.phase = Phase::Greeting;
        peer.via = via;
        peer.since = now;
        peer.last_heard = now;
        let (conn, addr) = (peer.conn, peer.addr);
        desk.half_open = desk.half_open.saturating_sub(1);
        if !self.roster.connected(now, addr) {
            return self.part(desk, now, key, Parted::Twice);
        }
        self.send_handshake(desk, conn, self.info_hash);
    }

    fn send_handshake(&self, desk: &mut Desk, conn: ConnId, info_hash: wire::InfoHash) {
        let mut ours = Handshake::new(info_hash, desk.peer_id)
            .with_extended()
            .with_fast()
            .with_dht();
        if self.hashes.is_some() {
            ours = ours.with_v2();
        }
        let mut bytes = Vec::with_capacity(handshake::LEN);
        ours.encode(&mut bytes);
        desk.outbox
            .effect_with(Effect::Write { conn, len: bytes.len() }, &bytes);
    }

    /// A stranger calls about this torrent; its handshake is there. Gives its key, if it may stay; else its connection is closed.
    pub(crate) fn called(
        &mut self,
        desk: &mut Desk,
        now: Time,
        conn: ConnId,
        (from, via): (SocketAddr, Via),
        theirs: &Handshake,
    ) -> Option<PeerKey> {
        let full = self.linked >= desk.config.limits.connections_per_torrent
            || desk.connections >= desk.config.limits.connections;
        if full || !self.is_active() || theirs.peer_id == desk.peer_id || self.roster.accept(now, from).is_err() {
            desk.outbox.close(conn);
            return None;
        }
        let key = self.seat(desk, now, conn, from, via);
        if let Some(peer) = self.peer_mut(key) {
            peer.phase = Phase::Greeting;
        }
        self.send_handshake(desk, conn, theirs.info_hash);
        self.greeted(desk, now, key, theirs);
        self.peer(key).is_some_and(|peer| peer.conn == conn).then_some(key)
    }

    /// Bytes of a connection.
    pub(crate) fn received(&mut self, desk: &mut Desk, now: Time, key: PeerKey, bytes: &[u8]) {
        let Some(peer) = self.peer_mut(key) else { return };
        if peer.phase == Phase::Open {
            return self.hear(desk, now, key, bytes, 0);
        }
        peer.last_heard = now;
        let conn = peer.conn;
        if peer.greeting.is_empty() && !handshake::may_become_handshake(bytes) {
            return self.part(desk, now, key, Parted::Stranger);
        }
        let (used, whole) = peer.greet(bytes);
        let Some(whole) = whole else { return };
        match Handshake::decode(&whole) {
            Ok(theirs) if self.is_named(theirs.info_hash) => self.greeted(desk, now, key, &theirs),
            _ => return self.part(desk, now, key, Parted::Stranger),
        }
        let is_open = self.peer(key).is_some_and(|peer| peer.conn == conn && peer.is_open());
        if is_open && used < bytes.len() {
            self.hear(desk, now, key, bytes, used);
        }
    }

    /// Whether a name is this torrent's.
    pub(crate) fn is_named(&self, info_hash: wire::InfoHash) -> bool {
        info_hash == self.info_hash || Some(info_hash) == self.other_hash
    }

    /// A peer's handshake is there: the connection is open, and it hears what we have.
    fn greeted(&mut self, desk: &mut Desk, now: Time, key: PeerKey, theirs: &Handshake) {
        if theirs.peer_id == desk.peer_id {
            return self.part(desk, now, key, Parted::Ourselves);
        }
        let twice = self
            .each_peer()
            .any(|(other, peer)| other != key && peer.is_open() && peer.id == theirs.peer_id);
        if twice {
            return self.part(desk, now, key, Parted::Twice);
        }
        let pieces = self.layout.pieces();
        // Who speaks of a torrent by its v2 name understands v2, whether the bit says so or not (libtorrent sets it for
        // hybrids alone).
        let by_v2_name = !self.layout.info().version.has_v1() || Some(theirs.info_hash) == self.other_hash;
        let Some(peer) = self.peer_mut(key) else { return };
        peer.phase = Phase::Open;
        peer.id = theirs.peer_id;
        peer.fast = theirs.supports_fast();
        peer.extended = theirs.supports_extended();
        peer.v2 = theirs.supports_v2() || by_v2_name;
        peer.has = Having::Some(Bits::new(pieces));
        peer.last_interest = now;
        peer.last_pex = now;
        self.tell_what_we_have(key);
        self.offer_extensions(desk, key);
        self.grant_fast(desk, key);
        self.ask_for_hashes(desk, now, key);
        if let (Some(port), Some(peer)) = (desk.listen_port, self.peer_mut(key))
            && theirs.supports_dht()
        {
            peer.tell(&Message::Port(port));
        }
        self.speak(desk, key);
    }

    fn tell_what_we_have(&mut self, key: PeerKey) {
        let have = self.picker.we_have();
        let mut bits = Vec::new();
        have.to_wire(&mut bits);
        let (none, all) = (have.is_empty_set(), have.is_full());
        let Some(peer) = self.peer_mut(key) else { return };
        match (peer.fast, none, all) {
            (true, true, _) => peer.tell(&Message::HaveNone),
            (true, _, true) => peer.tell(&Message::HaveAll),
            (false, true, _) => {}
            _ => peer.tell(&Message::Bitfield(&bits)),
        }
    }

    /// The world says that a connection is over.
    pub(crate) fn closed(&mut self, desk: &mut Desk, now: Time, key: PeerKey, why: Closed) {
        let why = match why {
            Closed::ByRemote | Closed::Reset | Closed::Congested => Parted::HungUp,
            _ => Parted::Unreachable,
        };
        self.forget_peer(desk, now, key, why);
    }

    /// We are done with a peer.
    pub(super) fn part(&mut self, desk: &mut Desk, now: Time, key: PeerKey, why: Parted) {
        if let Some(peer) = self.peer(key) {
            desk.outbox.close(peer.conn);
            self.forget_peer(desk, now, key, why);
        }
    }

    fn forget_peer(&mut self, desk: &mut Desk, now: Time, key: PeerKey, why: Parted) {
        self.give_back(key);
        let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::take) else {
            return;
        };
        desk.links.remove(&peer.conn);
        if let Some(hashes) = &mut self.hashes {
            peer.owes
                .iter()
                .for_each(|(range, _)| hashes.let_go(&self.layout, range));
        }
        // What it was in the middle of, asked or not.
        self.begun.values_mut().for_each(|begun| begun.progress.forget(key));
        self.linked -= 1;
        desk.connections = desk.connections.saturating_sub(1);
        desk.half_open = desk
            .half_open
            .saturating_sub(usize::from(peer.phase == Phase::Dialling));
        desk.totals.parted.count(why);
        if peer.told_has {
            match &peer.has {
                Having::All => self.picker.remove_seed(),
                Having::Some(bits) => self.picker.remove(bits),
            }
        }
        let was_open = peer.is_open();
        if was_open {
            // One that left in good order before anything was given may be dialled again as soon as any.
            let was_useful =
                peer.down_total > 0 || peer.up.total() > 0 || matches!(why, Parted::Leaving | Parted::Useless);
            // One that made room for others is not to be the first to be dialled for it.
            let was_useful = was_useful && why != Parted::Replaced;
            self.roster.disconnected(now, peer.name, was_useful);
        } else {
            let learn = if peer.phase == Phase::Dialling {
                Roster::failed
            } else {
                Roster::rejected
            };
            learn(&mut self.roster, now, peer.name, why.why());
        }
        desk.limits.down.close(peer.down_flow);
        desk.limits.up.close(peer.up_flow);
        if was_open {
            self.ask_all(desk, now);
        }
    }

    /// Parts with everybody.
    pub(super) fn part_with_all(&mut self, desk: &mut Desk, now: Time) {
        self.stop_webseeds(desk);
        for index in 0..self.peers.len() {
            if let Ok(number) = u32::try_from(index) {
                self.part(desk, now, PeerKey(number), Parted::Leaving);
            }
        }
    }

    /// A peer has everything now.
    pub(super) fn is_seed_now(&mut self, key: PeerKey) {
        if let Some(name) = self.peer(key).map(|peer| peer.name) {
            self.roster.mark_seed(name, true);
        }
    }

    /// Neither has anything for the other (PWP-37).
    pub(super) fn close_if_redundant(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let Some(peer) = self.peer(key).filter(|peer| peer.is_open()) else {
            return;
        };
        let theirs = peer.is_seed() || peer.upload_only;
        if desk.config.close_redundant && theirs && self.picker.is_finished() && !peer.wanting {
            self.part(desk, now, key, Parted::Useless);
        }
    }

    /// A peer runs a DHT node beside.
    pub(super) fn runs_node(&self, desk: &mut Desk, key: PeerKey, port: u16) {
        if let Some(peer) = self.peer(key)
            && port != 0
            && !self.private
        {
            desk.tell(Event::DhtNode(SocketAddr::new(peer.addr.ip(), port)));
        }
    }
}

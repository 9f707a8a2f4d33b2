//! The extension protocol (BEP 10): who we are, the info dictionary for those who lack it (BEP 9), peers for peers (BEP 11),
//! and pieces for those whom we choke (BEP 6).

use std::net::SocketAddr;

use rand::RngExt;
use wire::compact;
use wire::extended::{self, ExtendedHandshake};
use wire::message::{Message, extended_frame};
use wire::ut_metadata::{BLOCK as METADATA_BLOCK, UtMetadata};
use wire::ut_pex::{self, UtPex};
use world::Time;

use super::Torrent;
use crate::desk::Desk;
use crate::peer::Extensions;
use crate::{Event, PeerKey};

/// Our numbers for extensions, told in `m`.
const UT_METADATA: u8 = 1;
const UT_PEX: u8 = 2;
/// Peers that one message names at most (BEP 11).
const MOST_NAMED: usize = 50;
/// Peers of which it is remembered that one peer was told.
const MOST_TOLD: usize = 200;
/// Bytes kept of a client's name.
const MOST_NAME: usize = 64;

impl Torrent {
    /// Tells a peer who we are and what we understand.
    pub(super) fn offer_extensions(&mut self, desk: &Desk, key: PeerKey) {
        let exchanges = desk.config.pex && !self.private;
        let size = i64::try_from(self.raw_info.len()).ok();
        let finished = self.picker.is_finished();
        let Some(peer) = self.peer_mut(key).filter(|peer| peer.extended) else {
            return;
        };
        let ours = ExtendedHandshake {
            ut_metadata: Some(UT_METADATA),
            ut_pex: exchanges.then_some(UT_PEX),
            metadata_size: size,
            version: Some(desk.config.client.as_bytes()),
            port: desk.listen_port,
            request_queue: u32::try_from(desk.config.limits.requests).ok(),
            your_ip: Some(peer.addr.ip()),
            upload_only: finished,
            ..ExtendedHandshake::default()
        };
        extended_frame(&mut peer.say, extended::HANDSHAKE, |out| ours.encode(out));
    }

    /// Lets a peer have some pieces while we choke it, so that it has something to give (BEP 6).
    pub(super) fn grant_fast(&mut self, desk: &mut Desk, key: PeerKey) {
        let pieces = self.layout.pieces();
        let most = desk.config.allowed_fast.min(pieces);
        if !self.peer(key).is_some_and(|peer| peer.fast) || self.private {
            return;
        }
        let mut granted = Vec::new();
        for _ in 0..most.saturating_mul(2) {
            let piece = desk.rng.random_range(0..pieces.max(1));
            let fits = granted.len() < most as usize && self.picker.we_have().get(piece);
            if fits && !granted.contains(&piece) {
                granted.push(piece);
            }
        }
        if let Some(peer) = self.peer_mut(key) {
            for &piece in &granted {
                peer.tell(&Message::AllowedFast(piece));
            }
            peer.granted = granted;
        }
    }

    /// An extended message.
    pub(super) fn extended(&mut self, desk: &mut Desk, now: Time, key: PeerKey, id: u8, payload: &[u8]) {
        match id {
            extended::HANDSHAKE => self.introduced(now, key, payload),
            UT_METADATA => self.metadata_asked(desk, key, payload),
            UT_PEX if desk.config.pex && !self.private => self.peers_named(desk, payload),
            _ => {}
        }
    }

    fn introduced(&mut self, now: Time, key: PeerKey, payload: &[u8]) {
        let Ok(theirs) = ExtendedHandshake::decode(payload) else {
            return;
        };
        let Some(peer) = self.peer_mut(key) else { return };
        peer.extensions = Extensions {
            ut_pex: theirs.ut_pex.unwrap_or(peer.extensions.ut_pex),
            ut_metadata: theirs.ut_metadata.unwrap_or(peer.extensions.ut_metadata),
        };
        peer.upload_only = theirs.upload_only;
        if let Some(reqq) = theirs.request_queue {
            peer.window.allow(reqq as usize);
        }
        if let Some(version) = theirs.version {
            let version = version.get(..MOST_NAME).unwrap_or(version);
            peer.client = String::from_utf8_lossy(version).replace(char::is_control, "\u{fffd}");
        }
        let (seed, caller, name) = (peer.upload_only, peer.conn.is_accepted(), peer.name);
        if let Some(port) = theirs.port.filter(|port| *port != 0) {
            peer.listens = Some(SocketAddr::new(peer.addr.ip(), port));
            if caller {
                let name = self.roster.listens(now, name, port);
                if let Some(peer) = self.peer_mut(key) {
                    peer.name = name;
                }
            }
        }
        if seed {
            self.is_seed_now(key);
        }
    }

    /// A peer wants part of the info dictionary.
    fn metadata_asked(&mut self, desk: &mut Desk, key: PeerKey, payload: &[u8]) {
        let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(payload) else {
            return;
        };
        let info = std::sync::Arc::clone(&self.raw_info);
        let start = (piece as usize).saturating_mul(METADATA_BLOCK);
        let end = start.saturating_add(METADATA_BLOCK).min(info.len());
        let bytes = info.get(start..end).filter(|bytes| !bytes.is_empty());
        let reply = match bytes {
            Some(bytes) => UtMetadata::Data {
                piece,
                total_size: i64::try_from(info.len()).unwrap_or(i64::MAX),
                bytes,
            },
            None => UtMetadata::Reject { piece },
        };
        // One who asks faster than it reads is not answered.
        let most = desk.config.limits.send_ahead;
        if let Some(peer) = self.peer_mut(key)
            && peer.extensions.ut_metadata != 0
            && peer.say.len() + peer.unsent < most
        {
            if peer.reporting {
                peer.unsent_later += METADATA_BLOCK;
            } else {
                peer.unsent += METADATA_BLOCK;
            }
            extended_frame(&mut peer.say, peer.extensions.ut_metadata, |out| reply.encode(out));
            self.speak(desk, key);
        }
    }

    /// A peer names others.
    fn peers_named(&self, desk: &mut Desk, payload: &[u8]) {
        let Ok(named) = UtPex::decode(payload) else { return };
        for (addr, flags) in named.peers().take(2 * MOST_NAMED) {
            let is_seed = flags & ut_pex::flag::SEED != 0;
            desk.tell(Event::Named(self.id, addr, is_seed));
        }
    }

    /// Tells a peer whom we are connected with, if a minute has passed.
    pub(super) fn name_peers(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        if !desk.config.pex || self.private {
            return;
        }
        let due = |torrent: &Self| {
            let peer = torrent.peer(key)?;
            let due = now.since(peer.last_pex) >= desk.config.deadlines.pex || peer.told_peers.is_empty();
            (peer.is_open() && peer.extensions.ut_pex != 0 && due).then_some(peer.addr)
        };
        let Some(own) = due(self) else { return };
        let connected: Vec<(SocketAddr, bool)> = self
            .each_peer()
            .filter(|(other, peer)| *other != key && peer.is_open())
            .filter_map(|(_, peer)| Some((peer.listens?, peer.is_seed())))
            .filter(|(addr, _)| *addr != own)
            .collect();
        let Some(peer) = self.peer_mut(key) else { return };
        let dropped: Vec<SocketAddr> = peer
            .told_peers
            .iter()
            .copied()
            .filter(|told| connected.iter().all(|(addr, _)| addr != told))
            .take(MOST_NAMED)
            .collect();
        peer.told_peers.retain(|told| !dropped.contains(told));
        let fresh: Vec<(SocketAddr, bool)> = connected
            .into_iter()
            .filter(|(addr, _)| !peer.told_peers.contains(addr))
            .take(MOST_NAMED.min(MOST_TOLD - peer.told_peers.len().min(MOST_TOLD)))
            .collect();
        if fresh.is_empty() && dropped.is_empty() {
            return;
        }
        peer.last_pex = now;
        peer.told_peers.extend(fresh.iter().map(|(addr, _)| *addr));
        let mut lists = Lists::default();
        for (addr, seed) in &fresh {
            let flags = ut_pex::flag::REACHABLE | if *seed { ut_pex::flag::SEED } else { 0 };
            lists.add(*addr, flags);
        }
        for addr in &dropped {
            lists.drop(*addr);
        }
        extended_frame(&mut peer.say, peer.extensions.ut_pex, |out| lists.message().encode(out));
        self.speak(desk, key);
    }
}

/// The strings of a message that names peers.
#[derive(Default)]
struct Lists {
    added: Vec<u8>,
    added_flags: Vec<u8>,
    added6: Vec<u8>,
    added6_flags: Vec<u8>,
    dropped: Vec<u8>,
    dropped6: Vec<u8>,
}

impl Lists {
    fn add(&mut self, addr: SocketAddr, flags: u8) {
        let (list, list_flags) = if addr.is_ipv4() {
            (&mut self.added, &mut self.added_flags)
        } else {
            (&mut self.added6, &mut self.added6_flags)
        };
        compact::put_addr(&addr, list);
        list_flags.push(flags);
    }

    fn drop(&mut self, addr: SocketAddr) {
        let list = if addr.is_ipv4() {
            &mut self.dropped
        } else {
            &mut self.dropped6
        };
        compact::put_addr(&addr, list);
    }

    fn message(&self) -> UtPex<'_> {
        UtPex {
            added: &self.added,
            added_flags: &self.added_flags,
            added6: &self.added6,
            added6_flags: &self.added6_flags,
            dropped: &self.dropped,
            dropped6: &self.dropped6,
        }
    }
}

//! Strangers who call, until they say which torrent they call about.

use std::net::SocketAddr;

use wire::handshake::{self, Handshake};
use world::{ConnId, Time, Via};

use super::Engine;
use crate::torrent::Link;

impl Engine {
    /// A stranger calls.
    pub(super) fn called(&mut self, now: Time, conn: ConnId, from: SocketAddr, via: Via) {
        let is_full = self.strangers.len() >= self.desk.config.limits.greetings;
        if is_full || self.desk.stopping || self.by_hash.is_empty() {
            return self.desk.outbox.close(conn);
        }
        self.strangers.push_back(conn);
        let link = Link::Stranger {
            from,
            via,
            since: now,
            greeting: Vec::new(),
        };
        self.desk.links.insert(conn, link);
    }

    /// A stranger says something: its handshake, or part of it.
    pub(super) fn stranger_says(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(Link::Stranger {
            from, via, greeting, ..
        }) = self.desk.links.get_mut(&conn)
        else {
            return;
        };
        let (from, via) = (*from, *via);
        if greeting.is_empty() && !handshake::may_become_handshake(bytes) {
            return self.hang_up(conn);
        }
        let missing = handshake::LEN.saturating_sub(greeting.len());
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        greeting.extend_from_slice(head);
        let Some(whole) = greeting.first_chunk::<{ handshake::LEN }>() else {
            return;
        };
        let theirs = Handshake::decode(whole).ok();
        let id = theirs.and_then(|theirs| self.by_hash.get(&theirs.info_hash).copied());
        let (Some(theirs), Some(id)) = (theirs, id) else {
            return self.hang_up(conn);
        };
        self.strangers.retain(|stranger| *stranger != conn);
        self.desk.links.remove(&conn);
        let Some((torrent, desk)) = self.with(id) else { return };
        let Some(key) = torrent.called(desk, now, conn, (from, via), &theirs) else {
            return;
        };
        desk.links.insert(conn, Link::Peer(id, key));
        if !rest.is_empty() {
            torrent.received(desk, now, key, rest);
        }
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.strangers.retain(|stranger| *stranger != conn);
        self.desk.links.remove(&conn);
        self.desk.outbox.close(conn);
    }

    /// Hangs up on strangers who have not said what they want.
    pub(super) fn expire_strangers(&mut self, now: Time) {
        let patience = self.desk.config.deadlines.handshake;
        while let Some(&conn) = self.strangers.front() {
            match self.desk.links.get(&conn) {
                Some(Link::Stranger { since, .. }) if now.since(*since) < patience => return,
                _ => self.hang_up(conn),
            }
        }
    }
}

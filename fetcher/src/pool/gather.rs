//! What peers bring: from the size that one claims to bytes that are proven, or not.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::{InfoHash, metainfo};
use world::{ConnId, Time};

use crate::assembly::{Assembled, Assembly, Key};
use crate::config::Dialling;
use crate::pool::Pool;
use crate::pool::talk::{Phase, Talk};
use crate::{Event, Failure, Stage};

impl Pool {
    /// Finds the peer an assembly of the size that it claims, or lets it wait for room.
    pub(super) fn begin(&mut self, now: Time, conn: ConnId, size: u32) {
        self.enter(now, conn, Phase::Room(size));
        let Some(talk) = self.talks.get_mut(&conn) else {
            return;
        };
        talk.assembly = None;
        let Some(hunt) = self.hunts.get_mut(&talk.info_hash) else {
            return;
        };
        let shared = Key { size, owner: None };
        if !hunt.alone && hunt.assembly(shared).is_some() {
            talk.assembly = Some(shared);
            self.ask_first(now, conn);
        } else if self.room.reserve(conn, size) {
            self.assemble(now, conn);
        }
    }

    /// Opens an assembly, whose room is reserved, for a peer that waited for it, and for those of the same infohash that
    /// claim the same size and wait too.
    pub(super) fn assemble(&mut self, now: Time, conn: ConnId) {
        if let Some(info_hash) = self.talks.get(&conn).map(|talk| talk.info_hash) {
            self.drop_idle_assembly(info_hash);
        }
        let Some(talk) = self.talks.get(&conn) else {
            return;
        };
        let (Phase::Room(size), Some(hunt)) = (talk.phase, self.hunts.get_mut(&talk.info_hash)) else {
            return;
        };
        let owner = hunt.alone.then_some(conn);
        let key = Key { size, owner };
        hunt.assemblies.push(Assembly::new(key));
        let live = hunt.live.clone();
        for conn in live {
            let may_add = key.owner.is_none_or(|owner| owner == conn);
            if may_add && let Some(talk) = self.talks.get_mut(&conn).filter(|talk| talk.phase == Phase::Room(size)) {
                talk.assembly = Some(key);
                self.room.forget(conn);
                self.ask_first(now, conn);
            }
        }
    }

    fn ask_first(&mut self, now: Time, conn: ConnId) {
        self.enter(now, conn, Phase::Pieces);
        if let Some(talk) = self.talks.get_mut(&conn) {
            talk.holds_until = now + self.config.dialling.hold_back;
        }
        self.ask(conn);
        self.reach(conn, Stage::Requested);
    }

    /// Keeps the peer's pipeline full.
    fn ask(&mut self, conn: ConnId) {
        let usual = self.config.limits.pipeline;
        let Some(talk) = self.talks.get_mut(&conn) else {
            return;
        };
        let hunt = self.hunts.get_mut(&talk.info_hash);
        let Some(assembly) = talk.assembly.and_then(|key| hunt?.assembly(key)) else {
            return;
        };
        let pipeline = talk.session.pipeline(usual);
        while talk.session.asked().len() < pipeline
            && let Some(piece) = assembly.next_for(talk.session.asked())
        {
            self.outbox.write(conn, |out| talk.session.ask(piece, out));
        }
    }

    /// A piece came.
    pub(super) fn progressed(&mut self, now: Time, conn: ConnId) {
        self.reach(conn, Stage::Received);
        let Some(talk) = self.talks.get(&conn) else {
            return;
        };
        let (info_hash, key) = (talk.info_hash, talk.assembly);
        let Some((key, hunt)) = key.zip(self.hunts.get_mut(&info_hash)) else {
            return;
        };
        if !hunt.assembly(key).is_some_and(|assembly| assembly.is_complete()) {
            self.enter(now, conn, Phase::Pieces);
            self.ask(conn);
            return;
        }
        let Some(assembly) = hunt.take_assembly(key) else {
            return;
        };
        self.room.release(key.size);
        let assembled = assembly.finish();
        if metainfo::matches(&assembled.raw, &info_hash) {
            self.verified(now, conn, assembled);
        } else {
            self.mismatched(now, conn, key, &assembled.contributors);
        }
    }

    fn verified(&mut self, now: Time, conn: ConnId, assembled: Assembled) {
        let Some((info_hash, from)) = self.talks.get(&conn).map(|talk| (talk.info_hash, talk.peer)) else {
            return;
        };
        self.reach(conn, Stage::Verified);
        let Assembled { raw, contributors } = assembled;
        let raw = Arc::new(raw);
        if self.listen_port.is_some() {
            self.shelf.put(info_hash, Arc::clone(&raw));
        }
        for &peer in &contributors {
            self.memory.succeeded(now, peer);
        }
        let result = |peer| contributors.contains(&peer).then_some(()).ok_or(Failure::Superseded);
        if let Some(hunt) = self.remove_hunt(now, info_hash, result) {
            let took = now.since(hunt.begun);
            self.stats.from_start.add(took);
            if let Some(first_dial) = hunt.first_dial {
                self.stats.from_dial.add(now.since(first_dial));
            }
            self.outbox.tell(Event::Metadata {
                info_hash,
                raw,
                from,
                tried: hunt.tried,
                took,
            });
        }
    }

    /// The bytes are not the torrent's. If they are all one peer's, it is to blame. Otherwise nobody knows who is: each
    /// contributor is asked for everything again, alone, those that left included.
    fn mismatched(&mut self, now: Time, conn: ConnId, key: Key, contributors: &[SocketAddr]) {
        let Some(talk) = self.talks.get(&conn) else {
            return;
        };
        let (info_hash, last) = (talk.info_hash, talk.peer);
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        if key.owner.is_none() {
            hunt.alone = true;
        }
        let sharing: Vec<_> = hunt.live.clone();
        if contributors.iter().all(|&peer| peer == last) {
            self.hang_up(now, conn, Err(Failure::HashMismatch));
        } else {
            self.stats.mixed_mismatches += 1;
            let talks = &self.talks;
            let connected = |peer| {
                sharing
                    .iter()
                    .any(|conn| talks.get(conn).is_some_and(|talk| talk.peer == peer))
            };
            hunt.retry(contributors.iter().copied().filter(|&peer| !connected(peer)));
        }
        for conn in sharing {
            if self.talks.get(&conn).is_some_and(|talk| talk.assembly == Some(key)) {
                self.begin(now, conn, key.size);
            }
        }
        self.wake(info_hash);
    }

    /// Makes space for one more assembly of a hunt: the emptiest that no connected peer adds to goes, if there are as
    /// many as peers may be connected.
    fn drop_idle_assembly(&mut self, info_hash: InfoHash) {
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        if hunt.assemblies.len() < self.config.dialling.parallel + Dialling::CALLERS {
            return;
        }
        let talks = &self.talks;
        let live = &hunt.live;
        let in_use = |key| {
            live.iter()
                .any(|conn| talks.get(conn).is_some_and(|talk| talk.assembly == Some(key)))
        };
        let idle = hunt.assemblies.iter().filter(|assembly| !in_use(assembly.key()));
        if let Some(key) = idle.min_by_key(|assembly| assembly.pieces()).map(Assembly::key) {
            hunt.take_assembly(key);
            self.room.release(key.size);
        }
    }

    /// What the peer still owed may be asked of others; what was its alone is dropped.
    pub(super) fn leave_assembly(&mut self, talk: &Talk, key: Key) {
        let Some(hunt) = self.hunts.get_mut(&talk.info_hash) else {
            return;
        };
        if key.owner.is_some() {
            if hunt.take_assembly(key).is_some() {
                self.room.release(key.size);
            }
        } else if let Some(assembly) = hunt.assembly(key) {
            for &piece in talk.session.asked() {
                assembly.give_back(piece);
            }
        }
    }
}

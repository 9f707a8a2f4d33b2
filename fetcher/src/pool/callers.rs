//! Strangers who call: who is let in, and what those who are no source are given (MDX-09).

use std::net::SocketAddr;
use std::sync::Arc;

use wire::InfoHash;
use world::{ConnId, KeyedMap, Seed, Time, Via};

use crate::Stage;
use crate::config::{Dialling, Serving};
use crate::dealings::{Answer, Call};
use crate::pool::Pool;
use crate::pool::hosts::Host;
use crate::pool::side::{Role, Side};
use crate::pool::talk::Talk;
use crate::pool::timers::Alarm;
use crate::session::{Greeting, Request, Session};

/// What each host was given in the current window. Bounded: when full, hosts that are not in it are given nothing until
/// the next window.
#[derive(Debug)]
pub(super) struct Given {
    bytes: KeyedMap<Host, u64>,
    since: Time,
}

impl Given {
    /// Hosts in one window; 3 MB.
    const HOSTS: usize = 65_536;

    pub(super) fn new(seed: Seed) -> Self {
        Self {
            bytes: KeyedMap::with_hasher(seed.hasher()),
            since: Time::ZERO,
        }
    }

    /// Adds `bytes` to what `host` was given, unless that would be too much.
    fn spend(&mut self, now: Time, host: Host, bytes: u64, config: &Serving) -> bool {
        if now.since(self.since) >= config.window {
            self.since = now;
            self.bytes.clear();
        }
        if self.bytes.len() >= Self::HOSTS && !self.bytes.contains_key(&host) {
            return false;
        }
        let given = self.bytes.entry(host).or_default();
        let fits = given.saturating_add(bytes) <= config.bytes_per_host;
        if fits {
            *given += bytes;
        }
        fits
    }
}

impl Pool {
    /// A stranger called.
    pub(super) fn accepted(&mut self, now: Time, conn: ConnId, peer: SocketAddr, via: Via) {
        let host = Host::of(peer, self.config.exclusion);
        let turned_away = if self.stopping {
            Some(Call::Stopped)
        } else if self.sides.len() - self.listeners >= self.config.serving.callers {
            Some(Call::Full)
        } else if self.hosts.is_busy(host) {
            Some(Call::Busy)
        } else {
            None
        };
        if let Some(why) = turned_away {
            self.stats.calls.count(why);
            self.outbox.close(conn);
            return;
        }
        self.hosts.take(host);
        let side = Side {
            peer,
            host,
            via,
            incoming: true,
            begun: now,
            session: Session::new(None, &self.config),
            role: Role::Caller,
            received: 0,
        };
        self.sides.insert(conn, side);
        self.note_connections();
        self.timers
            .set(Alarm::Talk(conn), now + self.config.deadlines.handshake);
    }

    /// A caller told what it is about.
    pub(super) fn introduced(&mut self, now: Time, conn: ConnId, info_hash: InfoHash, extended: bool) {
        if let Some(hunt) = self.hunts.get(&info_hash) {
            let has_room = hunt.live.len() < self.config.dialling.parallel + Dialling::CALLERS;
            match (extended, has_room) {
                (true, true) => self.adopt(now, conn, info_hash),
                (true, false) => self.turn_away(now, conn, Call::Full),
                (false, _) => self.turn_away(now, conn, Call::NoExtensions),
            }
        } else if let Some(size) = self.shelf.for_strangers(&info_hash).map(|raw| raw.len()) {
            if extended {
                self.welcome(now, conn, info_hash, size);
            } else {
                self.turn_away(now, conn, Call::NoExtensions);
            }
        } else {
            self.turn_away(now, conn, Call::Unknown);
        }
    }

    pub(super) fn turn_away(&mut self, _now: Time, conn: ConnId, why: Call) {
        if let Some(side) = self.take_side(conn) {
            self.stats.calls.count(why);
            self.outbox.close(conn);
            self.hosts.release(side.host);
            self.freed.push_back(side.host);
        }
    }

    /// A caller becomes a source like any other.
    fn adopt(&mut self, now: Time, conn: ConnId, info_hash: InfoHash) {
        let Some((side, hunt)) = self.take_side(conn).zip(self.hunts.get_mut(&info_hash)) else {
            return;
        };
        hunt.live.push(conn);
        self.stats.calls.count(Call::Source);
        let peer_id = self.peer_id;
        self.outbox.write(conn, |out| side.session.greet(peer_id, out));
        self.talks.insert(conn, Talk::of_caller(side, info_hash));
        self.reach(conn, Stage::Connected);
        self.shook_hands(now, conn);
    }

    /// A caller becomes a guest.
    fn welcome(&mut self, now: Time, conn: ConnId, info_hash: InfoHash, size: usize) {
        let Some(side) = self.sides.get_mut(&conn) else {
            return;
        };
        side.role = Role::Guest { info_hash, given: 0 };
        self.stats.calls.count(Call::Guest);
        let greeting = Greeting {
            client: &self.config.client,
            port: self.listen_port,
            your_ip: side.peer.ip(),
            metadata_size: Some(size),
        };
        let peer_id = self.peer_id;
        self.outbox.write(conn, |out| {
            side.session.greet(peer_id, out);
            side.session.extend(greeting, out);
        });
        self.timers.set(Alarm::Talk(conn), now + self.config.serving.idle);
    }

    /// Somebody wants some of the info dictionary.
    pub(super) fn serve(&mut self, now: Time, conn: ConnId, request: Request) {
        let Some(side) = self.sides.get_mut(&conn) else {
            return;
        };
        let held: Option<Arc<Vec<u8>>> = match &side.role {
            Role::Guest { info_hash, .. } => self.shelf.for_strangers(info_hash).cloned(),
            Role::Caller | Role::Listener { .. } => None,
        };
        let serving = &self.config.serving;
        let mut answer = Answer::Absent;
        let mut given_now = None;
        if let (Some(raw), Role::Guest { given, .. }) = (&held, &mut side.role) {
            let len = request.len(raw) as u64;
            let most = serving.times.saturating_mul(raw.len() as u64);
            if len == 0 {
                answer = Answer::Absent;
            } else if *given + len > most || !self.given.spend(now, side.host, len, serving) {
                answer = Answer::Enough;
            } else {
                *given += len;
                given_now = Some(&raw[..]);
                answer = match request {
                    Request::Piece(_) => Answer::Piece,
                    Request::Parts(_) => Answer::Parts,
                };
                self.timers.set(Alarm::Talk(conn), now + serving.idle);
            }
        }
        self.stats.answers.count(answer);
        self.outbox
            .write(conn, |out| side.session.answer(request, given_now, out));
    }
}

//! Connections on which nobody is hunted: strangers who called, guests who are served, peers that are listened to.

use std::net::SocketAddr;

use wire::InfoHash;
use world::{ConnId, Time, Via};

use crate::dealings::{Call, Listening};
use crate::pool::Pool;
use crate::pool::hosts::Host;
use crate::pool::talk::Talk;
use crate::pool::timers::Alarm;
use crate::session::{Said, Session};
use crate::{Event, Failure};

/// One such connection, always open.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) peer: SocketAddr,
    pub(super) host: Host,
    pub(super) via: Via,
    /// The peer called us.
    pub(super) incoming: bool,
    pub(super) begun: Time,
    pub(super) session: Session,
    pub(super) role: Role,
    pub(super) received: u64,
}

/// What it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A stranger, whose handshake will say what it wants.
    Caller,
    /// Somebody who is served of the shelf, and was given so many bytes.
    Guest { info_hash: InfoHash, given: u64 },
    /// A peer of an infohash in work that has no metadata, and may name others.
    Listener { info_hash: InfoHash, named: bool },
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The peer hung up.
    HungUp,
    /// Its time is over.
    TimeUp,
    /// It broke the protocol.
    Fault,
    /// We have no more use for it.
    Over,
}

impl Role {
    pub(super) fn info_hash(self) -> Option<InfoHash> {
        match self {
            Self::Caller => None,
            Self::Guest { info_hash, .. } | Self::Listener { info_hash, .. } => Some(info_hash),
        }
    }
}

impl Pool {
    /// Hears the next thing on such a connection; whether there was one.
    pub(super) fn hear_side(&mut self, now: Time, conn: ConnId, bytes: &mut &[u8]) -> bool {
        let Some(side) = self.sides.get_mut(&conn) else {
            return false;
        };
        let (role, by) = (side.role, side.peer);
        let said = match side.session.hear(bytes) {
            Ok(None) => return false,
            Ok(Some(said)) => said,
            Err(failure) => {
                self.fault(now, conn, failure);
                return true;
            }
        };
        match said {
            Said::Handshake { info_hash, extended } => self.introduced(now, conn, info_hash, extended),
            Said::Wants(request) => self.serve(now, conn, request),
            Said::Meets(message) => self.meets(conn, message),
            Said::Names { pex, most } => {
                if let Role::Listener { info_hash, .. } = role {
                    for (peer, flags) in pex.peers().take(most) {
                        self.stats.named += 1;
                        self.outbox.tell(Event::Named {
                            info_hash,
                            peer,
                            by,
                            flags,
                        });
                    }
                    if most > 0 {
                        self.has_named(conn);
                    }
                }
            }
            Said::Nothing | Said::Extended(_) | Said::Piece { .. } => {}
        }
        true
    }

    fn has_named(&mut self, conn: ConnId) {
        if let Some(Side {
            role: Role::Listener { named, .. },
            ..
        }) = self.sides.get_mut(&conn)
        {
            *named = true;
        }
    }

    fn fault(&mut self, now: Time, conn: ConnId, failure: Failure) {
        if self.sides.get(&conn).is_some_and(|side| side.role == Role::Caller) && failure == Failure::NotBitTorrent {
            self.turn_away(now, conn, Call::NotBitTorrent);
        } else {
            self.leave_side(now, conn, End::Fault);
        }
    }

    /// Whether to listen to a peer that has failed us, for those whom it may name: there are few others, and it speaks
    /// peer exchange.
    pub(super) fn may_listen(&self, conn: ConnId, failure: Failure) -> bool {
        let exchange = &self.config.exchange;
        let Some(talk) = self.talks.get(&conn) else {
            return false;
        };
        let Some(hunt) = self.hunts.get(&talk.info_hash) else {
            return false;
        };
        matches!(failure, Failure::NoSize | Failure::Rejected | Failure::NoUtMetadata)
            && talk.session.exchanges_peers()
            && !hunt.attempts_spent(&self.config.dialling)
            && hunt.peers.waiting() < exchange.few
            && hunt.listeners.len() < exchange.listeners_per_infohash
            && self.listeners < exchange.listeners
    }

    /// The talk ends with `failure`, and its connection stays open for a while.
    pub(super) fn listen(&mut self, now: Time, conn: ConnId, failure: Failure) {
        let Some(talk) = self.take_talk(now, conn, Err(failure)) else {
            return;
        };
        let info_hash = talk.info_hash;
        let mut side = Side::of_talk(now, talk);
        side.session.rest();
        self.sides.insert(conn, side);
        self.listeners += 1;
        if let Some(hunt) = self.hunts.get_mut(&info_hash) {
            hunt.listeners.push(conn);
        }
        self.timers.set(Alarm::Talk(conn), now + self.config.exchange.listen);
    }

    /// Whoever is wanted for more than for naming others is not kept from it.
    pub(super) fn stop_listening_to(&mut self, now: Time, host: Host) {
        let listens = |side: &Side| side.host == host && matches!(side.role, Role::Listener { .. });
        let listener = self.sides.iter().find(|(_, side)| listens(side));
        if let Some(conn) = listener.map(|(&conn, _)| conn) {
            self.leave_side(now, conn, End::Over);
        }
    }

    /// Closes such a connection from our side.
    pub(super) fn leave_side(&mut self, now: Time, conn: ConnId, end: End) {
        if self.sides.contains_key(&conn) {
            self.outbox.close(conn);
            self.end_side(now, conn, end);
        }
    }

    /// Forgets such a connection, which is closed or being closed, and counts how it went.
    pub(super) fn end_side(&mut self, _now: Time, conn: ConnId, end: End) {
        let Some(side) = self.take_side(conn) else {
            return;
        };
        match side.role {
            Role::Caller => self.stats.calls.count(match end {
                End::HungUp => Call::Closed,
                End::TimeUp => Call::Silent,
                End::Fault => Call::NotBitTorrent,
                End::Over => Call::Stopped,
            }),
            Role::Guest { .. } => {}
            Role::Listener { info_hash, named } => {
                self.stats.listening.count(match (end, named) {
                    (End::HungUp, _) => Listening::Closed,
                    (End::TimeUp, true) => Listening::Named,
                    (End::TimeUp, false) => Listening::Silent,
                    (End::Fault, _) => Listening::Faulty,
                    (End::Over, _) => Listening::Over,
                });
                self.listeners -= 1;
                if let Some(hunt) = self.hunts.get_mut(&info_hash) {
                    hunt.listeners.retain(|listener| *listener != conn);
                }
                self.wake(info_hash);
            }
        }
        self.hosts.release(side.host);
        self.freed.push_back(side.host);
    }

    /// Takes such a connection out of the table; its host stays busy.
    pub(super) fn take_side(&mut self, conn: ConnId) -> Option<Side> {
        let side = self.sides.remove(&conn)?;
        self.timers.clear(Alarm::Talk(conn));
        Some(side)
    }
}

impl Side {
    fn of_talk(now: Time, talk: Talk) -> Self {
        Self {
            peer: talk.peer,
            host: talk.host,
            via: talk.via.unwrap_or(Via::Tcp),
            incoming: talk.incoming,
            begun: now,
            role: Role::Listener {
                info_hash: talk.info_hash,
                named: false,
            },
            session: talk.session,
            received: talk.received,
        }
    }
}

//! What happens on a connection, from dialling to its end.

use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use world::{Closed, ConnId, Time, Via};

use crate::assembly::Key;
use crate::config::Config;
use crate::pool::Pool;
use crate::pool::hosts::Host;
use crate::pool::timers::Alarm;
use crate::session::{Said, Session};
use crate::{Event, Failure, Stage};

/// One connection, from dialling to its end.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) info_hash: InfoHash,
    pub(super) peer: SocketAddr,
    host: Host,
    pub(super) session: Session,
    pub(super) phase: Phase,
    /// When it was dialled, it was more likely than not to deliver.
    pub(super) likely: bool,
    /// While the peer gets on, nobody else is dialled before this.
    pub(super) holds_until: Time,
    /// The assembly that the peer adds to.
    pub(super) assembly: Option<Key>,
    /// When it was dialled, or called.
    begun: Time,
    reached: Stage,
    /// How the peer is reached; `None` until the connection is open.
    via: Option<Via>,
    /// The peer called us.
    incoming: bool,
    opened_after: Option<Duration>,
    size: Option<u32>,
    received: u64,
}

/// What is waited for; each has its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Connecting,
    Handshake,
    Extended,
    /// Room for an assembly of this many bytes.
    Room(u32),
    Pieces,
}

impl Phase {
    fn timeout(self) -> Failure {
        match self {
            Self::Connecting => Failure::ConnectTimeout,
            Self::Handshake => Failure::HandshakeTimeout,
            Self::Extended => Failure::ExtendedTimeout,
            Self::Room(_) => Failure::NoRoom,
            Self::Pieces => Failure::PieceTimeout,
        }
    }

    fn closed(self, why: Closed) -> Failure {
        match (self, why) {
            (Self::Connecting, Closed::Refused) => Failure::Refused,
            (Self::Connecting, Closed::TimedOut) => Failure::ConnectTimeout,
            (Self::Connecting, Closed::NoRoom) => Failure::NoDescriptor,
            (Self::Connecting, _) => Failure::Unreachable,
            (Self::Handshake, _) => Failure::ClosedInHandshake,
            (Self::Extended, _) => Failure::ClosedInExtended,
            (Self::Room(_) | Self::Pieces, _) => Failure::ClosedInPieces,
        }
    }
}

impl Talk {
    pub(super) fn new(now: Time, info_hash: InfoHash, peer: SocketAddr, host: Host, config: &Config) -> Self {
        Self {
            info_hash,
            peer,
            host,
            session: Session::new(info_hash, config),
            phase: Phase::Connecting,
            likely: false,
            holds_until: Time::ZERO,
            assembly: None,
            begun: now,
            reached: Stage::Dialled,
            via: None,
            incoming: false,
            opened_after: None,
            size: None,
            received: 0,
        }
    }

    /// Whether the peer counts at this stage in the funnel of how it is reached.
    pub(super) fn has_counted(&self, stage: Stage) -> bool {
        !self.incoming && (Stage::Connected..=self.reached).contains(&stage)
    }

    /// The peer is reached another way. Gives the way before, if that differs.
    pub(super) fn reroute(&mut self, via: Via) -> Option<Via> {
        let before = self.via.filter(|&before| before != via)?;
        self.via = Some(via);
        Some(before)
    }
}

impl Pool {
    pub(super) fn opened(&mut self, now: Time, conn: ConnId, via: Via) {
        let Some(talk) = self.talks.get_mut(&conn).filter(|talk| talk.phase == Phase::Connecting) else {
            return;
        };
        talk.via = Some(via);
        talk.holds_until = now + self.config.dialling.patience;
        talk.opened_after = Some(now.since(talk.begun));
        let peer_id = self.peer_id;
        self.outbox.write(conn, |out| talk.session.greet(peer_id, out));
        // The world had room after all; one more may be tried than are held.
        self.max_talks = self
            .max_talks
            .max(self.talks.len() + 1)
            .min(self.config.max_connections);
        self.reach(conn, Stage::Connected);
        self.enter(now, conn, Phase::Handshake);
    }

    pub(super) fn received(&mut self, now: Time, conn: ConnId, mut bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.stats.bytes_received += len;
        if let Some(talk) = self.talks.get_mut(&conn) {
            talk.received += len;
        }
        // Ends when the input is used up, or when something said ended the talk.
        while let Some(talk) = self.talks.get_mut(&conn).filter(|talk| talk.phase != Phase::Connecting) {
            match talk.session.hear(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Said::Nothing)) => {}
                Ok(Some(Said::Handshake)) => self.shook_hands(now, conn),
                Ok(Some(Said::Extended { size })) => {
                    talk.size = Some(size);
                    self.reach(conn, Stage::Extended);
                    self.begin(now, conn, size);
                }
                Ok(Some(Said::Piece { piece, bytes })) => {
                    let (key, peer) = (talk.assembly, talk.peer);
                    let hunt = self.hunts.get_mut(&talk.info_hash);
                    if let Some(assembly) = key.and_then(|key| hunt?.assembly(key)) {
                        assembly.put(piece, bytes, peer);
                    }
                    self.progressed(now, conn);
                }
                Err(failure) => self.hang_up(now, conn, Err(failure)),
            }
        }
    }

    pub(super) fn closed(&mut self, now: Time, conn: ConnId, why: Closed) {
        let Some(failure) = self.talks.get(&conn).map(|talk| talk.phase.closed(why)) else {
            return;
        };
        if failure == Failure::NoDescriptor && self.talks.len() > 1 {
            self.take_back_dial(conn);
        } else {
            self.end_talk(now, conn, Err(failure));
        }
    }

    pub(super) fn talk_expired(&mut self, now: Time, conn: ConnId) {
        if let Some(failure) = self.talks.get(&conn).map(|talk| talk.phase.timeout()) {
            self.hang_up(now, conn, Err(failure));
        }
    }

    /// Closes a connection from our side.
    pub(super) fn hang_up(&mut self, now: Time, conn: ConnId, result: Result<(), Failure>) {
        if self.talks.contains_key(&conn) {
            self.outbox.close(conn);
            self.end_talk(now, conn, result);
        }
    }

    fn shook_hands(&mut self, now: Time, conn: ConnId) {
        if let Some(talk) = self.talks.get_mut(&conn) {
            talk.holds_until = now + self.config.dialling.patience;
            let client = &self.config.client;
            self.outbox.write(conn, |out| talk.session.extend(client, out));
        }
        self.reach(conn, Stage::Handshaken);
        self.enter(now, conn, Phase::Extended);
    }

    /// The world has no descriptor for this dial: the peer keeps its turn, and no more connections are tried than are
    /// held until one of them opens or ends.
    fn take_back_dial(&mut self, conn: ConnId) {
        let Some(talk) = self.talks.remove(&conn) else {
            return;
        };
        self.timers.clear(Alarm::Talk(conn));
        self.hosts.release(talk.host);
        self.freed.push_back(talk.host);
        self.max_talks = self.talks.len();
        self.stats.no_descriptor += 1;
        self.stats.funnel[Stage::Dialled] -= 1;
        if let Some(hunt) = self.hunts.get_mut(&talk.info_hash) {
            hunt.live.retain(|live| *live != conn);
            hunt.tried -= 1;
            hunt.peers.retry(talk.peer);
        }
        self.wake(talk.info_hash);
    }

    /// Forgets a connection that is closed or being closed, and tells how it went.
    fn end_talk(&mut self, now: Time, conn: ConnId, result: Result<(), Failure>) {
        let Some(talk) = self.talks.remove(&conn) else {
            return;
        };
        self.timers.clear(Alarm::Talk(conn));
        self.hosts.release(talk.host);
        self.freed.push_back(talk.host);
        self.room.forget(conn);
        if !talk.incoming {
            self.luck.count(result);
        }
        if let Err(failure) = result {
            self.count_failure(&talk, failure);
            if talk.reached >= Stage::Handshaken {
                self.memory.met(now, talk.peer);
            }
            self.memory.failed(now, talk.peer, failure.lesson());
        }
        if let Some(hunt) = self.hunts.get_mut(&talk.info_hash) {
            hunt.live.retain(|live| *live != conn);
            if let Err(failure) = result {
                hunt.reasons.count(failure);
            }
            if let Some(key) = talk.assembly {
                self.leave_assembly(&talk, key);
            }
        }
        self.outbox.tell(Event::Attempt {
            info_hash: talk.info_hash,
            peer: talk.peer,
            via: talk.via,
            incoming: talk.incoming,
            reached: talk.reached,
            size: talk.size,
            received: talk.received,
            opened_after: talk.opened_after,
            took: now.since(talk.begun),
            result,
        });
        self.wake(talk.info_hash);
    }

    pub(super) fn enter(&mut self, now: Time, conn: ConnId, phase: Phase) {
        let deadlines = &self.config.deadlines;
        let span = match phase {
            Phase::Connecting => deadlines.connect,
            Phase::Handshake => deadlines.handshake,
            Phase::Extended | Phase::Room(_) => deadlines.extended,
            Phase::Pieces => deadlines.piece,
        };
        if let Some(talk) = self.talks.get_mut(&conn) {
            talk.phase = phase;
            self.timers.set(Alarm::Talk(conn), now + span);
        }
    }

    /// The peer came this far, which is counted once.
    pub(super) fn reach(&mut self, conn: ConnId, stage: Stage) {
        if let Some(talk) = self.talks.get_mut(&conn)
            && talk.reached < stage
        {
            talk.reached = stage;
            let Some(via) = talk.via else {
                return;
            };
            if talk.incoming {
                self.stats.incoming.funnel.count(stage);
            } else {
                self.stats.funnel.count(stage);
                self.stats.via_mut(via).funnel.count(stage);
            }
        }
    }

    fn count_failure(&mut self, talk: &Talk, failure: Failure) {
        if talk.incoming {
            self.stats.incoming.failures.count(failure);
            return;
        }
        self.stats.failures.count(failure);
        if let Some(via) = talk.via {
            self.stats.via_mut(via).failures.count(failure);
        }
    }
}

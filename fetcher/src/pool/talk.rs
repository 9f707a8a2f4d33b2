//! What happens on a connection, from dialling to its end.

use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use world::{Closed, ConnId, Time, Via};

use crate::assembly::Key;
use crate::config::Config;
use crate::dealings::Answer;
use crate::pool::Pool;
use crate::pool::hosts::Host;
use crate::pool::side::{End, Side};
use crate::pool::timers::Alarm;
use crate::session::{Greeting, Offer, Said, Session};
use crate::{Event, Failure, Stage};

/// One connection, from dialling to its end.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) info_hash: InfoHash,
    pub(super) peer: SocketAddr,
    pub(super) host: Host,
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
    pub(super) via: Option<Via>,
    /// The peer called us.
    pub(super) incoming: bool,
    opened_after: Option<Duration>,
    size: Option<u32>,
    pub(super) received: u64,
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
            session: Session::new(Some(info_hash), config),
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

    /// A caller that is a source of `info_hash`.
    pub(super) fn of_caller(side: Side, info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            peer: side.peer,
            host: side.host,
            session: side.session,
            phase: Phase::Handshake,
            likely: false,
            holds_until: Time::ZERO,
            assembly: None,
            begun: side.begun,
            reached: Stage::Dialled,
            via: Some(side.via),
            incoming: true,
            opened_after: Some(Duration::ZERO),
            size: None,
            received: side.received,
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
        } else if let Some(side) = self.sides.get_mut(&conn) {
            side.received += len;
        }
        // A caller may become a talk in the middle of what it said, and a talk a listener.
        while self.hear_talk(now, conn, &mut bytes) || self.hear_side(now, conn, &mut bytes) {}
    }

    /// Hears the next thing on a talk; whether there was one.
    fn hear_talk(&mut self, now: Time, conn: ConnId, bytes: &mut &[u8]) -> bool {
        let talk = self.talks.get_mut(&conn);
        let Some(talk) = talk.filter(|talk| talk.phase != Phase::Connecting) else {
            return false;
        };
        let (info_hash, by, key) = (talk.info_hash, talk.peer, talk.assembly);
        let said = match talk.session.hear(bytes) {
            Ok(None) => return false,
            Ok(Some(said)) => said,
            Err(failure) => {
                self.disappointed(now, conn, failure);
                return true;
            }
        };
        match said {
            Said::Nothing => {}
            Said::Handshake { .. } => self.shook_hands(now, conn),
            Said::Extended(offer) => self.offered(now, conn, offer),
            Said::Piece { piece, bytes } => {
                let hunt = self.hunts.get_mut(&info_hash);
                if let Some(assembly) = key.and_then(|key| hunt?.assembly(key)) {
                    assembly.put(piece, bytes, by);
                }
                self.progressed(now, conn);
            }
            Said::Wants(request) => {
                self.stats.answers.count(Answer::Absent);
                self.outbox.write(conn, |out| talk.session.answer(request, None, out));
            }
            Said::Names { pex, most } => {
                for (peer, flags) in pex.peers().take(most) {
                    self.stats.named += 1;
                    self.outbox.tell(Event::Named {
                        info_hash,
                        peer,
                        by,
                        flags,
                    });
                }
            }
            Said::Meets(message) => self.meets(conn, message),
        }
        true
    }

    /// The peer said what it has for us.
    fn offered(&mut self, now: Time, conn: ConnId, offer: Offer) {
        let Some(talk) = self.talks.get_mut(&conn) else {
            return;
        };
        match offer {
            Offer::Size(size) => {
                talk.size = Some(size);
                self.reach(conn, Stage::Extended);
                self.begin(now, conn, size);
            }
            Offer::Unsized => {
                self.outbox.write(conn, |out| talk.session.probe(out));
                self.enter(now, conn, Phase::Extended);
            }
            Offer::Nothing(failure) => self.disappointed(now, conn, failure),
        }
    }

    /// The peer will not deliver; it may still be good for naming others.
    fn disappointed(&mut self, now: Time, conn: ConnId, failure: Failure) {
        if self.may_listen(conn, failure) {
            self.listen(now, conn, failure);
        } else {
            self.hang_up(now, conn, Err(failure));
        }
    }

    pub(super) fn closed(&mut self, now: Time, conn: ConnId, why: Closed) {
        let Some(failure) = self.talks.get(&conn).map(|talk| talk.phase.closed(why)) else {
            self.end_side(now, conn, End::HungUp);
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
        } else {
            self.leave_side(now, conn, End::TimeUp);
        }
    }

    /// Closes a connection from our side.
    pub(super) fn hang_up(&mut self, now: Time, conn: ConnId, result: Result<(), Failure>) {
        if self.talks.contains_key(&conn) {
            self.outbox.close(conn);
            self.end_talk(now, conn, result);
        }
    }

    pub(super) fn shook_hands(&mut self, now: Time, conn: ConnId) {
        if let Some(talk) = self.talks.get_mut(&conn) {
            talk.holds_until = now + self.config.dialling.patience;
            let greeting = Greeting {
                client: &self.config.client,
                port: self.listen_port,
                your_ip: talk.peer.ip(),
                metadata_size: None,
            };
            self.outbox.write(conn, |out| talk.session.extend(greeting, out));
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
        if let Some(talk) = self.take_talk(now, conn, result) {
            self.hosts.release(talk.host);
            self.freed.push_back(talk.host);
        }
    }

    /// Takes a talk out of the table, and tells how it went; its host stays busy.
    pub(super) fn take_talk(&mut self, now: Time, conn: ConnId, result: Result<(), Failure>) -> Option<Talk> {
        let talk = self.talks.remove(&conn)?;
        self.timers.clear(Alarm::Talk(conn));
        self.room.forget(conn);
        // Where a caller called from is no endpoint that could be dialled.
        if !talk.incoming {
            self.luck.count(result);
        }
        if let Err(failure) = result {
            self.count_failure(&talk, failure);
            if !talk.incoming {
                if talk.reached >= Stage::Handshaken {
                    self.memory.met(now, talk.peer);
                }
                self.memory.failed(now, talk.peer, failure.lesson());
                self.seek_meeting(talk.info_hash, talk.peer, failure);
            }
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
        Some(talk)
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

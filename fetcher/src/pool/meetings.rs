//! Meetings through a relay (BEP 55): asked for, invited to, and arranged for others.

use std::net::SocketAddr;

use wire::ut_holepunch::{Refusal, UtHolepunch};
use wire::{InfoHash, ut_pex};
use world::{ConnId, Via};

use crate::dealings::Meeting;
use crate::pool::Pool;
use crate::session::Session;
use crate::{Event, Failure};

/// How a meeting stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// We asked a relay for it.
    Asked,
    /// A relay told us of a peer that nobody had named: the owner was told, and may let us dial it.
    Called,
    /// The peer was dialled, or is about to be.
    Met,
}

impl Pool {
    /// A relay, or somebody who needs one, says something.
    pub(super) fn meets(&mut self, conn: ConnId, message: UtHolepunch) {
        let step = match message {
            UtHolepunch::Rendezvous(target) => self.arrange(conn, target),
            UtHolepunch::Connect(peer) => self.invited(conn, peer),
            UtHolepunch::Error(..) => Meeting::Refused,
            UtHolepunch::Unknown { .. } => Meeting::Ignored,
        };
        self.stats.meetings.count(step);
    }

    /// A peer could not be reached: whoever named it may let us meet, once.
    pub(super) fn seek_meeting(&mut self, info_hash: InfoHash, peer: SocketAddr, why: Failure) {
        if !matches!(why, Failure::Refused | Failure::Unreachable | Failure::ConnectTimeout) {
            return;
        }
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return;
        };
        let most = self.config.exchange.meetings as usize;
        let known = hunt.meetings.iter().any(|(met, _)| *met == peer);
        if known || hunt.meetings.len() >= most || hunt.attempts_spent(&self.config.dialling) {
            return;
        }
        let Some(named_by) = hunt.peers.named_by(peer) else {
            return;
        };
        let relay = hunt.live.iter().chain(&hunt.listeners).copied().find_map(|conn| {
            let talk = self.talks.get(&conn).map(|talk| (talk.peer, &talk.session));
            let side = || self.sides.get(&conn).map(|side| (side.peer, &side.session));
            let (addr, session) = talk.or_else(side)?;
            (addr == named_by && session.meets()).then_some((conn, session))
        });
        if let Some((conn, session)) = relay {
            hunt.meetings.push((peer, Progress::Asked));
            self.stats.meetings.count(Meeting::Asked);
            self.outbox
                .write(conn, |out| session.meet(UtHolepunch::Rendezvous(peer), out));
        }
    }

    /// A relay says that a peer comes to meet us now.
    fn invited(&mut self, conn: ConnId, peer: SocketAddr) -> Meeting {
        let Some((info_hash, by)) = self.about(conn) else {
            return Meeting::Ignored;
        };
        let Some(hunt) = self.hunts.get_mut(&info_hash) else {
            return Meeting::Ignored;
        };
        let is_full = hunt.meetings.len() >= self.config.exchange.meetings as usize;
        match hunt.meetings.iter_mut().find(|(met, _)| *met == peer) {
            Some((_, progress @ Progress::Asked)) => {
                *progress = Progress::Met;
                hunt.peers.meet(peer);
                self.wake(info_hash);
                Meeting::Arranged
            }
            Some(_) => Meeting::Ignored,
            None if is_full => Meeting::Ignored,
            None => {
                hunt.meetings.push((peer, Progress::Called));
                self.outbox.tell(Event::Named {
                    info_hash,
                    peer,
                    by,
                    flags: ut_pex::flag::UTP | ut_pex::flag::HOLEPUNCH,
                });
                Meeting::Called
            }
        }
    }

    /// Lets two peers of ours meet, who are connected for the same infohash.
    fn arrange(&mut self, conn: ConnId, target: SocketAddr) -> Meeting {
        let (Some((info_hash, _)), Some(asker)) = (self.about(conn), self.reachable(conn)) else {
            return Meeting::Ignored;
        };
        let Some(session) = self.session(conn).filter(|session| session.meets()) else {
            // BEP 55: silently.
            return Meeting::Ignored;
        };
        let ours = session.sees_us_at().zip(self.listen_port).map(SocketAddr::from);
        let ip = target.ip();
        let found = if target.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            Err(Refusal::NoSuchPeer)
        } else if ours == Some(target) {
            Err(Refusal::NoSelf)
        } else {
            let mut others = self.connected_for(info_hash).filter(|&other| other != conn);
            let other = others.find(|&other| self.reachable(other) == Some(target));
            let other = other.and_then(|other| Some((other, self.session(other)?)));
            match other {
                None => Err(Refusal::NotConnected),
                Some((_, other)) if !other.meets() => Err(Refusal::NoSupport),
                Some(found) => Ok(found),
            }
        };
        match found {
            Ok((other, theirs)) => {
                let mut connect = Vec::new();
                theirs.meet(UtHolepunch::Connect(asker), &mut connect);
                let mut reply = Vec::new();
                session.meet(UtHolepunch::Connect(target), &mut reply);
                self.outbox.write(other, |out| out.extend_from_slice(&connect));
                self.outbox.write(conn, |out| out.extend_from_slice(&reply));
                Meeting::Relayed
            }
            Err(refusal) => {
                let mut reply = Vec::new();
                session.meet(UtHolepunch::Error(target, refusal), &mut reply);
                self.outbox.write(conn, |out| out.extend_from_slice(&reply));
                Meeting::RefusedByUs
            }
        }
    }

    /// What a connection is about, and with whom it is.
    fn about(&self, conn: ConnId) -> Option<(InfoHash, SocketAddr)> {
        let talk = self.talks.get(&conn).map(|talk| (talk.info_hash, talk.peer));
        talk.or_else(|| {
            let side = self.sides.get(&conn)?;
            Some((side.role.info_hash()?, side.peer))
        })
    }

    fn session(&self, conn: ConnId) -> Option<&Session> {
        let talk = self.talks.get(&conn).map(|talk| &talk.session);
        talk.or_else(|| Some(&self.sides.get(&conn)?.session))
    }

    /// Where others reach the peer: one that called us over TCP listens on another port than it called from.
    fn reachable(&self, conn: ConnId) -> Option<SocketAddr> {
        let talk = self.talks.get(&conn).map(|talk| (talk.peer, talk.incoming, talk.via));
        let side = || {
            let side = self.sides.get(&conn)?;
            Some((side.peer, side.incoming, Some(side.via)))
        };
        let (peer, incoming, via) = talk.or_else(side)?;
        let by_tcp = matches!(via, Some(Via::Tcp | Via::TcpMse));
        if !(incoming && by_tcp) {
            return Some(peer);
        }
        let port = self.session(conn)?.listens_on()?;
        Some(SocketAddr::new(peer.ip(), port))
    }

    /// All connections about an infohash. Guests are few (`Serving::callers`).
    fn connected_for(&self, info_hash: InfoHash) -> impl Iterator<Item = ConnId> {
        let hunt = self.hunts.get(&info_hash).into_iter();
        let hunted = hunt.flat_map(|hunt| hunt.live.iter().chain(&hunt.listeners).copied());
        let guests = self.sides.iter().filter(move |(_, side)| {
            matches!(side.role, super::side::Role::Guest { info_hash: about, .. } if about == info_hash)
        });
        hunted.chain(guests.map(|(&conn, _)| conn))
    }
}

//! From a dial to an open leg, and once more if the peer hangs up on the first bytes.

use std::net::SocketAddr;
use std::time::Duration;

use world::{Closed, ConnId, Effect, Member, Time, Via};

use crate::carrier::{Carrier, is_encrypted};
use crate::config::Policy;
use crate::ladder::{Ladder, Step};
use crate::stats::{ByVia, Reason};
use crate::streams::{Layer, Leg, Phase, Stream, Transport};
use crate::{Above, mse};

impl Transport {
    /// Begins a stream. A number that is in use is ignored.
    pub(super) fn dial(&mut self, now: Time, conn: ConnId, to: SocketAddr, via: Option<Via>) {
        if self.streams.contains_key(&conn) {
            return;
        }
        let ladder = self.ladder(now, to, via);
        let stream = Stream {
            to,
            via: via.unwrap_or(Carrier::Tcp.via(ladder.encrypted)),
            phase: Phase::Dialling(ladder),
            held: Vec::new(),
            told: false,
            ways: self.ways(via),
            alarm: None,
        };
        self.streams.insert(conn, stream);
        self.climb(now, conn);
    }

    /// Ways that a dial may come to: just so, or whatever is allowed.
    fn ways(&self, via: Option<Via>) -> ByVia<bool> {
        let mut ways = ByVia::default();
        for &way in Via::ALL {
            let allowed = match self.config.outgoing {
                Policy::Forced => is_encrypted(way),
                Policy::Enabled => true,
                Policy::Disabled => !is_encrypted(way),
            };
            ways[way] = match via {
                Some(via) => via == way,
                None => allowed && self.may_dial(Carrier::of(way)),
            };
        }
        ways
    }

    fn may_dial(&self, carrier: Carrier) -> bool {
        match carrier {
            Carrier::Tcp => self.config.tcp,
            Carrier::Utp => self.config.utp,
        }
    }

    /// What is dialled when: just so, or by what is known of the endpoint.
    fn ladder(&self, now: Time, to: SocketAddr, via: Option<Via>) -> Ladder {
        let (at_once, later) = (Duration::ZERO, self.config.deadlines.beside_after);
        let may = |carrier| self.may_dial(carrier);
        if let Some(via) = via {
            let only = |carrier| (Carrier::of(via) == carrier && may(carrier)).then_some(at_once);
            return Ladder::new(now, is_encrypted(via), only(Carrier::Tcp), only(Carrier::Utp));
        }
        let standing = self.memory.standing(now, to);
        let encrypted = match self.config.outgoing {
            Policy::Forced => true,
            Policy::Enabled => standing.encrypted,
            Policy::Disabled => false,
        };
        let first = standing.first.unwrap_or(Carrier::Tcp);
        let wait = |carrier, other| {
            let alone = carrier == first || standing.both || !may(other);
            may(carrier).then_some(if alone { at_once } else { later })
        };
        let tcp = wait(Carrier::Tcp, Carrier::Utp);
        let utp = wait(Carrier::Utp, Carrier::Tcp);
        Ladder::new(now, encrypted, tcp, utp)
    }

    /// Does what a ladder wants done now.
    pub(super) fn climb(&mut self, now: Time, conn: ConnId) {
        loop {
            let Some((to, ladder)) = self.climber(conn) else {
                return;
            };
            let encrypted = ladder.encrypted;
            match ladder.due(now) {
                Some(Step::Dial(carrier)) => {
                    let leg = self.dial_leg(now, conn, carrier, to, encrypted);
                    let until = now + self.config.connect_by(carrier);
                    if let Some((_, ladder)) = self.climber(conn) {
                        ladder.dialled(carrier, leg, until);
                    }
                }
                Some(Step::GiveUp(carrier, leg)) => {
                    self.hang_up(now, leg);
                    self.leg_failed(now, conn, carrier, Closed::TimedOut);
                }
                None => break,
            }
        }
        let Some((_, ladder)) = self.climber(conn) else {
            return;
        };
        let (deadline, outcome) = (ladder.deadline(), ladder.outcome());
        match outcome {
            None => self.set_alarm(conn, deadline),
            Some(why) if self.streams.get(&conn).is_some_and(|stream| !stream.told) => self.end(conn, why),
            // Who knows it as open is not told that it was refused.
            Some(_) => {
                if !self.dial_again(now, conn) {
                    self.end(conn, Closed::ByRemote);
                }
            }
        }
    }

    /// A stream that is being dialled: where to, and how.
    fn climber(&mut self, conn: ConnId) -> Option<(SocketAddr, &mut Ladder)> {
        match self.streams.get_mut(&conn)? {
            Stream {
                to,
                phase: Phase::Dialling(ladder),
                ..
            } => Some((*to, ladder)),
            _ => None,
        }
    }

    fn dial_leg(&mut self, now: Time, stream: ConnId, carrier: Carrier, to: SocketAddr, encrypted: bool) -> ConnId {
        let conn = ConnId(self.next_leg);
        self.next_leg += 1;
        let leg = Leg {
            stream,
            carrier,
            straight: false,
        };
        self.legs.insert(conn, leg);
        self.stats.dialled.count(carrier.via(encrypted));
        match carrier {
            Carrier::Tcp => {
                let via = Some(Via::Tcp);
                self.outbox.effect(Effect::Dial { conn, to, via });
            }
            Carrier::Utp => self.utp.dial(now, conn, to),
        }
        conn
    }

    fn leg_failed(&mut self, now: Time, conn: ConnId, carrier: Carrier, why: Closed) {
        let Some((_, ladder)) = self.climber(conn) else {
            return;
        };
        ladder.failed(now, carrier, why);
        let via = carrier.via(ladder.encrypted);
        self.stats.failed[via].count(why.into());
        // What does not open now does not open encrypted, either.
        if let Some(stream) = self.streams.get_mut(&conn) {
            stream.ways[carrier.via(false)] = false;
            stream.ways[carrier.via(true)] = false;
        }
    }

    /// A leg is open: the first of its stream is taken.
    pub(super) fn opened(&mut self, now: Time, leg: ConnId) {
        let Some(&Leg {
            stream: conn, carrier, ..
        }) = self.legs.get(&leg)
        else {
            return;
        };
        let Some((_, ladder)) = self.climber(conn) else {
            return;
        };
        let encrypted = ladder.encrypted;
        let others = ladder.legs().filter(|&(_, other)| other != leg);
        for (other, leg) in others.collect::<Vec<_>>() {
            self.stats.abandoned.count(other.via(encrypted));
            self.hang_up(now, leg);
        }
        let via = carrier.via(encrypted);
        self.stats.opened.count(via);
        self.set_alarm(conn, None);
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        stream.ways[via] = false;
        let layer = if encrypted { Layer::Keyless } else { Layer::Unheard };
        stream.phase = Phase::Open(leg, layer);
        if stream.told {
            self.reroute(conn, via);
            self.say_again(now, conn);
        } else {
            stream.told = true;
            stream.via = via;
            self.outbox.tell(Above::Opened { conn, via });
        }
    }

    /// What was said on the leg before is said on this one.
    fn say_again(&mut self, now: Time, conn: ConnId) {
        let Some(stream) = self.streams.get(&conn) else {
            return;
        };
        match stream.phase {
            Phase::Open(_, Layer::Keyless) => self.call(now, conn),
            Phase::Open(leg, _) => {
                let held = stream.held.clone();
                self.write_leg(now, leg, &held);
            }
            Phase::Dialling(_) => {}
        }
    }

    /// A leg has ended, or never came about.
    pub(super) fn closed(&mut self, now: Time, leg: ConnId, why: Closed) {
        let Some(Leg {
            stream: conn, carrier, ..
        }) = self.legs.remove(&leg)
        else {
            return;
        };
        let Some(stream) = self.streams.get(&conn) else {
            return;
        };
        match &stream.phase {
            Phase::Dialling(_) => {
                self.leg_failed(now, conn, carrier, why);
                self.climb(now, conn);
            }
            Phase::Open(_, Layer::Straight | Layer::Secured(_)) => self.end(conn, why),
            Phase::Open(..) => {
                self.stats.failed[stream.via].count(why.into());
                let hung_up = matches!(why, Closed::ByRemote | Closed::Reset);
                if !hung_up || !self.dial_again(now, conn) {
                    self.end(conn, why);
                }
            }
        }
    }

    /// The handshake will not come to its end.
    pub(super) fn not_secured(&mut self, now: Time, conn: ConnId, reason: Reason) {
        let Some(stream) = self.streams.get(&conn) else {
            return;
        };
        self.stats.failed[stream.via].count(reason);
        if let Phase::Open(leg, _) = stream.phase {
            self.hang_up(now, leg);
        }
        if !self.dial_again(now, conn) {
            let timed_out = reason == Reason::HandshakeTimeout;
            self.end(conn, if timed_out { Closed::TimedOut } else { Closed::Reset });
        }
    }

    /// Dials once more after the peer hung up before its first byte: on the same carrier encrypted if it was plain and
    /// plain if it was encrypted (crawlers R8), then on the other carrier: libtorrent without TCP accepts it, too, and
    /// hangs up. True if there is a way that was not tried.
    fn dial_again(&mut self, now: Time, conn: ConnId) -> bool {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return false;
        };
        let (carrier, encrypted) = (Carrier::of(stream.via), is_encrypted(stream.via));
        // Who hangs up before we have said anything does not mind how we say it.
        let said = mse_key(&stream.held).is_some();
        let other = match carrier {
            Carrier::Tcp => Carrier::Utp,
            Carrier::Utp => Carrier::Tcp,
        };
        let ways = [(carrier, !encrypted), (other, false), (other, true)];
        let open = |&(way, encrypted): &(Carrier, bool)| stream.ways[way.via(encrypted)] && (said || way == other);
        let Some((carrier, encrypted)) = ways.into_iter().find(open) else {
            return false;
        };
        stream.phase = Phase::Dialling(Ladder::only(now, encrypted, carrier));
        self.stats.again.count(carrier.via(encrypted));
        self.climb(now, conn);
        true
    }

    /// The mind above is done with a stream.
    pub(super) fn close(&mut self, now: Time, conn: ConnId) {
        let Some(stream) = self.streams.get(&conn) else {
            return;
        };
        match stream.phase {
            Phase::Open(leg, _) => self.hang_up(now, leg),
            Phase::Dialling(ladder) => {
                for (carrier, leg) in ladder.legs() {
                    self.stats.abandoned.count(carrier.via(ladder.encrypted));
                    self.hang_up(now, leg);
                }
            }
        }
        self.forget(conn);
    }
}

/// The infohash that keys an encrypted stream: that of the handshake with which it begins.
pub(super) fn mse_key(held: &[u8]) -> Option<wire::InfoHash> {
    let handshake = held.first_chunk::<{ mse::INITIAL_MAX }>()?;
    let handshake = wire::handshake::Handshake::decode(handshake).ok()?;
    Some(handshake.info_hash)
}

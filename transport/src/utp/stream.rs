//! One stream: how it begins, what it sends, when it ends.

mod hear;

use std::time::Duration;

use wire::utp::{Header, Kind};
use world::{Closed, ConnId, Time, Via};

use super::config::Config;
use super::inbox::Inbox;
use super::incoming::{Incoming, MAX_MASK, Spare};
use super::ledbat::Ledbat;
use super::outgoing::Outgoing;
use super::rtt::Rtt;
use super::stats::{Count, Stats};
use super::table::Key;
use crate::Above;

/// Between two packets into a window of zero bytes (libutp: 15 s; a lost window update should not cost as much).
const PROBE: Duration = Duration::from_secs(3);
/// How long a stream is kept whose FIN was acknowledged, to acknowledge what the other side still says, at last its FIN.
const TIME_WAIT: Duration = Duration::from_secs(2);

/// How far a stream has come. Its end is not a phase of its own: each half ends when it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// We sent a SYN.
    Dialled,
    /// A stranger sent one, and has not shown yet that it reads our answers.
    HalfOpen,
    /// Both sides know of one another.
    Open,
}

/// What all streams share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) stats: Stats,
    pub(super) inbox: Inbox,
    pub(super) spare: Spare,
    /// Bytes out of order of all streams.
    pub(super) held: usize,
    /// What our clock showed when the run began.
    pub(super) epoch: u32,
}

impl Shared {
    /// Our clock as packets carry it. Never 0, which means "unknown" to libtorrent.
    fn clock(&self, now: Time) -> u32 {
        // Wraps each 71 minutes.
        let micros = u32::try_from(now.as_micros() & 0xffff_ffff).unwrap_or(0);
        micros.wrapping_add(self.epoch).max(1)
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: Key,
    /// By which its owner knows it. `None` before it was told, and after either closed it.
    pub(super) conn: Option<ConnId>,
    /// When it is to be woken, as the table knows it.
    pub(super) alarm: Time,
    /// Whether it waits for its turn to send.
    pub(super) queued: bool,
    /// Its owner wants to be told when it may write more.
    pub(super) reports: bool,
    pub(super) phase: Phase,
    /// Nothing is left of it to do.
    pub(super) over: bool,
    /// Both halves have ended; kept to acknowledge the other side's FIN again.
    time_wait: bool,
    /// The other side is to be told that it is over.
    pub(super) tell_reset: bool,
    send_id: u16,
    syn_due: bool,
    ack_due: bool,
    /// Acknowledge with the number of our FIN, not the next one: see [`Stream::state_seq`].
    as_fin: bool,
    /// The next packet may go into a window of zero bytes.
    probe: bool,
    /// Such a packet went, and nothing else since.
    probing: bool,
    /// Waits for an answer in a row that were in vain.
    timeouts: u8,
    out: Outgoing,
    incoming: Incoming,
    rtt: Rtt,
    ledbat: Ledbat,
    /// Bytes that the other side has room for.
    peer_window: u32,
    /// Our clock less the timestamp of the last packet received.
    difference: u32,
    /// Packets before this number were sent before the window was last halved.
    recover: Option<u16>,
    /// When to take for lost what flies, or to try again what could not fly.
    resend: Time,
    /// When it must have come further: opened, or ended.
    limit: Time,
    heard: Time,
    spoke: Time,
}

impl Stream {
    fn new(now: Time, key: Key, send_id: u16, phase: Phase, out: Outgoing, incoming: Incoming) -> Self {
        Self {
            key,
            conn: None,
            alarm: Time::MAX,
            queued: false,
            reports: false,
            phase,
            over: false,
            time_wait: false,
            tell_reset: false,
            send_id,
            syn_due: true,
            ack_due: false,
            as_fin: true,
            probe: false,
            probing: false,
            timeouts: 0,
            out,
            incoming,
            rtt: Rtt::default(),
            ledbat: Ledbat::new(),
            peer_window: 0,
            difference: 0,
            recover: None,
            resend: Time::MAX,
            limit: Time::MAX,
            heard: now,
            spoke: now,
        }
    }

    /// A stream that we open; its SYN has the number `seq_nr`. A chosen number, not 1 as in BEP 29, is one more thing
    /// that a forger must guess; libutp and libtorrent choose theirs, too.
    pub(super) fn dialled(now: Time, key: Key, conn: ConnId, seq_nr: u16, config: &Config) -> Self {
        let send_id = key.recv_id.wrapping_add(1);
        let out = Outgoing::new(seq_nr.wrapping_add(1));
        let mut stream = Self::new(now, key, send_id, Phase::Dialled, out, Incoming::new(0));
        stream.conn = Some(conn);
        stream.resend = now + config.syn;
        stream.limit = now + config.connect;
        stream
    }

    /// A stream that a stranger opens with a SYN of number `ack_nr`; our first packet will have the number `seq_nr`.
    pub(super) fn called(now: Time, key: Key, ack_nr: u16, seq_nr: u16, config: &Config) -> Self {
        let send_id = key.recv_id.wrapping_sub(1);
        let out = Outgoing::new(seq_nr);
        let mut stream = Self::new(now, key, send_id, Phase::HalfOpen, out, Incoming::new(ack_nr));
        stream.limit = now + config.half_open;
        stream
    }

    /// The stranger's SYN came again: our answer was lost, or is late.
    pub(super) fn called_again(&mut self, ack_nr: u16) -> bool {
        let again = self.phase == Phase::HalfOpen && self.incoming.ack_nr() == ack_nr;
        self.syn_due |= again;
        again
    }

    pub(super) const fn send_id(&self) -> u16 {
        self.send_id
    }

    /// Bytes written and not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.out.len()
    }

    /// Bytes out of order that it holds.
    pub(super) fn held(&self) -> usize {
        usize::try_from(self.incoming.held()).unwrap_or(0)
    }

    /// Keeps bytes to be sent; they may be written before the stream is open. Too many of them end it.
    pub(super) fn write(&mut self, now: Time, bytes: &[u8], shared: &mut Shared) {
        if !self.out.write(bytes, shared.config.send_buffer) {
            self.fail(Closed::Congested, shared);
            self.tell_reset = true;
        } else if self.resend == Time::MAX {
            self.rearm(now);
        }
    }

    /// The owner wants no more of it. What was written before is still sent, for a bounded time.
    pub(super) fn close(&mut self, now: Time, shared: &Shared) {
        self.leave(now, shared);
        self.over |= self.phase != Phase::Open;
    }

    /// Ends our half.
    fn leave(&mut self, now: Time, shared: &Shared) {
        self.out.finish();
        self.limit = now + shared.config.linger;
        if self.resend == Time::MAX {
            self.rearm(now);
        }
    }

    /// It ended by itself: tells the owner.
    fn fail(&mut self, why: Closed, shared: &mut Shared) {
        if let Some(conn) = self.conn {
            shared.inbox.tell(conn, Above::Closed { conn, why });
        }
        self.over = true;
    }

    /// Whether its owner was told that it ended, and knows it no more.
    pub(super) fn is_left(&self) -> bool {
        self.conn.is_some() && self.incoming.is_ended()
    }

    /// Whether all was said in both directions and nobody waits for anything.
    pub(super) fn is_done(&self) -> bool {
        let ended = self.incoming.is_ended() && self.out.is_delivered();
        self.over || (ended && !self.ack_due && !self.time_wait)
    }

    /// When it wants to be woken.
    pub(super) fn wants(&self, config: &Config) -> Time {
        let at = self.limit.min(self.resend);
        if self.phase != Phase::Open {
            return at;
        }
        let keepalive = config.keepalive.map_or(Time::MAX, |every| self.spoke + every);
        at.min(keepalive).min(self.heard + config.idle)
    }

    /// Whether it has a packet to send.
    pub(super) fn may_speak(&self) -> bool {
        self.syn_due || (self.phase == Phase::Open && (self.ack_due || self.out.may_send(self.window(), self.probe)))
    }

    fn window(&self) -> u32 {
        self.ledbat.window().min(self.peer_window)
    }

    /// Starts to wait for an answer, if there is anything to be answered.
    fn rearm(&mut self, now: Time) {
        if self.phase != Phase::Open {
            return;
        }
        let wait = self.rtt.timeout(self.timeouts);
        self.resend = if !self.out.is_busy() {
            Time::MAX
        } else if self.peer_window == 0 {
            now + wait.max(PROBE)
        } else {
            now + wait
        };
    }

    /// The time it wanted to be woken at has come.
    pub(super) fn wake(&mut self, now: Time, shared: &mut Shared) {
        if now >= self.limit {
            self.expire(shared);
        } else if self.phase == Phase::Open && now >= self.heard + shared.config.idle {
            shared.stats.counts.count(Count::Idle);
            self.tell_reset = true;
            self.fail(Closed::Reset, shared);
        } else if now >= self.resend {
            self.waited(now, shared);
        } else if shared.config.keepalive.is_some_and(|every| now >= self.spoke + every) {
            self.ack_due = true;
            self.spoke = now;
            self.out.shrink();
            self.incoming.shrink();
        }
    }

    fn expire(&mut self, shared: &mut Shared) {
        match self.phase {
            Phase::Dialled => self.fail(Closed::TimedOut, shared),
            Phase::HalfOpen => {
                shared.stats.counts.count(Count::HalfOpenExpired);
                self.over = true;
            }
            Phase::Open => {
                if !self.out.is_delivered() {
                    shared.stats.counts.count(Count::Undelivered);
                    self.tell_reset = true;
                }
                self.over = true;
            }
        }
    }

    /// Waited for an answer in vain.
    fn waited(&mut self, now: Time, shared: &mut Shared) {
        if self.phase == Phase::Dialled {
            self.timeouts = self.timeouts.saturating_add(1);
            self.resend = now + shared.config.syn * (1 << self.timeouts.min(8));
            self.syn_due = true;
            return;
        }
        self.probe = self.peer_window == 0;
        if self.out.is_flying() {
            self.timeouts = self.timeouts.saturating_add(1);
            shared.stats.counts.count(Count::Timeout);
            if self.timeouts > shared.config.timeouts {
                shared.stats.counts.count(Count::Dead);
                self.tell_reset = true;
                return self.fail(Closed::Reset, shared);
            }
            // A probe that was dropped for want of room says nothing about the path.
            if self.timeouts == 1 && !self.probe {
                self.ledbat.silent();
            }
            self.out.lose_all();
            self.recover = Some(self.out.next_seq());
        }
        self.rearm(now);
    }

    /// Appends one packet, if there is one to send. Says how long it is.
    pub(super) fn speak(&mut self, now: Time, payload: &mut Vec<u8>, shared: &mut Shared) -> Option<usize> {
        let start = payload.len();
        if self.syn_due {
            self.syn_due = false;
            self.speak_syn(now, payload, shared);
        } else if self.phase != Phase::Open {
            return None;
        } else if !self.speak_sack(now, payload, shared) && !self.speak_data(now, payload, shared) {
            if !self.ack_due {
                return None;
            }
            self.ack_due = false;
            let header = self.header(now, Kind::State, self.state_seq(), shared);
            header.encode(&[], payload);
        }
        self.spoke = now;
        shared.stats.counts.count(Count::PacketsOut);
        Some(payload.len() - start)
    }

    fn speak_syn(&mut self, now: Time, payload: &mut Vec<u8>, shared: &mut Shared) {
        let next = self.out.next_seq();
        if self.phase == Phase::Dialled {
            shared.stats.counts.count(Count::SynSent);
            let header = self.header(now, Kind::Syn, next.wrapping_sub(1), shared);
            let connection_id = self.key.recv_id;
            Header {
                connection_id,
                ..header
            }
            .encode(&[], payload);
        } else {
            self.header(now, Kind::State, next, shared).encode(&[], payload);
        }
    }

    /// What waits for an earlier packet is told in a packet of its own: it would not fit beside whole segments.
    fn speak_sack(&mut self, now: Time, payload: &mut Vec<u8>, shared: &Shared) -> bool {
        let mut mask = [0; MAX_MASK];
        let len = self.incoming.mask(&mut mask);
        if !self.ack_due || len == 0 {
            return false;
        }
        self.ack_due = false;
        let header = self.header(now, Kind::State, self.state_seq(), shared);
        header.encode(mask.get(..len).unwrap_or_default(), payload);
        true
    }

    fn speak_data(&mut self, now: Time, payload: &mut Vec<u8>, shared: &mut Shared) -> bool {
        let was_flying = self.out.is_flying();
        let Some(piece) = self.out.next(now, self.window(), self.probe) else {
            return false;
        };
        let counts = &mut shared.stats.counts;
        if self.probe {
            self.probe = false;
            self.probing = true;
            counts.count(Count::Probe);
        } else if piece.again {
            let why = if self.timeouts > 0 {
                Count::Retransmit
            } else {
                Count::FastRetransmit
            };
            counts.count(why);
        }
        counts[Count::BytesOut] += piece.len as u64;
        let kind = if piece.fin { Kind::Fin } else { Kind::Data };
        self.header(now, kind, piece.seq_nr, shared).encode(&[], payload);
        self.out.payload(&piece, payload);
        self.ack_due = false;
        if !was_flying {
            self.rearm(now);
        }
        true
    }

    /// The number that an empty packet shows: the next one. After a FIN libutp passes over all but that, and libtorrent
    /// all that is beyond the FIN. So when something comes again, which means that our acknowledgement was passed over,
    /// the other number is tried.
    fn state_seq(&self) -> u16 {
        let back = u16::from(self.as_fin && self.out.is_fin_sent());
        self.out.next_seq().wrapping_sub(back)
    }

    fn header(&self, now: Time, kind: Kind, seq_nr: u16, shared: &Shared) -> Header {
        let dialled = self.phase == Phase::Dialled;
        Header {
            kind,
            connection_id: self.send_id,
            timestamp: shared.clock(now),
            timestamp_difference: self.difference,
            window: shared.config.receive_window.saturating_sub(self.incoming.held()),
            seq_nr,
            ack_nr: if dialled { 0 } else { self.incoming.ack_nr() },
        }
    }

    /// The RESET that says that it is over.
    pub(super) fn reset(&self, now: Time, shared: &Shared) -> Header {
        self.header(now, Kind::Reset, self.out.next_seq(), shared)
    }

    /// Whether a stranger opened it.
    pub(super) fn is_called(&self) -> bool {
        self.send_id.wrapping_add(1) == self.key.recv_id
    }

    fn opened(&mut self, shared: &mut Shared) {
        if let Some(conn) = self.conn {
            shared.stats.counts.count(Count::Opened);
            shared.inbox.tell(conn, Above::Opened { conn, via: Via::Utp });
        }
    }
}

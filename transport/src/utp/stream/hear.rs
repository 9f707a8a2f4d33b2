//! What a stream makes of a packet.

use wire::utp::{Header, Kind, Packet};
use world::{Closed, Time};

use super::super::incoming::{Arrival, Limits};
use super::super::stats::{Count, Ignored};
use super::{Phase, Shared, Stream, TIME_WAIT};
use crate::Above;

/// A packet may acknowledge so many packets less than an earlier one did, because it was overtaken. Beyond it is more
/// likely forged (libutp and libtorrent: 3, which on paths that reorder costs them good packets).
const SLACK: u16 = 32;

/// What uTorrent sends for an unknown delay (libtorrent knows it, too).
const NO_SAMPLE: u32 = 0x7fff_ffff;

impl Stream {
    /// Whether a packet shows that its sender reads our packets; `Some(why)` if it does not.
    fn doubt(&self, header: &Header, window: u32) -> Option<Ignored> {
        let slack = if self.phase == Phase::Open { SLACK } else { 0 };
        if !self.out.is_plausible(header.ack_nr, slack) {
            return Some(Ignored::BadAck);
        }
        match self.phase {
            // Only the answer to a SYN tells which number their packets begin with.
            Phase::Dialled => (header.kind != Kind::State).then_some(Ignored::NotYet),
            _ => (!self.incoming.is_near(header.seq_nr, window)).then_some(Ignored::BadSeq),
        }
    }

    /// Takes a packet that carries our number for this stream. Says whether it proved to be of this stream.
    pub(in super::super) fn hear(&mut self, now: Time, packet: &Packet<'_>, shared: &mut Shared) -> bool {
        let header = &packet.header;
        if let Some(why) = self.doubt(header, shared.config.receive_window) {
            shared.stats.ignored.count(why);
            return false;
        }
        if self.phase == Phase::Dialled {
            self.answered(now, header, shared);
        } else if self.phase == Phase::HalfOpen {
            self.phase = Phase::Open;
            self.limit = Time::MAX;
            self.syn_due = false;
        }
        self.heard = now;
        self.difference = shared.clock(now).wrapping_sub(header.timestamp);
        if header.timestamp_difference != 0 && header.timestamp_difference != NO_SAMPLE {
            self.ledbat.delay(now, header.timestamp_difference);
        }
        self.peer_window = header.window;
        self.acknowledged(now, packet, shared);
        if header.window > 0 {
            self.probe = false;
            if self.probing {
                // What went into the closed window found no room, unless it was acknowledged just now.
                self.probing = false;
                self.out.lose_all();
            }
        }
        true
    }

    /// The SYN was answered.
    fn answered(&mut self, now: Time, header: &Header, shared: &mut Shared) {
        if self.timeouts == 0 {
            self.rtt.measured(now.since(self.spoke));
        }
        self.timeouts = 0;
        self.phase = Phase::Open;
        self.syn_due = false;
        self.limit = Time::MAX;
        self.resend = Time::MAX;
        // Their first packet will have the number that their answer shows: it took none.
        self.incoming = super::Incoming::new(header.seq_nr.wrapping_sub(1));
        self.rearm(now);
        self.opened(shared);
    }

    fn acknowledged(&mut self, now: Time, packet: &Packet<'_>, shared: &mut Shared) {
        let header = &packet.header;
        let flying = self.out.flying_bytes();
        let acked = self
            .out
            .acknowledge(now, header.ack_nr, packet.sack, header.kind == Kind::State);
        if let Some(rtt) = acked.rtt {
            self.rtt.measured(rtt);
        }
        if acked.bytes > 0 {
            let config = &shared.config;
            let ceiling = u32::try_from(config.send_buffer).unwrap_or(u32::MAX);
            self.ledbat
                .acked(acked.bytes, flying, acked.rtt, config.target_delay, ceiling);
        }
        if acked.packets > 0 || header.window == 0 {
            self.timeouts = 0;
        }
        if self.out.find_lost(packet.sack) {
            // Those lost of one window count once.
            let known = |recover| self.out.oldest().wrapping_sub(recover) >= 1 << 15;
            if !self.recover.is_some_and(known) {
                self.ledbat.lost();
                shared.stats.counts.count(Count::Backoff);
                self.recover = Some(self.out.next_seq());
            }
        }
        if acked.packets > 0 {
            self.rearm(now);
            if self.out.is_delivered() {
                // Nothing of ours is left. What they still say is acknowledged for a while (Transmission never ends its half).
                self.limit = self.limit.min(now + TIME_WAIT);
            }
        }
    }

    /// Takes the payload of a packet that proved to be of this stream, or its end.
    pub(in super::super) fn take(&mut self, now: Time, packet: &Packet<'_>, shared: &mut Shared) {
        let fin = match packet.header.kind {
            Kind::Data => false,
            Kind::Fin => true,
            Kind::State | Kind::Reset | Kind::Syn => return,
        };
        let limits = Limits {
            window: shared.config.receive_window,
            shared: shared.config.reorder_bytes.saturating_sub(shared.held),
        };
        let payload = if fin { &[] } else { packet.payload };
        let (conn, was_ended) = (self.conn, self.incoming.is_ended());
        let (inbox, counts) = (&mut shared.inbox, &mut shared.stats.counts);
        let before = self.held();
        let arrival = self
            .incoming
            .arrive(packet.header.seq_nr, payload, fin, limits, &mut shared.spare, |bytes| {
                if let Some(conn) = conn {
                    counts[Count::BytesIn] += bytes.len() as u64;
                    inbox.received(conn, bytes);
                }
            });
        shared.held = shared.held + self.held() - before;
        let ignored = match arrival {
            Arrival::Due if conn.is_none() => Some(Ignored::AfterEnd),
            Arrival::Due | Arrival::Early => None,
            Arrival::Again => Some(Ignored::Duplicate),
            Arrival::NoRoom => Some(Ignored::Window),
            Arrival::AfterEnd => Some(Ignored::AfterEnd),
        };
        if let Some(why) = ignored.filter(|_| !fin) {
            shared.stats.ignored.count(why);
        }
        // What came before is acknowledged again: the first time was lost.
        self.ack_due = true;
        self.as_fin ^= arrival == Arrival::Again;
        if self.incoming.is_ended() && !was_ended {
            self.ended(now, shared);
        }
    }

    /// Everything was received, the FIN too.
    fn ended(&mut self, now: Time, shared: &mut Shared) {
        if let Some(conn) = self.conn {
            let why = Closed::ByRemote;
            shared.inbox.tell(conn, Above::Closed { conn, why });
            self.leave(now, shared);
        } else if self.out.is_delivered() {
            self.time_wait = true;
            self.limit = self.limit.min(now + TIME_WAIT);
        }
    }

    /// The other side knows nothing of this stream, or gave it up.
    pub(in super::super) fn hear_reset(&mut self, header: &Header, shared: &mut Shared) {
        // libutp names the number of the packet that it answers; ours may have been an empty one, with the next number.
        let plausible = self.out.is_plausible(header.ack_nr, SLACK) || header.ack_nr == self.out.next_seq();
        if !plausible {
            shared.stats.ignored.count(Ignored::BadAck);
            return;
        }
        shared.stats.counts.count(Count::ResetReceived);
        let why = if self.phase == Phase::Dialled {
            Closed::Refused
        } else {
            Closed::Reset
        };
        self.fail(why, shared);
    }
}

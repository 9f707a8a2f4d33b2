//! Streams that strangers open.

use std::net::SocketAddr;

use wire::handshake::PREAMBLE;
use world::{ConnId, Time};

use crate::Above;
use crate::carrier::Carrier;
use crate::config::Policy;
use crate::stats::{ByVia, Reason};
use crate::streams::{Layer, Leg, Phase, Stream, Transport};

impl Transport {
    /// A stranger opened a leg, which is a stream of the same number. With too many of them it is closed at once.
    pub(super) fn accept(&mut self, now: Time, conn: ConnId, carrier: Carrier, from: SocketAddr, to: SocketAddr) {
        let leg = Leg {
            stream: conn,
            carrier,
            straight: false,
        };
        self.legs.insert(conn, leg);
        if self.accepted >= self.config.limits.accepted {
            self.stats.turned_away += 1;
            self.hang_up(now, conn);
            return;
        }
        self.accepted += 1;
        let via = carrier.via(false);
        let stream = Stream {
            to: from,
            via,
            phase: Phase::Open(conn, Layer::Detecting(Vec::new())),
            held: Vec::new(),
            told: true,
            ways: ByVia::default(),
            alarm: None,
        };
        self.streams.insert(conn, stream);
        self.set_alarm(conn, Some(now + self.config.deadlines.accepted));
        self.outbox.tell(Above::Accepted { conn, from, to, via });
    }

    /// A stranger's first bytes: plain if they begin as a plain handshake does, else a key.
    pub(super) fn detect(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some((_, Layer::Detecting(first))) = self.open_layer(conn) else {
            return;
        };
        first.extend_from_slice(bytes);
        let as_plain = first.iter().zip(PREAMBLE).all(|(byte, expected)| byte == expected);
        if as_plain && first.len() < PREAMBLE.len() {
            return;
        }
        let first = std::mem::take(first);
        match (as_plain, self.config.incoming) {
            (true, Policy::Enabled | Policy::Disabled) => self.plain(now, conn, &first),
            (true, Policy::Forced) => self.not_secured(now, conn, Reason::NotEncrypted),
            (false, Policy::Enabled | Policy::Forced) => self.be_called(now, conn, &first),
            (false, Policy::Disabled) => self.not_secured(now, conn, Reason::BadKey),
        }
    }

    fn plain(&mut self, now: Time, conn: ConnId, first: &[u8]) {
        self.set_alarm(conn, None);
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        self.stats.accepted.count(stream.via);
        let waited = std::mem::take(&mut stream.held);
        self.heard(now, conn);
        self.write_leg(now, conn, &waited);
        self.make_straight(conn);
        self.outbox.pass_up(conn, first);
    }
}

//! The encrypted handshake, at either end.

use world::{ConnId, Time};

use crate::config::Policy;
use crate::mse::{self, Initiator, Responder, Secured};
use crate::stats::Reason;
use crate::streams::dial::mse_key;
use crate::streams::{Layer, Phase, Transport};

impl Transport {
    /// Calls, if it is known by now what about.
    pub(super) fn call(&mut self, now: Time, conn: ConnId) {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        let Phase::Open(leg, layer) = &mut stream.phase else {
            return;
        };
        let leg = *leg;
        let Some(info_hash) = mse_key(&stream.held) else {
            let preamble = wire::handshake::PREAMBLE;
            let may_become_one = stream.held.len() < mse::INITIAL_MAX
                && stream
                    .held
                    .iter()
                    .zip(preamble)
                    .all(|(byte, expected)| byte == expected);
            if !may_become_one {
                self.not_secured(now, conn, Reason::NoInfohash);
            }
            return;
        };
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        self.handshakes += 1;
        let seed = self.chance.derive_number("calling", self.handshakes);
        let initiator = Initiator::new(info_hash, self.config.level, &stream.held, seed, &mut out);
        let along = initiator.initial_len();
        *layer = Layer::Calling(Box::new(initiator), along);
        self.write_leg(now, leg, &out);
        self.scratch = out;
        self.set_alarm(conn, Some(now + self.config.deadlines.handshake));
    }

    /// The end that we call says something.
    pub(super) fn called_end_says(&mut self, now: Time, conn: ConnId, mut bytes: &[u8]) {
        let Some((leg, Layer::Calling(initiator, along))) = self.open_layer(conn) else {
            return;
        };
        let along = *along;
        let mut out = Vec::new();
        let outcome = initiator.receive(&mut bytes, &mut out);
        self.write_leg(now, leg, &out);
        match outcome {
            Ok(None) => {}
            Ok(Some(secured)) => self.secured(now, conn, secured, along, bytes),
            Err(failure) => self.not_secured(now, conn, failure.into()),
        }
    }

    /// A stranger who calls says something.
    pub(super) fn caller_says(&mut self, now: Time, conn: ConnId, mut bytes: &[u8]) {
        // Borrowed apart from the layer.
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        let Phase::Open(leg, Layer::Called(responder)) = &mut stream.phase else {
            return;
        };
        let leg = *leg;
        let mut out = Vec::new();
        let outcome = responder.receive(&mut bytes, &self.admitted, &mut out);
        self.write_leg(now, leg, &out);
        match outcome {
            Ok(None) => {}
            Ok(Some(secured)) => self.secured(now, conn, secured, 0, bytes),
            Err(failure) => self.not_secured(now, conn, failure.into()),
        }
    }

    /// The handshake is through: what waited is said, but for the first `along` bytes, which went with it; `bytes` are the
    /// first of the stream.
    fn secured(&mut self, now: Time, conn: ConnId, mut secured: Secured, along: usize, bytes: &[u8]) {
        self.set_alarm(conn, None);
        self.stats.methods.count(secured.method());
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        let Phase::Open(leg, _) = stream.phase else {
            return;
        };
        let via = crate::carrier::Carrier::of(stream.via).via(true);
        let mut waited = std::mem::take(&mut stream.held);
        waited.drain(..along.min(waited.len()));
        secured.encrypt(&mut waited);
        if conn.is_accepted() {
            self.stats.accepted.count(via);
        }
        self.reroute(conn, via);
        self.heard(now, conn);
        self.write_leg(now, leg, &waited);
        secured.decrypt(self.outbox.pass_up(conn, bytes));
        if secured.is_bare() {
            self.make_straight(conn);
        } else if let Some((_, layer)) = self.open_layer(conn) {
            *layer = Layer::Secured(secured);
        }
    }

    /// Waits for a stranger's key, of which `bytes` are the first.
    pub(super) fn be_called(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        if self.config.incoming == Policy::Disabled {
            return;
        }
        self.handshakes += 1;
        let seed = self.chance.derive_number("called", self.handshakes);
        let responder = Responder::new(self.config.level, self.config.prefer_rc4, seed);
        if let Some((_, layer)) = self.open_layer(conn) {
            *layer = Layer::Called(Box::new(responder));
            self.caller_says(now, conn, bytes);
        }
    }

    /// The leg and layer of an open stream.
    pub(super) fn open_layer(&mut self, conn: ConnId) -> Option<(ConnId, &mut Layer)> {
        match &mut self.streams.get_mut(&conn)?.phase {
            Phase::Open(leg, layer) => Some((*leg, layer)),
            Phase::Dialling(_) => None,
        }
    }
}

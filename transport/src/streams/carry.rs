//! Bytes of open streams, both ways.

use world::{Closed, ConnId, Effect, Input, Time};

use crate::Above;
use crate::carrier::Carrier;
use crate::stats::{ByVia, Reason};
use crate::streams::{HELD_MAX, Layer, Leg, Phase, Stream, Transport};

impl Transport {
    /// The mind above writes. What passes as it is comes back.
    pub(super) fn write(&mut self, now: Time, conn: ConnId, bytes: &[u8]) -> Option<Effect> {
        let stream = self.streams.get_mut(&conn)?;
        match &mut stream.phase {
            Phase::Open(leg, Layer::Straight) => {
                let leg = *leg;
                return self.write_straight(now, leg, bytes);
            }
            Phase::Open(leg, Layer::Unheard) => {
                let leg = *leg;
                // What is too much to be said again is not said again.
                if stream.held.len() + bytes.len() > HELD_MAX {
                    stream.ways = ByVia::default();
                } else if stream.ways != ByVia::default() {
                    stream.held.extend_from_slice(bytes);
                }
                return self.write_straight(now, leg, bytes);
            }
            Phase::Open(leg, Layer::Secured(secured)) => {
                let leg = *leg;
                match self.legs.get(&leg).map(|leg| leg.carrier)? {
                    Carrier::Tcp => secured.encrypt(self.outbox.write(leg, bytes)),
                    Carrier::Utp => {
                        self.scratch.clear();
                        self.scratch.extend_from_slice(bytes);
                        secured.encrypt(&mut self.scratch);
                        self.utp.write(now, leg, &self.scratch);
                    }
                }
            }
            Phase::Open(_, Layer::Keyless) => {
                self.hold(now, conn, bytes);
                self.call(now, conn);
            }
            Phase::Dialling(_) | Phase::Open(_, Layer::Calling(..) | Layer::Detecting(_) | Layer::Called(_)) => {
                self.hold(now, conn, bytes);
            }
        }
        None
    }

    /// Keeps bytes until they can be said. Nothing may be written to a stream before it is open; that is forgotten.
    fn hold(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&conn).filter(|stream| stream.told) else {
            return;
        };
        if stream.held.len() + bytes.len() <= HELD_MAX {
            stream.held.extend_from_slice(bytes);
            return;
        }
        self.stats.failed[stream.via].count(Reason::Congested);
        self.close(now, conn);
        self.outbox.tell(Above::Closed {
            conn,
            why: Closed::Congested,
        });
    }

    /// Writes to a leg whose bytes are the stream's. Nothing overtakes what waits to be told.
    fn write_straight(&mut self, now: Time, leg: ConnId, bytes: &[u8]) -> Option<Effect> {
        let is_tcp = self.legs.get(&leg).is_some_and(|leg| leg.carrier == Carrier::Tcp);
        if is_tcp && self.outbox.is_empty() {
            let len = bytes.len();
            return Some(Effect::Write { conn: leg, len });
        }
        self.write_leg(now, leg, bytes);
        None
    }

    /// Writes to a leg, after all else.
    pub(super) fn write_leg(&mut self, now: Time, leg: ConnId, bytes: &[u8]) {
        match self.legs.get(&leg).map(|leg| leg.carrier) {
            Some(Carrier::Tcp) => {
                self.outbox.write(leg, bytes);
            }
            Some(Carrier::Utp) => self.utp.write(now, leg, bytes),
            None => {}
        }
    }

    /// The mind above wants to know when what it wrote is gone. What passes as it is comes back.
    pub(super) fn report(&mut self, now: Time, conn: ConnId) -> Option<Effect> {
        let stream = self.streams.get(&conn)?;
        let Phase::Open(leg, Layer::Straight | Layer::Unheard | Layer::Secured(_)) = stream.phase else {
            // What is held is little.
            self.outbox.tell(Above::Flushed { conn });
            return None;
        };
        match self.legs.get(&leg).map(|leg| leg.carrier)? {
            Carrier::Utp => self.utp.report(now, leg),
            Carrier::Tcp if self.outbox.is_empty() => return Some(Effect::Report { conn: leg }),
            Carrier::Tcp => self.outbox.effect(Effect::Report { conn: leg }),
        }
        None
    }

    /// What was written to a leg is with the kernel. What is for the mind above as it is comes back.
    pub(super) fn flushed<'a>(&mut self, leg: ConnId) -> Option<Input<'a>> {
        let conn = self.legs.get(&leg)?.stream;
        if self.outbox.is_empty() {
            return Some(Input::Flushed { conn });
        }
        self.outbox.tell(Above::Flushed { conn });
        None
    }

    /// Bytes on a leg. What is for the mind above as it is comes back.
    pub(super) fn received<'a>(&mut self, now: Time, leg: ConnId, bytes: &'a [u8]) -> Option<Input<'a>> {
        let &Leg {
            stream: conn, straight, ..
        } = self.legs.get(&leg)?;
        if straight {
            return self.hand_up(conn, bytes);
        }
        let stream = self.streams.get_mut(&conn)?;
        let Phase::Open(_, layer) = &mut stream.phase else {
            return None;
        };
        match layer {
            Layer::Straight => return self.hand_up(conn, bytes),
            Layer::Unheard => {
                self.heard(now, conn);
                self.make_straight(conn);
                return self.hand_up(conn, bytes);
            }
            Layer::Secured(secured) => {
                secured.decrypt(self.outbox.pass_up(conn, bytes));
                if secured.is_bare() {
                    self.make_straight(conn);
                }
            }
            // Nobody can speak first to who has not said its key.
            Layer::Keyless => self.not_secured(now, conn, Reason::BadKey),
            Layer::Calling(..) => self.called_end_says(now, conn, bytes),
            Layer::Detecting(_) => self.detect(now, conn, bytes),
            Layer::Called(_) => self.caller_says(now, conn, bytes),
        }
        None
    }

    /// Hands bytes to the mind above as they are, unless something waits to be told first.
    fn hand_up<'a>(&mut self, conn: ConnId, bytes: &'a [u8]) -> Option<Input<'a>> {
        if self.outbox.is_empty() {
            return Some(Input::Received { conn, bytes });
        }
        self.outbox.pass_up(conn, bytes);
        None
    }

    /// The peer understands what we are.
    pub(super) fn heard(&mut self, now: Time, conn: ConnId) {
        let Some(Stream { to, via, .. }) = self.streams.get(&conn) else {
            return;
        };
        self.stats.heard.count(*via);
        // A stranger's port is not where it can be called.
        if !conn.is_accepted() {
            self.memory.reached(now, *to, *via);
        }
    }

    /// From here on nothing is between the leg's bytes and the stream's.
    pub(super) fn make_straight(&mut self, conn: ConnId) {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        if let Phase::Open(leg, layer) = &mut stream.phase {
            *layer = Layer::Straight;
            stream.held = Vec::new();
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.straight = true;
            }
        }
    }
}

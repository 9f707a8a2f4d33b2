//! Datagrams: whose they are, and what becomes of those that are nobody's.

use std::net::SocketAddr;

use rand::RngExt;
use wire::utp::{Header, Kind, Packet};
use world::{ConnId, Time, Via};

use super::super::stats::{Count, Ignored};
use super::super::stream::{Phase, Stream};
use super::super::table::Key;
use super::{MAX_RESETS, Reset, Socket};
use crate::Above;

impl Socket {
    /// A datagram arrived from `from` at `to`, our address.
    pub fn datagram(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::decode(bytes) else {
            self.shared.stats.ignored.count(Ignored::Malformed);
            return;
        };
        self.shared.stats.counts.count(Count::PacketsIn);
        let id = packet.header.connection_id;
        match packet.header.kind {
            Kind::Syn => self.called(now, from, to, &packet.header),
            Kind::Reset => self.reset_by(now, from, to, &packet.header),
            Kind::Data | Kind::Fin | Kind::State => match self.table.find(Key::of(from, to, id)) {
                Some(slot) => self.heard(now, slot, to, &packet),
                None => self.answer_unknown(now, from, to, &packet.header),
            },
        }
    }

    fn heard(&mut self, now: Time, slot: u32, to: SocketAddr, packet: &Packet<'_>) {
        let Some(stream) = self.table.get_mut(slot) else {
            return;
        };
        if self.shared.inbox.is_full() {
            self.shared.stats.ignored.count(Ignored::Window);
            return;
        }
        let before = stream.phase;
        if stream.hear(now, packet, &mut self.shared) {
            if before == Phase::HalfOpen {
                self.accept(slot, to);
            }
            if let Some(stream) = self.table.get_mut(slot) {
                stream.take(now, packet, &mut self.shared);
            }
        }
        self.settle(now, slot);
    }

    /// The stranger has shown that it reads our answers.
    fn accept(&mut self, slot: u32, to: SocketAddr) {
        self.half_open -= 1;
        let conn = ConnId(ConnId::ACCEPTED | ConnId::INNER | self.callers);
        self.callers += 1;
        self.table.name(slot, Some(conn));
        if let Some(stream) = self.table.get_mut(slot) {
            let (from, via) = (stream.key.remote, Via::Utp);
            self.shared.stats.counts.count(Count::Accepted);
            self.shared.inbox.tell(conn, Above::Accepted { conn, from, to, via });
        }
    }

    /// A SYN: gives a place to a stream that may come to be, if there is one. Its answer is as long as the SYN, and is
    /// sent again only for another SYN, so a forged one brings its victim no more than the forger spent.
    fn called(&mut self, now: Time, from: SocketAddr, to: SocketAddr, header: &Header) {
        let key = Key::of(from, to, header.connection_id.wrapping_add(1));
        if let Some(slot) = self.table.find(key) {
            let again = self
                .table
                .get_mut(slot)
                .is_some_and(|stream| stream.called_again(header.seq_nr));
            if !again {
                self.shared.stats.ignored.count(Ignored::StraySyn);
            }
            self.settle(now, slot);
            return;
        }
        let config = &self.shared.config;
        let ignored = if self.table.len() >= config.max_streams || self.accepted >= config.max_accepted {
            Some(Ignored::NoRoom)
        } else if self.half_open >= config.max_half_open {
            Some(Ignored::HalfOpen)
        } else {
            // Nobody can be answered at port 0.
            (from.port() == 0).then_some(Ignored::Malformed)
        };
        if let Some(why) = ignored {
            self.shared.stats.ignored.count(why);
            return;
        }
        let seq_nr = self.rng.random();
        let stream = Stream::called(now, key, header.seq_nr, seq_nr, config);
        if let Some(slot) = self.table.insert(stream) {
            self.accepted += 1;
            self.half_open += 1;
            self.shared.stats.counts.count(Count::SynReceived);
            self.settle(now, slot);
        }
    }

    /// A RESET. libtorrent puts the number there that we know the stream by, libutp also the other direction's.
    fn reset_by(&mut self, now: Time, from: SocketAddr, to: SocketAddr, header: &Header) {
        let id = header.connection_id;
        for recv_id in [id, id.wrapping_add(1), id.wrapping_sub(1)] {
            let Some(slot) = self.table.find(Key::of(from, to, recv_id)) else {
                continue;
            };
            if let Some(stream) = self.table.get_mut(slot)
                && (recv_id == id || stream.send_id() == id)
            {
                stream.hear_reset(header, &mut self.shared);
                self.settle(now, slot);
                return;
            }
        }
        self.shared.stats.ignored.count(Ignored::Unknown);
    }

    /// A packet of no stream of ours: says so, at a bounded rate.
    fn answer_unknown(&mut self, now: Time, from: SocketAddr, to: SocketAddr, header: &Header) {
        self.shared.stats.ignored.count(Ignored::Unknown);
        let second = now.as_secs();
        if second != self.reset_second {
            (self.reset_second, self.resets_left) = (second, self.shared.config.resets_per_second);
        }
        if self.resets_left == 0 || self.resets.len() >= MAX_RESETS || from.port() == 0 {
            return;
        }
        self.resets_left -= 1;
        let header = Header {
            kind: Kind::Reset,
            connection_id: header.connection_id,
            timestamp: 0,
            timestamp_difference: 0,
            window: 0,
            seq_nr: self.rng.random(),
            ack_nr: header.seq_nr,
        };
        self.resets.push_back(Reset {
            from: Key::of(from, to, 0).local,
            to: from,
            header,
        });
    }
}

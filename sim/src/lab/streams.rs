//! Connections: over TCP, which the world brings, and over uTP, whose datagrams take the same paths as all others.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use transport::{Above, utp};
use world::{ConnId, Effect, Output, Time, Via};

use super::{Event, Lab};
use crate::peer::{Session, Stage};
use crate::queue::What;
use crate::swarm::Outcome;

/// What a lab's uTP socket is told: it answers for all peers at once.
pub(crate) const UTP: utp::Config = utp::Config {
    // A lab dials nobody.
    connect: Duration::from_secs(4),
    syn: Duration::from_secs(1),
    half_open: Duration::from_secs(10),
    linger: Duration::from_secs(10),
    idle: Duration::from_secs(120),
    keepalive: None,
    timeouts: 4,
    max_streams: Lab::SESSIONS_MAX,
    max_accepted: Lab::SESSIONS_MAX,
    max_half_open: Lab::SESSIONS_MAX / 2,
    // Peers that never end say more than this in a second, and are then cut off.
    send_buffer: 1 << 20,
    receive_window: 64 << 10,
    reorder_bytes: 16 << 20,
    target_delay: Duration::from_millis(100),
    resets_per_second: 1_000,
};

/// Whether a connection is carried by the lab's own uTP, not by the world.
const fn is_inner(conn: ConnId) -> bool {
    conn.0 & ConnId::INNER != 0
}

impl Lab {
    /// A peer is called. Over uTP the path takes its time by itself; TCP, as the world brings it, takes none.
    pub(super) fn accepted(&mut self, now: Time, conn: ConnId, from: SocketAddr, to: SocketAddr, via: Via) {
        let by_utp = via == Via::Utp;
        if by_utp {
            self.counts.accepted_utp += 1;
        } else {
            self.counts.accepted += 1;
        }
        let callee = self.population.callee(to).filter(|(_, peer)| {
            let reached = by_utp || peer.outcome() == Outcome::Accept;
            reached && self.sessions.len() < Self::SESSIONS_MAX
        });
        let (Some((key, peer)), IpAddr::V4(client), IpAddr::V4(ip)) = (callee, from.ip(), to.ip()) else {
            self.sessions.insert(conn, None);
            self.queue.push(now, What::Close { conn });
            return;
        };
        self.calls += 1;
        if self.tells_calls {
            self.events.push(Event::Called(key.infohash));
        }
        let rtt = if by_utp {
            Duration::ZERO
        } else {
            self.net.rtt(client, ip)
        };
        let mut stage = Stage {
            population: &self.population,
            queue: &mut self.queue,
            infos: &mut self.infos,
            now,
            conn,
        };
        let session = Session::accept(&mut stage, key, peer, from.ip(), rtt, self.calls);
        self.sessions.insert(conn, Some(session));
    }

    pub(super) fn received(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        self.on_session(now, conn, |session, stage| session.receive(stage, bytes));
    }

    pub(super) fn helping(&mut self, now: Time, conn: ConnId) {
        self.on_session(now, conn, |session, stage| session.helping(stage));
    }

    fn on_session(&mut self, now: Time, conn: ConnId, act: impl FnOnce(&mut Session, &mut Stage<'_>)) {
        if let Some(Some(session)) = self.sessions.get_mut(&conn) {
            let mut stage = Stage {
                population: &self.population,
                queue: &mut self.queue,
                infos: &mut self.infos,
                now,
                conn,
            };
            act(session, &mut stage);
        }
    }

    /// Writes to an open connection. `None` if it was the lab's own uTP that took it.
    pub(super) fn write(&mut self, now: Time, conn: ConnId, bytes: Vec<u8>, payload: &mut Vec<u8>) -> Option<Effect> {
        let len = bytes.len();
        let effect = if is_inner(conn) {
            self.utp.write(now, conn, &bytes);
            self.carry_streams(now);
            None
        } else {
            payload.extend_from_slice(&bytes);
            Some(Effect::Write { conn, len })
        };
        self.queue.recycle(bytes);
        effect
    }

    /// Closes a connection that is no session any more. `None` if it was the lab's own uTP that carried it.
    pub(super) fn close(&mut self, now: Time, conn: ConnId) -> Option<Effect> {
        if !is_inner(conn) {
            return Some(Effect::Close { conn });
        }
        self.utp.close(now, conn);
        self.carry_streams(now);
        None
    }

    /// A uTP packet on its way to a peer.
    pub(super) fn stream_packet(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let (IpAddr::V4(client), SocketAddr::V4(host)) = (from.ip(), to) else {
            self.counts.unreadable += 1;
            return;
        };
        self.counts.stream_packets += 1;
        if self.pairs.len() >= self.pairs_max() && !self.pairs.contains_key(&(client, host)) {
            self.counts.lost += 1;
            return;
        }
        let pair = self.pairs.entry((client, host)).or_default();
        pair.packets += 1;
        let packet = self.net.packet(client, *host.ip(), pair.packets);
        if self.net.loses(&mut pair.to_host, 0, now, packet) {
            self.counts.lost += 1;
        } else if self.population.callee(to).is_some_and(|(_, peer)| peer.utp) {
            self.utp.datagram(now, from, to, bytes);
            self.carry_streams(now);
        } else {
            self.counts.nobody += 1;
        }
    }

    /// The deadline of the uTP socket may have come.
    pub(super) fn tick_streams(&mut self, now: Time) {
        if self.utp.deadline().is_some_and(|at| at <= now) {
            self.utp.tick(now);
            self.carry_streams(now);
        }
    }

    /// Takes what the uTP socket has to tell and to send.
    fn carry_streams(&mut self, now: Time) {
        let mut payload = self.queue.buffer();
        while let Some(output) = self.utp.poll(now, &mut payload) {
            match output {
                Output::Event(Above::Accepted { conn, from, to, via }) => self.accepted(now, conn, from, to, via),
                Output::Event(Above::Received { conn, .. }) => self.received(now, conn, &payload),
                Output::Event(Above::Closed { conn, .. }) => {
                    self.sessions.remove(&conn);
                }
                Output::Effect(Effect::Send { from, to, .. }) => {
                    let next = self.queue.buffer();
                    let bytes = std::mem::replace(&mut payload, next);
                    self.answer_by_stream(now, from, to, bytes);
                }
                Output::Event(_) | Output::Effect(_) => {}
            }
            payload.clear();
        }
        self.queue.recycle(payload);
    }

    /// Sends a uTP packet of a peer on its way. Packets of one path keep their order, but for those that take a detour.
    fn answer_by_stream(&mut self, now: Time, from: Option<SocketAddr>, to: SocketAddr, bytes: Vec<u8>) {
        let (Some(SocketAddr::V4(from)), IpAddr::V4(client)) = (from, to.ip()) else {
            return self.queue.recycle(bytes);
        };
        let Some(pair) = self.pairs.get_mut(&(client, from)) else {
            return self.queue.recycle(bytes);
        };
        pair.packets += 1;
        let packet = self.net.packet(client, *from.ip(), pair.packets);
        if self.net.loses(&mut pair.to_asker, 1, now, packet) || !self.queue.has_room() {
            self.counts.lost += 1;
            return self.queue.recycle(bytes);
        }
        let rtt = self.net.rtt(client, *from.ip());
        let mut at = now + self.net.passes_after(rtt, packet);
        if self.net.overtaken(packet) {
            at = at + rtt;
        } else {
            at = at.max(pair.in_order);
            pair.in_order = at;
        }
        let from = SocketAddr::V4(from);
        if self.net.duplicates(packet) {
            let bytes = bytes.clone();
            self.queue.push(at, What::Datagram { from, to, bytes });
        }
        self.queue.push(at, What::Datagram { from, to, bytes });
    }
}

//! A uTP socket under anything at all, or two of them over a path that does its worst.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use wire::fuzz::Steps;
use wire::utp::{Header, Kind, Packet};
use world::{ConnId, Effect, Output, Seed, Time};

use crate::Above;
use crate::utp::{Config, Socket};

/// Small enough that every bound is met often.
fn config() -> Config {
    Config {
        connect: Duration::from_secs(4),
        syn: Duration::from_secs(1),
        half_open: Duration::from_secs(3),
        linger: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        keepalive: Some(Duration::from_secs(20)),
        timeouts: 3,
        max_streams: 6,
        max_accepted: 4,
        max_half_open: 2,
        send_buffer: 5_000,
        receive_window: 3_000,
        reorder_bytes: 4_000,
        target_delay: Duration::from_millis(100),
        resets_per_second: 2,
    }
}

/// Whatever comes and whenever: no panic, no spin, no more streams than there may be, every stream told of in order (it
/// begins, it brings bytes, it ends once, and nothing after), and in the end nothing is left. Between two sockets that
/// only lose, delay, repeat and reorder the datagrams of one another, what is read is what was written.
pub fn utp(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let mut steps = Steps(rest);
    if first % 2 == 0 {
        alone(&mut steps);
    } else {
        two(&mut steps);
    }
}

fn pass(steps: &mut Steps<'_>, now: Time) -> Time {
    let shift = steps.next() % 18;
    now + Duration::from_micros(u64::from(steps.next()) << shift)
}

/// What one socket said, judged.
struct Side {
    socket: Socket,
    addr: SocketAddr,
    /// Streams that were dialled or accepted and have not ended; whether they are open.
    live: Vec<(ConnId, bool)>,
    dialled: u64,
    read: Vec<u8>,
    written: usize,
    /// Datagrams sent and not delivered.
    sent: VecDeque<Vec<u8>>,
}

impl Side {
    fn new(number: u8) -> Self {
        Self {
            socket: Socket::new(config(), Seed::from_number(u64::from(number))),
            addr: SocketAddr::from(([192, 0, 2, number], 6_881)),
            live: Vec::new(),
            dialled: 0,
            read: Vec::new(),
            written: 0,
            sent: VecDeque::new(),
        }
    }

    fn dial(&mut self, now: Time, to: SocketAddr) {
        self.dialled += 1;
        let conn = ConnId(self.dialled);
        self.live.push((conn, false));
        self.socket.dial(now, conn, to);
    }

    fn close(&mut self, now: Time, which: u8) {
        if let Some(at) = usize::from(which).checked_rem(self.live.len()) {
            let (conn, _) = self.live.swap_remove(at);
            self.socket.close(now, conn);
        }
    }

    /// Writes the next bytes of a stream that counts.
    fn write(&mut self, now: Time, which: u8, len: usize) {
        if let Some(at) = usize::from(which).checked_rem(self.live.len())
            && let Some(&(conn, _)) = self.live.get(at)
        {
            let bytes: Vec<u8> = (self.written..self.written + len).map(counted).collect();
            self.written += len;
            self.socket.write(now, conn, &bytes);
        }
    }

    fn tick(&mut self, now: Time) {
        self.socket.tick(now);
        self.look(now);
    }

    /// Polls until nothing comes, and judges what does.
    fn look(&mut self, now: Time) {
        let mut payload = Vec::new();
        for polls in 0.. {
            assert!(polls < 10_000, "spins");
            payload.clear();
            match self.socket.poll(now, &mut payload) {
                None => break,
                Some(Output::Event(event)) => self.told(event, &payload),
                Some(Output::Effect(Effect::Send { len, .. })) => {
                    assert!(len == payload.len() && len <= 1_220);
                    assert!(Packet::decode(&payload).is_ok());
                    if self.sent.len() < 64 {
                        self.sent.push_back(payload.clone());
                    }
                }
                Some(Output::Effect(other)) => assert_eq!(other, Effect::Close { conn: ConnId(0) }, "only datagrams"),
            }
        }
        assert!(self.socket.streams() <= config().max_streams);
        assert!(
            self.socket.deadline().is_none_or(|at| at > now),
            "a deadline that has passed"
        );
    }

    fn told(&mut self, event: Above, payload: &[u8]) {
        let is_live = |conn: ConnId, open: bool| self.live.contains(&(conn, open));
        match event {
            Above::Opened { conn, .. } => {
                assert!(is_live(conn, false));
                self.live
                    .iter_mut()
                    .filter(|live| live.0 == conn)
                    .for_each(|live| live.1 = true);
            }
            Above::Accepted { conn, .. } => {
                assert!(conn.is_accepted() && !is_live(conn, true));
                self.live.push((conn, true));
            }
            Above::Received { conn, len } => {
                assert!(is_live(conn, true) && len == payload.len() && len > 0);
                self.read.extend_from_slice(payload);
            }
            Above::Closed { conn, .. } => {
                let before = self.live.len();
                self.live.retain(|live| live.0 != conn);
                assert_eq!(self.live.len() + 1, before, "ends once");
            }
            Above::Flushed { conn } => assert!(self.live.iter().any(|live| live.0 == conn)),
            Above::Rerouted { .. } => unreachable!("a socket has one way"),
        }
    }

    /// Closes what is open, and lets time pass: nothing may be left.
    fn end(&mut self, mut now: Time) {
        while !self.live.is_empty() {
            self.close(now, 0);
        }
        for wakes in 0.. {
            assert!(wakes < 10_000, "never ends");
            self.look(now);
            match self.socket.deadline() {
                Some(at) => now = at,
                None => break,
            }
            self.tick(now);
        }
        assert_eq!(self.socket.streams(), 0);
    }
}

fn counted(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap_or(0)
}

/// One socket, and datagrams that answer its own more or less well.
fn alone(steps: &mut Steps<'_>) {
    let mut side = Side::new(1);
    let mut now = Time::ZERO;
    let mut heard = Header {
        kind: Kind::Syn,
        connection_id: 77,
        timestamp: 0,
        timestamp_difference: 0,
        window: 2_000,
        seq_nr: 5,
        ack_nr: 0,
    };
    while !steps.0.is_empty() {
        let stranger = SocketAddr::from(([198, 51, 100, steps.next() % 2], 1));
        match steps.next() % 8 {
            0 => side.dial(now, stranger),
            1 => side.write(now, steps.0.len() as u8, usize::from(steps.next()) * 8),
            2 if steps.next() < 64 => side.close(now, steps.next()),
            3 => now = pass(steps, now),
            4 => {
                let len = usize::from(steps.next());
                side.socket.datagram(now, stranger, side.addr, steps.take(len));
            }
            _ => {
                if let Some(last) = side
                    .sent
                    .pop_back()
                    .and_then(|sent| Packet::decode(&sent).ok().map(|p| p.header))
                {
                    heard = last;
                }
                let bytes = answer(heard, steps);
                side.socket.datagram(now, stranger, side.addr, &bytes);
            }
        }
        side.tick(now);
    }
    side.end(now);
}

/// A packet near what the other side of `heard` would say.
fn answer(heard: Header, steps: &mut Steps<'_>) -> Vec<u8> {
    let kinds = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn];
    let near = |step: u8| u16::from(step % 16).wrapping_sub(4);
    let kind = kinds.get(usize::from(steps.next() % 5)).copied().unwrap_or(Kind::State);
    let header = Header {
        kind,
        connection_id: heard
            .connection_id
            .wrapping_add(u16::from(steps.next() % 3))
            .wrapping_sub(1),
        timestamp: u32::from(steps.next()) << 24,
        timestamp_difference: u32::from(steps.next()) << 12,
        window: u32::from(steps.next()) << 4,
        seq_nr: heard.ack_nr.wrapping_add(near(steps.next())),
        ack_nr: heard.seq_nr.wrapping_add(near(steps.next())),
    };
    let mut out = Vec::new();
    let mask = usize::from(steps.next() % 3) * 4;
    header.encode(steps.take(mask), &mut out);
    if matches!(kind, Kind::Data | Kind::Fin) {
        out.resize(out.len() + usize::from(steps.next()) * 4, 1);
    }
    out
}

/// Two sockets; the steps say what becomes of each datagram.
fn two(steps: &mut Steps<'_>) {
    let mut sides = [Side::new(1), Side::new(2)];
    let mut now = Time::ZERO;
    let [a, b] = &mut sides;
    a.dial(now, b.addr);
    a.look(now);
    while !steps.0.is_empty() {
        let step = steps.next();
        let (one, other) = if step < 128 {
            (&mut *a, &mut *b)
        } else {
            (&mut *b, &mut *a)
        };
        match step % 8 {
            0 => one.write(now, 0, usize::from(steps.next()) * 4),
            1 => now = pass(steps, now),
            2 => drop(one.sent.pop_front()),
            3 => one.sent.rotate_left(usize::from(!one.sent.is_empty())),
            4 if steps.next() < 4 => one.close(now, 0),
            _ => {
                if let Some(bytes) = one.sent.pop_front() {
                    if step % 8 == 5 {
                        one.sent.push_back(bytes.clone());
                    }
                    other.socket.datagram(now, one.addr, other.addr, &bytes);
                }
            }
        }
        a.tick(now);
        b.tick(now);
    }
    for (reader, writer) in [(&*a, &*b), (&*b, &*a)] {
        assert!(reader.read.len() <= writer.written);
        assert!(
            reader.read.iter().enumerate().all(|(at, &byte)| byte == counted(at)),
            "read as written"
        );
    }
    sides.iter_mut().for_each(|side| side.end(now));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn any_steps(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            super::utp(&bytes);
        }
    }
}

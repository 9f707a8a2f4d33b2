//! What a uTP stream costs: memory while it is idle, and no allocation while bytes flow.

use std::net::SocketAddr;
use std::time::Duration;

use allocation_counter::measure;
use transport::Above;
use transport::utp::{Config, Socket};
use world::{ConnId, Effect, Output, Seed, Time};

const STREAMS: u64 = 10_000;

fn config() -> Config {
    Config {
        connect: Duration::from_secs(4),
        syn: Duration::from_secs(1),
        half_open: Duration::from_secs(8),
        linger: Duration::from_secs(30),
        idle: Duration::from_secs(150),
        keepalive: Some(Duration::from_secs(29)),
        timeouts: 5,
        max_streams: 16_384,
        max_accepted: 16_384,
        max_half_open: 16_384,
        send_buffer: 1 << 20,
        receive_window: 1 << 18,
        reorder_bytes: 1 << 22,
        target_delay: Duration::from_millis(100),
        resets_per_second: 10,
    }
}

/// Two sockets joined without delay; what passed between them.
struct Pair {
    sockets: [Socket; 2],
    now: Time,
    payload: Vec<u8>,
    accepted: Option<ConnId>,
    received: usize,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, if side == 0 { 1 } else { 2 }], 6_881))
}

impl Pair {
    fn new() -> Self {
        let socket = |number| Socket::new(config(), Seed::from_number(number));
        Self {
            sockets: [socket(1), socket(2)],
            now: Time::from_secs(1),
            payload: Vec::with_capacity(1 << 16),
            accepted: None,
            received: 0,
        }
    }

    fn settle(&mut self) {
        let mut quiet = 0;
        let mut side = 0;
        while quiet < 2 {
            self.payload.clear();
            match self.sockets[side].poll(self.now, &mut self.payload) {
                None => {
                    quiet += 1;
                    side = 1 - side;
                }
                Some(Output::Effect(Effect::Send { .. })) => {
                    quiet = 0;
                    self.now = self.now + Duration::from_micros(100);
                    self.sockets[1 - side].datagram(self.now, address(side), address(1 - side), &self.payload);
                }
                Some(Output::Event(Above::Accepted { conn, .. })) => self.accepted = Some(conn),
                Some(Output::Event(Above::Received { len, .. })) => self.received += len,
                Some(_) => {}
            }
        }
    }

    /// Dials, and says a greeting each way.
    fn open(&mut self, conn: ConnId) {
        self.sockets[0].dial(self.now, conn, address(1));
        self.sockets[0].write(self.now, conn, &[1; 68]);
        self.settle();
        let accepted = self.accepted.take().expect("it was accepted");
        self.sockets[1].write(self.now, accepted, &[2; 68]);
        self.settle();
        self.accepted = Some(accepted);
    }
}

#[test]
fn ten_thousand_idle_streams_cost_less_than_a_kibibyte_each() {
    let mut pair = Pair::new();
    let counted = measure(|| {
        (0..STREAMS).for_each(|number| pair.open(ConnId(number)));
        // One keepalive later, what was needed for the greetings is given back.
        for _ in 0..2 {
            pair.now = pair.now + Duration::from_secs(30);
            for at in 0..2 {
                pair.sockets[at].tick(pair.now);
            }
            pair.settle();
        }
    });
    let streams: usize = pair.sockets.iter().map(Socket::streams).sum();
    assert_eq!(streams as u64, 2 * STREAMS);
    let each = counted.bytes_current / streams as i64;
    assert!(each < 1_024, "{each} bytes each");
}

#[test]
fn bytes_flow_without_allocating() {
    let mut pair = Pair::new();
    pair.open(ConnId(1));
    let accepted = pair.accepted.expect("it was accepted");
    let mut round = || {
        pair.sockets[0].write(pair.now, ConnId(1), &[7; 16_384]);
        pair.sockets[1].write(pair.now, accepted, &[8; 500]);
        pair.settle();
    };
    (0..100).for_each(|_| round());
    let counted = measure(|| (0..1_000).for_each(|_| round()));
    assert_eq!(counted.count_total, 0);
    assert_eq!(pair.received, 2 * 68 + 1_100 * (16_384 + 500));
}

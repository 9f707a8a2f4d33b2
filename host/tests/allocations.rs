//! A datagram that comes and goes costs the loop no allocation: a longer run allocates as often as a short one.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use host::{DiskLimits, Limits, Setup, Stage};
use world::{Effect, Input, Machine, Output, Time};

/// Sends back what it receives, and tells when that was enough.
struct Echo {
    left: u32,
    to: Option<SocketAddr>,
    bytes: Vec<u8>,
}

impl Machine for Echo {
    type Event = ();

    fn handle(&mut self, _: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input {
            self.to = Some(from);
            self.bytes.clear();
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn poll(&mut self, _: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        if self.left == 0 {
            return Some(Output::Event(()));
        }
        let to = self.to.take()?;
        self.left -= 1;
        payload.extend_from_slice(&self.bytes);
        let (from, len) = (None, payload.len());
        Some(Output::Effect(Effect::Send { from, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

/// Allocations of a run that answers so many datagrams.
fn allocations(datagrams: u32) -> u64 {
    let setup = Setup {
        udp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        listen: None,
        signals: false,
        limits: Limits {
            connections: 1,
            accepted: 1,
            write_buffer: 1024,
            send_backlog: 16,
            close_grace: Duration::from_secs(1),
            disk: DiskLimits {
                workers: 1,
                open_files: 8,
                held: 1 << 20,
                inline_writes: false,
                inline_reads: true,
            },
        },
    };
    let stage = Stage::open(&setup).unwrap();
    let addr = stage.udp_addrs()[0];
    let asker = thread::spawn(move || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = [0; 300];
        for _ in 0..datagrams {
            socket.send_to(&[7; 300], addr).unwrap();
            assert_eq!(socket.recv(&mut answer).unwrap(), answer.len());
        }
    });
    let mut echo = Echo {
        left: datagrams,
        to: None,
        bytes: Vec::new(),
    };
    let counted = measure(|| {
        host::run(stage, &mut echo, |_, _, ()| ControlFlow::Break(())).unwrap();
    });
    asker.join().unwrap();
    counted.count_total
}

#[test]
fn datagrams_in_and_out_allocate_nothing() {
    let _warm_up = allocations(1);
    assert_eq!(allocations(2_000), allocations(100));
}

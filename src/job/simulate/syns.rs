//! What a client costs the network in packets that begin something.

use std::collections::BTreeMap;

use world::{ConnId, Effect, Input, Machine, Output, Time};

/// When Linux sends a SYN, the first and again, in microseconds since the dial (RFC 6298: 1 s, doubled).
const SYN_AT: [u64; 6] = [0, 1_000_000, 3_000_000, 7_000_000, 15_000_000, 31_000_000];
/// The first byte of a uTP SYN (BEP 29: type 4, version 1).
const UTP_SYN: u8 = 0x41;

/// Packets that begin something.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Syns {
    /// TCP connections asked for.
    pub dials: u64,
    /// SYN packets of these: the first, and those that Linux sends again while nothing has come back and nobody has given
    /// up.
    pub tcp: u64,
    /// uTP SYNs, repeated ones included.
    pub utp: u64,
}

/// A machine, and what its effects cost.
pub struct Counted<M> {
    /// The machine.
    pub machine: M,
    /// What it has cost so far.
    pub syns: Syns,
    dialling: BTreeMap<ConnId, Time>,
}

impl<M> Counted<M> {
    /// A machine that has cost nothing yet.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            syns: Syns::default(),
            dialling: BTreeMap::new(),
        }
    }

    fn dialled(&mut self, now: Time, conn: ConnId) {
        if let Some(began) = self.dialling.remove(&conn) {
            let lasted = now.as_micros() - began.as_micros();
            let sent = SYN_AT.iter().filter(|at| **at == 0 || **at < lasted).count();
            self.syns.tcp += sent as u64;
        }
    }
}

impl<M: Machine> Machine for Counted<M> {
    type Event = M::Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Input::Opened { conn, .. } | Input::Closed { conn, .. } = input {
            self.dialled(now, conn);
        }
        self.machine.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<M::Event>> {
        let output = self.machine.poll(now, payload)?;
        match output {
            Output::Effect(Effect::Dial { conn, .. }) => {
                self.syns.dials += 1;
                self.dialling.insert(conn, now);
            }
            Output::Effect(Effect::Close { conn }) => self.dialled(now, conn),
            Output::Effect(Effect::Send { .. }) if payload.first() == Some(&UTP_SYN) => self.syns.utp += 1,
            _ => {}
        }
        Some(output)
    }

    fn deadline(&self) -> Option<Time> {
        self.machine.deadline()
    }
}

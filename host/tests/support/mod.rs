//! A machine that does what a test's closure says, and what the tests of the host share.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]
#![allow(dead_code, reason = "each test file uses some of it")]

pub(crate) mod disk;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use host::{DiskLimits, Ended, Limits, Setup, Stage, run};
use world::{ConnId, DiskOp, Effect, Get, Input, JobId, Machine, Output, StoreId, Time, WebId};

/// Limits that no test comes near unless it says so.
pub(crate) const LIMITS: Limits = Limits {
    connections: 4096,
    accepted: 4096,
    write_buffer: 1 << 20,
    send_backlog: 1024,
    close_grace: Duration::from_secs(5),
    disk: DiskLimits {
        workers: 2,
        open_files: 40,
        held: 64 << 20,
        inline_writes: false,
        inline_reads: true,
    },
};

/// A UDP socket and a listener on 127.0.0.1.
pub(crate) fn setup() -> Setup {
    Setup {
        udp: vec!["127.0.0.1:0".parse().unwrap()],
        listen: Some("127.0.0.1:0".parse().unwrap()),
        signals: false,
        limits: LIMITS,
    }
}

/// What a closure asks of the world.
#[derive(Default)]
pub(crate) struct Acts {
    outputs: VecDeque<(Output<()>, Vec<u8>)>,
    /// When to be woken.
    pub(crate) wake: Option<Time>,
}

impl Acts {
    fn effect(&mut self, effect: Effect, payload: &[u8]) {
        self.outputs.push_back((Output::Effect(effect), payload.to_vec()));
    }

    pub(crate) fn send_from(&mut self, from: Option<SocketAddr>, to: SocketAddr, bytes: &[u8]) {
        let len = bytes.len();
        self.effect(Effect::Send { from, to, len }, bytes);
    }

    pub(crate) fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.send_from(None, to, bytes);
    }

    pub(crate) fn dial(&mut self, conn: u64, to: SocketAddr) {
        self.effect(
            Effect::Dial {
                conn: ConnId(conn),
                to,
                via: None,
            },
            &[],
        );
    }

    pub(crate) fn write(&mut self, conn: ConnId, bytes: &[u8]) {
        let len = bytes.len();
        self.effect(Effect::Write { conn, len }, bytes);
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.effect(Effect::Close { conn }, &[]);
    }

    pub(crate) fn disk(&mut self, store: StoreId, job: JobId, op: DiskOp, payload: &[u8]) {
        self.effect(Effect::Disk { store, job, op }, payload);
    }

    pub(crate) fn fetch(&mut self, id: u64, get: Get, url: &str) {
        let (id, len) = (WebId(id), url.len());
        self.effect(Effect::Fetch { id, get, len }, url.as_bytes());
    }

    pub(crate) fn cancel_fetch(&mut self, id: u64) {
        self.effect(Effect::CancelFetch { id: WebId(id) }, &[]);
    }

    pub(crate) fn resolve(&mut self, id: u64, place: &str) {
        let (id, len) = (WebId(id), place.len());
        self.effect(Effect::Resolve { id, len }, place.as_bytes());
    }

    /// Ends the run.
    pub(crate) fn done(&mut self) {
        self.outputs.push_back((Output::Event(()), Vec::new()));
    }
}

/// The machine.
pub(crate) struct Scripted<F> {
    pub(crate) acts: Acts,
    pub(crate) react: F,
}

impl<F: FnMut(&mut Acts, Time, Input<'_>)> Machine for Scripted<F> {
    type Event = ();

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if matches!(input, Input::Tick) {
            self.acts.wake = None;
        }
        (self.react)(&mut self.acts, now, input);
    }

    fn poll(&mut self, _now: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        assert!(payload.is_empty(), "the buffer is emptied between polls");
        let (output, bytes) = self.acts.outputs.pop_front()?;
        payload.extend_from_slice(&bytes);
        Some(output)
    }

    fn deadline(&self) -> Option<Time> {
        self.acts.wake
    }
}

/// Runs a closure on `stage` until it says [`Acts::done`]; `begin` acts before the first input.
pub(crate) fn play(
    stage: Stage,
    begin: impl FnOnce(&mut Acts),
    react: impl FnMut(&mut Acts, Time, Input<'_>),
) -> Ended {
    let mut machine = Scripted {
        acts: Acts::default(),
        react,
    };
    begin(&mut machine.acts);
    run(stage, &mut machine, |_, _, ()| ControlFlow::Break(())).unwrap()
}

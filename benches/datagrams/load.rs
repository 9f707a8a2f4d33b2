//! Questions from thousands of hosts, a window of them in flight.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wire::krpc::{Body, Message, Reply};
use world::{Effect, Input, Machine, Output, Time};

use crate::metered::{METER, reading};
use crate::population::id_at;

/// Questions in flight: four receive calls, and less than the smallest usual receive buffer holds.
const WINDOW: u32 = 128;
/// When nothing has come for this long, what is in flight is lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// So often in a run: a bench must not hang.
const MOST_SILENCES: u32 = 20;

/// One question, as one host asks it.
pub(crate) struct Question {
    pub(crate) from: IpAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Who is asked.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    /// Sends our questions back; a question that comes from any other is its own.
    pub(crate) echoes: bool,
}

/// What came of a round.
#[derive(Clone, Copy, Default)]
pub(crate) struct Round {
    /// Questions that were answered.
    pub(crate) answered: u32,
    /// Questions that were not.
    pub(crate) lost: u32,
    /// Bytes of the answers.
    pub(crate) bytes: u64,
    /// Processor time of the thread that served.
    pub(crate) served_in: Duration,
    /// How long it took.
    pub(crate) lasted: Duration,
}

/// Asks one target in each round.
pub(crate) struct Load {
    questions: Vec<Question>,
    next: usize,
    target: Target,
    round: Round,
    /// Of this round.
    unsent: u32,
    in_flight: u32,
    /// The meter is to be asked before anything else.
    ask_meter: bool,
    /// The meter at the beginning of the round, and when it was read.
    began: Option<(u64, Time)>,
    heard: Time,
    silences: u32,
    /// A node that hears of us makes sure that we are nodes.
    pong: Option<(IpAddr, Vec<u8>)>,
    over: Option<Round>,
}

impl Load {
    /// A load whose first round has begun.
    pub(crate) fn new(questions: Vec<Question>, target: Target, datagrams: u32) -> Self {
        let mut load = Self {
            questions,
            next: 0,
            target,
            round: Round::default(),
            unsent: 0,
            in_flight: 0,
            ask_meter: false,
            began: None,
            heard: Time::ZERO,
            silences: 0,
            pong: None,
            over: None,
        };
        load.begin(target, datagrams);
        load
    }

    /// Begins a round.
    pub(crate) fn begin(&mut self, target: Target, datagrams: u32) {
        self.target = target;
        self.round = Round::default();
        self.unsent = datagrams;
        self.ask_meter = true;
        self.began = None;
    }

    fn receive(&mut self, now: Time, to: IpAddr, bytes: &[u8]) {
        self.heard = now;
        if let Some(reading) = reading(bytes) {
            self.read_meter(now, reading);
        } else if !self.target.echoes && bytes.ends_with(b"1:y1:qe") {
            self.pong = pong(to, bytes);
        } else {
            self.round.answered += 1;
            self.round.bytes += bytes.len() as u64;
            self.in_flight = self.in_flight.saturating_sub(1);
            self.end_if_done();
        }
    }

    fn read_meter(&mut self, now: Time, reading: u64) {
        match self.began {
            None => self.began = Some((reading, now)),
            Some((before, began)) => {
                self.round.served_in = Duration::from_nanos(reading - before);
                self.round.lasted = now.since(began);
                self.over = Some(self.round);
            }
        }
    }

    fn end_if_done(&mut self) {
        self.ask_meter = self.unsent == 0 && self.in_flight == 0;
    }

    /// Nothing came for a while.
    fn silence(&mut self, now: Time) {
        self.heard = now;
        self.silences += 1;
        assert!(self.silences < MOST_SILENCES, "no answers");
        self.round.lost += self.in_flight;
        self.in_flight = 0;
        if self.began.is_none() {
            self.ask_meter = true;
        } else {
            self.end_if_done();
        }
    }
}

impl Machine for Load {
    type Event = Round;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Datagram { from, to, bytes } if from == self.target.addr => self.receive(now, to.ip(), bytes),
            Input::Tick if self.deadline().is_some_and(|deadline| deadline <= now) => self.silence(now),
            _ => {}
        }
    }

    fn poll(&mut self, _: Time, payload: &mut Vec<u8>) -> Option<Output<Round>> {
        if let Some(round) = self.over.take() {
            return Some(Output::Event(round));
        }
        let from = if std::mem::take(&mut self.ask_meter) {
            payload.extend_from_slice(METER);
            None
        } else if let Some((from, pong)) = self.pong.take() {
            payload.extend_from_slice(&pong);
            Some(from)
        } else if self.began.is_some() && self.unsent > 0 && self.in_flight < WINDOW {
            let question = self.questions.get(self.next)?;
            self.next = (self.next + 1) % self.questions.len();
            self.unsent -= 1;
            self.in_flight += 1;
            payload.extend_from_slice(&question.bytes);
            Some(question.from)
        } else {
            return None;
        };
        let (to, len) = (self.target.addr, payload.len());
        let from = from.map(|ip| SocketAddr::new(ip, 0));
        Some(Output::Effect(Effect::Send { from, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.heard + PATIENCE)
    }
}

/// The answer of the node at `host` to a ping.
pub(crate) fn pong(host: IpAddr, ping: &[u8]) -> Option<(IpAddr, Vec<u8>)> {
    let transaction = Message::decode(ping).ok()?.transaction;
    let mut bytes = Vec::new();
    Message::new(transaction, Body::Reply(Reply::new(id_at(host)))).encode(&mut bytes);
    Some((host, bytes))
}

//! Virtual time: one client machine and one lab, and nothing waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::ops::ControlFlow;

use world::{Closed, ConnId, Effect, Input, Machine, Output, Time, Via};

use crate::lab::Lab;
use crate::swarm::Outcome;

/// Who is run, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The client's address.
    pub client: SocketAddr,
    /// The run ends here at the latest, virtual time.
    pub until: Time,
    /// When the client is told [`Input::Stop`], if ever.
    pub stop: Option<Time>,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The sink broke off.
    Broken,
    /// The time was up.
    TimeUp,
    /// Nobody had anything left to wait for.
    Idle,
    /// A machine kept a deadline in the past however often it was woken: a bug of that machine.
    Stuck,
}

/// Hears what the client tells, and may command it; `Break` ends the run.
pub type Sink<'s, M> = dyn FnMut(Time, &mut M, <M as Machine>::Event) -> ControlFlow<()> + 's;

/// Wakings at one moment after which a machine counts as stuck.
const WAKINGS_MAX: u32 = 100_000;

/// Runs `client` against `lab` from `start` until something ends it; gives the virtual time of the end.
///
/// Each event of the client goes to `sink` with the machine itself, which can be given commands: it is polled after.
/// Delay and loss of datagrams are the lab's. A dial takes a round trip, longer if a SYN is lost, or for ever, as the lab
/// says; bytes on a connection take no time beyond what the lab adds. Connections that the client dials outside of the lab
/// are silent.
pub fn run<M: Machine>(
    plan: &Plan,
    client: &mut M,
    lab: &mut Lab,
    start: Time,
    sink: &mut Sink<'_, M>,
) -> (Time, Ended) {
    let mut world = World {
        plan: *plan,
        now: start,
        payload: Vec::new(),
        later: BinaryHeap::new(),
        number: 0,
        calls: BTreeMap::new(),
        callers: BTreeMap::new(),
        accepted: 0,
    };
    let mut stop = plan.stop;
    let mut wakings = 0;
    loop {
        if world.settle(client, lab, sink).is_break() {
            return (world.now, Ended::Broken);
        }
        let deadlines = [client.deadline(), lab.deadline(), world.next(), stop];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return (world.now, Ended::Idle);
        };
        if next > plan.until {
            return (plan.until.max(world.now), Ended::TimeUp);
        }
        wakings = if next > world.now { 0 } else { wakings + 1 };
        if wakings > WAKINGS_MAX {
            return (world.now, Ended::Stuck);
        }
        world.now = world.now.max(next);
        if stop.is_some_and(|at| at <= world.now) {
            stop = None;
            client.handle(world.now, Input::Stop);
        }
        world.arrive(client, lab);
        for_due(client, world.now);
        for_due(lab, world.now);
    }
}

fn for_due<M: Machine>(machine: &mut M, now: Time) {
    if machine.deadline().is_some_and(|at| at <= now) {
        machine.handle(now, Input::Tick);
    }
}

/// The network of the run: what neither machine keeps.
struct World {
    plan: Plan,
    now: Time,
    payload: Vec<u8>,
    /// Dials on their way, earliest first.
    later: BinaryHeap<Reverse<(Time, u64, Dial)>>,
    number: u64,
    /// The client's connections that the lab has accepted, by the lab's number, and the other way round.
    calls: BTreeMap<ConnId, ConnId>,
    callers: BTreeMap<ConnId, ConnId>,
    accepted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Dial {
    conn: ConnId,
    to: SocketAddr,
    refused: bool,
}

impl World {
    fn next(&self) -> Option<Time> {
        self.later.peek().map(|Reverse((at, ..))| *at)
    }

    /// Polls both until neither has anything left to say now.
    fn settle<M: Machine>(&mut self, client: &mut M, lab: &mut Lab, sink: &mut Sink<'_, M>) -> ControlFlow<()> {
        loop {
            let mut silent = true;
            self.payload.clear();
            while let Some(output) = client.poll(self.now, &mut self.payload) {
                silent = false;
                match output {
                    Output::Event(event) => sink(self.now, client, event)?,
                    // Bytes on a connection take no time.
                    Output::Effect(Effect::Report { conn }) => client.handle(self.now, Input::Flushed { conn }),
                    Output::Effect(effect) => self.of_client(lab, effect),
                }
                self.payload.clear();
            }
            while let Some(output) = lab.poll(self.now, &mut self.payload) {
                silent = false;
                if let Output::Effect(effect) = output {
                    self.of_lab(client, lab, effect);
                }
                self.payload.clear();
            }
            if silent {
                return ControlFlow::Continue(());
            }
        }
    }

    fn of_client(&mut self, lab: &mut Lab, effect: Effect) {
        let (now, client) = (self.now, self.plan.client);
        match effect {
            Effect::Send { to, .. } => {
                let bytes = &self.payload;
                lab.handle(
                    now,
                    Input::Datagram {
                        from: client,
                        to,
                        bytes,
                    },
                );
            }
            Effect::Dial { conn, to, .. } => self.dial(lab, conn, to),
            Effect::Write { conn, .. } => {
                if let Some(&conn) = self.callers.get(&conn) {
                    let bytes = &self.payload;
                    lab.handle(now, Input::Received { conn, bytes });
                }
            }
            Effect::Close { conn } => {
                self.later.retain(|Reverse((_, _, dial))| dial.conn != conn);
                if let (true, Some(home)) = (self.callers.contains_key(&conn), lab.home()) {
                    home.closed(now, conn);
                }
                if let Some(conn) = self.callers.remove(&conn) {
                    self.calls.remove(&conn);
                    let why = Closed::ByRemote;
                    lab.handle(now, Input::Closed { conn, why });
                }
            }
            // There is neither disk nor web here; the minds that meet a lab ask for none.
            Effect::Report { .. }
            | Effect::Disk { .. }
            | Effect::Fetch { .. }
            | Effect::CancelFetch { .. }
            | Effect::Resolve { .. } => {}
        }
    }

    fn of_lab<M: Machine>(&mut self, client: &mut M, lab: &mut Lab, effect: Effect) {
        let (now, bytes) = (self.now, self.payload.as_slice());
        match effect {
            Effect::Send {
                from: Some(from), to, ..
            } if to == self.plan.client => {
                client.handle(now, Input::Datagram { from, to, bytes });
            }
            Effect::Write { conn, .. } => {
                if let Some(&conn) = self.calls.get(&conn) {
                    client.handle(now, Input::Received { conn, bytes });
                }
            }
            Effect::Close { conn } => {
                if let Some(conn) = self.calls.remove(&conn) {
                    self.callers.remove(&conn);
                    if let Some(home) = lab.home() {
                        home.closed(now, conn);
                    }
                    let why = Closed::ByRemote;
                    client.handle(now, Input::Closed { conn, why });
                }
            }
            // A lab asks for nothing else.
            _ => {}
        }
    }

    fn dial(&mut self, lab: &mut Lab, conn: ConnId, to: SocketAddr) {
        if lab.home().is_some_and(|home| !home.dials(self.now, conn, to)) {
            return;
        }
        let outcome = lab.population().outcome(to);
        if outcome == Outcome::Silent {
            return;
        }
        let Some(after) = lab.connects_after(self.now, self.plan.client.ip(), to.ip()) else {
            return;
        };
        self.number += 1;
        let refused = outcome == Outcome::Refused;
        let at = self.now + after;
        self.later.push(Reverse((at, self.number, Dial { conn, to, refused })));
    }

    /// Ends the dials that are due.
    fn arrive<M: Machine>(&mut self, client: &mut M, lab: &mut Lab) {
        let now = self.now;
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, Dial { conn, to, refused }))) = self.later.pop() else {
                return;
            };
            if let Some(home) = lab.home() {
                if refused {
                    home.closed(now, conn);
                } else {
                    home.opened(now, conn);
                }
            }
            if refused {
                let why = Closed::Refused;
                client.handle(now, Input::Closed { conn, why });
                continue;
            }
            self.accepted += 1;
            let theirs = ConnId(ConnId::ACCEPTED | self.accepted);
            self.callers.insert(conn, theirs);
            self.calls.insert(theirs, conn);
            let from = self.plan.client;
            lab.handle(
                now,
                Input::Accepted {
                    conn: theirs,
                    from,
                    to,
                    via: Via::Tcp,
                },
            );
            client.handle(now, Input::Opened { conn, via: Via::Tcp });
        }
    }
}

#[cfg(test)]
mod tests;

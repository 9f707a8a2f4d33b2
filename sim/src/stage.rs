//! Many machines in one virtual time: each with a line, a disk and the web; between them streams and datagrams.
//!
//! A [`Stage`] carries any `world::Machine`; all effects of the contract are carried out. Parties are added with a
//! [`Place`]; [`Stage::next`] goes on until a machine tells something, and the caller may do whatever it likes between two
//! calls: command a machine ([`Stage::machine_mut`]), change its line, meddle with its disk, kill it, start another.
//! [`Stage::run`] is that in a loop, with a sink. `stage/tests/transfer.rs` is a whole example: a file goes from one disk
//! to another.
//!
//! ```ignore
//! let mut stage = Stage::new(LIMITS, Seed::from_number(1));
//! let line = Line::new(1_000_000, 5_000_000, Duration::from_millis(20)); // up, down, one way to the middle
//! let seed = stage.add(Place::new("10.0.0.1:6881".parse()?, line), Engine::new(..));
//! stage.disk_mut(seed).plant("/data/file", Content::pattern(Seed::from_number(2), 64 << 20));
//! stage.machine_mut(seed).add(torrent);
//! let ended = stage.run(Time::from_secs(600), &mut |stage, party, told| { .. });
//! ```
//!
//! **Streams.** A call takes a round trip; who is called hears of it after half of one. What is written waits in a bounded
//! buffer for a turn on the writer's line up, is on its way for the delay between the two, and then waits for a turn on the
//! reader's line down: bytes arrive in order, both rates are kept, and the streams of a party share its line evenly, in turns
//! of 8 ms (1,460 bytes to 16 KiB). A stream has on its way at most twice what the path holds, and 64 KiB: so a slow reader
//! slows its writers. There is no loss on streams, no slow start, and no overhead of headers. `Report` is answered when at
//! most [`Limits::kernel`] bytes wait. `Close` ends a stream behind what was written. There is TCP only, as in `host::run`.
//!
//! **Datagrams** share the lines, as one flow among the streams; they may be lost, doubled, and overtake one another. Those to
//! a multicast address reach all others. Who cannot be called still gets datagrams: NATs are the lab's. [`Stage::serve`] puts
//! a scripted server at an address, as a UDP tracker.
//!
//! **The web** is a [`Web`]: [`Site`] has names, documents with ranges, and handlers, as HTTP trackers. Bodies share the line
//! down.
//!
//! **Disks** are those of [`crate::disk`], one for each party; equal pages of all of them are held once.
//!
//! **Death.** [`Stage::kill`] ends a process: others get resets, the disk keeps its cache. [`Stage::lose_power`] lets others
//! hear nothing, and the disk loses what was not synced. A party whose disk reaches [`Disk::crash_at`] stops at that
//! point, and [`Told::Stopped`] says so: then do either, and [`Stage::start`] a new machine on what is left. To stop at every
//! point of a run, let it end well once, take [`Disk::points`], and run it again with each number.
//!
//! **Order.** All inputs come from one queue, after the machine was polled until it had nothing to say; what happens at one
//! moment happens in the order in which it was caused. So a seed gives the same run to the byte: [`Stage::fingerprint`]
//! sums up every input of every machine.

mod carry;
mod fetches;
mod line;
mod net;
mod place;
mod stream;
mod web;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use world::{Effect, HttpPart, Input, Machine, Output, Seed, Time, Via};

pub use place::{Limits, Line, Noise, Place, Reach};
pub use web::{Response, Site, Web};

use crate::disk::{Disk, Pages};
use crate::run::Ended;
use net::{Inbound, Life, Net};

/// Wakings of one machine at one moment, after which it counts as stuck.
const WAKINGS_MAX: u32 = 100_000;
/// Outputs of one machine without an input, after which it counts as stuck.
const OUTPUTS_MAX: u32 = 10_000_000;

/// What passed a party's line.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Bytes of streams that went up.
    pub sent: u64,
    /// Bytes of streams that the machine was given.
    pub received: u64,
    /// Bytes of documents that came down.
    pub fetched: u64,
    /// Datagrams that the machine sent.
    pub datagrams_sent: u64,
    /// Datagrams that the machine was given.
    pub datagrams_received: u64,
    /// Datagrams of its that were lost, and those that found its line full.
    pub datagrams_lost: u64,
    /// Calls it made.
    pub dialled: u64,
    /// Calls it got.
    pub accepted: u64,
    /// Blocks that its noise garbled.
    pub garbled: u64,
    /// Connections that its noise cut.
    pub cut: u64,
    /// Connections that ended because it wrote faster than they went.
    pub congested: u64,
}

/// What a party tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told<E> {
    /// An event of its machine.
    Event(E),
    /// Its disk has stopped at the point of [`Disk::crash_at`]. The machine hears nothing more.
    Stopped,
}

/// Hears what parties tell, and may do anything to the stage; `Break` ends the run.
pub type Sink<'s, M> = dyn FnMut(&mut Stage<M>, usize, Told<<M as Machine>::Event>) -> ControlFlow<()> + 's;

struct Party<M> {
    /// `None`: it is off.
    machine: Option<M>,
    disk: Disk,
    /// Bytes of the input that was handled last.
    input: Vec<u8>,
    /// When the disk and the machine are looked at, as in `Stage::alarms`.
    alarms: [Option<Time>; 2],
    /// It waits to be polled.
    is_dirty: bool,
    /// [`Told::Stopped`] was said.
    is_stopped: bool,
    /// How often it was woken at this moment.
    wakings: (Time, u32),
    /// How often it said something since its last input.
    outputs: u32,
}

/// Whose alarm it is, as a place in `Party::alarms`: that of the disk is 0.
const MACHINE: usize = 1;

/// All parties and what is between them; see the module.
pub struct Stage<M: Machine> {
    now: Time,
    seed: Seed,
    parties: Vec<Party<M>>,
    net: Net,
    pages: Pages,
    /// Parties to poll, in the order in which something happened to them.
    dirty: VecDeque<usize>,
    /// By time, kind (disk, machine) and party.
    alarms: BTreeSet<(Time, usize, usize)>,
    payload: Vec<u8>,
    fingerprint: u64,
    deaths: u64,
}

impl<M: Machine> Stage<M> {
    /// Nobody, at time zero.
    pub fn new(limits: Limits, seed: Seed) -> Self {
        Self {
            now: Time::ZERO,
            seed,
            parties: Vec::new(),
            net: Net::new(limits, seed),
            pages: Pages::default(),
            dirty: VecDeque::new(),
            alarms: BTreeSet::new(),
            payload: Vec::new(),
            fingerprint: 0,
            deaths: 0,
        }
    }

    /// Puts the web there; without, no name is known.
    pub fn set_web(&mut self, web: impl Web + 'static) {
        self.net.web = Box::new(web);
    }

    /// Puts a server of datagrams at an address, so far from the middle of the network: `answers` is told the time, who asks
    /// and what, and gives what is sent back.
    pub fn serve(
        &mut self,
        addr: SocketAddr,
        delay: Duration,
        answers: impl FnMut(Time, SocketAddr, &[u8]) -> Vec<Vec<u8>> + 'static,
    ) {
        self.net.serve(addr, delay, Box::new(answers));
    }

    /// A new party, with an empty disk; gives its number: 0, 1, 2 and so on.
    ///
    /// # Panics
    /// If another party has that address.
    pub fn add(&mut self, place: Place, machine: M) -> usize {
        let party = self.net.add(&place);
        let seed = self.seed.derive_number("disk", party as u64);
        self.parties.push(Party {
            machine: Some(machine),
            disk: Disk::sharing(place.speed, place.faults, seed, self.pages.clone()),
            input: Vec::new(),
            alarms: [None; 2],
            is_dirty: false,
            is_stopped: false,
            wakings: (Time::ZERO, 0),
            outputs: 0,
        });
        self.touch(party);
        party
    }

    /// What time it is.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// How many parties there are, those that are off too.
    pub const fn len(&self) -> usize {
        self.parties.len()
    }

    /// Whether there is no party.
    pub const fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// A party's machine; `None` if it is off.
    pub fn machine(&self, party: usize) -> Option<&M> {
        self.parties[party].machine.as_ref()
    }

    /// A party's machine, to be commanded: it is polled afterwards. `None` if it is off.
    pub fn machine_mut(&mut self, party: usize) -> Option<&mut M> {
        self.touch(party);
        self.parties[party].machine.as_mut()
    }

    /// A party's disk.
    pub fn disk(&self, party: usize) -> &Disk {
        &self.parties[party].disk
    }

    /// A party's disk, to change its faults or its files.
    pub fn disk_mut(&mut self, party: usize) -> &mut Disk {
        self.touch(party);
        &mut self.parties[party].disk
    }

    /// What passed a party's line.
    pub fn traffic(&self, party: usize) -> Traffic {
        self.net.hosts[party].traffic
    }

    /// Where a party listens.
    pub fn addr(&self, party: usize) -> SocketAddr {
        self.net.hosts[party].addr
    }

    /// A party's line, as it is from now on.
    pub fn set_line(&mut self, party: usize, line: Line) {
        self.net.hosts[party].line = line;
    }

    /// The noise in a party's streams from now on.
    pub fn set_noise(&mut self, party: usize, noise: Noise) {
        self.net.hosts[party].noise = noise;
    }

    /// What happens from now on to those who dial a party.
    pub fn set_reach(&mut self, party: usize, reach: Reach) {
        self.net.hosts[party].reach = reach;
    }

    /// How long it takes from one party to another, one way.
    pub fn set_delay(&mut self, one: usize, other: usize, delay: Duration) {
        self.net.set_delay(one, other, delay);
    }

    /// Streams that are not over, half-open ones too. Those of machines that are done with each other are gone.
    pub fn streams(&self) -> usize {
        self.net.streams.len()
    }

    /// All inputs of all machines so far, summed up: time, party, kind and length.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Sends [`Input::Stop`] to a party.
    pub fn stop(&mut self, party: usize) {
        self.net.tell(self.now, party, Inbound::Stop);
    }

    /// A party's process ends at once (`kill -9`): see [`Disk::kill`]. Gives the machine as it was, if it ran.
    pub fn kill(&mut self, party: usize) -> Option<M> {
        let seed = self.death();
        self.parties[party].disk.kill(seed);
        self.end(party, Life::Ended)
    }

    /// A party's power goes: see [`Disk::lose_power`]. Gives the machine as it was, if it ran.
    pub fn lose_power(&mut self, party: usize) -> Option<M> {
        let seed = self.death();
        self.parties[party].disk.lose_power(seed);
        self.end(party, Life::Dark)
    }

    fn death(&mut self) -> Seed {
        self.deaths += 1;
        self.seed.derive_number("death", self.deaths)
    }

    fn end(&mut self, party: usize, life: Life) -> Option<M> {
        self.net.die(self.now, party, life);
        let machine = self.parties[party].machine.take();
        self.parties[party].input.clear();
        self.set_alarms(party);
        machine
    }

    /// A party runs again, with a new machine on what is on its disk. One that still runs is killed first.
    pub fn start(&mut self, party: usize, machine: M) {
        if self.parties[party].machine.is_some() {
            self.kill(party);
        }
        self.parties[party].machine = Some(machine);
        self.parties[party].is_stopped = false;
        self.net.live(party);
        self.touch(party);
    }

    /// Runs until `sink` breaks off, the time is up, or nobody waits for anything.
    pub fn run(&mut self, until: Time, sink: &mut Sink<'_, M>) -> Ended {
        loop {
            match self.next(until) {
                Ok((party, told)) => {
                    if sink(self, party, told).is_break() {
                        return Ended::Broken;
                    }
                }
                Err(ended) => return ended,
            }
        }
    }

    /// Goes on until a party tells something, or the run ends: never with [`Ended::Broken`]. It can go on after any end.
    ///
    /// # Errors
    /// How it ended; after [`Ended::TimeUp`] it is `until`.
    ///
    /// # Panics
    /// If a machine breaks the contract: a payload of another length than it says, bytes of an input that is not the last,
    /// a number dialled twice.
    pub fn next(&mut self, until: Time) -> Result<(usize, Told<M::Event>), Ended> {
        loop {
            while let Some(&party) = self.dirty.front() {
                if let Some(told) = self.poll(party)? {
                    return Ok((party, told));
                }
                self.dirty.pop_front();
                self.parties[party].is_dirty = false;
                self.set_alarms(party);
            }
            let alarm = self.alarms.first().copied();
            let times = [self.net.next(), alarm.map(|(at, ..)| at)];
            let Some(next) = times.into_iter().flatten().min() else {
                return Err(Ended::Idle);
            };
            if next > until {
                self.now = self.now.max(until);
                return Err(Ended::TimeUp);
            }
            self.now = self.now.max(next);
            if let Some((party, inbound)) = self.net.take(self.now) {
                self.arrive(party, inbound);
            } else if let Some((at, kind, party)) = self.alarms.first().copied()
                && at <= self.now
            {
                self.wake(kind, party)?;
            }
        }
    }

    /// Whose turn it is to be polled.
    fn touch(&mut self, party: usize) {
        if !self.parties[party].is_dirty {
            self.parties[party].is_dirty = true;
            self.dirty.push_back(party);
        }
    }

    fn set_alarms(&mut self, party: usize) {
        let it = &mut self.parties[party];
        let machine = it.machine.as_ref().filter(|_| !it.is_stopped);
        let deadlines = [it.disk.deadline(), machine.and_then(Machine::deadline)];
        for (kind, deadline) in deadlines.into_iter().enumerate() {
            if it.alarms[kind] != deadline {
                if let Some(at) = it.alarms[kind] {
                    self.alarms.remove(&(at, kind, party));
                }
                self.alarms.extend(deadline.map(|at| (at, kind, party)));
                it.alarms[kind] = deadline;
            }
        }
    }

    /// A disk or a machine is due.
    fn wake(&mut self, kind: usize, party: usize) -> Result<(), Ended> {
        let it = &mut self.parties[party];
        it.wakings = if it.wakings.0 == self.now {
            (self.now, it.wakings.1 + 1)
        } else {
            (self.now, 0)
        };
        if it.wakings.1 > WAKINGS_MAX {
            return Err(Ended::Stuck);
        }
        if kind == MACHINE {
            self.handle(party, Input::Tick);
        } else if let Some(answer) = it.disk.take(self.now) {
            let (job, done) = (answer.job, answer.done());
            self.handle(party, Input::Disk { job, done });
        } else {
            // It has stopped, or carried out something that will be answered later.
            self.touch(party);
        }
        Ok(())
    }

    fn arrive(&mut self, party: usize, inbound: Inbound) {
        match &inbound {
            Inbound::Opened(conn) => self.handle(
                party,
                Input::Opened {
                    conn: *conn,
                    via: Via::Tcp,
                },
            ),
            &Inbound::Accepted { conn, from, to } => self.handle(
                party,
                Input::Accepted {
                    conn,
                    from,
                    to,
                    via: Via::Tcp,
                },
            ),
            Inbound::Received(conn, bytes) => self.handle(party, Input::Received { conn: *conn, bytes }),
            &Inbound::Closed(conn, why) => self.handle(party, Input::Closed { conn, why }),
            Inbound::Flushed(conn) => self.handle(party, Input::Flushed { conn: *conn }),
            Inbound::Datagram { from, to, bytes } => self.handle(
                party,
                Input::Datagram {
                    from: *from,
                    to: *to,
                    bytes,
                },
            ),
            Inbound::Http(id, part) => self.handle(
                party,
                Input::Http {
                    id: *id,
                    part: part.as_http(),
                },
            ),
            Inbound::Resolved(id, addrs) => self.handle(party, Input::Resolved { id: *id, addrs }),
            Inbound::Stop => self.handle(party, Input::Stop),
        }
        // The bytes stay as long as they may be spoken of; the buffer they replace goes back.
        if let Inbound::Received(_, bytes) | Inbound::Http(_, fetches::Part::Body(bytes)) = inbound {
            let old = std::mem::replace(&mut self.parties[party].input, bytes);
            self.net.recycle(old);
        }
    }

    fn handle(&mut self, party: usize, input: Input<'_>) {
        let (kind, len) = describe(&input);
        for word in [self.now.as_micros(), party as u64, kind, len as u64] {
            self.fingerprint = (self.fingerprint ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29);
        }
        let it = &mut self.parties[party];
        it.input.clear();
        it.outputs = 0;
        if let Some(machine) = it.machine.as_mut().filter(|_| !it.is_stopped) {
            machine.handle(self.now, input);
        }
        self.touch(party);
    }

    /// Polls a party until it tells something or has nothing more to say.
    fn poll(&mut self, party: usize) -> Result<Option<Told<M::Event>>, Ended> {
        loop {
            let it = &mut self.parties[party];
            if it.is_stopped {
                return Ok(None);
            }
            if it.disk.is_stopped() {
                it.is_stopped = true;
                return Ok(Some(Told::Stopped));
            }
            self.payload.clear();
            let Some(machine) = it.machine.as_mut() else {
                return Ok(None);
            };
            let Some(output) = machine.poll(self.now, &mut self.payload) else {
                return Ok(None);
            };
            it.outputs += 1;
            if it.outputs > OUTPUTS_MAX {
                return Err(Ended::Stuck);
            }
            match output {
                Output::Event(event) => return Ok(Some(Told::Event(event))),
                Output::Effect(effect) => self.carry_out(party, effect),
            }
        }
    }

    fn carry_out(&mut self, party: usize, effect: Effect) {
        let (now, net, bytes) = (self.now, &mut self.net, self.payload.as_slice());
        match effect {
            Effect::Send { len, .. }
            | Effect::Write { len, .. }
            | Effect::Fetch { len, .. }
            | Effect::Resolve { len, .. } => {
                assert_eq!(len, bytes.len(), "party {party}: the payload of {effect:?}");
            }
            _ => {}
        }
        match effect {
            Effect::Send { from, to, .. } => net.send(now, party, from, to, bytes),
            Effect::Dial { conn, to, via } => net.dial(now, party, conn, to, via),
            Effect::Write { conn, .. } => net.write(now, party, conn, bytes),
            Effect::Close { conn } => net.close(now, party, conn),
            Effect::Report { conn } => net.report(now, party, conn),
            Effect::Disk { store, job, op } => {
                let it = &mut self.parties[party];
                it.disk.ask(now, store, job, op, bytes, &it.input);
            }
            Effect::Fetch { id, get, .. } => net.fetch(now, party, id, get, &String::from_utf8_lossy(bytes)),
            Effect::CancelFetch { id } => net.cancel(party, id),
            Effect::Resolve { id, .. } => net.resolve(now, party, id, &String::from_utf8_lossy(bytes)),
        }
    }
}

/// The kind of an input, as a number, and the length of its bytes.
const fn describe(input: &Input<'_>) -> (u64, usize) {
    match input {
        Input::Tick => (0, 0),
        Input::Datagram { bytes, .. } => (1, bytes.len()),
        Input::Opened { .. } => (2, 0),
        Input::Accepted { .. } => (3, 0),
        Input::Received { bytes, .. } => (4, bytes.len()),
        Input::Closed { why, .. } => (5, *why as usize),
        Input::Flushed { .. } => (6, 0),
        Input::Disk { job, .. } => (7, job.0 as usize),
        Input::Http {
            part: HttpPart::Body(bytes),
            ..
        } => (8, bytes.len()),
        Input::Http { .. } => (9, 0),
        Input::Resolved { addrs, .. } => (10, addrs.len()),
        Input::Stop => (11, 0),
    }
}

#[cfg(test)]
mod tests;

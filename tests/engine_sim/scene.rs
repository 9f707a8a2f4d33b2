//! Engines and scripted peers on one stage, with one torrent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use engine::roster::Sources;
use engine::{Add, Bits, Config, Engine, Event, Resume, State, Status, TorrentId, Verify};
use estudely::args::{Cli, Command};
use sim::Ended;
use sim::disk::Disk;
use sim::stage::{Limits, Line, Place, Stage, Told};
use world::{Input, Machine, Output, Seed, Time};

use crate::made::Made;
use crate::script::Script;

/// Where the files of all parties are, each on its own disk.
pub(crate) const FOLDER: &str = "/files";

/// The only torrent of an engine here.
pub(crate) const IT: TorrentId = TorrentId(0);

/// Bounds of the network, as the host has them.
const LIMITS: Limits = Limits {
    kernel: 128 << 10,
    unsent: 1 << 20,
    datagrams: 1_024,
};

/// Who is on the stage.
pub(crate) enum Party {
    Engine(Box<Engine>),
    Script(Box<Script>),
}

impl Machine for Party {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match self {
            Self::Engine(engine) => engine.handle(now, input),
            Self::Script(script) => script.handle(now, input),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        match self {
            Self::Engine(engine) => engine.poll(now, payload),
            Self::Script(script) => script.poll(payload),
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Self::Engine(engine) => engine.deadline(),
            Self::Script(script) => script.deadline(),
        }
    }
}

/// What `download` tells its engine without flags, on the open network and a processor that hashes pieces side by side: the
/// same on every machine.
pub(crate) fn config() -> Config {
    let Command::Download(args) = Cli::parse_from(["estudely", "download", "x"]).command else {
        panic!("not a download")
    };
    let net = estudely::config::net(&args.swarm.net, None).unwrap();
    Config {
        lanes: wire::lanes::LANES,
        ..estudely::config::engine(&args.swarm, &net, 6881, true)
    }
}

/// A line as many have it: 1 MB/s up, 5 MB/s down, 10 ms to the middle.
pub(crate) const HOME: Line = Line::new(1_000_000, 5_000_000, Duration::from_millis(10));

/// All that is there, and what was told.
pub(crate) struct Scene {
    pub(crate) stage: Stage<Party>,
    pub(crate) made: Made,
    /// Whom peers name is offered to who was told, as the door does.
    pub(crate) passes_on: bool,
    pub(crate) log: Vec<(Time, usize, Event)>,
    seed: Seed,
    /// Engines so far: each run of each has its own seed.
    runs: u64,
}

impl Scene {
    pub(crate) fn new(made: Made, seed: u64) -> Self {
        let seed = Seed::from_number(seed);
        Self {
            stage: Stage::new(LIMITS, seed.derive("stage")),
            made,
            passes_on: true,
            log: Vec::new(),
            seed,
            runs: 0,
        }
    }

    /// The place of the next party.
    pub(crate) fn place(&self, line: Line) -> Place {
        let [.., high, low] = (self.stage.len() as u32 + 1).to_be_bytes();
        let addr = SocketAddr::from((Ipv4Addr::new(192, 0, high, low), 6881));
        Place::new(addr, line)
    }

    pub(crate) fn engine(&mut self, config: Config) -> Engine {
        self.runs += 1;
        Engine::new(config, self.seed.derive_number("engine", self.runs))
    }

    /// A party that has everything and knows it.
    pub(crate) fn seed(&mut self, place: Place, config: Config) -> usize {
        self.seed_with(place, config, |_| {})
    }

    /// The same, told more of the torrent.
    pub(crate) fn seed_with(&mut self, place: Place, config: Config, tell: impl FnOnce(&mut Add)) -> usize {
        let mut add = self.whole();
        tell(&mut add);
        let engine = self.engine(config);
        let party = self.stage.add(place, Party::Engine(Box::new(engine)));
        let made = self.made.clone();
        made.plant(self.stage.disk_mut(party), FOLDER);
        self.begin(party, add);
        party
    }

    /// The torrent with everything at hand.
    pub(crate) fn whole(&self) -> Add {
        let pieces = self.made.pieces();
        let mut add = self.made.add(FOLDER);
        add.journal = None;
        add.resume = Some(Resume {
            have: Bits::full(pieces),
            ..Resume::nothing(pieces)
        });
        add
    }

    /// A party that has nothing.
    pub(crate) fn leech(&mut self, place: Place, config: Config) -> usize {
        let add = self.made.add(FOLDER);
        self.leech_with(place, config, add)
    }

    pub(crate) fn leech_with(&mut self, place: Place, config: Config, add: Add) -> usize {
        let engine = self.engine(config);
        let party = self.stage.add(place, Party::Engine(Box::new(engine)));
        self.begin(party, add);
        party
    }

    pub(crate) fn begin(&mut self, party: usize, add: Add) {
        let now = self.stage.now();
        assert_eq!(self.at(party).add(now, add), Ok(IT));
    }

    /// A scripted peer.
    pub(crate) fn script(&mut self, place: Place, script: Script) -> usize {
        self.stage.add(place, Party::Script(Box::new(script)))
    }

    /// `who` is told of `whom`.
    pub(crate) fn introduce(&mut self, who: usize, whom: usize) {
        let (now, addr) = (self.stage.now(), self.stage.addr(whom));
        self.at(who).offer_peer(now, IT, addr, Sources::TRACKER);
    }

    /// An engine, to be commanded.
    pub(crate) fn at(&mut self, party: usize) -> &mut Engine {
        match self.stage.machine_mut(party) {
            Some(Party::Engine(engine)) => engine,
            _ => panic!("no engine runs there"),
        }
    }

    pub(crate) fn ask(&self, party: usize) -> &Engine {
        match self.stage.machine(party) {
            Some(Party::Engine(engine)) => engine,
            _ => panic!("no engine runs there"),
        }
    }

    pub(crate) fn status(&self, party: usize) -> Status {
        self.ask(party).status(self.stage.now(), IT).unwrap()
    }

    pub(crate) fn disk(&self, party: usize) -> &Disk {
        self.stage.disk(party)
    }

    /// Goes on until something is told that pleases, or a disk stops; whether that came before the time was up.
    pub(crate) fn until(&mut self, end: Time, mut pleases: impl FnMut(&mut Self, usize, &Event) -> bool) -> bool {
        loop {
            match self.stage.next(end) {
                Ok((_, Told::Stopped)) => return true,
                Ok((party, Told::Event(event))) => {
                    if let (Event::Named(id, addr, _), true) = (&event, self.passes_on) {
                        let now = self.stage.now();
                        self.at(party).offer_peer(now, *id, *addr, Sources::PEX);
                    }
                    let pleased = pleases(self, party, &event);
                    self.log.push((self.stage.now(), party, event));
                    if pleased {
                        return true;
                    }
                }
                Err(Ended::Stuck) => panic!("an engine spins"),
                Err(_) => return false,
            }
        }
    }

    /// Goes on until these have all that they want, and what they have is claimed; so many virtual seconds at the most.
    /// Gives when each was done.
    pub(crate) fn until_done(&mut self, parties: &[usize], secs: u64) -> Vec<Time> {
        let end = self.stage.now() + Duration::from_secs(secs);
        let mut left = parties.to_vec();
        left.retain(|party| self.done_at(*party).is_none());
        let all = left.is_empty()
            || self.until(end, |_, party, event| {
                if matches!(event, Event::Finished(_)) {
                    left.retain(|other| *other != party);
                }
                left.is_empty()
            });
        assert!(all, "not done in {secs} s: {}", self.describe(&left));
        parties.iter().map(|party| self.done_at(*party).unwrap()).collect()
    }

    pub(crate) fn describe(&self, parties: &[usize]) -> String {
        let each = parties.iter().map(|party| {
            let status = self.status(*party);
            let peers = self.ask(*party).peers(self.stage.now(), IT);
            format!("\n{party}: {status:?}\n   {peers:?}")
        });
        each.collect()
    }

    /// When it had all for the last time it was asked to have it.
    pub(crate) fn done_at(&self, party: usize) -> Option<Time> {
        let mut log = self.log.iter().rev();
        let found = log.find(|(_, other, event)| *other == party && matches!(event, Event::Finished(_)));
        found.map(|(at, ..)| *at)
    }

    /// Goes on for so long.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.stage.now() + span;
        self.until(end, |_, _, _| false);
    }

    /// Stops all engines, and looks that nothing is left: no stream, no question to a disk that makes no sense.
    pub(crate) fn assert_ends_clean(&mut self) {
        let engines: Vec<usize> = (0..self.stage.len())
            .filter(|party| matches!(self.stage.machine(*party), Some(Party::Engine(_))))
            .collect();
        for party in &engines {
            self.stage.stop(*party);
        }
        let mut stopped = 0;
        let all = engines.len();
        let end = self.stage.now() + Duration::from_secs(60);
        let ended = all == 0
            || self.until(end, |_, _, event| {
                stopped += usize::from(*event == Event::Stopped);
                stopped == all
            });
        assert!(ended, "{stopped} of {all} engines stopped");
        self.pass(Duration::from_secs(60));
        assert_eq!(self.stage.streams(), 0, "streams are left");
        for party in engines {
            let counts = self.disk(party).counts();
            assert_eq!((counts.escapes, counts.misused), (0, 0), "party {party}");
            assert_eq!(self.ask(party).connections(), 0, "party {party}");
        }
    }

    /// Panics if a claim of a party's journal is not true. Gives what it says.
    pub(crate) fn assert_claims_hold(&self, party: usize) -> Resume {
        let disk = self.disk(party);
        let pieces = self.made.pieces();
        let Some(bytes) = crate::made::journal(disk) else {
            return Resume::nothing(pieces);
        };
        // A journal that was never on stable storage may be empty or all zeros.
        let Ok(resume) = engine::journal::read(&bytes, self.made.info_hash(), pieces) else {
            return Resume::nothing(pieces);
        };
        for piece in resume.have.iter() {
            assert!(
                self.made.piece_is_there(disk, FOLDER, piece),
                "piece {piece} is claimed and wrong"
            );
        }
        resume
    }

    /// Starts an engine anew on what is on its disk, as the door does: the journal is written in the fewest records; without
    /// one, what is there is hashed. Gives what is at hand without a look.
    pub(crate) fn restart(&mut self, party: usize, config: Config) -> Resume {
        let mut resume = self.assert_claims_hold(party);
        let mut add = self.made.add(FOLDER);
        let is_journal = resume.length > 0;
        let mut anew = Vec::new();
        if is_journal {
            resume.encode(add.info_hash, &mut anew);
            resume.length = anew.len() as u64;
            add.resume = Some(resume.clone());
        } else {
            add.verify = Verify::All;
        }
        let engine = self.engine(config);
        self.stage.start(party, Party::Engine(Box::new(engine)));
        if is_journal {
            crate::made::plant_journal(self.stage.disk_mut(party), anew);
        } else {
            let path = "/journal/it.journal";
            self.stage.disk_mut(party).remove(path);
        }
        self.log.retain(|(_, other, _)| *other != party);
        self.begin(party, add);
        resume
    }

    /// What was told by a party, of those that please.
    pub(crate) fn told<'a>(
        &'a self,
        pleases: impl Fn(&Event) -> bool + 'a,
    ) -> impl Iterator<Item = &'a (Time, usize, Event)> {
        self.log.iter().filter(move |(_, _, event)| pleases(event))
    }

    pub(crate) fn state(&self, party: usize) -> State {
        self.ask(party).state(IT).unwrap()
    }
}

/// Seconds since the beginning.
pub(crate) fn secs(at: Time) -> f64 {
    at.since(Time::ZERO).as_secs_f64()
}

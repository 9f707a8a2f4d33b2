//! A client that dials every peer of every infohash, one after the other, and asks for the metadata.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use wire::extended::ExtendedHandshake;
use wire::handshake::{self, Handshake};
use wire::message::{self, Frames, Message};
use wire::ut_metadata::{BLOCK, UtMetadata};
use wire::{InfoHash, PeerId, metainfo};
use world::{ConnId, Effect, Input, Machine, Output, Time};

/// As the model's check has it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number this client gives ut_metadata: not one that any simulated program uses.
const OURS: u8 = 9;

struct Job {
    infohash: InfoHash,
    peers: Vec<SocketAddr>,
    tried: usize,
    /// How many peers it took.
    success: Option<usize>,
}

struct Attempt {
    job: usize,
    shaken: Vec<u8>,
    frames: Option<Frames>,
    theirs: u8,
    pieces: BTreeMap<u32, Vec<u8>>,
    size: usize,
}

pub(crate) struct Dialler {
    jobs: Vec<Job>,
    attempts: BTreeMap<ConnId, Attempt>,
    give_ups: BTreeSet<(Time, ConnId)>,
    next: u64,
    out: VecDeque<(Effect, Vec<u8>)>,
    started: bool,
}

impl Dialler {
    pub(crate) fn new(jobs: Vec<(InfoHash, Vec<SocketAddr>)>) -> Self {
        let job = |(infohash, peers)| Job {
            infohash,
            peers,
            tried: 0,
            success: None,
        };
        Self {
            jobs: jobs.into_iter().map(job).collect(),
            attempts: BTreeMap::new(),
            give_ups: BTreeSet::new(),
            next: 0,
            out: VecDeque::new(),
            started: false,
        }
    }

    pub(crate) fn succeeded(&self) -> usize {
        self.jobs.iter().filter(|job| job.success.is_some()).count()
    }

    pub(crate) fn success_of_all(&self) -> f64 {
        self.succeeded() as f64 / self.jobs.len() as f64
    }

    pub(crate) fn success_of_first(&self) -> f64 {
        let first = self.jobs.iter().filter(|job| job.success == Some(1)).count();
        first as f64 / self.jobs.len() as f64
    }

    fn dial(&mut self, now: Time, index: usize) {
        let job = &mut self.jobs[index];
        let Some(&to) = job.peers.get(job.tried) else { return };
        job.tried += 1;
        self.next += 1;
        let conn = ConnId(self.next);
        let attempt = Attempt {
            job: index,
            shaken: Vec::new(),
            frames: None,
            theirs: 0,
            pieces: BTreeMap::new(),
            size: 0,
        };
        self.attempts.insert(conn, attempt);
        self.give_ups.insert((now + PATIENCE, conn));
        self.out.push_back((Effect::Dial { conn, to, via: None }, Vec::new()));
    }

    fn write(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let len = bytes.len();
        self.out.push_back((Effect::Write { conn, len }, bytes));
    }

    /// Ends an attempt and begins the next of its job, if this one brought nothing.
    fn end(&mut self, now: Time, conn: ConnId) {
        if let Some(attempt) = self.attempts.remove(&conn)
            && self.jobs[attempt.job].success.is_none()
        {
            self.dial(now, attempt.job);
        }
    }

    fn opened(&mut self, conn: ConnId) {
        let infohash = self.jobs[self.attempts[&conn].job].infohash;
        let mut bytes = Vec::new();
        Handshake::new(infohash, PeerId::new([b'n'; 20]))
            .with_extended()
            .encode(&mut bytes);
        let ours = ExtendedHandshake {
            ut_metadata: Some(OURS),
            ..ExtendedHandshake::default()
        };
        message::extended_frame(&mut bytes, 0, |out| ours.encode(out));
        self.write(conn, bytes);
    }

    fn received(&mut self, now: Time, conn: ConnId, mut bytes: &[u8]) {
        let Some(mut attempt) = self.attempts.remove(&conn) else {
            return;
        };
        if attempt.frames.is_none() {
            let missing = handshake::LEN - attempt.shaken.len();
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            attempt.shaken.extend_from_slice(head);
            bytes = rest;
            if attempt.shaken.len() == handshake::LEN {
                attempt.frames = Some(Frames::new(1 << 20));
            }
        }
        let mut said = Vec::new();
        if let Some(mut frames) = attempt.frames.take() {
            while let Ok(Some(frame)) = frames.next_frame(&mut bytes) {
                if let Ok(Message::Extended { id, payload }) = Message::decode(frame) {
                    extended(&mut attempt, id, payload, &mut said);
                }
            }
            attempt.frames = Some(frames);
        }
        if !said.is_empty() {
            self.write(conn, said);
        }
        let whole = attempt.size > 0 && attempt.pieces.values().map(Vec::len).sum::<usize>() == attempt.size;
        let job = &mut self.jobs[attempt.job];
        let info: Vec<u8> = attempt.pieces.values().flatten().copied().collect();
        self.attempts.insert(conn, attempt);
        if whole {
            job.success = metainfo::matches(&info, &job.infohash).then_some(job.tried);
            self.out.push_back((Effect::Close { conn }, Vec::new()));
            self.end(now, conn);
        }
    }
}

fn extended(attempt: &mut Attempt, id: u8, payload: &[u8], said: &mut Vec<u8>) {
    if id == 0 {
        let Ok(theirs) = ExtendedHandshake::decode(payload) else {
            return;
        };
        let size = theirs.metadata_size.and_then(|size| usize::try_from(size).ok());
        let (Some(id), Some(size @ 1..40_000_000)) = (theirs.ut_metadata, size) else {
            return;
        };
        (attempt.theirs, attempt.size) = (id, size);
        for piece in 0..size.div_ceil(BLOCK) as u32 {
            message::extended_frame(said, id, |out| UtMetadata::Request { piece }.encode(out));
        }
    } else if id == OURS
        && let Ok(UtMetadata::Data { piece, bytes, .. }) = UtMetadata::decode(payload)
    {
        attempt.pieces.insert(piece, bytes.to_vec());
    }
}

impl Machine for Dialler {
    type Event = ();

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Opened { conn, .. } if self.attempts.contains_key(&conn) => self.opened(conn),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn, .. } => self.end(now, conn),
            _ => {}
        }
        while let Some((_, conn)) = self.give_ups.first().copied().filter(|(at, _)| *at <= now) {
            self.give_ups.pop_first();
            if self.attempts.contains_key(&conn) {
                self.out.push_back((Effect::Close { conn }, Vec::new()));
                self.end(now, conn);
            }
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        if !self.started {
            self.started = true;
            (0..self.jobs.len()).for_each(|job| self.dial(now, job));
        }
        let (effect, bytes) = self.out.pop_front()?;
        payload.extend_from_slice(&bytes);
        Some(Output::Effect(effect))
    }

    fn deadline(&self) -> Option<Time> {
        self.give_ups.first().map(|(at, _)| *at)
    }
}

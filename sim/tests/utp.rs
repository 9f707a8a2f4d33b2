//! Peers of a lab by uTP: over the same paths as all datagrams, with their delay and loss.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use sim::{Config, Ended, Lab, Outcome, Plan, Profile, Truth};
use transport::{Above, utp};
use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake};
use wire::message::{Frames, Message, extended_frame};
use wire::ut_metadata::UtMetadata;
use wire::{InfoHash, PeerId};
use world::{Closed, ConnId, Input, Machine, Output, Seed, Time, Via};

const CLIENT: &str = "127.0.0.1:4000";
const CONN: ConnId = ConnId(1);
/// libtorrent's number for ut_metadata.
const THEIRS: u8 = 2;

/// Calls one peer by uTP, shakes hands, and asks for the first piece.
struct Caller {
    socket: utp::Socket,
    infohash: InfoHash,
    heard: Vec<u8>,
    opened: bool,
    closed: Option<Closed>,
}

impl Caller {
    fn new(infohash: InfoHash, to: SocketAddr) -> Self {
        let config = utp::Config {
            connect: Duration::from_secs(4),
            syn: Duration::from_secs(1),
            half_open: Duration::from_secs(10),
            linger: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            keepalive: None,
            timeouts: 4,
            max_streams: 10,
            max_accepted: 0,
            max_half_open: 0,
            send_buffer: 1 << 20,
            receive_window: 256 << 10,
            reorder_bytes: 1 << 20,
            target_delay: Duration::from_millis(100),
            resets_per_second: 10,
        };
        let mut socket = utp::Socket::new(config, Seed::from_number(8));
        socket.dial(Time::ZERO, CONN, to);
        Self {
            socket,
            infohash,
            heard: Vec::new(),
            opened: false,
            closed: None,
        }
    }

    fn greet(&mut self, now: Time) {
        let mut words = Vec::new();
        Handshake::new(self.infohash, PeerId::new([b'x'; 20]))
            .with_extended()
            .encode(&mut words);
        let ours = ExtendedHandshake {
            ut_metadata: Some(7),
            ..ExtendedHandshake::default()
        };
        extended_frame(&mut words, extended::HANDSHAKE, |out| ours.encode(out));
        extended_frame(&mut words, THEIRS, |out| UtMetadata::Request { piece: 0 }.encode(out));
        self.socket.write(now, CONN, &words);
    }

    /// The first piece, if it has come.
    fn piece(&self) -> Option<Vec<u8>> {
        let mut rest = self.heard.get(handshake::LEN..)?;
        let mut frames = Frames::new(1 << 20);
        while let Some(frame) = frames.next_frame(&mut rest).unwrap() {
            if let Ok(Message::Extended { id: 7, payload }) = Message::decode(frame)
                && let Ok(UtMetadata::Data { bytes, .. }) = UtMetadata::decode(payload)
            {
                return Some(bytes.to_vec());
            }
        }
        None
    }
}

impl Machine for Caller {
    type Event = ();

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Datagram { from, to, bytes } => self.socket.datagram(now, from, to, bytes),
            _ => self.socket.tick(now),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        loop {
            match self.socket.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(Above::Opened { .. }) => {
                    self.opened = true;
                    self.greet(now);
                }
                Output::Event(Above::Received { .. }) => self.heard.append(payload),
                Output::Event(Above::Closed { why, .. }) => {
                    self.closed = Some(why);
                    return Some(Output::Event(()));
                }
                Output::Event(event) => panic!("{event:?}"),
            }
            payload.clear();
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.socket.deadline()
    }
}

fn lab(profile: Profile) -> Lab {
    let config = Config {
        nodes: 10,
        torrents: 60,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(1))
}

/// The ideal world, with all peers reached by uTP only, and all libtorrent.
fn utp_only() -> Profile {
    let mut profile = Profile::ideal();
    (profile.peers.accept, profile.peers.silent, profile.peers.utp_only) = (0.0, 1.0, 1.0);
    profile
}

fn call(lab: &mut Lab, infohash: InfoHash, to: SocketAddr) -> Caller {
    let mut caller = Caller::new(infohash, to);
    let plan = Plan {
        client: CLIENT.parse().unwrap(),
        until: Time::from_secs(30),
        stop: None,
    };
    let (_, ended) = sim::run(&plan, &mut caller, lab, Time::ZERO, &mut |_, _, ()| {
        ControlFlow::Break(())
    });
    assert_ne!(ended, Ended::Stuck);
    caller
}

fn rows(lab: &Lab) -> Vec<Truth> {
    lab.population().truth().collect()
}

#[test]
fn who_is_silent_by_tcp_gives_metadata_by_utp() {
    let mut lab = lab(utp_only());
    for row in rows(&lab).iter().take(10) {
        assert_eq!(row.fetchable, Some(Via::Utp));
        let peer = row.peers[0];
        assert_eq!(lab.population().outcome(peer), Outcome::Silent);
        let caller = call(&mut lab, row.infohash, peer);
        assert!(caller.piece().is_some_and(|piece| !piece.is_empty()));
    }
    assert_eq!((lab.counts().accepted_utp, lab.counts().accepted), (10, 0));
}

#[test]
fn lost_packets_come_again() {
    let mut profile = utp_only();
    let hostile = Profile::hostile().net;
    (profile.net.loss, profile.net.rtt, profile.net.jitter_sigma) = (hostile.loss, hostile.rtt, hostile.jitter_sigma);
    (profile.net.reorder, profile.net.duplicate) = (0.02, 0.02);
    let mut lab = lab(profile);
    let all = rows(&lab);
    let got = all
        .iter()
        .filter(|row| call(&mut lab, row.infohash, row.peers[0]).piece().is_some())
        .count();
    assert!(lab.counts().lost > 0);
    // Bursts of two seconds, in which every second packet is lost, may outlast a caller's four.
    assert!(got * 10 >= all.len() * 9, "{got} of {}", all.len());
}

#[test]
fn who_does_not_answer_utp_is_silent() {
    let mut profile = Profile::ideal();
    profile.peers.utp = 0.0;
    let mut lab = lab(profile);
    let row = rows(&lab).swap_remove(0);
    let caller = call(&mut lab, row.infohash, row.peers[0]);
    assert!(!caller.opened);
    assert_eq!(caller.closed, Some(Closed::TimedOut));
}

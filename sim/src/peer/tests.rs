//! Calls to the peers of a lab.

use std::net::{IpAddr, SocketAddr};

use transport::mse::{Initiator, Level};
use wire::{InfoHash, metainfo};
use world::{Closed, Effect, Input, Machine, Output, Seed, Via};

use super::*;
use crate::abuse::ABSURD_SIZES;
use crate::lab::Lab;
use crate::population::Config;
use crate::profile::Profile;

const CONN: ConnId = ConnId(ConnId::ACCEPTED | 1);
const OURS: u8 = 77;

/// What came back from one call.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// When the call was closed from the other end.
    closed: Option<Time>,
}

/// A lab in which every peer is of one kind, with the given change to the ideal profile.
fn lab(kind: Kind, change: impl Fn(&mut Profile)) -> Lab {
    let mut profile = Profile::ideal();
    profile.nodes.kinds = std::array::from_fn(|at| if at == kind.index() { 1.0 } else { 0.0 });
    profile.habits = Kind::ALL.map(Habits::of);
    change(&mut profile);
    let config = Config {
        nodes: 3,
        torrents: 40,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(1))
}

/// Some torrent whose info dictionary has three or four blocks, and a peer of it.
fn big(lab: &Lab) -> (InfoHash, SocketAddr, Vec<u8>) {
    for key in lab.population().keys.all() {
        let mut info = Vec::new();
        lab.population().torrent(key).unwrap().info(&mut info);
        if (2 * BLOCK + 1..4 * BLOCK).contains(&info.len()) {
            return (key.infohash, lab.population().peer_addr(key, 0), info);
        }
    }
    panic!("40 torrents, none of that size");
}

fn call(lab: &mut Lab, to: SocketAddr, words: &[&[u8]]) -> Heard {
    let from = SocketAddr::from(([127, 0, 0, 1], 5000));
    lab.handle(
        Time::ZERO,
        Input::Accepted {
            conn: CONN,
            from,
            to,
            via: Via::Tcp,
        },
    );
    let mut heard = Heard::default();
    for bytes in words {
        if heard.closed.is_none() {
            lab.handle(Time::ZERO, Input::Received { conn: CONN, bytes });
        }
    }
    while let Some(now) = lab.deadline() {
        let mut payload = Vec::new();
        while let Some(output) = lab.poll(now, &mut payload) {
            match output {
                Output::Effect(Effect::Write { conn: CONN, .. }) => heard.bytes.append(&mut payload),
                Output::Effect(Effect::Close { conn: CONN }) => heard.closed = Some(now),
                other => panic!("{other:?}"),
            }
        }
    }
    heard
}

fn opening(infohash: InfoHash) -> Vec<u8> {
    let mut bytes = Vec::new();
    Handshake::new(infohash, PeerId::new([b'x'; 20]))
        .with_extended()
        .encode(&mut bytes);
    let ours = ExtendedHandshake {
        ut_metadata: Some(OURS),
        ..ExtendedHandshake::default()
    };
    message::extended_frame(&mut bytes, 0, |out| ours.encode(out));
    bytes
}

fn request(id: u8, piece: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::extended_frame(&mut bytes, id, |out| UtMetadata::Request { piece }.encode(out));
    bytes
}

/// The extended messages in what was heard after the handshake, owned: number and payload.
fn extended_messages(heard: &Heard) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Frames::new(1 << 20);
    let mut rest = &heard.bytes[handshake::LEN..];
    let mut found = Vec::new();
    while let Some(frame) = frames.next_frame(&mut rest).unwrap() {
        if let Message::Extended { id, payload } = Message::decode(frame).unwrap() {
            found.push((id, payload.to_vec()));
        }
    }
    found
}

fn theirs(heard: &Heard) -> Vec<u8> {
    extended_messages(heard).into_iter().find(|(id, _)| *id == 0).unwrap().1
}

/// The blocks that came under our number, and the pieces that were rejected.
fn blocks(heard: &Heard) -> (Vec<u8>, Vec<u32>) {
    let (mut info, mut rejected) = (Vec::new(), Vec::new());
    for (id, payload) in extended_messages(heard) {
        match UtMetadata::decode(&payload) {
            Ok(UtMetadata::Data { bytes, .. }) if id == OURS => info.extend_from_slice(bytes),
            Ok(UtMetadata::Reject { piece }) if id == OURS => rejected.push(piece),
            _ => {}
        }
    }
    (info, rejected)
}

#[test]
fn each_program_has_its_own_number_for_ut_metadata() {
    for (kind, number) in [(Kind::Libtorrent, 2), (Kind::Transmission, 3), (Kind::Utorrent, 1)] {
        let mut lab = lab(kind, |_| {});
        let (infohash, to, info) = big(&lab);
        let heard = call(&mut lab, to, &[&opening(infohash)]);
        let payload = theirs(&heard);
        let theirs = ExtendedHandshake::decode(&payload).unwrap();
        assert_eq!(theirs.ut_metadata, Some(number));
        assert_eq!(theirs.metadata_size, i64::try_from(info.len()).ok());
        assert_eq!(heard.closed, None);
    }
}

#[test]
fn blocks_come_under_the_callers_number() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let (infohash, to, info) = big(&lab);
    let requests: Vec<Vec<u8>> = (0..info.len().div_ceil(BLOCK) as u32)
        .map(|piece| request(2, piece))
        .collect();
    let heard = call(&mut lab, to, &[&opening(infohash), &requests.concat()]);
    let (got, rejected) = blocks(&heard);
    assert!(metainfo::matches(&got, &infohash));
    assert!(rejected.is_empty());
}

#[test]
fn any_split_of_the_stream_is_the_same_stream() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let (infohash, to, info) = big(&lab);
    let words = [opening(infohash), request(2, 0)].concat();
    let bytes: Vec<&[u8]> = words.chunks(1).collect();
    let heard = call(&mut lab, to, &bytes);
    assert_eq!(blocks(&heard).0, info[..BLOCK]);
}

#[test]
fn a_piece_beyond_the_end_is_rejected() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let (infohash, to, _) = big(&lab);
    let heard = call(&mut lab, to, &[&opening(infohash), &request(2, 100_000)]);
    assert_eq!(blocks(&heard), (Vec::new(), vec![100_000]));
}

#[test]
fn a_call_for_another_torrent_is_ended() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let (_, to, _) = big(&lab);
    let heard = call(&mut lab, to, &[&opening(InfoHash::new([1; 20]))]);
    assert!(heard.bytes.is_empty() && heard.closed.is_some());
    // It might be a key and the longest padding. What follows is not.
    let heard = call(&mut lab, to, &[&[b'x'; 1000]]);
    assert!(heard.closed.is_some());
}

/// Calls, and answers whatever is heard with what `says` makes of it, until it has nothing more to say.
fn converse(lab: &mut Lab, to: SocketAddr, first: Vec<u8>, mut says: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let from = SocketAddr::from(([127, 0, 0, 1], 5000));
    let (conn, via) = (CONN, Via::Tcp);
    lab.handle(Time::ZERO, Input::Accepted { conn, from, to, via });
    let (mut now, mut next) = (Time::ZERO, Some(first));
    while let Some(bytes) = next.take() {
        lab.handle(now, Input::Received { conn, bytes: &bytes });
        let mut heard = Vec::new();
        while let Some(at) = lab.deadline() {
            now = at;
            while let Some(output) = lab.poll(now, &mut heard) {
                assert!(matches!(output, Output::Effect(Effect::Write { .. })), "{output:?}");
            }
        }
        next = says(&heard);
    }
    lab.handle(
        now,
        Input::Closed {
            conn,
            why: Closed::Reset,
        },
    );
}

#[test]
fn peers_understand_who_obfuscates() {
    for kind in [Kind::Libtorrent, Kind::Transmission] {
        let mut lab = lab(kind, |profile| {
            (profile.peers.handshake, profile.peers.mse_required) = (0.0, 1.0);
        });
        let (infohash, to, _) = big(&lab);
        assert!(
            call(&mut lab, to, &[&opening(infohash)]).bytes.is_empty(),
            "in the clear"
        );
        let words = opening(infohash);
        let (initial, rest) = words.split_at(handshake::LEN);
        let (mut first, mut secured) = (Vec::new(), None);
        let mut caller = Initiator::new(infohash, Level::Both, initial, Seed::from_number(3), &mut first);
        let mut stream = Vec::new();
        converse(&mut lab, to, first, |mut heard| {
            let mut out = Vec::new();
            if secured.is_none() {
                secured = caller.receive(&mut heard, &mut out).unwrap();
                if let Some(secured) = &mut secured {
                    let mut rest = rest.to_vec();
                    secured.encrypt(&mut rest);
                    out.append(&mut rest);
                }
            }
            if let Some(secured) = &mut secured {
                let start = stream.len();
                stream.extend_from_slice(heard);
                secured.decrypt(&mut stream[start..]);
            }
            (!out.is_empty()).then_some(out)
        });
        assert_eq!(stream[..20], words[..20]);
        assert_eq!(stream[28..48], *infohash.as_bytes());
        assert!(stream.len() > handshake::LEN);
    }
}

#[test]
fn nobody_is_at_the_address_of_a_node() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let node = SocketAddr::from((lab.population().addresses.of(0), 6881));
    let heard = call(&mut lab, node, &[]);
    assert!(heard.closed.is_some());
}

#[test]
fn peers_fail_in_every_way_of_the_model() {
    let heard_with = |change: fn(&mut Profile)| {
        let mut lab = lab(Kind::Libtorrent, change);
        let (infohash, to, info) = big(&lab);
        let requests = [0, 1, 2, 3].map(|piece| request(2, piece)).concat();
        let heard = call(&mut lab, to, &[&opening(infohash), &requests]);
        (heard, info)
    };
    let (full, _) = heard_with(|profile| profile.peers.handshake = 0.0);
    assert!(full.bytes.is_empty() && full.closed.is_some());

    let (tarpit, _) = heard_with(|profile| (profile.peers.handshake, profile.peers.tarpit) = (0.0, 1.0));
    assert_eq!((tarpit.bytes.len(), tarpit.closed), (DRIPS as usize, None));

    let (plain, _) = heard_with(|profile| profile.peers.ut_metadata = 0.0);
    let known = extended_messages(&plain);
    let handshake = known
        .first()
        .map(|(_, payload)| ExtendedHandshake::decode(payload).unwrap());
    assert!(handshake.is_none_or(|theirs| theirs.ut_metadata.is_none()));

    let (empty, _) = heard_with(|profile| profile.peers.has_metadata = 0.0);
    assert_eq!(blocks(&empty), (Vec::new(), vec![0, 1, 2, 3]));
    assert_eq!(ExtendedHandshake::decode(&theirs(&empty)).unwrap().metadata_size, None);

    let (quitter, info) = heard_with(|profile| profile.peers.finish = 0.0);
    assert_eq!(blocks(&quitter).0, info[..BLOCK]);
    assert!(quitter.closed.is_some());

    let (fake, info) = heard_with(|profile| profile.peers.abuse = &[(Abuse::Fake, 1.0)]);
    let (got, _) = blocks(&fake);
    assert!(got.len() == info.len() && got != info);

    let (absurd, info) = heard_with(|profile| profile.peers.abuse = &[(Abuse::Absurd, 1.0)]);
    let size = ExtendedHandshake::decode(&theirs(&absurd)).unwrap().metadata_size;
    assert!(size.is_some_and(|size| ABSURD_SIZES.contains(&size)) && size != i64::try_from(info.len()).ok());
}

#[test]
fn a_caller_who_hangs_up_hears_nothing_more() {
    let mut lab = lab(Kind::Libtorrent, |_| {});
    let (infohash, to, _) = big(&lab);
    let from = SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 5000));
    lab.handle(
        Time::ZERO,
        Input::Accepted {
            conn: CONN,
            from,
            to,
            via: Via::Tcp,
        },
    );
    let bytes = &opening(infohash);
    lab.handle(Time::ZERO, Input::Received { conn: CONN, bytes });
    let why = Closed::ByRemote;
    lab.handle(Time::ZERO, Input::Closed { conn: CONN, why });
    assert_eq!(lab.poll(Time::from_secs(10), &mut Vec::new()), None);
}

//! One peer, one behaviour each, through a whole pool.

use std::time::Duration;

use proptest::prelude::*;
use wire::PeerId;
use wire::extended::{self, ExtendedHandshake};
use wire::handshake::Handshake;
use wire::message::{Message, extended_frame};

use super::{Said, Session};
use crate::testing::{Manner, Serves, Talker, World, config, host, info};
use crate::{Ending, Failure, Stage, Standing};

/// 40 KiB: three pieces, the last one short.
const LEN: usize = 40 << 10;

fn honest() -> Talker {
    let (raw, info_hash) = info(1, LEN);
    Talker::honest(info_hash, &raw)
}

/// A world with one peer, after it was asked.
fn after(manner: Manner) -> World {
    let mut world = World::new(config());
    world.peer(host(1), manner);
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run();
    world
}

/// How a talk with `talker` ends, and how far it comes.
#[track_caller]
fn check(talker: Talker, failure: Failure, reached: Stage) {
    let world = after(Manner::Talks(talker));
    let (result, came, took) = world.attempt(host(1)).unwrap();
    assert_eq!((result, came), (Err(failure), reached));
    assert!(took <= Duration::from_secs(4));
    assert_eq!(world.pool.stats().failures[failure], 1);
    assert_eq!(world.gave_up(info(1, LEN).1), Some((Ending::AllTried, 1)));
}

#[track_caller]
fn check_fetched(talker: Talker) {
    let (raw, info_hash) = (talker.raw.clone(), talker.info_hash);
    let mut world = World::new(config());
    world.peer(host(1), Manner::Talks(talker));
    world.fetch(info_hash, &[host(1)]);
    world.run();
    assert_eq!(world.metadata(info_hash).map(|(_, raw)| raw), Some(raw.as_slice()));
    assert_eq!(world.attempt(host(1)).unwrap().0, Ok(()));
}

#[test]
fn three_pieces_from_a_peer_with_id_3_while_ours_is_1() {
    let world = after(Manner::Talks(honest()));
    let (raw, info_hash) = info(1, LEN);
    let (at, fetched) = world.metadata(info_hash).unwrap();
    assert_eq!(fetched, raw);
    // SYN, handshake, requests: three round trips of 40 ms.
    assert_eq!(at.since(world.dials[0].0), Duration::from_millis(120));
    assert!(world.pool.stats().funnel.iter().all(|(_, count)| count == 1));
    assert_eq!(world.pool.stats().failures.total(), 0);
}

#[test]
fn any_pair_of_ids_works() {
    let (raw, info_hash) = info(1, LEN);
    for (ours, theirs) in [1, 2, 3, 255]
        .into_iter()
        .flat_map(|ours| [1, 2, 3, 255].map(|theirs| (ours, theirs)))
    {
        let mut config = config();
        config.extensions.ut_metadata = ours;
        let mut world = World::new(config);
        let id = Some(theirs);
        world.peer(host(1), Manner::Talks(Talker { id, ..honest() }));
        world.fetch(info_hash, &[host(1)]);
        world.run();
        let fetched = world.metadata(info_hash).map(|(_, raw)| raw);
        assert_eq!(fetched, Some(raw.as_slice()), "{ours} {theirs}");
    }
}

#[test]
fn an_answer_under_the_peers_own_number_is_noise() {
    let serves = Serves::OwnNumber;
    check(Talker { serves, ..honest() }, Failure::PieceTimeout, Stage::Requested);
}

#[test]
fn sizes_around_a_block_are_fetched() {
    for len in [1, 16_383, 16_384, 16_385, 32_768] {
        let (raw, info_hash) = info(1, len);
        check_fetched(Talker::honest(info_hash, &raw));
    }
}

#[test]
fn pieces_may_come_in_any_order() {
    let serves = Serves::Backwards;
    check_fetched(Talker { serves, ..honest() });
}

#[test]
fn what_other_messages_say_is_skipped() {
    let mut noise = Vec::new();
    let bitfield = [0xff; 5_000];
    let payload = b"not bencode";
    let others = [
        Message::KeepAlive,
        Message::Bitfield(&bitfield),
        Message::Unchoke,
        Message::Have(7),
        Message::HaveAll,
        Message::Port(6881),
        Message::Extended { id: 77, payload },
        Message::Unknown { id: 99, payload },
    ];
    for message in others {
        message.encode(&mut noise);
    }
    check_fetched(Talker { noise, ..honest() });
}

#[test]
fn endless_noise_is_cut_off() {
    let mut noise = Vec::new();
    for _ in 0..=config().limits.noise_frames {
        Message::Have(7).encode(&mut noise);
    }
    check(Talker { noise, ..honest() }, Failure::Noise, Stage::Handshaken);
}

#[test]
fn bulky_noise_is_cut_off() {
    let mut noise = Vec::new();
    for _ in 0..5 {
        Message::Bitfield(&[0; 60_000]).encode(&mut noise);
    }
    check(Talker { noise, ..honest() }, Failure::Noise, Stage::Handshaken);
}

#[test]
fn a_frame_over_the_limit_ends_the_talk() {
    let noise = (config().limits.max_frame + 1).to_be_bytes().to_vec();
    check(Talker { noise, ..honest() }, Failure::OversizeFrame, Stage::Handshaken);
}

#[test]
fn another_infohash_ends_the_talk() {
    let (_, info_hash) = info(2, LEN);
    check(
        Talker { info_hash, ..honest() },
        Failure::WrongInfoHash,
        Stage::Connected,
    );
}

#[test]
fn a_peer_without_extensions_is_left() {
    let extended = false;
    check(Talker { extended, ..honest() }, Failure::NoExtensions, Stage::Connected);
}

#[test]
fn a_peer_without_ut_metadata_is_left() {
    for id in [None, Some(0)] {
        check(Talker { id, ..honest() }, Failure::NoUtMetadata, Stage::Handshaken);
    }
}

#[test]
fn a_peer_that_has_no_metadata_is_left() {
    let size = None;
    check(Talker { size, ..honest() }, Failure::NoSize, Stage::Handshaken);
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_asked() {
    let cap = i64::from(config().limits.max_metadata);
    let absurd = [
        (0, Failure::BadSize),
        (-1, Failure::BadSize),
        (i64::MIN, Failure::BadSize),
        (cap + 1, Failure::TooLarge),
        (1 << 31, Failure::TooLarge),
        (1 << 32, Failure::TooLarge),
        (i64::MAX, Failure::TooLarge),
    ];
    for (claim, failure) in absurd {
        let size = Some(claim);
        check(Talker { size, ..honest() }, failure, Stage::Handshaken);
    }
}

#[test]
fn a_rejected_request_ends_the_talk() {
    let serves = Serves::Rejects;
    check(Talker { serves, ..honest() }, Failure::Rejected, Stage::Requested);
}

#[test]
fn pieces_that_nobody_waits_for_end_the_talk() {
    let cases = [
        (Serves::Other, Stage::Requested),
        (Serves::Twice, Stage::Received),
        (Serves::Short, Stage::Requested),
    ];
    for (serves, reached) in cases {
        check(Talker { serves, ..honest() }, Failure::BadPiece, reached);
    }
}

#[test]
fn a_size_that_changes_ends_the_talk() {
    let serves = Serves::OtherTotal;
    check(Talker { serves, ..honest() }, Failure::SizeMismatch, Stage::Requested);
    let noise = offer(3, 17);
    check(Talker { noise, ..honest() }, Failure::SizeMismatch, Stage::Requested);
}

#[test]
fn fake_metadata_is_the_peers_fault() {
    let serves = Serves::Garbage;
    let world = after(Manner::Talks(Talker { serves, ..honest() }));
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::HashMismatch));
    assert_eq!(world.pool.standing(world.now, host(1)), Standing::Avoided);
}

#[test]
fn an_extension_message_that_is_no_bencode_ends_the_talk() {
    let mut noise = Vec::new();
    extended_frame(&mut noise, extended::HANDSHAKE, |out| out.extend_from_slice(b"d1:mi"));
    check(Talker { noise, ..honest() }, Failure::Malformed, Stage::Handshaken);
}

#[test]
fn another_protocol_is_left_at_its_first_wrong_byte() {
    let world = after(Manner::Says(b"HTTP".to_vec()));
    let (result, _, took) = world.attempt(host(1)).unwrap();
    assert_eq!(result, Err(Failure::NotBitTorrent));
    assert!(took < Duration::from_millis(100));
}

#[test]
fn a_silent_peer_costs_at_most_four_seconds() {
    let world = after(Manner::Silent);
    let (result, reached, took) = world.attempt(host(1)).unwrap();
    assert_eq!((result, reached), (Err(Failure::HandshakeTimeout), Stage::Connected));
    assert!(took <= Duration::from_secs(4));
}

#[test]
fn a_byte_a_second_does_not_extend_a_deadline() {
    let world = after(Manner::Trickles(honest()));
    let (result, _, took) = world.attempt(host(1)).unwrap();
    assert_eq!(result, Err(Failure::HandshakeTimeout));
    assert!(took <= Duration::from_secs(4));
}

#[test]
fn a_peer_that_stalls_in_its_pieces_is_left() {
    let serves = Serves::Nothing;
    check(Talker { serves, ..honest() }, Failure::PieceTimeout, Stage::Requested);
}

/// An extended handshake as a frame.
fn offer(id: u8, size: i64) -> Vec<u8> {
    let offer = ExtendedHandshake {
        ut_metadata: Some(id),
        metadata_size: Some(size),
        ..ExtendedHandshake::default()
    };
    let mut frame = Vec::new();
    extended_frame(&mut frame, extended::HANDSHAKE, |out| offer.encode(out));
    frame
}

#[test]
fn a_later_extended_handshake_moves_the_id_or_takes_it_back() {
    let info_hash = info(1, LEN).1;
    let mut session = Session::new(Some(info_hash), &config());
    let mut hear = |bytes: &[u8]| {
        let heard = session.hear(&mut &*bytes).map(|said| said == Some(Said::Nothing));
        let mut out = Vec::new();
        session.ask(0, &mut out);
        (heard, out.get(5).copied())
    };
    let mut greeting = Vec::new();
    let handshake = Handshake::new(info_hash, PeerId::new([0; 20])).with_extended();
    handshake.encode(&mut greeting);
    assert_eq!(hear(&greeting), (Ok(false), None));
    assert_eq!(hear(&offer(9, 100)), (Ok(false), Some(9)));
    assert_eq!(hear(&offer(7, 100)), (Ok(true), Some(7)));
    assert_eq!(hear(&offer(0, 100)).0, Err(Failure::NoUtMetadata));
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same(splits in proptest::collection::vec(1usize..3_000, 1..20)) {
        let (raw, info_hash) = info(1, LEN);
        let mut world = World::new(config());
        world.splits = splits;
        world.peer(host(1), Manner::Talks(honest()));
        world.fetch(info_hash, &[host(1)]);
        world.run();
        prop_assert_eq!(world.metadata(info_hash).map(|(_, raw)| raw), Some(raw.as_slice()));
    }
}

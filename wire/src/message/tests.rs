//! Messages there and back; streams cut anywhere.

use proptest::prelude::*;

use super::*;

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// All frames that a stream gives when it arrives in `chunks`.
fn read(limit: u32, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameTooLong> {
    let mut frames = Frames::new(limit);
    let mut seen = Vec::new();
    for mut chunk in chunks.iter().copied() {
        while let Some(frame) = frames.next_frame(&mut chunk)? {
            seen.push(frame.to_vec());
        }
        assert!(chunk.is_empty());
    }
    Ok(seen)
}

#[test]
fn a_have_is_nine_bytes_on_the_wire() {
    assert_eq!(encoded(&Message::Have(7)), [0, 0, 0, 5, 4, 0, 0, 0, 7]);
}

#[test]
fn an_extended_frame_carries_its_id_twice() {
    let mut out = Vec::new();
    extended_frame(&mut out, 3, |out| out.extend_from_slice(b"de"));
    assert_eq!(out, [0, 0, 0, 4, 20, 3, b'd', b'e']);
    let message = Message::Extended { id: 3, payload: b"de" };
    assert_eq!(out, encoded(&message));
}

#[test]
fn a_payload_that_does_not_fit_its_id_is_refused() {
    for frame in [
        &[id::CHOKE, 0][..],
        &[id::HAVE, 0, 0, 0],
        &[id::REQUEST, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[id::PIECE, 0, 0, 0, 0, 0, 0, 0],
        &[id::PORT, 1],
        &[id::EXTENDED],
        &[&[id::HASH_REQUEST], &[0; 47][..]].concat(),
        &[&[id::HASH_REJECT], &[0; 49][..]].concat(),
        &[&[id::HASHES], &[0; 47][..]].concat(),
        &[&[id::HASHES], &[0; 48 + 31][..]].concat(),
    ] {
        let expected = BadLength {
            id: frame[0],
            length: frame.len() - 1,
        };
        assert_eq!(Message::decode(frame), Err(expected));
    }
}

#[test]
fn a_hash_request_is_the_root_and_four_numbers() {
    let range = HashRange {
        pieces_root: [9; 32],
        base_layer: 1,
        index: 512,
        length: 256,
        proof_layers: 3,
    };
    let numbers = [0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 3];
    let body = [&[9; 32][..], &numbers].concat();
    let frame = |id: u8, more: &[u8]| {
        let length = u32::try_from(49 + more.len()).unwrap().to_be_bytes();
        [&length[..], &[id], &body, more].concat()
    };
    assert_eq!(encoded(&Message::HashRequest(range)), frame(21, &[]));
    assert_eq!(encoded(&Message::HashReject(range)), frame(23, &[]));
    let hashes = &[[1; 32], [2; 32]][..];
    let answer = frame(22, hashes.as_flattened());
    assert_eq!(encoded(&Message::Hashes { range, hashes }), answer);
    assert_eq!(Message::decode(&answer[4..]), Ok(Message::Hashes { range, hashes }));
}

#[test]
fn an_unknown_id_is_kept_for_the_caller_to_skip() {
    let unknown = Message::Unknown {
        id: 99,
        payload: b"abc",
    };
    assert_eq!(Message::decode(b"\x63abc"), Ok(unknown));
}

#[test]
fn a_frame_over_the_limit_is_refused_before_its_content_arrives() {
    let error = FrameTooLong {
        claimed: 0xffff_ffff,
        limit: 1_000,
    };
    assert_eq!(read(1_000, &[&[0xff, 0xff, 0xff, 0xff]]), Err(error));
    assert_eq!(read(1_000, &[&[0xff, 0xff], &[0xff, 0xff]]), Err(error));
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let block =
        (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(piece, begin, length)| Block { piece, begin, length });
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    (0u8..21, block, bytes, any::<u16>()).prop_map(|(kind, block, bytes, port)| {
        let range = HashRange {
            pieces_root: [bytes.first().copied().unwrap_or(0); 32],
            base_layer: block.piece,
            index: block.begin,
            length: block.length,
            proof_layers: port.into(),
        };
        let hashes = [[1; 32], [2; 32], [3; 32]];
        encoded(&match kind {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 => Message::Unchoke,
            3 => Message::Interested,
            4 => Message::NotInterested,
            5 => Message::Have(block.piece),
            6 => Message::Bitfield(&bytes),
            7 => Message::Request(block),
            8 => Message::Piece {
                piece: block.piece,
                begin: block.begin,
                bytes: &bytes,
            },
            9 => Message::Cancel(block),
            10 => Message::Port(port),
            11 => Message::Suggest(block.piece),
            12 => Message::HaveAll,
            13 => Message::HaveNone,
            14 => Message::Reject(block),
            15 => Message::AllowedFast(block.piece),
            16 => Message::Extended { id: 1, payload: &bytes },
            17 => Message::HashRequest(range),
            18 => Message::Hashes {
                range,
                hashes: &hashes[..bytes.len() % 4],
            },
            19 => Message::HashReject(range),
            _ => Message::Unknown {
                id: 200,
                payload: &bytes,
            },
        })
    })
}

proptest! {
    #[test]
    fn every_message_round_trips(bytes in any_message()) {
        let frames = read(200, &[&bytes]).unwrap();
        prop_assert_eq!(frames.len(), 1);
        prop_assert_eq!(encoded(&Message::decode(&frames[0]).unwrap()), bytes);
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        messages in proptest::collection::vec(any_message(), 0..6),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = messages.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&stream[from..cut]);
            from = cut;
        }
        chunks.push(&stream[from..]);
        let whole: Vec<Vec<u8>> = messages.iter().map(|message| message[4..].to_vec()).collect();
        prop_assert_eq!(read(200, &chunks).unwrap(), whole);
    }

    #[test]
    fn any_stream_is_cut_or_refused(stream in proptest::collection::vec(prop_oneof![Just(0), 0u8..24, any::<u8>()], 0..200)) {
        crate::fuzz::frames(&stream);
        crate::fuzz::handshake(&stream);
    }
}

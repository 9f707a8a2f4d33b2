//! Seeds against servers that are made up here.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::BLOCK;

const CONFIG: WebSeedConfig = WebSeedConfig {
    requests: 5,
    timeout: Duration::from_secs(20),
};

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// Byte `at` of every torrent here.
fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9E37_79B9) >> 16) as u8
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

fn seed_of(files: WebFiles) -> WebSeed {
    WebSeed::new(secs(0), "http://seed.test/pub/", Arc::new(files), 1_000..2_000, CONFIG)
}

/// One file of so many bytes.
fn single(length: u64, piece_length: u64) -> WebSeed {
    let file = WebFile {
        offset: 0,
        length,
        is_pad: false,
        path: &[],
    };
    seed_of(WebFiles::new(b"file", true, piece_length, &[file]))
}

/// Files of such lengths, called by their number.
fn several(lengths: &[u64], piece_length: u64) -> WebSeed {
    let names: Vec<_> = (0..lengths.len())
        .map(|number| number.to_string().into_bytes())
        .collect();
    let paths: Vec<_> = names.iter().map(|name| [name.as_slice()]).collect();
    let mut offset = 0;
    let files = lengths.iter().zip(&paths).map(|(&length, path)| {
        offset += length;
        WebFile {
            offset: offset - length,
            length,
            is_pad: false,
            path,
        }
    });
    let files: Vec<_> = files.collect();
    seed_of(WebFiles::new(b"t", false, piece_length, &files))
}

/// What a seed asks of the world.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked {
    Get {
        id: WebId,
        url: String,
        first: u64,
        last: u64,
    },
    Cancel(WebId),
}

fn poll(seed: &mut WebSeed) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut payload = Vec::new();
    while let Some(effect) = seed.poll(&mut payload) {
        asked.push(match effect {
            Effect::Fetch { id, get, len } => {
                assert_eq!(len, payload.len());
                let (first, last) = get.range.unwrap();
                assert_eq!(get.most, last - first + 1);
                let url = String::from_utf8(payload.clone()).unwrap();
                Asked::Get { id, url, first, last }
            }
            Effect::CancelFetch { id } => Asked::Cancel(id),
            other => panic!("{other:?}"),
        });
        payload.clear();
    }
    asked
}

/// The requests of a poll that asks for nothing else.
fn requests(seed: &mut WebSeed) -> Vec<(WebId, u64, u64)> {
    let got = poll(seed).into_iter().map(|asked| match asked {
        Asked::Get { id, first, last, .. } => (id, first, last),
        Asked::Cancel(id) => panic!("{id:?}"),
    });
    got.collect()
}

fn head(status: u16, from: u64) -> HttpPart<'static> {
    HttpPart::Head {
        status,
        length: None,
        from: (status == 206).then_some(from),
        server: "nginx/1.0",
    }
}

fn want(seed: &mut WebSeed, from: u32, pieces: u32) -> Vec<(WebId, u64, u64)> {
    seed.want(secs(0), from, pieces, &mut Vec::new());
    requests(seed)
}

fn handle(seed: &mut WebSeed, now: Time, id: WebId, part: HttpPart<'_>) -> Vec<WebTold> {
    let mut told = Vec::new();
    seed.handle(now, id, part, &mut told);
    told
}

const MIB: u64 = 1 << 20;

#[test]
fn long_ranges_are_asked_for_and_five_at_once() {
    let mut seed = single(64 * MIB, MIB);
    assert_eq!(seed.room(secs(0)), 20);
    let asked = want(&mut seed, 1, 24);
    assert_eq!(
        asked
            .iter()
            .map(|(_, first, last)| last - first + 1)
            .collect::<Vec<_>>(),
        [4 * MIB; 5]
    );
    assert_eq!((asked[0].1, asked[1].1), (MIB, 5 * MIB));
    assert_eq!((seed.room(secs(0)), seed.is_idle()), (0, false));
    let (id, first, last) = asked[0];
    assert!(seed.owns(id) && !seed.owns(WebId(2_000)));
    handle(&mut seed, secs(1), id, head(206, first));
    assert_eq!(seed.server(), "nginx/1.0");
    let body = bytes(first..last + 1);
    let told = handle(&mut seed, secs(1), id, HttpPart::Body(&body));
    assert_eq!(told.len() as u64, 4 * MIB / u64::from(BLOCK));
    // The connection is in use until its answer has ended.
    assert_eq!(poll(&mut seed), []);
    assert_eq!(handle(&mut seed, secs(1), id, HttpPart::End), []);
    assert_eq!(requests(&mut seed)[0].1, 21 * MIB);
    assert_eq!((seed.received(), seed.rate(secs(1))), (4 * MIB, 4 * MIB));
}

#[test]
fn a_piece_longer_than_a_range_is_one_range() {
    let mut seed = single(64 * MIB, 16 * MIB);
    let lengths: Vec<_> = want(&mut seed, 0, 4)
        .iter()
        .map(|(_, first, last)| last - first + 1)
        .collect();
    assert_eq!(lengths, [16 * MIB; 4]);
}

#[test]
fn each_file_has_its_own_url_and_offsets() {
    let mut seed = several(&[10, 20, 30], 40);
    seed.want(secs(0), 0, 1, &mut Vec::new());
    let asked = poll(&mut seed).into_iter().map(|asked| match asked {
        Asked::Get { url, first, last, .. } => (url, first, last),
        Asked::Cancel(id) => panic!("{id:?}"),
    });
    let url = |name| format!("http://seed.test/pub/t/{name}");
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [(url(0), 0, 9), (url(1), 0, 19), (url(2), 0, 9)]
    );
    seed.cancel();
    assert_eq!(poll(&mut seed).len(), 3);
    seed.want(secs(0), 1, 1, &mut Vec::new());
    assert_eq!(
        requests(&mut seed)
            .iter()
            .map(|(_, first, last)| (*first, *last))
            .collect::<Vec<_>>(),
        [(10, 29)]
    );
}

#[test]
fn a_silent_server_is_given_up_after_twenty_seconds_and_asked_later() {
    let mut seed = single(8 * MIB, MIB);
    let asked = want(&mut seed, 0, 8);
    assert_eq!((asked.len(), seed.deadline()), (2, Some(secs(20))));
    let mut told = Vec::new();
    handle(&mut seed, secs(10), asked[1].0, head(206, 4 * MIB));
    seed.tick(secs(19), &mut told);
    assert_eq!((poll(&mut seed), told.as_slice()), (Vec::new(), [].as_slice()));
    seed.tick(secs(20), &mut told);
    assert_eq!(told, [WebTold::Failed { retry_at: secs(25) }]);
    assert_eq!(poll(&mut seed), [Asked::Cancel(asked[0].0), Asked::Cancel(asked[1].0)]);
    assert_eq!(
        (seed.is_idle(), seed.room(secs(20)), seed.deadline()),
        (true, 0, Some(secs(25)))
    );
    assert_eq!(want(&mut seed, 0, 8), []);
    seed.tick(secs(25), &mut told);
    assert_eq!((seed.room(secs(25)), seed.deadline()), (20, None));
    seed.want(secs(25), 0, 8, &mut told);
    let again = requests(&mut seed);
    assert_eq!(again.len(), 2);
    // What the world still had to say about the first ones is nothing any more.
    assert_eq!(handle(&mut seed, secs(26), asked[0].0, head(404, 0)), []);
}

#[test]
fn an_answer_that_does_not_end_is_given_up_without_blame() {
    let mut seed = single(100, 100);
    let (id, ..) = want(&mut seed, 0, 1)[0];
    handle(&mut seed, secs(0), id, head(200, 0));
    let told = handle(&mut seed, secs(1), id, HttpPart::Body(&bytes(0..100)));
    assert!(
        matches!(
            told[..],
            [WebTold::Bytes {
                len: 100,
                completes: true,
                ..
            }]
        ),
        "{told:?}"
    );
    let mut told = Vec::new();
    seed.tick(secs(21), &mut told);
    assert_eq!((poll(&mut seed), told), (vec![Asked::Cancel(id)], Vec::new()));
}

#[test]
fn a_busy_server_is_left_alone_for_longer_and_longer() {
    let mut seed = single(100, 100);
    let mut now = secs(0);
    let mut waits = Vec::new();
    let end = loop {
        let mut told = Vec::new();
        seed.tick(now, &mut told);
        seed.want(now, 0, 1, &mut told);
        let (id, ..) = requests(&mut seed)[0];
        seed.handle(now, id, head(503, 0), &mut told);
        poll(&mut seed);
        match told[..] {
            [WebTold::Failed { retry_at }] => waits.push(retry_at.since(now).as_secs()),
            [WebTold::Dropped(why)] => break why,
            _ => panic!("{told:?}"),
        }
        now = now + Duration::from_secs(*waits.last().unwrap());
    };
    assert_eq!(
        (waits.as_slice(), end),
        ([5, 10, 20, 40, 80, 160, 320].as_slice(), WebSeedEnd::Failing)
    );
    assert!(!seed.has(0) && seed.room(secs(10_000)) == 0);
}

#[test]
fn a_missing_file_costs_the_pieces_that_it_is_in() {
    let mut seed = several(&[30, 30, 30, 30, 30, 30], 40);
    let asked = want(&mut seed, 0, 5);
    let told = handle(&mut seed, secs(0), asked[1].0, head(404, 0));
    assert_eq!(told, [WebTold::Failed { retry_at: secs(0) }]);
    assert_eq!(poll(&mut seed).len(), 5);
    let had: Vec<_> = (0..6).map(|piece| seed.has(piece)).collect();
    assert_eq!(had, [false, false, true, true, true, false]);
    assert!(seed.room(secs(0)) > 0);
}

#[test]
fn a_server_without_the_files_is_dropped() {
    let mut seed = several(&[40; 9], 40);
    let mut ends = Vec::new();
    for piece in 0..4 {
        let (id, ..) = want(&mut seed, piece, 1)[0];
        ends.extend(handle(&mut seed, secs(0), id, head(404, 0)));
        poll(&mut seed);
    }
    let failed = WebTold::Failed { retry_at: secs(0) };
    assert_eq!(ends, [failed, failed, failed, WebTold::Dropped(WebSeedEnd::NoFiles)]);
    let mut seed = single(100, 100);
    let (id, ..) = want(&mut seed, 0, 1)[0];
    assert_eq!(
        handle(&mut seed, secs(0), id, head(404, 0)),
        [WebTold::Dropped(WebSeedEnd::NoFiles)]
    );
}

#[test]
fn a_server_without_ranges_serves_what_begins_a_file() {
    let mut seed = several(&[40, 40], 20);
    let asked = want(&mut seed, 0, 1);
    assert_eq!(asked.len(), 1);
    handle(&mut seed, secs(0), asked[0].0, head(200, 0));
    let told = handle(&mut seed, secs(0), asked[0].0, HttpPart::Body(&bytes(0..40)));
    assert_eq!(
        told,
        [WebTold::Bytes {
            piece: 0,
            begin: 0,
            at: 0,
            len: 20,
            completes: true
        }]
    );
    assert_eq!(
        handle(&mut seed, secs(0), asked[0].0, HttpPart::Failed(WebFault::TooLong)),
        []
    );
    let asked = want(&mut seed, 1, 1);
    let told = handle(&mut seed, secs(0), asked[0].0, head(200, 0));
    assert_eq!(told, [WebTold::Dropped(WebSeedEnd::NoRanges)]);
    assert_eq!(poll(&mut seed), [Asked::Cancel(asked[0].0)]);
}

#[test]
fn a_file_of_another_length_is_another_file() {
    let mut seed = several(&[40, 40], 40);
    let (id, ..) = want(&mut seed, 0, 1)[0];
    let page = HttpPart::Head {
        status: 200,
        length: Some(512),
        from: None,
        server: "",
    };
    assert_eq!(
        handle(&mut seed, secs(0), id, page),
        [WebTold::Failed { retry_at: secs(0) }]
    );
    assert!(!seed.has(0) && seed.has(1));
}

#[test]
fn a_wrong_range_is_not_believed() {
    let mut seed = single(100, 50);
    let (id, ..) = want(&mut seed, 1, 1)[0];
    assert_eq!(
        handle(&mut seed, secs(0), id, head(206, 0)),
        [WebTold::Failed { retry_at: secs(5) }]
    );
    assert_eq!(handle(&mut seed, secs(0), id, HttpPart::Body(&[0; 50])), []);
}

#[test]
fn what_a_server_leaves_out_is_asked_for_again() {
    let mut seed = single(100, 100);
    let (id, ..) = want(&mut seed, 0, 1)[0];
    handle(&mut seed, secs(0), id, head(206, 0));
    let told = handle(&mut seed, secs(0), id, HttpPart::Body(&bytes(0..60)));
    assert!(
        matches!(
            told[..],
            [WebTold::Bytes {
                len: 60,
                completes: false,
                ..
            }]
        ),
        "{told:?}"
    );
    assert_eq!(handle(&mut seed, secs(0), id, HttpPart::End), []);
    let asked = requests(&mut seed);
    assert_eq!((asked[0].1, asked[0].2), (60, 99));
    handle(&mut seed, secs(0), asked[0].0, head(206, 60));
    let told = handle(&mut seed, secs(0), asked[0].0, HttpPart::Body(&bytes(60..100)));
    assert!(
        matches!(
            told[..],
            [WebTold::Bytes {
                begin: 60,
                completes: true,
                ..
            }]
        ),
        "{told:?}"
    );
    handle(&mut seed, secs(0), asked[0].0, HttpPart::End);
    assert!(seed.is_idle());
}

#[test]
fn each_fault_of_the_web_has_its_end() {
    for (fault, expected) in [
        (WebFault::BadUrl, WebTold::Dropped(WebSeedEnd::BadUrl)),
        (WebFault::Forbidden, WebTold::Dropped(WebSeedEnd::BadUrl)),
        (WebFault::Untrusted, WebTold::Dropped(WebSeedEnd::Untrusted)),
        (WebFault::NoRoom, WebTold::Failed { retry_at: secs(1) }),
        (WebFault::NoConnection, WebTold::Failed { retry_at: secs(5) }),
    ] {
        let mut seed = single(100, 100);
        let (id, ..) = want(&mut seed, 0, 1)[0];
        assert_eq!(handle(&mut seed, secs(0), id, HttpPart::Failed(fault)), [expected]);
        assert!(seed.is_idle());
    }
    let mut seed = single(100, 100);
    let (id, ..) = want(&mut seed, 0, 1)[0];
    assert_eq!(
        handle(&mut seed, secs(0), id, head(403, 0)),
        [WebTold::Dropped(WebSeedEnd::Refused)]
    );
}

#[test]
fn who_gave_wrong_bytes_is_not_asked_again() {
    let mut seed = single(100, 50);
    let asked = want(&mut seed, 0, 2);
    let mut told = Vec::new();
    seed.blame(&mut told);
    seed.blame(&mut told);
    assert_eq!(told, [WebTold::Dropped(WebSeedEnd::Corrupt)]);
    assert_eq!(poll(&mut seed), [Asked::Cancel(asked[0].0)]);
    assert_eq!(
        (want(&mut seed, 0, 1), seed.ended()),
        (Vec::new(), Some(WebSeedEnd::Corrupt))
    );
}

/// What was put together of a seed's words.
struct Assembled {
    piece_length: u64,
    bytes: Vec<Option<u8>>,
    blocks: BTreeSet<(u32, u32)>,
}

impl Assembled {
    fn take(&mut self, told: &[WebTold], body: &[u8]) {
        for &told in told {
            let (piece, begin, len, completes, part) = match told {
                WebTold::Bytes {
                    piece,
                    begin,
                    at,
                    len,
                    completes,
                } => (piece, begin, len, completes, body[at..at + len].to_vec()),
                WebTold::Zeros {
                    piece,
                    begin,
                    len,
                    completes,
                } => (piece, begin, len, completes, vec![0; len]),
                other => panic!("{other:?}"),
            };
            assert!(
                len > 0 && begin / BLOCK == (begin + len as u32 - 1) / BLOCK,
                "within one block"
            );
            let start = usize::try_from(u64::from(piece) * self.piece_length + u64::from(begin)).unwrap();
            for (slot, byte) in self.bytes[start..start + len].iter_mut().zip(part) {
                assert_eq!(slot.replace(byte), None, "no byte twice");
            }
            if completes {
                assert!(self.blocks.insert((piece, begin / BLOCK)), "no block twice");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the files, the pieces wanted and the way in which answers come: every byte of them comes once, at its place,
    /// and every block is said to be whole once.
    #[test]
    fn every_byte_that_is_wanted_comes_once(
        lengths in vec((0u64..40_000, any::<bool>()), 1..8),
        piece_length in 1u64..50_000,
        runs in vec((0u32..20, 1u32..6), 1..4),
        order in vec((any::<prop::sample::Index>(), 1usize..40_000), 1..2_000),
    ) {
        let mut offset = 0;
        let files: Vec<_> = lengths.iter().map(|&(length, is_pad)| {
            offset += length;
            WebFile { offset: offset - length, length, is_pad, path: &[] }
        }).collect();
        let total = offset;
        let is_pad = |at: u64| files.iter().any(|file| file.is_pad && (file.offset..file.offset + file.length).contains(&at));
        let mut seed = seed_of(WebFiles::new(b"t", false, piece_length, &files));
        let mut all = Assembled { piece_length, bytes: vec![None; total as usize], blocks: BTreeSet::new() };
        let mut told = Vec::new();
        let mut wanted = BTreeSet::new();
        for (from, pieces) in runs {
            if wanted.is_disjoint(&(from..from + pieces).collect()) {
                wanted.extend(from..from + pieces);
                seed.want(secs(0), from, pieces, &mut told);
                all.take(&told, &[]);
                told.clear();
            }
        }
        let mut open: Vec<(WebId, Range<u64>, bool)> = Vec::new();
        let mut order = order.into_iter().cycle();
        let mut steps = 0;
        loop {
            let mut payload = Vec::new();
            while let Some(Effect::Fetch { id, get, len }) = seed.poll(&mut payload) {
                prop_assert_eq!(len, payload.len());
                payload.clear();
                let (first, last) = get.range.unwrap();
                // The path of every file is the same here; the seed's own note says which it is.
                let start = seed.requests.iter().find(|request| request.id == id).unwrap().part.file_offset;
                open.push((id, start + first..start + last + 1, false));
            }
            prop_assert!(open.len() <= 5);
            if open.is_empty() {
                break;
            }
            let (which, size) = order.next().unwrap();
            let index = which.index(open.len());
            let (id, rest, has_head) = &mut open[index];
            let id = *id;
            let mut body = Vec::new();
            let part = if !*has_head {
                *has_head = true;
                let start = seed.requests.iter().find(|request| request.id == id).unwrap().part.file_offset;
                head(206, rest.start - start)
            } else if rest.is_empty() {
                open.swap_remove(index);
                HttpPart::End
            } else {
                let end = rest.end.min(rest.start + size as u64);
                body = bytes(rest.start..end);
                rest.start = end;
                HttpPart::Body(&body)
            };
            seed.handle(secs(0), id, part, &mut told);
            all.take(&told, &body);
            told.clear();
            steps += 1;
            prop_assert!(steps < 200_000);
        }
        prop_assert!(seed.is_idle());
        for at in 0..total {
            let is_wanted = wanted.contains(&u32::try_from(at / piece_length).unwrap());
            let expected = is_wanted.then(|| if is_pad(at) { 0 } else { byte(at) });
            prop_assert_eq!(all.bytes[at as usize], expected);
        }
        let blocks = wanted.iter().flat_map(|&piece| {
            let start = (u64::from(piece) * piece_length).min(total);
            let length = (start + piece_length).min(total) - start;
            (0..length.div_ceil(u64::from(BLOCK))).map(move |block| (piece, block as u32))
        });
        prop_assert_eq!(all.blocks, blocks.collect::<BTreeSet<_>>());
    }
}

//! Resume data of every form: what libtorrent 2.1 wrote, what 0.14 wrote, and what is written here.

use proptest::prelude::*;

use super::*;

/// Written by libtorrent 2.1.1 (tests/interop/resume.py makes the same).
const OF_2_1: &[u8] = include_bytes!("../../tests/fixtures/libtorrent-2.1.fastresume");

/// Written here.
const OURS: &[u8] = include_bytes!("../../tests/fixtures/ours.fastresume");

/// As 0.14 writes it, by its manual and D-17: peers as text, blocks from the lowest bit, a byte for each piece.
fn of_0_14(allocation: &str, slots: &str) -> Vec<u8> {
    format!(
        "d10:allocation{}:{allocation}12:banned_peersld2:ip7:9.9.9.94:porti1eee16:blocks per piecei4e\
         10:file sizesl{}{}e11:file-format22:libtorrent resume file12:file-versioni1e\
         9:info-hash20:aaaaaaaaaaaaaaaaaaaa15:num_downloadersi3e9:num_seedsi2e\
         5:peersld2:ip7:1.2.3.44:porti5eed2:ip3:::14:porti6eee6:pieces3:\u{1}\u{0}\u{1}{slots}\
         16:total_downloadedi8e14:total_uploadedi9e10:unfinishedld7:adler32i-2e7:bitmask1:\u{5}5:piecei1eeee",
        allocation.len(),
        "li100ei1700000000ee",
        "li5ei1700000001ee",
    )
    .into_bytes()
}

fn facts(files: &[Option<Stamp>]) -> Facts<'_> {
    Facts {
        info_hash: Some(InfoHash::new(*b"aaaaaaaaaaaaaaaaaaaa")),
        info_hash_v2: None,
        pieces: 3,
        files,
    }
}

#[test]
fn a_file_of_0_14_is_read() {
    let resume = FastResume::decode(&of_0_14("full", "")).unwrap();
    assert_eq!(resume.info_hash, facts(&[]).info_hash);
    assert_eq!(resume.have, [true, false, true]);
    assert!(resume.verified.is_empty());
    assert_eq!(
        (resume.blocks_per_piece, resume.allocation),
        (Some(4), Allocation::Full)
    );
    let [unfinished] = &*resume.unfinished else {
        panic!("{:?}", resume.unfinished)
    };
    assert_eq!((unfinished.piece, unfinished.adler32), (1, Some(u32::MAX - 1)));
    assert_eq!(unfinished.blocks[..4], [true, false, true, false]);
    assert_eq!(resume.peers, ["1.2.3.4:5", "[::1]:6"].map(|peer| peer.parse().unwrap()));
    assert_eq!(resume.banned, ["9.9.9.9:1".parse().unwrap()]);
    assert_eq!((resume.downloaded, resume.uploaded), (8, 9));
    assert_eq!((resume.seeds, resume.leechers), (Some(2), Some(3)));
    assert_eq!(
        resume.files[1],
        Stamp {
            length: 5,
            modified: 1_700_000_001
        }
    );
    assert_eq!(
        (resume.trackers, resume.web_seeds),
        (None, None),
        "it is silent of them"
    );
}

#[test]
fn a_file_of_2_1_is_read() {
    let resume = FastResume::decode(OF_2_1).unwrap();
    assert!(resume.info_hash.is_some() && resume.info_hash_v2.is_some());
    assert_eq!(
        wire::metainfo::info_hash_v1(resume.info.as_deref().unwrap()),
        resume.info_hash.unwrap()
    );
    assert_eq!(resume.have, [true, false, true, false, true, true, false, false]);
    let [unfinished] = &*resume.unfinished else {
        panic!("{:?}", resume.unfinished)
    };
    assert_eq!((unfinished.piece, &unfinished.blocks[..2]), (1, &[false, true][..]));
    assert_eq!(resume.peers, ["1.2.3.4:5", "[::1]:6"].map(|peer| peer.parse().unwrap()));
    assert_eq!(resume.banned, ["9.9.9.9:1".parse().unwrap()]);
    assert_eq!((resume.uploaded, resume.downloaded, resume.active_secs), (11, 12, 13));
    assert_eq!((resume.upload_limit, resume.download_limit), (Some(1_000), None));
    assert_eq!((resume.connections, resume.seeds), (None, None));
    assert_eq!(resume.file_priority, [4, 0]);
    assert_eq!(resume.mapped_files, [b"".to_vec(), b"zz/q".to_vec()]);
    assert_eq!(resume.save_path.as_deref(), Some(&b"/somewhere"[..]));
    assert_eq!(resume.web_seeds, Some(vec![b"http://w.example/".to_vec()]));
    assert_eq!(
        resume.trackers.unwrap(),
        [[b"http://a.example/".to_vec()], [b"http://b.example/".to_vec()]]
    );
}

#[test]
fn what_is_written_is_what_libtorrent_was_shown() {
    let resume = FastResume {
        info_hash: facts(&[]).info_hash,
        name: Some(b"t".to_vec()),
        save_path: Some(b"/somewhere".to_vec()),
        have: vec![true, false, true, false, false],
        unfinished: vec![Unfinished {
            piece: 1,
            blocks: vec![false, true],
            adler32: Some(adler32(&[&[0; 16_384]])),
        }],
        blocks_per_piece: Some(2),
        files: vec![Stamp {
            length: 150_000,
            modified: 1_700_000_000,
        }],
        peers: ["1.2.3.4:5", "[::1]:6"].map(|peer| peer.parse().unwrap()).to_vec(),
        banned: vec!["9.9.9.9:1".parse().unwrap(), "8.8.8.8:1".parse().unwrap()],
        uploaded: 11,
        downloaded: 12,
        active_secs: 13,
        finished_secs: 5,
        seeding_secs: 4,
        added: 1_700_000_000,
        completed: 1_700_000_001,
        seeds: Some(2),
        leechers: Some(3),
        upload_limit: Some(1_000),
        connections: Some(50),
        sequential: true,
        trackers: Some(vec![
            vec![b"http://a.example/".to_vec()],
            vec![b"http://b.example/".to_vec()],
        ]),
        web_seeds: Some(vec![b"http://w.example/".to_vec()]),
        piece_priority: vec![4, 7, 1, 4, 4],
        file_priority: vec![4],
        mapped_files: vec![b"renamed".to_vec()],
        ..FastResume::default()
    };
    let mut out = Vec::new();
    resume.encode(&mut out);
    // tests/interop/resume.py has libtorrent read this file.
    assert_eq!(out.escape_ascii().to_string(), OURS.escape_ascii().to_string());
}

#[test]
fn data_of_another_torrent_or_of_other_pieces_are_not_trusted() {
    let resume = FastResume::decode(&of_0_14("full", "")).unwrap();
    assert_eq!(resume.accept(&facts(&[None, None])), Ok(()), "files do not matter then");
    let other = Facts {
        info_hash: Some(InfoHash::new([1; 20])),
        ..facts(&[])
    };
    assert_eq!(resume.accept(&other), Err(Rejected::OtherTorrent));
    let v2 = Facts {
        info_hash: None,
        info_hash_v2: Some(InfoHashV2::new([1; 32])),
        ..facts(&[])
    };
    assert_eq!(resume.accept(&v2), Err(Rejected::OtherTorrent), "no name in common");
    for (pieces, found) in [(2, 3), (4, 3)] {
        let facts = Facts { pieces, ..facts(&[]) };
        assert_eq!(resume.accept(&facts), Err(Rejected::Pieces { found, pieces }));
    }
    let mut beyond = resume;
    beyond.unfinished[0].piece = 3;
    assert_eq!(beyond.accept(&facts(&[])), Err(Rejected::NoSuchPiece(3)));
}

#[test]
fn compact_allocation_is_trusted_only_in_order_and_untouched() {
    let read = |slots| FastResume::decode(&of_0_14("compact", slots)).unwrap();
    let resume = read("5:slotsli0ei-1ei2ee");
    let now: Vec<_> = resume.files.iter().copied().map(Some).collect();
    assert_eq!(resume.accept(&facts(&now)), Ok(()));
    assert_eq!(read("5:slotsli2ei-2ei0ee").accept(&facts(&now)), Err(Rejected::Slots));
    let touched = [now[0], now[1].map(|stamp| Stamp { modified: 0, ..stamp })];
    assert_eq!(resume.accept(&facts(&touched)), Err(Rejected::File(1)));
    assert_eq!(resume.accept(&facts(&[now[0], None])), Err(Rejected::File(1)));
    assert_eq!(resume.accept(&facts(&now[..1])), Err(Rejected::File(1)));
}

#[test]
fn what_is_no_resume_data_is_told() {
    let text = String::from_utf8(of_0_14("full", "")).unwrap();
    let broken = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        FastResume::decode(text.replace(from, to).as_bytes()).unwrap_err()
    };
    assert_eq!(
        broken("libtorrent resume file", "libtorrent resume fool"),
        ResumeError::NotResume
    );
    assert_eq!(
        broken("12:file-versioni1e", "12:file-versioni3e"),
        ResumeError::Version(3)
    );
    assert_eq!(
        broken("9:info-hash20:aaaaaaaaaaaaaaaaaaaa", "9:info-hash2:aa"),
        ResumeError::NoInfoHash
    );
    assert_eq!(
        broken("6:pieces3:\u{1}\u{0}\u{1}", "6:piecesi1e"),
        ResumeError::Entry("pieces")
    );
    assert_eq!(broken("5:piecei1e", "5:piecei-1e"), ResumeError::Entry("unfinished"));
    assert_eq!(
        broken("blocks per piecei4e", "blocks per piecei0e"),
        ResumeError::Entry("blocks per piece")
    );
    assert_eq!(
        broken("li5ei1700000001ee", "li-5ei1700000001ee"),
        ResumeError::Entry("file sizes")
    );
    assert!(matches!(FastResume::decode(b"d"), Err(ResumeError::Bencode(_))));
    assert_eq!(FastResume::decode(b"le"), Err(ResumeError::NotResume));
}

#[test]
fn the_checksum_is_that_of_rfc_1950() {
    assert_eq!(adler32(&[]), 1);
    assert_eq!(adler32(&[&b"Wiki"[..], b"pedia"]), 0x11e6_0398);
    let ones = vec![0xff; 1 << 20];
    assert_eq!(adler32(&[&ones[..]]), adler32(&ones.chunks(16_384).collect::<Vec<_>>()));
}

fn marks(most: usize) -> impl Strategy<Value = Vec<bool>> {
    proptest::collection::vec(any::<bool>(), 0..most)
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 0..4)
}

prop_compose! {
    fn storage()(
        have in marks(40),
        verified in any::<bool>(),
        unfinished in proptest::collection::vec((0u32..100, marks(20), any::<Option<u32>>()), 0..4),
        blocks_per_piece in proptest::option::of(1u32..=256),
        slots in proptest::collection::vec(-2i64..100, 0..4),
        files in proptest::collection::vec((0u64..1 << 62, any::<i64>()), 0..4),
        allocation in prop::sample::select(vec![Allocation::Sparse, Allocation::Full, Allocation::Compact]),
        trees in proptest::collection::vec((proptest::collection::vec(any::<Hash>(), 0..4), marks(9), marks(9)), 0..3),
    ) -> FastResume {
        FastResume {
            verified: if verified && have.contains(&true) { have.clone() } else { Vec::new() },
            have,
            // What is filled up to a byte cannot be told from what was there.
            unfinished: unfinished.into_iter().map(|(piece, mut blocks, adler32)| {
                blocks.resize(blocks.len().next_multiple_of(8), false);
                Unfinished { piece, blocks, adler32 }
            }).collect(),
            blocks_per_piece,
            slots,
            files: files.into_iter().map(|(length, modified)| Stamp { length, modified }).collect(),
            allocation,
            trees: trees.into_iter().map(|(hashes, verified, mask)| Tree { hashes, verified, mask }).collect(),
            ..FastResume::default()
        }
    }
}

prop_compose! {
    fn any_resume()(
        storage in storage(),
        v1 in any::<bool>(),
        v2 in any::<[u8; 32]>(),
        texts in proptest::collection::vec(texts(), 5),
        peers in proptest::collection::vec((any::<[u8; 4]>(), any::<u16>()), 0..4),
        banned in proptest::collection::vec((any::<[u8; 16]>(), any::<u16>()), 0..4),
        numbers in proptest::collection::vec(0u64..1 << 62, 5),
        times in any::<[i64; 2]>(),
        limits in proptest::collection::vec(proptest::option::of(1u64..1 << 20), 6),
        flags in any::<[bool; 4]>(),
        priorities in proptest::collection::vec(0u8..8, 0..5),
    ) -> FastResume {
        FastResume {
            info_hash: v1.then(|| InfoHash::new([7; 20])),
            info_hash_v2: (!v1).then(|| InfoHashV2::new(v2.map(|byte| byte | 1))),
            name: texts[0].first().cloned(),
            save_path: texts[0].get(1).cloned(),
            info: v1.then(|| b"d4:name1:ae".to_vec()),
            peers: peers.into_iter().map(SocketAddr::from).collect(),
            banned: banned.into_iter().map(SocketAddr::from).collect(),
            uploaded: numbers[0], downloaded: numbers[1],
            active_secs: numbers[2], finished_secs: numbers[3], seeding_secs: numbers[4],
            added: times[0], completed: times[1],
            seeds: limits[0], leechers: limits[1],
            upload_limit: limits[2], download_limit: limits[3], connections: limits[4], uploads: limits[5],
            paused: flags[0], auto_managed: flags[1], sequential: flags[2], seed_mode: flags[3],
            trackers: (!texts[1].is_empty()).then(|| vec![texts[1].clone()]),
            web_seeds: v1.then(|| texts[2].clone()),
            http_seeds: texts[3].clone(),
            piece_priority: priorities.clone(),
            file_priority: priorities,
            mapped_files: texts[4].clone(),
            ..storage
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(resume in any_resume()) {
        let mut out = Vec::new();
        resume.encode(&mut out);
        wire::bencode::decode_strict(&out, &wire::bencode::Limits::METAINFO).unwrap();
        prop_assert_eq!(FastResume::decode(&out), Ok(resume));
    }

    #[test]
    fn any_bytes_near_resume_data_are_read_or_refused(cut in any::<prop::sample::Index>(), byte: u8, old: bool) {
        let mut raw = if old { of_0_14("compact", "5:slotsli0ei-1ei2ee") } else { OF_2_1.to_vec() };
        let at = cut.index(raw.len());
        raw[at] = byte;
        crate::fuzz::resume(&raw);
    }
}

//! Layouts against the definition, byte by byte or run by run.

use proptest::prelude::*;
use wire::message::Block;
use wire::metainfo::Torrent;
use world::disk::Slice;

use super::made::{Made, laid_out};
use super::*;

const KIB16: u64 = 16_384;

fn fixture(raw: &[u8]) -> Layout {
    let torrent = Torrent::parse(raw).unwrap();
    Layout::new(
        Arc::new(torrent.info.clone()),
        torrent.raw_info().into(),
        NameRules::Portable,
    )
    .unwrap()
}

const V1_MULTI: &[u8] = include_bytes!("../../../wire/tests/fixtures/v1-multi.torrent");
const V1_SINGLE: &[u8] = include_bytes!("../../../wire/tests/fixtures/v1-single.torrent");
const V2_MULTI: &[u8] = include_bytes!("../../../wire/tests/fixtures/v2-multi.torrent");
const V2_SINGLE: &[u8] = include_bytes!("../../../wire/tests/fixtures/v2-single.torrent");
const HYBRID_MULTI: &[u8] = include_bytes!("../../../wire/tests/fixtures/hybrid-multi.torrent");

fn paths(layout: &Layout) -> Vec<&str> {
    layout.files().map(|file| file.path).collect()
}

/// An info dictionary with this v1 `files` list, of one piece.
fn listed(files: &str) -> Vec<u8> {
    format!(
        "d5:filesl{files}e4:name1:t12:piece lengthi16384e6:pieces20:{}e",
        "h".repeat(20)
    )
    .into_bytes()
}

/// The pieces of the torrent by the book: for each its runs of bytes, each with its file (none if padding) and place.
fn by_the_book(made: &Made) -> Vec<Vec<(Option<usize>, u64, u64)>> {
    let length = made.piece_length;
    let mut pieces: Vec<Vec<(Option<usize>, u64, u64)>> = Vec::new();
    let mut room = 0;
    let mut number = 0;
    for (at, (_, len)) in made.files.iter().enumerate() {
        let mut put = |file: Option<usize>, mut len: u64| {
            let mut place = 0;
            while len > 0 {
                if room == 0 {
                    pieces.push(Vec::new());
                    room = length;
                }
                let run = len.min(room);
                pieces
                    .last_mut()
                    .unwrap()
                    .push((file, if file.is_some() { place } else { 0 }, run));
                place += run;
                room -= run;
                len -= run;
            }
        };
        put(Some(number), *len);
        number += 1;
        match made.version {
            Version::V1 => {}
            Version::V2 => room = 0,
            Version::Hybrid if room > 0 && (at + 1 < made.files.len() || made.tail) => {
                let pad = room;
                let mut put_pad = |len| pieces.last_mut().unwrap().push((None, 0, len));
                put_pad(pad);
                room = 0;
                number += 1;
            }
            Version::Hybrid => {}
        }
    }
    pieces
}

fn slices(layout: &Layout, piece: u32, begin: u32, len: u32) -> Vec<(Option<usize>, u64, u64)> {
    let plain = |slice: Slice| (slice.file.map(|file| file as usize), slice.at, u64::from(slice.len));
    layout.map_block(piece, begin, len).map(plain).collect()
}

/// The part of some runs from `begin` on.
fn cut(runs: &[(Option<usize>, u64, u64)], begin: u64, len: u64) -> Vec<(Option<usize>, u64, u64)> {
    let (mut skip, mut left, mut out) = (begin, len, Vec::new());
    for &(file, at, run) in runs {
        let skipped = skip.min(run);
        skip -= skipped;
        let taken = (run - skipped).min(left);
        left -= taken;
        if taken > 0 {
            out.push((file, if file.is_some() { at + skipped } else { 0 }, taken));
        }
    }
    out
}

#[test]
fn a_block_that_straddles_two_files_is_two_slices() {
    let layout = fixture(V1_MULTI);
    assert_eq!(paths(&layout), ["dir/a.txt", "dir/docs/b.txt", "dir/docs/deep/ü.txt"]);
    assert_eq!((layout.pieces(), layout.total(), layout.content()), (4, 60_005, 60_005));
    let expected = [(Some(0), 32_768, 7_232), (Some(1), 0, 5), (Some(2), 0, 9_147)];
    assert_eq!(slices(&layout, 2, 0, BLOCK), expected);
    assert_eq!(layout.files_of(2), 0..3);
    assert_eq!(layout.pieces_of(2), 2..4);
}

#[test]
fn only_the_last_piece_of_a_v1_torrent_is_shorter() {
    let layout = fixture(V1_SINGLE);
    assert_eq!(paths(&layout), ["one.bin"]);
    let lens = [0, 1, 2, 3, 4].map(|piece| layout.piece_len(piece));
    assert_eq!(lens, [16_384, 16_384, 16_384, 50_000 - 3 * 16_384, 0]);
}

#[test]
fn the_hash_of_a_piece_is_twenty_bytes_of_the_torrent() {
    let torrent = Torrent::parse(V1_SINGLE).unwrap();
    let layout = fixture(V1_SINGLE);
    let hash = layout.v1_hash(2).unwrap();
    let raw = torrent.raw_info();
    let start = raw.windows(8).position(|window| window == b"pieces80").unwrap() + 9;
    assert_eq!(hash, &raw[start + 40..start + 60]);
    assert_eq!(layout.v1_hash(4), None);
    assert_eq!(fixture(V2_SINGLE).v1_hash(0), None);
}

#[test]
fn in_v2_each_file_begins_a_piece_and_ends_its_last() {
    let layout = fixture(V2_MULTI);
    assert_eq!((layout.pieces(), layout.total()), (6, 60_005));
    let lens: Vec<u32> = (0..6).map(|piece| layout.piece_len(piece)).collect();
    assert_eq!(lens, [16_384, 16_384, 40_000 - 32_768, 5, 16_384, 20_000 - 16_384]);
    assert_eq!(layout.block_len(3, 0), 5);
    assert_eq!(layout.request(3, 1), None);
    assert_eq!(layout.file_of(4), Some(2));
}

#[test]
fn a_hybrid_numbers_pieces_as_v2_does_and_fills_them() {
    let (hybrid, v2) = (fixture(HYBRID_MULTI), fixture(V2_MULTI));
    assert_eq!(hybrid.pieces(), v2.pieces());
    assert_eq!((hybrid.total(), hybrid.content()), (6 * KIB16, 60_005));
    for piece in 0..6 {
        assert_eq!(hybrid.piece_len(piece), 16_384);
        assert_eq!(hybrid.content_len(piece), v2.piece_len(piece));
        assert_eq!(hybrid.leaf_len(piece, 0), v2.piece_len(piece));
        let files = [&hybrid, &v2].map(|layout| layout.file(layout.file_of(piece).unwrap()).unwrap().path);
        assert_eq!(files[0], files[1]);
    }
    assert!(hybrid.v1_hash(5).is_some());
    let (a, b) = (hybrid.root(0).unwrap(), v2.root(0).unwrap());
    assert_eq!(a, b);
    assert_eq!((hybrid.file_with_root(a), v2.file_with_root(&[9; 32])), (Some(0), None));
}

#[test]
fn blocks_of_nothing_but_padding_need_no_request() {
    let layout = Made::new(Version::Hybrid, 4 * KIB16, &[("a", KIB16 + 1), ("b", 1)])
        .layout()
        .unwrap();
    let blocks: Vec<bool> = (0..4).map(|block| layout.is_padding(0, block * BLOCK, BLOCK)).collect();
    assert_eq!(blocks, [false, false, true, true]);
    assert_eq!((layout.blocks(0), layout.leaves(0)), (4, 2));
    assert_eq!([0, 1, 2].map(|leaf| layout.leaf_len(0, leaf)), [BLOCK, 1, 0]);
    assert!(!layout.is_padding(9, 0, BLOCK), "no such piece");
}

#[test]
fn what_others_ask_for_must_lie_in_the_piece() {
    let layout = fixture(V2_MULTI);
    let block = |piece, begin, length| Block { piece, begin, length };
    assert!(layout.holds(block(2, 0, 40_000 - 32_768)));
    for wrong in [
        block(2, 0, 16_384),
        block(6, 0, 1),
        block(0, 5, 0),
        block(0, u32::MAX, 2),
    ] {
        assert!(!layout.holds(wrong));
    }
}

#[test]
fn files_of_equal_content_are_found_by_their_root_first_to_last() {
    let mut made = Made::new(Version::V2, KIB16, &[("a", 5), ("b", 5), ("c", 7)]);
    made.roots = vec![[7; 32], [7; 32], [1; 32]];
    let layout = made.layout().unwrap();
    assert_eq!(layout.file_with_root(&[7; 32]), Some(0));
    assert_eq!(layout.root(1), Some(&[7; 32]));
    made.files[1].1 = 6;
    assert_eq!(made.layout().unwrap_err(), LayoutError::SameRoot(0, 1));
}

#[test]
fn paths_stay_below_the_folder_of_the_torrent() {
    let hostile = "d6:lengthi1e4:pathl2:..3:etc6:passwdeed6:lengthi2e4:pathl3:etc6:passwdeed6:lengthi3e4:pathl3:etcee";
    let layout = laid_out(&listed(hostile), NameRules::Portable).unwrap();
    assert_eq!(paths(&layout), ["t/etc/passwd", "t/etc/passwd.1", "t/etc.1"]);
    let raw = listed("d6:lengthi1e4:pathl1:aee");
    let raw = String::from_utf8(raw).unwrap().replace("4:name1:t", "4:name2:..");
    assert_eq!(paths(&laid_out(raw.as_bytes(), NameRules::Exact).unwrap()), ["_/a"]);
}

#[test]
fn attributes_are_told_and_links_are_never_more_than_told() {
    let files = concat!(
        "d4:attr2:xh6:lengthi1e4:pathl1:d1:aee",
        "d4:attr1:l4:pathl1:be12:symlink pathl1:d1:aee",
        "d4:attr1:l4:pathl1:ce12:symlink pathl2:..3:etcee",
        "d4:attr1:l6:lengthi2e4:pathl1:ee12:symlink pathl1:d1:aee",
        "d4:attr1:p6:lengthi3e4:pathl4:.pad1:3ee",
    );
    let layout = laid_out(&listed(files), NameRules::Portable).unwrap();
    let kinds: Vec<Kind> = layout.files().map(|file| file.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Content,
            Kind::Link(Some(0)),
            Kind::Link(None),
            Kind::Content,
            Kind::Padding
        ]
    );
    assert_eq!(paths(&layout), ["t/d/a", "t/b", "t/c", "t/e", ""]);
    let first = layout.file(0).unwrap();
    assert!(first.executable && first.hidden);
    assert_eq!((layout.total(), layout.content()), (6, 3));
}

#[test]
fn files_are_listed_from_either_end() {
    let layout = fixture(V1_MULTI);
    assert_eq!(layout.files().len(), 3);
    assert_eq!(layout.files().next_back(), layout.file(2));
    assert_eq!(layout.file(3), None);
}

#[test]
fn a_renamed_file_keeps_its_name_in_the_torrent() {
    let mut layout = fixture(V1_MULTI);
    layout.rename(1, "elsewhere/c.txt").unwrap();
    assert_eq!(paths(&layout), ["dir/a.txt", "elsewhere/c.txt", "dir/docs/deep/ü.txt"]);
    let original = layout.info().files().nth(1).unwrap().path_lossy();
    assert_eq!(original, "docs/b.txt");
    layout.rename(1, "Elsewhere/c.txt").unwrap();
    for (to, error) in [
        ("", LayoutError::BadPath),
        ("/etc/passwd", LayoutError::BadPath),
        ("a/../b", LayoutError::BadPath),
        ("a/con", LayoutError::BadPath),
        ("DIR/A.txt", LayoutError::Taken(0)),
        ("dir", LayoutError::Taken(0)),
        ("dir/a.txt/b", LayoutError::Taken(0)),
        (&*"x/".repeat(2_000), LayoutError::LongPath(1)),
    ] {
        assert_eq!(layout.rename(1, to), Err(error), "{to}");
    }
    assert_eq!(layout.rename(3, "x"), Err(LayoutError::NoSuchFile(3)));
    assert_eq!(
        fixture(HYBRID_MULTI).rename(1, "x"),
        Err(LayoutError::NoSuchFile(1)),
        "padding"
    );
}

#[test]
fn absurd_torrents_are_refused_in_one_line() {
    let v2 = |files: &[(&str, u64)], length| Made::new(Version::V2, length, files).layout().unwrap_err();
    let huge = 1_u64 << 30;
    assert_eq!(v2(&[("a", 1)], huge), LayoutError::PieceLength(huge));
    let most = u64::try_from(i64::MAX).unwrap();
    assert_eq!(v2(&[("a", most)], KIB16), LayoutError::Size);
    assert_eq!(v2(&[("a", 1 << 62)], KIB16), LayoutError::Pieces(1 << 48));
    // Files without names or sizes: the shortest that still are files.
    let raw = listed(&"d4:pathlee".repeat(MAX_FILES as usize + 1));
    let info = Info::salvage(&raw).unwrap().info;
    let error = Layout::new(Arc::new(info), raw.into(), NameRules::Portable).unwrap_err();
    assert_eq!(error, LayoutError::Files);
    assert_eq!(error.to_string(), "more than 1048576 files");
}

#[test]
fn what_a_salvaged_dictionary_lacks_is_noticed() {
    let lay = |raw: &[u8]| {
        let info = Info::salvage(raw).unwrap().info;
        Layout::new(Arc::new(info), raw.into(), NameRules::Portable).unwrap_err()
    };
    let good = String::from_utf8(listed("d6:lengthi5e4:pathl1:aee")).unwrap();
    assert_eq!(
        lay(good.replace("i16384e", "i0e").as_bytes()),
        LayoutError::PieceLength(0)
    );
    let more = good.replace("i5e", "i16385e");
    assert_eq!(lay(more.as_bytes()), LayoutError::Hashes { hashes: 1, pieces: 2 });
    let tree = |length: &str, root: &str| {
        format!("d9:file treed1:ad0:d6:lengthi5e{root}eee12:meta versioni2e4:name1:t12:piece lengthi{length}ee")
    };
    assert_eq!(lay(tree("16384", "").as_bytes()), LayoutError::NoRoot(0));
    let root = format!("11:pieces root32:{}", "r".repeat(32));
    assert_eq!(
        lay(tree("16385", &root).as_bytes()),
        LayoutError::TreePieceLength(16_385)
    );
    assert_eq!(lay(tree("8192", &root).as_bytes()), LayoutError::TreePieceLength(8_192));
}

#[test]
fn paths_that_no_system_takes_are_refused() {
    let name = format!("{}:{}", 200, "n".repeat(200));
    let deep = format!("d6:lengthi1e4:pathl{}ee", name.repeat(16));
    let error = laid_out(&listed(&deep), NameRules::Portable).unwrap_err();
    assert_eq!(error, LayoutError::LongPath(0));
}

#[test]
fn a_torrent_without_a_byte_has_no_pieces() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let layout = Made::new(version, KIB16, &[("a", 0), ("b", 0)]).layout().unwrap();
        assert_eq!((layout.pieces(), layout.total()), (0, 0));
        assert_eq!((layout.pieces_of(0), layout.files_of(0)), (0..0, 0..0));
        assert_eq!(layout.map_block(0, 0, 1).count(), 0);
    }
}

fn any_torrent() -> impl Strategy<Value = Made> {
    let version = prop::sample::select(vec![Version::V1, Version::V2, Version::Hybrid]);
    let len = prop_oneof![2 => Just(0), 2 => Just(KIB16), 3 => 1..100_u64, 3 => 1..100_000_u64];
    let files = proptest::collection::vec(len, 1..8);
    (version, files, 0_u32..3, 1..40_000_u64, any::<bool>()).prop_map(|(version, lens, shift, odd, tail)| {
        let names: Vec<String> = (0..lens.len()).map(|at| format!("{at}")).collect();
        let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(lens).collect();
        let length = if version == Version::V1 {
            odd.max(900)
        } else {
            KIB16 << shift
        };
        let mut made = Made::new(version, length, &files);
        made.tail = tail;
        made
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_block_maps_as_the_definition_says(made in any_torrent(), begin in 0_u32..70_000, len in 0_u32..70_000) {
        let layout = made.layout().unwrap();
        let pieces = by_the_book(&made);
        prop_assert_eq!(layout.pieces() as usize, pieces.len());
        let mut total = 0;
        for (piece, runs) in (0..).zip(&pieces) {
            let whole: u64 = runs.iter().map(|(_, _, len)| len).sum();
            total += whole;
            prop_assert_eq!(u64::from(layout.piece_len(piece)), whole);
            prop_assert_eq!(&slices(&layout, piece, 0, u32::MAX), runs);
            prop_assert_eq!(slices(&layout, piece, begin, len), cut(runs, begin.into(), len.into()));
            let blocks: Vec<u32> = (0..layout.blocks(piece)).map(|block| layout.block_len(piece, block)).collect();
            prop_assert_eq!(blocks.iter().map(|&len| u64::from(len)).sum::<u64>(), whole);
            prop_assert!(blocks.iter().rev().skip(1).all(|&len| len == BLOCK));
            let content: u64 = runs.iter().filter(|(file, ..)| file.is_some()).map(|(_, _, len)| len).sum();
            prop_assert_eq!(u64::from(layout.content_len(piece)), content);
            prop_assert_eq!(layout.is_padding(piece, 0, u32::MAX), content == 0);
            if layout.has_v2() {
                let leaves: u64 = (0..layout.leaves(piece)).map(|leaf| u64::from(layout.leaf_len(piece, leaf))).sum();
                prop_assert_eq!(leaves, content, "a tree covers the file and no padding");
            }
            let named: Vec<usize> = runs.iter().filter_map(|(file, ..)| *file).collect();
            let files = layout.files_of(piece);
            prop_assert!(named.iter().all(|file| files.contains(&(*file as u32))));
            prop_assert_eq!(named.first().map(|file| *file as u32), Some(files.start));
        }
        prop_assert_eq!(total, layout.total());
    }

    #[test]
    fn a_place_in_a_file_is_found_again_from_its_piece(made in any_torrent(), at in any::<prop::sample::Index>()) {
        let layout = made.layout().unwrap();
        for (number, file) in (0..).zip(layout.files()) {
            if file.len == 0 || file.kind == Kind::Padding {
                continue;
            }
            for offset in [0, at.index(file.len as usize) as u64, file.len - 1] {
                let block = layout.map_file(number, offset, 1).unwrap();
                let slice = layout.map_block(block.piece, block.begin, 1).next();
                prop_assert_eq!(slice, Some(Slice { file: Some(number), at: offset, len: 1 }));
                prop_assert!(layout.pieces_of(number).contains(&block.piece));
            }
            prop_assert_eq!(layout.map_file(number, file.len, 1), None);
            let pieces = layout.pieces_of(number);
            prop_assert_eq!(layout.map_file(number, 0, 1).map(|block| block.piece), Some(pieces.start));
            prop_assert_eq!(layout.map_file(number, file.len - 1, 1).map(|block| block.piece + 1), Some(pieces.end));
        }
    }
}

//! Torrents of every version, from libtorrent and broken by hand.

use proptest::prelude::*;

use super::*;
use crate::HostPort;

const V1_SINGLE: &[u8] = include_bytes!("../../tests/fixtures/v1-single.torrent");
const V1_MULTI: &[u8] = include_bytes!("../../tests/fixtures/v1-multi.torrent");
const V2_SINGLE: &[u8] = include_bytes!("../../tests/fixtures/v2-single.torrent");
const V2_MULTI: &[u8] = include_bytes!("../../tests/fixtures/v2-multi.torrent");
const HYBRID_SINGLE: &[u8] = include_bytes!("../../tests/fixtures/hybrid-single.torrent");
const HYBRID_MULTI: &[u8] = include_bytes!("../../tests/fixtures/hybrid-multi.torrent");

/// An info dictionary that is right, to be made wrong: one file of 5 bytes.
const GOOD: &str = "d6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

fn torrent(raw: &[u8]) -> Torrent {
    Torrent::parse(raw).unwrap()
}

fn fault(field: Field, fault: Fault) -> MetainfoError {
    MetainfoError::Field { field, fault }
}

/// What is wrong with [`GOOD`] after a change.
fn broken(from: &str, to: &str) -> MetainfoError {
    assert!(GOOD.contains(from));
    Info::parse(GOOD.replace(from, to).as_bytes()).unwrap_err()
}

/// An info dictionary of two pieces with this `files` list.
fn listed(files: &str) -> String {
    format!("d5:filesl{files}e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae")
}

fn paths(info: &Info) -> Vec<String> {
    info.files().map(|file| file.path_lossy()).collect()
}

#[test]
fn hashes_are_those_that_libtorrent_computes() {
    for (raw, v1, v2) in [
        (V1_SINGLE, "e7d4565c1225b686b221831454bfaa25b3183831", ""),
        (V1_MULTI, "ac8a2886de445a7f56e96c50e01559fe6de1cd68", ""),
        (
            V2_SINGLE,
            "",
            "09d3f22598472259af59803f6756dd068cbc428f30fab96bada0b936a45b307f",
        ),
        (
            V2_MULTI,
            "",
            "00d35533eb804f0f7804095e448c8935777309f54e3fba23a4c5e676806e07a4",
        ),
        (
            HYBRID_SINGLE,
            "08325058af0986c4733e50d33597a9819ed61978",
            "150921d46eac61ef2be8955d764aea3421a06e5d3c23b73ed586e26019b96bc2",
        ),
        (
            HYBRID_MULTI,
            "a68519e86e217e5c62a7b039f0112df42a72a8ba",
            "fcc6bf7317572b8de0b27f129cb9b58615ef92d5cf8642db552f76029f5efe5d",
        ),
    ] {
        let torrent = torrent(raw);
        let hashes = [
            torrent.info_hash_v1().map(|hash| hash.to_string()),
            torrent.info_hash_v2().map(|hash| hash.to_string()),
        ];
        assert_eq!(hashes.map(Option::unwrap_or_default), [v1, v2]);
        for hash in torrent.magnet().swarm_hashes() {
            assert!(matches(torrent.raw_info(), &hash));
            assert!(!matches(GOOD.as_bytes(), &hash));
        }
    }
}

#[test]
fn a_single_file_is_one_file_in_every_version() {
    for raw in [V1_SINGLE, V2_SINGLE, HYBRID_SINGLE] {
        let info = torrent(raw).info;
        assert!(info.is_single_file());
        assert_eq!((info.file_count(), info.total_bytes()), (1, 50_000));
        assert_eq!((info.piece_length, info.piece_count), (16_384, 4));
        assert_eq!(info.name_lossy(), "one.bin");
        assert_eq!(paths(&info), ["one.bin"]);
    }
}

#[test]
fn padding_counts_neither_as_file_nor_as_bytes() {
    for (raw, version, pieces, all) in [
        (V1_MULTI, Version::V1, 4, 3),
        (V2_MULTI, Version::V2, 6, 3),
        (HYBRID_MULTI, Version::Hybrid, 6, 6),
    ] {
        let info = torrent(raw).info;
        assert_eq!(info.version, version);
        assert!(!info.is_single_file());
        assert_eq!((info.file_count(), info.total_bytes()), (3, 60_005));
        assert_eq!((info.files().count(), info.piece_count), (all, pieces));
        let real = info.files().filter(|file| !file.pad);
        let real: Vec<_> = real.map(|file| (file.path_lossy(), file.offset)).collect();
        let at = if version == Version::V1 {
            [0, 40_000, 40_005]
        } else {
            [0, 49_152, 65_536]
        };
        let paths = ["a.txt", "docs/b.txt", "docs/deep/ü.txt"].map(String::from);
        assert_eq!(real, paths.into_iter().zip(at).collect::<Vec<_>>());
    }
}

#[test]
fn a_hybrid_knows_the_hash_trees_of_its_files() {
    let (hybrid, v2) = (torrent(HYBRID_MULTI).info, torrent(V2_MULTI).info);
    let roots = |info: &Info| -> Vec<_> {
        info.files()
            .filter(|file| !file.pad)
            .map(|file| file.pieces_root.copied())
            .collect()
    };
    assert!(roots(&hybrid).iter().all(Option::is_some));
    assert_eq!(roots(&hybrid), roots(&v2));
}

#[test]
fn the_piece_layers_that_libtorrent_writes_hash_to_the_roots_of_their_files() {
    for raw in [V2_SINGLE, V2_MULTI, HYBRID_SINGLE, HYBRID_MULTI] {
        let torrent = torrent(raw);
        let large = torrent.info.files().filter(|file| file.length > 16_384);
        let mut roots: Vec<_> = large.filter_map(|file| file.pieces_root.copied()).collect();
        roots.sort_unstable();
        assert!(torrent.layers().map(|(root, _)| *root).eq(roots));
        for (root, layer) in torrent.layers() {
            assert_eq!(crate::merkle::root_of_layer(layer, 0), *root);
        }
    }
}

#[test]
fn v1_hashes_are_found_where_they_lie() {
    let hashes = |raw: &[u8]| Info::hashes_at(raw).map(|at| raw[at].to_vec());
    assert_eq!(hashes(GOOD.as_bytes()), Some(vec![b'a'; 20]));
    assert_eq!(hashes(torrent(V2_MULTI).raw_info()), None);
    assert_eq!(hashes(b"d6:piecesi1ee"), None);
}

#[test]
fn attributes_are_read_from_lists_and_trees() {
    let files = "d4:attr3:xhq6:lengthi5e4:pathl1:aeed4:attr1:l4:pathl1:be12:symlink pathl1:d0:1:aee";
    let info = Info::parse(listed(files).as_bytes()).unwrap();
    let told: Vec<_> = info
        .files()
        .map(|file| (file.executable, file.hidden, file.link))
        .collect();
    assert_eq!(told, [(true, true, false), (false, false, true)]);
    let targets: Vec<_> = info.files().map(|file| file.target()).collect();
    assert_eq!(targets, [vec![], vec![&b"d"[..], b"a"]]);

    let raw = "d9:file treed1:ad0:d4:attr2:lx12:symlink pathl1:beeee12:meta versioni2e4:name1:t12:piece lengthi16384ee";
    let info = Info::parse(raw.as_bytes()).unwrap();
    let file = info.files().next().unwrap();
    assert_eq!((file.executable, file.hidden, file.link), (true, false, true));
    assert_eq!((file.length, file.target()), (0, vec![&b"b"[..]]));
}

#[test]
fn what_stands_beside_the_info_dictionary_is_kept() {
    let torrent = torrent(HYBRID_MULTI);
    assert_eq!(
        torrent.tiers(),
        [
            vec!["http://t1.example/announce", "udp://t2.example:80"],
            vec!["http://t3.example/announce"]
        ]
    );
    assert_eq!(torrent.url_list, ["http://web.example/x"]);
    assert_eq!(torrent.nodes, [HostPort::new("router.example", 6881).unwrap()]);
    assert_eq!(torrent.comment.as_deref(), Some("a comment"));
    assert_eq!(torrent.created_by.as_deref(), Some("a maker"));
    assert_eq!(torrent.creation_date, Some(1_700_000_000));
    assert_eq!(torrent.piece_layers, 2);
    assert!(!torrent.info.private);
    assert!(Torrent::parse(V1_SINGLE).unwrap().info.private);
}

#[test]
fn other_spellings_beside_the_info_dictionary_are_understood() {
    let raw = format!(
        "d8:announce0:13:announce-listl3:a:1l0:el3:b:2ee5:extrai1e4:info{}5:nodesll1:xi0eel2:::i1eee8:url-list3:w:1e\n",
        GOOD
    );
    let torrent = torrent(raw.as_bytes());
    assert_eq!(torrent.announce, None);
    assert_eq!(torrent.tiers(), [["a:1"], ["b:2"]]);
    assert_eq!(torrent.url_list, ["w:1"]);
    assert_eq!(torrent.nodes, [HostPort::new("::", 1).unwrap()]);
    let other: Vec<_> = torrent
        .other_entries()
        .map(|(key, value)| (key, value.as_int()))
        .collect();
    assert_eq!(other, [(&b"extra"[..], Some(1))]);
}

#[test]
fn entries_that_are_only_shown_are_listed() {
    let raw = wrap::<&str>(GOOD.replace("aaae", "aaa6:source3:abce").as_bytes(), &[]);
    let torrent = torrent(&raw);
    let other: Vec<_> = torrent
        .other_info_entries()
        .map(|(key, value)| (key, value.as_bytes()))
        .collect();
    assert_eq!(other, [(&b"source"[..], Some(&b"abc"[..]))]);
}

#[test]
fn a_fetched_dictionary_becomes_a_torrent_of_the_same_name() {
    for raw in [V1_MULTI, V2_MULTI, HYBRID_MULTI] {
        let info = torrent(raw).raw_info().to_vec();
        let wrapped = torrent(&wrap(&info, &["http://a.example/", "udp://b.example:1"]));
        assert_eq!(wrapped.raw_info(), info);
        assert_eq!(wrapped.tiers(), [["http://a.example/"], ["udp://b.example:1"]]);
    }
    assert_eq!(wrap::<&str>(b"de", &[]), b"d4:infodee");
}

#[test]
fn a_magnet_link_finds_the_same_torrent() {
    let torrent = torrent(HYBRID_MULTI);
    let magnet: crate::magnet::Magnet = torrent.magnet().to_string().parse().unwrap();
    assert_eq!(magnet, torrent.magnet());
    assert_eq!(magnet.info_hash, torrent.info_hash_v1());
    assert_eq!(magnet.name.as_deref(), Some("dir"));
    assert_eq!(magnet.trackers.len(), 3);
}

#[test]
fn each_fault_of_a_v1_dictionary_names_its_field() {
    use Fault::{Conflict, Disagrees, Kind, Missing, Range};
    Info::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(broken("4:name1:a", ""), fault(Field::Name, Missing));
    assert_eq!(broken("4:name1:a", "4:namei1e"), fault(Field::Name, Kind));
    assert_eq!(broken("12:piece lengthi16384e", ""), fault(Field::PieceLength, Missing));
    assert_eq!(broken("i16384e", "i0e"), fault(Field::PieceLength, Range));
    assert_eq!(broken("i16384e", "1:a"), fault(Field::PieceLength, Kind));
    assert_eq!(
        broken("6:pieces20:aaaaaaaaaaaaaaaaaaaa", ""),
        fault(Field::Pieces, Missing)
    );
    assert_eq!(
        broken("20:aaaaaaaaaaaaaaaaaaaa", "19:aaaaaaaaaaaaaaaaaaa"),
        fault(Field::Pieces, Kind)
    );
    assert_eq!(
        broken("6:lengthi5e", "6:lengthi16385e"),
        fault(Field::Pieces, Disagrees)
    );
    assert_eq!(broken("6:lengthi5e", ""), fault(Field::Length, Missing));
    assert_eq!(broken("6:lengthi5e", "6:lengthi-5e"), fault(Field::Length, Range));
    let both = "5:filesld6:lengthi5e4:pathl1:beee6:lengthi5e";
    assert_eq!(broken("6:lengthi5e", both), fault(Field::Length, Conflict));
    assert!(matches!(broken("12:piece", "i1e12:piece"), MetainfoError::Bencode(_)));
}

#[test]
fn each_fault_of_a_file_list_names_its_field() {
    use Fault::{Kind, Missing, Range};
    let parse = |files: &str| Info::parse(listed(files).as_bytes());
    parse("d6:lengthi5e4:pathl1:bee").unwrap();
    for (files, field, what) in [
        ("", Field::Files, Missing),
        ("i1e", Field::Files, Kind),
        ("d4:pathl1:bee", Field::FileLength, Missing),
        ("d6:lengthi-1e4:pathl1:bee", Field::FileLength, Range),
        ("d6:lengthi5ee", Field::FilePath, Missing),
        ("d6:lengthi5e4:pathlee", Field::FilePath, Missing),
        ("d6:lengthi5e4:path1:be", Field::FilePath, Kind),
        ("d6:lengthi5e4:pathl1:bi2eee", Field::FilePath, Kind),
    ] {
        assert_eq!(parse(files), Err(fault(field, what)), "{files}");
    }
    let huge = "d6:lengthi9223372036854775807e4:pathl1:bee".repeat(3);
    assert_eq!(parse(&huge), Err(fault(Field::FileLength, Range)));
}

#[test]
fn each_fault_of_a_v2_dictionary_names_its_field() {
    use Fault::{Conflict, Kind, Missing, Range};
    let parse = |tree: &str, meta: &str, piece: &str| {
        Info::parse(format!("d9:file treed{tree}e{meta}4:name1:a12:piece lengthi{piece}ee").as_bytes())
    };
    let file = |inner: &str| format!("1:ad0:d{inner}ee");
    let root = format!("6:lengthi5e11:pieces root32:{}", "r".repeat(32));
    let meta = "12:meta versioni2e";
    assert_eq!(parse(&file(&root), meta, "16384").unwrap().total_bytes(), 5);
    parse(&file("6:lengthi0e"), meta, "16384").unwrap();
    assert_eq!(
        parse(&file(&root), "", "16384"),
        Err(fault(Field::MetaVersion, Missing))
    );
    assert_eq!(
        parse(&file(&root), "12:meta versioni3e", "16384"),
        Err(fault(Field::MetaVersion, Range))
    );
    assert_eq!(
        parse(&file(&root), meta, "16383"),
        Err(fault(Field::PieceLength, Range))
    );
    assert_eq!(parse(&file(&root), meta, "8192"), Err(fault(Field::PieceLength, Range)));
    assert_eq!(
        parse(&file("6:lengthi5e"), meta, "16384"),
        Err(fault(Field::PiecesRoot, Missing))
    );
    assert_eq!(
        parse(&file("6:lengthi5e11:pieces root1:r"), meta, "16384"),
        Err(fault(Field::PiecesRoot, Kind))
    );
    assert_eq!(
        parse(&file("6:lengthi-5e"), meta, "16384"),
        Err(fault(Field::TreeLength, Range))
    );
    assert_eq!(parse("", meta, "16384"), Err(fault(Field::FileTree, Kind)));
    assert_eq!(parse("1:ai5e", meta, "16384"), Err(fault(Field::FileTree, Kind)));
    let both = format!("1:ad0:d{root}e1:bd0:d{root}eee");
    assert_eq!(parse(&both, meta, "16384"), Err(fault(Field::FileTree, Conflict)));
    assert_eq!(
        parse(&format!("0:d{root}e"), meta, "16384"),
        Err(fault(Field::FileTree, Conflict))
    );
}

#[test]
fn a_hybrid_whose_lists_differ_is_refused() {
    let raw = torrent(HYBRID_MULTI).raw_info().to_vec();
    for (from, to) in [
        (&b"6:lengthi5e4:path"[..], &b"6:lengthi4e4:path"[..]),
        (b"5:b.txtee", b"5:c.txtee"),
        (b"4:attr1:p", b"4:attr1:x"),
    ] {
        let at = raw.windows(from.len()).position(|window| window == from).unwrap();
        let changed = [&raw[..at], to, &raw[at + from.len()..]].concat();
        assert_eq!(Info::parse(&changed), Err(fault(Field::FileTree, Fault::Disagrees)));
    }
}

#[test]
fn a_hybrid_whose_lists_number_pieces_differently_is_refused() {
    let hybrid = |pad: usize| {
        let root = "r".repeat(32);
        let tree = format!("1:ad0:d6:lengthi5e11:pieces root32:{root}ee1:bd0:d6:lengthi6e11:pieces root32:{root}ee");
        let list = format!("d6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi{pad}e4:pathl1:peed6:lengthi6e4:pathl1:bee");
        let count = (5 + pad + 6).div_ceil(16_384);
        format!(
            "d9:file treed{tree}e5:filesl{list}e12:meta versioni2e4:name1:t12:piece lengthi16384e6:pieces{}:{}e",
            count * 20,
            "h".repeat(count * 20)
        )
    };
    Info::parse(hybrid(16_384 - 5).as_bytes()).unwrap();
    for pad in [16_384 - 6, 2 * 16_384 - 5] {
        let error = Info::parse(hybrid(pad).as_bytes());
        assert_eq!(error, Err(fault(Field::FileTree, Fault::Disagrees)));
    }
}

#[test]
fn bad_piece_layers_are_refused() {
    let raw = format!("d4:info{GOOD}12:piece layersd1:a1:bee");
    assert_eq!(
        Torrent::parse(raw.as_bytes()),
        Err(fault(Field::PieceLayers, Fault::Kind))
    );
    assert_eq!(Torrent::parse(b"de"), Err(fault(Field::Info, Fault::Missing)));
}

#[test]
fn a_verified_dictionary_that_is_not_right_still_has_a_name_and_a_size() {
    let salvage = |raw: &str| Info::salvage(raw.as_bytes()).unwrap();
    let no_pieces = salvage("d6:lengthi5e4:name1:ae");
    assert_eq!(no_pieces.problem, Some(fault(Field::PieceLength, Fault::Missing)));
    assert_eq!((no_pieces.info.total_bytes(), no_pieces.info.file_count()), (5, 1));
    assert_eq!(no_pieces.info.name, b"a");

    let nothing = salvage(&listed("d6:lengthi5e4:pathl1:beededed4:attr1:xe"));
    assert_eq!((nothing.info.total_bytes(), nothing.info.file_count()), (5, 1));

    let one_bad = salvage(&listed("d6:lengthi5e4:pathl1:beed6:lengthi-9e4:pathl1:ceei7e"));
    assert_eq!((one_bad.info.total_bytes(), one_bad.info.file_count()), (5, 2));

    let cut = salvage(&GOOD[..GOOD.len() - 9]);
    assert!(matches!(cut.problem, Some(MetainfoError::Bencode(_))));
    assert_eq!((cut.info.total_bytes(), &cut.info.name[..]), (5, &b"a"[..]));

    let trailing = salvage(&format!("{GOOD}\r\n"));
    assert_eq!(trailing.info, Info::parse(GOOD.as_bytes()).unwrap());
}

#[test]
fn what_tells_nothing_is_an_error_even_when_salvaged() {
    for raw in ["", "le", "de", "d5:otheri1ee", "<html>"] {
        Info::salvage(raw.as_bytes()).unwrap_err();
    }
}

#[test]
fn a_valid_utf8_name_is_preferred() {
    let with = |utf8: &str| Info::parse(GOOD.replace("1:a", &format!("1:a10:name.utf-8{utf8}")).as_bytes()).unwrap();
    assert_eq!(with("2:ä").name_lossy(), "ä");
    assert_eq!(with("0:").name_lossy(), "a");
    assert_eq!(with("i1e").name_lossy(), "a");
    let mut raw = GOOD.replace("1:a", "1:a10:name.utf-81:?").into_bytes();
    let at = raw.iter().position(|&byte| byte == b'?').unwrap();
    raw[at] = 0xff;
    assert_eq!(Info::parse(&raw).unwrap().name, b"a");
}

#[test]
fn a_name_that_is_not_utf8_keeps_its_bytes() {
    let mut raw = GOOD.as_bytes().to_vec();
    let at = raw.windows(3).position(|window| window == b"1:a").unwrap();
    raw[at + 2] = 0xff;
    let info = Info::parse(&raw).unwrap();
    assert_eq!((&info.name[..], &*info.name_lossy()), (&[0xff][..], "\u{fffd}"));
}

#[test]
fn paths_are_read_in_every_spelling() {
    let files = "d6:lengthi1e4:pathl1:?e10:path.utf-8l2:äeed6:lengthi2e4:pathl0:1:b0:1:ceed4:attr1:l4:pathl1:deee";
    let info = Info::parse(listed(&files.replace("eee", "ee")).as_bytes()).unwrap();
    assert_eq!(paths(&info), ["ä", "b/c", "d"]);
}

#[test]
fn old_padding_files_are_known_by_their_name() {
    let files = "d6:lengthi5e4:pathl1:beed6:lengthi9e4:pathl20:_____padding_file_0_ee";
    let info = Info::parse(listed(files).as_bytes()).unwrap();
    assert_eq!((info.file_count(), info.total_bytes()), (1, 5));
}

#[test]
fn a_tree_costs_memory_in_line_with_its_bytes() {
    // One long name with many files below it: joined paths would be 20 MB.
    let files: String = (0..2_000).map(|at| format!("4:{at:04}d0:d6:lengthi0eee")).collect();
    let raw = format!(
        "d9:file treed10000:{}d{files}ee12:meta versioni2e4:name1:a12:piece lengthi16384ee",
        "x".repeat(10_000)
    );
    let info = Info::parse(raw.as_bytes()).unwrap();
    assert_eq!(info.file_count(), 2_000);
    assert_eq!(info.files().last().unwrap().path()[1], b"1999");
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| {
        let file = format!("d0:d6:lengthi0eee{}", "e".repeat(depth));
        format!(
            "d9:file tree{}{file}12:meta versioni2e4:name1:a12:piece lengthi16384ee",
            "d1:a".repeat(depth)
        )
    };
    Info::parse(nested(80).as_bytes()).unwrap();
    assert!(matches!(
        Info::parse(nested(10_000).as_bytes()),
        Err(MetainfoError::Bencode(_))
    ));
}

/// Bytes near an info dictionary: one that is right, with a piece replaced by what was found elsewhere in it.
fn near_info() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "e",
        "d",
        "l",
        "0:",
        "i0e",
        "i-1e",
        "i9223372036854775807e",
        "4:name",
        "6:length",
        "5:files",
        "9:file tree",
        "4:path",
        "1:a",
        "6:pieces",
        "12:meta versioni2e",
        "d0:d6:lengthi5eee",
        "4:attr1:p",
    ]);
    let source = prop::sample::select(vec![
        V1_SINGLE,
        V1_MULTI,
        V2_SINGLE,
        V2_MULTI,
        HYBRID_SINGLE,
        HYBRID_MULTI,
    ]);
    let edit = (any::<prop::sample::Index>(), 0..30_usize, part);
    (source, proptest::collection::vec(edit, 0..4)).prop_map(|(source, edits)| {
        let mut raw = torrent(source).raw_info().to_vec();
        for (at, cut, part) in edits {
            let at = at.index(raw.len());
            let end = (at + cut).min(raw.len());
            raw.splice(at..end, part.bytes());
        }
        raw
    })
}

proptest! {
    #[test]
    fn any_info_dictionary_is_read_or_refused(raw in near_info()) {
        crate::fuzz::info(&raw);
        crate::fuzz::torrent(&wrap::<&str>(&raw, &[]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..100)) {
        crate::fuzz::info(&raw);
        crate::fuzz::torrent(&raw);
    }
}

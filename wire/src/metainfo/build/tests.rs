//! Torrents that were made, read back.

use proptest::prelude::*;

use super::super::{Expected, PieceHasher, Torrent, Verdict};
use super::*;

fn file(path: &str, length: u64) -> NewFile {
    NewFile {
        path: path.split('/').map(str::to_owned).collect(),
        length,
        executable: false,
    }
}

fn about(version: Version, files: Vec<NewFile>) -> Description {
    Description {
        version,
        name: "dir".into(),
        single: false,
        files,
        piece_length: 16_384,
        private: false,
        source: None,
        trackers: Vec::new(),
        web_seeds: Vec::new(),
        nodes: Vec::new(),
        comment: None,
        created_by: None,
        creation_date: None,
    }
}

/// A byte of a file, so that no two places have the same block.
fn byte(file: usize, at: u64) -> u8 {
    (at / 251 + at + file as u64) as u8
}

/// Hashes pretended files.
fn hashes(content: &Content) -> Vec<PieceHashes> {
    let mut hasher = PieceHasher::new(content);
    let mut all = Vec::new();
    for run in content.runs(40_000) {
        for part in content.parts(run) {
            hasher.part(part.file.map(|file| content.file_length(file)));
            match part.file {
                None => hasher.zeros(part.length),
                Some(file) => {
                    let bytes: Vec<u8> = (part.at..part.at + part.length).map(|at| byte(file, at)).collect();
                    hasher.bytes(&bytes);
                }
            }
        }
        all.extend(hasher.end());
    }
    all
}

fn made(about: Description) -> Torrent {
    let draft = Draft::new(about).unwrap();
    let pieces = hashes(draft.content());
    let raw = draft.finish(&pieces).unwrap();
    crate::bencode::decode_strict(&raw, &crate::bencode::Limits::METAINFO).unwrap();
    let torrent = Torrent::parse(&raw).unwrap();
    let expected = Expected::of(&torrent).unwrap();
    assert_eq!(expected.content(), draft.content());
    for (piece, hashes) in (0..).zip(&pieces) {
        assert_eq!(expected.judge(piece, hashes), Verdict::Good);
    }
    torrent
}

#[test]
fn every_entry_is_read_back() {
    let torrent = made(Description {
        private: true,
        source: Some("here".into()),
        trackers: vec![vec!["http://a/x".into(), "http://b/x".into()], vec!["udp://c:1".into()]],
        web_seeds: vec!["http://w/1".into(), "http://w/2".into()],
        nodes: vec!["node.example:6881".parse().unwrap()],
        comment: Some("ü".into()),
        created_by: Some("us".into()),
        creation_date: Some(1_700_000_000),
        ..about(Version::Hybrid, vec![file("a", 1), file("b/c", 40_000)])
    });
    assert!(torrent.info.private);
    assert_eq!(torrent.announce.as_deref(), Some("http://a/x"));
    assert_eq!(torrent.tiers(), [vec!["http://a/x", "http://b/x"], vec!["udp://c:1"]]);
    assert_eq!(torrent.url_list, ["http://w/1", "http://w/2"]);
    assert_eq!(torrent.nodes[0].to_string(), "node.example:6881");
    assert_eq!(torrent.comment.as_deref(), Some("ü"));
    assert_eq!(torrent.created_by.as_deref(), Some("us"));
    assert_eq!(torrent.creation_date, Some(1_700_000_000));
    let others: Vec<_> = torrent.other_info_entries().map(|(key, _)| key.to_vec()).collect();
    assert_eq!(others, [b"source"]);
    assert_eq!(torrent.other_entries().count(), 0);
}

#[test]
fn what_is_not_given_is_not_written() {
    let torrent = made(Description {
        trackers: vec![vec!["http://a".into()]],
        web_seeds: vec!["http://w".into()],
        ..about(Version::V1, vec![file("a", 1)])
    });
    assert!(torrent.announce_list.is_empty(), "one tracker needs no list");
    assert_eq!(torrent.url_list, ["http://w"]);
    assert!(!torrent.info.private);
    assert_eq!((torrent.piece_layers, torrent.creation_date), (0, None));
}

#[test]
fn a_hybrid_pads_between_files_and_not_behind_the_last() {
    let files = vec![
        file("a", 10),
        file("b", 0),
        file("c", 16_384),
        file("d", 5),
        file("e", 0),
    ];
    let torrent = made(about(Version::Hybrid, files));
    let listed: Vec<_> = torrent
        .info
        .files()
        .map(|file| (file.path_lossy(), file.length))
        .collect();
    let pad = |length: u64| (format!(".pad/{length}"), length);
    let named = |name: &str, length| (name.to_owned(), length);
    assert_eq!(
        listed,
        [
            named("a", 10),
            named("b", 0),
            pad(16_374),
            named("c", 16_384),
            named("d", 5),
            named("e", 0)
        ]
    );
}

#[test]
fn a_single_file_has_no_directory_in_any_version() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let torrent = made(Description {
            single: true,
            name: "one".into(),
            files: vec![NewFile {
                executable: true,
                ..file("one", 50_000)
            }],
            ..about(version, Vec::new())
        });
        assert!(torrent.info.is_single_file());
        assert_eq!(torrent.info.version, version);
        assert_eq!(torrent.info.piece_count, 4);
    }
}

#[test]
fn equal_files_have_one_layer() {
    let draft = Draft::new(about(Version::V2, vec![file("a", 40_000), file("b", 40_000)])).unwrap();
    let mut pieces = hashes(draft.content());
    let (first, second) = pieces.split_at_mut(3);
    second.copy_from_slice(first);
    let torrent = Torrent::parse(&draft.finish(&pieces).unwrap()).unwrap();
    assert_eq!(torrent.piece_layers, 1);
}

#[test]
fn what_cannot_be_a_torrent_is_refused() {
    let refused = |about| Draft::new(about).unwrap_err();
    let v1 = |files| about(Version::V1, files);
    assert_eq!(refused(v1(vec![file("a", 0)])), BuildError::Empty);
    assert_eq!(refused(v1(Vec::new())), BuildError::Empty);
    let lengths = [0, 1, 8_192, 16_385, 49_152, 2 * MAX_PIECE_LENGTH];
    for piece_length in lengths {
        let error = refused(Description {
            piece_length,
            ..v1(vec![file("a", 1)])
        });
        assert_eq!(error, BuildError::PieceLength(piece_length));
    }
    let many = MAX_PIECES * 16_384 + 1;
    assert_eq!(
        refused(v1(vec![file("a", many)])),
        BuildError::TooManyPieces(MAX_PIECES + 1)
    );
    assert_eq!(
        refused(v1(vec![file("a", u64::MAX), file("b", 1)])),
        BuildError::TooLarge
    );
    assert_eq!(refused(v1(vec![file("a", 1 << 62)])), BuildError::TooLarge);
    for name in ["", ".", "..", "a\0", "_____padding_file_0_x"] {
        let name = name.to_owned();
        let of = NewFile {
            path: vec![name.clone()],
            ..file("x", 1)
        };
        assert_eq!(refused(v1(vec![of])), BuildError::Name(name.clone()));
        assert_eq!(
            refused(Description {
                name: name.clone(),
                ..v1(vec![file("a", 1)])
            }),
            BuildError::Name(name)
        );
    }
    for files in [["b", "a"], ["a", "a"], ["a", "a/b"]] {
        let files = files.map(|path| file(path, 1)).to_vec();
        let last = files[1].path.join("/");
        assert_eq!(refused(v1(files)), BuildError::Order(last));
    }
    let deep = "d/".repeat(64) + "f";
    assert_eq!(refused(v1(vec![file(&deep, 1)])), BuildError::TooDeep(deep));
}

#[test]
fn hashes_of_another_content_are_refused() {
    let draft = Draft::new(about(Version::Hybrid, vec![file("a", 40_000)])).unwrap();
    let mut pieces = hashes(draft.content());
    assert_eq!(draft.finish(&pieces[1..]), Err(BuildError::Hashes));
    pieces[1].v2 = None;
    assert_eq!(draft.finish(&pieces), Err(BuildError::Hashes));
    pieces[0].v1 = None;
    assert_eq!(draft.finish(&pieces), Err(BuildError::Hashes));
}

#[test]
fn piece_lengths_grow_with_the_content() {
    let lengths = |total: u64| piece_length_for(total) >> 10;
    assert_eq!(lengths(0), 16);
    assert_eq!(lengths((16 << 20) - 1), 16);
    assert_eq!(lengths(16 << 20), 256);
    assert_eq!(lengths((512 << 20) - 1), 256);
    assert_eq!(lengths(512 << 20), 1024);
    assert_eq!(lengths(20_000 << 20), 1024);
    assert_eq!(lengths((20_000 << 20) + 1), 2048);
    assert_eq!(piece_length_for(u64::MAX), MAX_PIECE_LENGTH);
}

fn any_files() -> impl Strategy<Value = Vec<NewFile>> {
    let name = prop::sample::select(vec!["a", "b", "ü", "a b", "A"]);
    let path = proptest::collection::vec(name, 1..4).prop_map(|path| path.join("/"));
    let length = prop::sample::select(vec![0, 1, 16_383, 16_384, 16_385, 70_000]);
    proptest::collection::vec((path, length, any::<bool>()), 1..8).prop_map(|files| {
        let mut files: Vec<_> = files
            .into_iter()
            .map(|(path, length, executable)| NewFile {
                executable,
                ..file(&path, length)
            })
            .collect();
        files.push(file("z", 1));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|b, a| b.path.starts_with(&a.path));
        files
    })
}

proptest! {
    #[test]
    fn any_tree_of_files_is_read_back_as_it_was(
        files in any_files(),
        piece_length in prop::sample::select(vec![16_384u64, 32_768]),
        version in prop::sample::select(vec![Version::V1, Version::V2, Version::Hybrid]),
    ) {
        let torrent = made(Description { piece_length, ..about(version, files.clone()) });
        let real = torrent.info.files().filter(|file| !file.pad);
        let read: Vec<_> = real
            .map(|read| NewFile { executable: read.executable, ..file(&read.path_lossy(), read.length) })
            .collect();
        prop_assert_eq!(read, files);
    }
}

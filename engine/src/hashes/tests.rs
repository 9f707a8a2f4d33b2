//! Hash trees against trees written out whole, and two torrents that ask one another.

use std::collections::BTreeSet;

use proptest::prelude::*;
use wire::metainfo::{Torrent, Version};

use super::*;
use crate::layout::made::Made;

const KIB16: u64 = 16_384;

/// Every layer of a tree by the book, leaves first.
fn layers(leaves: &[Hash]) -> Vec<Vec<Hash>> {
    let mut layer = leaves.to_vec();
    layer.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut layers = vec![layer];
    while layers.last().unwrap().len() > 1 {
        let below = layers.last().unwrap();
        layers.push(below.chunks(2).map(|two| merkle::leaf(&two.concat())).collect());
    }
    layers
}

/// A torrent with files of so many blocks, the last of each 100 bytes short, and their trees.
struct Tried {
    layout: Layout,
    trees: Vec<Vec<Vec<Hash>>>,
    blocks: Vec<usize>,
    piece_layer: usize,
}

impl Tried {
    fn new(version: Version, piece_layer: usize, blocks: &[usize]) -> Self {
        let names: Vec<String> = (0..blocks.len()).map(|at| format!("{at}")).collect();
        let lens = blocks.iter().map(|&blocks| blocks as u64 * KIB16 - 100);
        let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(lens).collect();
        let mut made = Made::new(version, KIB16 << piece_layer, &files);
        let trees: Vec<_> = (0_u8..)
            .zip(blocks)
            .map(|(file, &blocks)| {
                let leaf = |at: usize| merkle::leaf(&[&[file][..], &at.to_le_bytes()].concat());
                layers(&(0..blocks).map(leaf).collect::<Vec<_>>())
            })
            .collect();
        made.roots = trees.iter().map(|tree| tree.last().unwrap()[0]).collect();
        Self {
            layout: made.layout().unwrap(),
            trees,
            blocks: blocks.to_vec(),
            piece_layer,
        }
    }

    fn v2(piece_layer: usize, blocks: &[usize]) -> Self {
        Self::new(Version::V2, piece_layer, blocks)
    }

    fn root(&self, file: usize) -> Hash {
        self.trees[file].last().unwrap()[0]
    }

    /// The piece layer of a file as a .torrent has it.
    fn layer(&self, file: usize) -> Vec<Hash> {
        let pieces = self.blocks[file].div_ceil(1 << self.piece_layer);
        self.trees[file][self.piece_layer][..pieces].to_vec()
    }

    /// The leaves of a piece of a file.
    fn leaves(&self, file: usize, piece: usize) -> &[Hash] {
        let first = piece << self.piece_layer;
        let last = (first + (1 << self.piece_layer)).min(self.blocks[file]);
        &self.trees[file][0][first..last]
    }

    fn nothing_known(&self) -> Hashes {
        Hashes::new(&self.layout)
    }

    fn all_known(&self) -> Hashes {
        let mut hashes = self.nothing_known();
        for file in 0..self.blocks.len() {
            if self.trees[file].len() > self.piece_layer + 1 {
                hashes
                    .add_layer(&self.layout, &self.root(file), &self.layer(file))
                    .unwrap();
            }
        }
        hashes
    }

    /// What one who knows all answers about piece hashes.
    fn answer(&self, range: &HashRange) -> Vec<Hash> {
        let mut out = Vec::new();
        let served = self.all_known().serve(&self.layout, range, |_| true, &mut out);
        assert_eq!(served, Served::Hashes);
        out
    }
}

#[test]
fn a_file_of_one_piece_is_checked_by_its_root() {
    let tried = Tried::v2(2, &[3, 1]);
    let hashes = tried.nothing_known();
    assert!(hashes.is_complete(), "there is no layer to fetch");
    assert_eq!(hashes.piece_root(&tried.layout, 0), Some(tried.root(0)));
    assert_eq!(hashes.check_piece(&tried.layout, 0, tried.leaves(0, 0)), Check::Right);
    assert_eq!(hashes.check_piece(&tried.layout, 1, tried.leaves(1, 0)), Check::Right);
    assert_eq!(hashes.check_piece(&tried.layout, 1, tried.leaves(0, 0)), Check::Wrong);
    assert_eq!(
        hashes.check_piece(&tried.layout, 0, &tried.leaves(0, 0)[..2]),
        Check::Wrong,
        "too few"
    );
    assert_eq!(
        hashes.check_piece(&tried.layout, 2, &[]),
        Check::Unknown,
        "no such piece"
    );
}

#[test]
fn a_piece_without_a_hash_is_unknown_until_its_layer_comes() {
    let tried = Tried::v2(1, &[5]);
    let mut hashes = tried.nothing_known();
    assert_eq!(hashes.check_piece(&tried.layout, 2, tried.leaves(0, 2)), Check::Unknown);
    hashes
        .add_layer(&tried.layout, &tried.root(0), &tried.layer(0))
        .unwrap();
    for piece in 0..3 {
        assert_eq!(
            hashes.check_piece(&tried.layout, piece, tried.leaves(0, piece as usize)),
            Check::Right
        );
    }
    let mut bad = tried.leaves(0, 1).to_vec();
    bad[1][7] ^= 1;
    assert_eq!(hashes.check_piece(&tried.layout, 1, &bad), Check::Wrong);
}

#[test]
fn a_hybrid_has_the_hashes_of_its_files_and_none_of_its_padding() {
    let tried = Tried::new(Version::Hybrid, 2, &[5, 2, 9]);
    let hashes = tried.all_known();
    assert_eq!(tried.layout.pieces(), 2 + 1 + 3);
    assert_eq!(hashes.check_piece(&tried.layout, 1, tried.leaves(0, 1)), Check::Right);
    assert_eq!(hashes.check_piece(&tried.layout, 2, tried.leaves(1, 0)), Check::Right);
    assert_eq!(hashes.check_piece(&tried.layout, 5, tried.leaves(2, 2)), Check::Right);
}

#[test]
fn a_v1_torrent_has_no_hashes_here() {
    let layout = Made::new(Version::V1, KIB16, &[("a", 99_999)]).layout().unwrap();
    let mut hashes = Hashes::new(&layout);
    assert_eq!(hashes.piece_root(&layout, 0), None);
    assert_eq!(hashes.needs(&layout, |_| true), None);
    assert_eq!(hashes.ask_for(&layout, 0), None);
}

#[test]
fn the_layers_of_libtorrent_are_taken_and_written_back_as_they_were() {
    for raw in [
        &include_bytes!("../../../wire/tests/fixtures/v2-multi.torrent")[..],
        include_bytes!("../../../wire/tests/fixtures/hybrid-multi.torrent"),
    ] {
        let torrent = Torrent::parse(raw).unwrap();
        let rules = crate::NameRules::Portable;
        let layout = Layout::new(torrent.info.clone().into(), torrent.raw_info().into(), rules).unwrap();
        let mut hashes = Hashes::new(&layout);
        let mut written = Vec::new();
        assert!(!hashes.piece_layers_bencoded(&mut written));
        for (root, layer) in torrent.layers() {
            hashes.add_layer(&layout, root, layer).unwrap();
            assert!(hashes.layer(&layout, root).unwrap().eq(layer));
        }
        assert!(hashes.piece_layers_bencoded(&mut written));
        assert!(raw.windows(written.len()).any(|window| window == written));
        assert!((0..layout.pieces()).all(|piece| hashes.piece_root(&layout, piece).is_some()));
        assert!(hashes.layer(&layout, &[9; 32]).is_none());
    }
}

#[test]
fn the_trees_of_libtorrent_are_those_of_the_content() {
    for raw in [
        &include_bytes!("../../../wire/tests/fixtures/v2-trees.torrent")[..],
        include_bytes!("../../../wire/tests/fixtures/hybrid-trees.torrent"),
    ] {
        let torrent = Torrent::parse(raw).unwrap();
        let rules = crate::NameRules::Portable;
        let layout = Layout::new(torrent.info.clone().into(), torrent.raw_info().into(), rules).unwrap();
        let mut hashes = Hashes::new(&layout);
        for (root, layer) in torrent.layers() {
            hashes.add_layer(&layout, root, layer).unwrap();
        }
        assert_eq!(layout.pieces(), 4 + 1 + 1);
        for piece in 0..layout.pieces() {
            let slice = layout.map_block(piece, 0, u32::MAX).next().unwrap();
            let content: Vec<u8> = (slice.at..)
                .take(slice.len as usize)
                .map(|at| (at * 7 % 251) as u8)
                .collect();
            let leaves: Vec<Hash> = content.chunks(BLOCK as usize).map(merkle::leaf).collect();
            assert_eq!(hashes.check_piece(&layout, piece, &leaves), Check::Right);
        }
    }
}

#[test]
fn a_layer_that_does_not_lead_to_its_root_is_refused() {
    for blocks in [5, 1_300] {
        let tried = Tried::v2(0, &[blocks]);
        let mut hashes = tried.nothing_known();
        let good = tried.layer(0);
        let mut bad = good.clone();
        bad[blocks - 1][31] ^= 1;
        let add = |hashes: &mut Hashes, layer: &[Hash]| hashes.add_layer(&tried.layout, &tried.root(0), layer);
        assert_eq!(add(&mut hashes, &bad), Err(LayerError::Wrong(0)));
        let length = LayerError::Length {
            file: 0,
            hashes: blocks - 1,
            pieces: blocks as u32,
        };
        assert_eq!(add(&mut hashes, &good[1..]), Err(length));
        assert_eq!(hashes.piece_root(&tried.layout, 0), None);
        hashes.add_layer(&tried.layout, &[7; 32], &good).unwrap();
        assert!(!hashes.is_complete(), "a layer of no file changes nothing");
        add(&mut hashes, &good).unwrap();
        assert!(hashes.is_complete());
    }
}

#[test]
fn a_request_is_as_large_as_the_rest_of_the_layer_and_proves_itself_up_to_the_root() {
    let tried = Tried::v2(1, &[2 * 1_100]);
    let mut hashes = tried.nothing_known();
    let asks: Vec<HashRange> = std::iter::from_fn(|| hashes.needs(&tried.layout, |_| true)).collect();
    let told: Vec<_> = asks.iter().map(|ask| (ask.index, ask.length)).collect();
    assert_eq!(told, [(0, 512), (512, 512), (1_024, 128)]);
    // 1,100 pieces: 11 layers from the piece hashes to the root, which is no part of the proof.
    assert!(asks.iter().all(|ask| (ask.base_layer, ask.proof_layers) == (1, 10)));
    assert_eq!(tried.answer(&asks[2]).len(), 128 + 4);
    let two = Tried::v2(3, &[9])
        .nothing_known()
        .needs(&Tried::v2(3, &[9]).layout, |_| true);
    assert_eq!(
        two.map(|ask| (ask.base_layer, ask.index, ask.length, ask.proof_layers)),
        Some((3, 0, 2, 0))
    );
}

#[test]
fn a_peer_is_asked_only_about_pieces_that_it_has() {
    let tried = Tried::v2(0, &[600, 3, 700]);
    let mut hashes = tried.nothing_known();
    let mut offered = BTreeSet::new();
    let ask = hashes.needs(&tried.layout, |pieces| {
        offered.insert((pieces.start, pieces.end));
        pieces.contains(&602)
    });
    assert_eq!(ask.map(|ask| (ask.pieces_root, ask.index)), Some((tried.root(1), 0)));
    assert_eq!(offered, [(0, 512), (512, 600), (600, 603)].into());
    assert_eq!(
        hashes.needs(&tried.layout, |pieces| pieces.contains(&601)),
        None,
        "asked for already"
    );
}

#[test]
fn what_a_peer_does_not_answer_is_asked_again() {
    let tried = Tried::v2(0, &[5]);
    let mut hashes = tried.nothing_known();
    let ask = hashes.needs(&tried.layout, |_| true).unwrap();
    assert_eq!(hashes.needs(&tried.layout, |_| true), None);
    hashes.let_go(&tried.layout, &ask);
    assert_eq!(hashes.needs(&tried.layout, |_| true), Some(ask));
}

#[test]
fn a_piece_that_waits_for_its_hash_may_be_asked_about_twice() {
    let tried = Tried::v2(0, &[1_000]);
    let mut hashes = tried.nothing_known();
    let ask = hashes.ask_for(&tried.layout, 700).unwrap();
    assert_eq!(ask.index, 512);
    assert_eq!(hashes.ask_for(&tried.layout, 700), Some(ask));
    assert_eq!(hashes.ask_for(&tried.layout, 999), None, "two owe it");
    let answer = tried.answer(&ask);
    assert_eq!(hashes.received(&tried.layout, &ask, &answer), Received::Layer);
    assert_eq!(
        hashes.received(&tried.layout, &ask, &answer),
        Received::Layer,
        "the second is as good"
    );
    assert_eq!(hashes.ask_for(&tried.layout, 700), None, "it is known");
    assert_eq!(hashes.piece_root(&tried.layout, 700), Some(tried.layer(0)[700]));
    assert_eq!(hashes.piece_root(&tried.layout, 0), None);
}

#[test]
fn files_of_equal_content_are_fetched_once() {
    let mut made = Made::new(Version::V2, KIB16, &[("a", 3 * KIB16), ("b", 3 * KIB16), ("c", KIB16)]);
    let tree = layers(&[[1; 32], [2; 32], [3; 32]]);
    made.roots = vec![tree[2][0], tree[2][0], [9; 32]];
    let layout = made.layout().unwrap();
    let mut hashes = Hashes::new(&layout);
    // Who has only the second file can be asked too.
    let ask = hashes.needs(&layout, |pieces| pieces.start >= 3).unwrap();
    assert_eq!(hashes.received(&layout, &ask, &tree[0]), Received::Layer);
    assert!(hashes.is_complete());
    assert_eq!(hashes.piece_root(&layout, 4), Some([2; 32]));
    assert_eq!(hashes.piece_root(&layout, 6), Some([9; 32]));
    let mut written = Vec::new();
    assert!(hashes.piece_layers_bencoded(&mut written));
    assert_eq!(written.len(), "d32:".len() + 32 + "96:".len() + 96 + "e".len());
}

#[test]
fn the_leaves_of_a_failed_piece_show_its_bad_blocks() {
    let tried = Tried::v2(3, &[8 + 5]);
    let mut hashes = tried.all_known();
    let ask = hashes.ask_leaves(&tried.layout, 1, 0).unwrap();
    assert_eq!((ask.base_layer, ask.index, ask.length, ask.proof_layers), (0, 8, 8, 2));
    let mut answer = Vec::new();
    let other = tried.all_known();
    assert_eq!(
        other.serve(&tried.layout, &ask, |_| true, &mut answer),
        Served::Leaves(1..2)
    );
    assert!(other.serve_leaves(&tried.layout, &ask, tried.leaves(0, 1), &mut answer));
    let expected = Received::Leaves {
        first: 0,
        leaves: tried.leaves(0, 1),
    };
    assert_eq!(hashes.received(&tried.layout, &ask, &answer), expected);
    answer[2][0] ^= 1;
    assert_eq!(hashes.received(&tried.layout, &ask, &answer), Received::Lie);
    assert_eq!(hashes.ask_leaves(&tried.layout, 1, 1), None, "that was all");
    assert_eq!(
        tried.nothing_known().ask_leaves(&tried.layout, 1, 0),
        None,
        "nothing to compare with"
    );
}

#[test]
fn the_leaves_of_a_large_piece_are_asked_for_in_parts() {
    // The first file is one piece and its tree lower than a piece's; the second has two.
    let tried = Tried::v2(11, &[1_030, 2_048 + 600]);
    let mut hashes = tried.all_known();
    let other = tried.all_known();
    for (piece, file, within, indices) in [(0, 0, 0, vec![0, 512, 1_024]), (2, 1, 1, vec![2_048, 2_560])] {
        let mut found: Vec<Hash> = Vec::new();
        let mut asked = Vec::new();
        while let Some(ask) = hashes.ask_leaves(&tried.layout, piece, asked.len() as u32) {
            asked.push(ask.index);
            // Others may serve pieces of this size; we do not, so the answer is made by the book.
            assert_eq!(
                other.serve(&tried.layout, &ask, |_| true, &mut Vec::new()),
                match file {
                    0 => Served::Reject,
                    _ => Served::Leaves(2..3),
                }
            );
            let answer = by_the_book(&tried, file, &ask);
            let Received::Leaves { first, leaves } = hashes.received(&tried.layout, &ask, &answer) else {
                panic!("true leaves are taken");
            };
            assert_eq!(first as usize, found.len());
            found.extend(leaves);
        }
        assert_eq!(asked, indices);
        assert_eq!(found, tried.leaves(file, within));
    }
}

#[test]
fn a_piece_of_one_block_has_no_leaves_to_ask_for() {
    assert_eq!(
        Tried::v2(0, &[4])
            .all_known()
            .ask_leaves(&Tried::v2(0, &[4]).layout, 1, 0),
        None
    );
    assert_eq!(
        Tried::v2(2, &[1])
            .all_known()
            .ask_leaves(&Tried::v2(2, &[1]).layout, 0, 0),
        None
    );
}

#[test]
fn leaves_of_pieces_that_are_not_here_are_not_served() {
    let tried = Tried::v2(1, &[6]);
    let hashes = tried.all_known();
    let ask = hashes.ask_leaves(&tried.layout, 1, 0).unwrap();
    assert_eq!(
        hashes.serve(&tried.layout, &ask, |piece| piece != 1, &mut Vec::new()),
        Served::Reject
    );
    let mut out = vec![[5; 32]];
    assert!(
        !hashes.serve_leaves(&tried.layout, &ask, tried.leaves(0, 2), &mut out),
        "the disk has other bytes"
    );
    assert!(!hashes.serve_leaves(&tried.layout, &ask, &[], &mut out));
    assert_eq!(out, [[5; 32]]);
}

#[test]
fn requests_beyond_the_rules_are_rejected() {
    let tried = Tried::v2(1, &[40]);
    let hashes = tried.all_known();
    let good = HashRange {
        pieces_root: tried.root(0),
        base_layer: 1,
        index: 4,
        length: 4,
        proof_layers: 4,
    };
    let serve = |range: HashRange| hashes.serve(&tried.layout, &range, |_| true, &mut Vec::new());
    assert_eq!(serve(good), Served::Hashes);
    for wrong in [
        HashRange {
            pieces_root: [1; 32],
            ..good
        },
        HashRange { base_layer: 2, ..good },
        HashRange {
            base_layer: u32::MAX,
            ..good
        },
        HashRange { index: 2, ..good },
        HashRange { index: 32, ..good },
        HashRange {
            index: u32::MAX - 3,
            ..good
        },
        HashRange { length: 0, ..good },
        HashRange { length: 1, ..good },
        HashRange { length: 3, ..good },
        HashRange {
            length: 64,
            index: 0,
            ..good
        },
        HashRange {
            length: 1 << 31,
            index: 0,
            ..good
        },
        HashRange {
            proof_layers: 5,
            ..good
        },
        HashRange {
            proof_layers: u32::MAX,
            ..good
        },
        HashRange {
            base_layer: 0,
            proof_layers: 6,
            ..good
        },
        HashRange {
            base_layer: 0,
            index: 60,
            ..good
        },
    ] {
        assert_eq!(serve(wrong), Served::Reject, "{wrong:?}");
    }
}

#[test]
fn who_knows_part_of_a_layer_serves_that_part() {
    let tried = Tried::v2(0, &[1_200]);
    let mut hashes = tried.nothing_known();
    let ask = hashes.ask_for(&tried.layout, 600).unwrap();
    assert_eq!(
        hashes.serve(&tried.layout, &ask, |_| true, &mut Vec::new()),
        Served::Reject
    );
    let answer = tried.answer(&ask);
    hashes.received(&tried.layout, &ask, &answer);
    let mut out = Vec::new();
    assert_eq!(hashes.serve(&tried.layout, &ask, |_| true, &mut out), Served::Hashes);
    assert_eq!(out, answer);
    let other = HashRange { index: 0, ..ask };
    assert_eq!(hashes.serve(&tried.layout, &other, |_| true, &mut out), Served::Reject);
    assert_eq!(out, answer, "nothing is left behind");
}

#[test]
fn an_answer_to_what_was_never_asked_changes_nothing() {
    let tried = Tried::v2(1, &[20]);
    let mut hashes = tried.nothing_known();
    let ask = hashes.ask_for(&tried.layout, 0).unwrap();
    let part = HashRange { length: 4, ..ask };
    assert_eq!(
        hashes.received(&tried.layout, &part, &by_the_book(&tried, 0, &part)),
        Received::Unasked
    );
    let leaves = HashRange {
        base_layer: 0,
        length: 2,
        proof_layers: 0,
        ..ask
    };
    assert_eq!(
        hashes.received(&tried.layout, &leaves, &tried.trees[0][0][..2]),
        Received::Unasked
    );
    let nobody = HashRange {
        pieces_root: [1; 32],
        ..ask
    };
    assert_eq!(hashes.received(&tried.layout, &nobody, &[]), Received::Unasked);
    assert!(!hashes.is_complete());
}

/// The answer to a request, out of the whole tree.
fn by_the_book(tried: &Tried, file: usize, range: &HashRange) -> Vec<Hash> {
    let layers = &tried.trees[file][range.base_layer as usize..];
    let (index, length) = (range.index as usize, range.length as usize);
    let mut out = layers[0][index..index + length].to_vec();
    for (above, layer) in (0..=range.proof_layers as usize).zip(layers) {
        // The layer of the one node above the hashes is the first that gives an uncle.
        if 1 << above >= length {
            out.push(layer[index >> above ^ 1]);
        }
    }
    out
}

fn any_torrent() -> impl Strategy<Value = Tried> {
    let blocks = prop_oneof![3 => 1_usize..12, 2 => 1_usize..200, 1 => 500_usize..2_200];
    (0_usize..4, proptest::collection::vec(blocks, 1..4)).prop_map(|(layer, blocks)| Tried::v2(layer, &blocks))
}

impl std::fmt::Debug for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "piece layer {}, blocks {:?}", self.piece_layer, self.blocks)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_layers_come_over_the_wire_and_lies_never(
        tried in any_torrent(),
        flip in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let seed = tried.all_known();
        let mut hashes = tried.nothing_known();
        while let Some(ask) = hashes.needs(&tried.layout, |_| true) {
            prop_assert!(ask.length <= 512);
            let mut answer = Vec::new();
            prop_assert_eq!(seed.serve(&tried.layout, &ask, |_| true, &mut answer), Served::Hashes);
            let mut lie = answer.clone();
            if cut {
                lie.pop();
            } else {
                lie[flip.index(answer.len())][flip.index(32)] ^= 1;
            }
            prop_assert_eq!(hashes.received(&tried.layout, &ask, &lie), Received::Lie);
            let again = hashes.needs(&tried.layout, |_| true);
            prop_assert!(again.is_some(), "a lie leaves the question open");
            let again = again.unwrap();
            let mut answer = Vec::new();
            seed.serve(&tried.layout, &again, |_| true, &mut answer);
            prop_assert_eq!(hashes.received(&tried.layout, &again, &answer), Received::Layer);
        }
        prop_assert!(hashes.is_complete());
        for file in 0..tried.blocks.len() {
            let pieces = tried.layout.pieces_of(file as u32);
            if pieces.len() > 1 {
                let known = hashes.layer(&tried.layout, &tried.root(file)).unwrap();
                prop_assert!(known.copied().eq(tried.layer(file)));
            }
            for (within, piece) in pieces.enumerate() {
                let check = hashes.check_piece(&tried.layout, piece, tried.leaves(file, within));
                prop_assert_eq!(check, Check::Right);
            }
        }
    }

    #[test]
    fn every_answer_is_what_the_whole_tree_says(
        tried in any_torrent(),
        file in any::<prop::sample::Index>(),
        log in 1_u32..11,
        at in any::<prop::sample::Index>(),
        proof in any::<prop::sample::Index>(),
        leaves in any::<bool>(),
    ) {
        let file = file.index(tried.blocks.len());
        let base = if leaves { 0 } else { tried.piece_layer };
        let tree = &tried.trees[file];
        prop_assume!(tree.len() > base + 1);
        let height = tree.len() as u32 - 1 - base as u32;
        let log = log.min(height);
        let range = HashRange {
            pieces_root: tried.root(file),
            base_layer: base as u32,
            index: (at.index(1 << (height - log)) << log) as u32,
            length: 1 << log,
            proof_layers: proof.index(height as usize) as u32,
        };
        let mut out = Vec::new();
        let hashes = tried.all_known();
        match hashes.serve(&tried.layout, &range, |_| true, &mut out) {
            Served::Hashes => {}
            Served::Leaves(pieces) => {
                let start = tried.layout.pieces_of(file as u32).start;
                let given: Vec<Hash> = pieces.flat_map(|piece| tried.leaves(file, (piece - start) as usize).to_vec()).collect();
                prop_assert!(hashes.serve_leaves(&tried.layout, &range, &given, &mut out));
            }
            Served::Reject => {
                let beyond = range.index as usize >= tried.blocks[file].next_multiple_of(1 << tried.piece_layer);
                prop_assert!(beyond && base == 0, "only leaves of nothing but padding are refused");
                return Ok(());
            }
        }
        prop_assert_eq!(out.len() as u32, range.length + merkle::proof_len(range.length, range.proof_layers));
        prop_assert_eq!(out, by_the_book(&tried, file, &range));
    }

    #[test]
    fn no_request_of_a_stranger_is_too_much(
        tried in any_torrent(),
        numbers in proptest::array::uniform4(prop_oneof![0_u32..20, (0_u32..32).prop_map(|log| 1 << log), any::<u32>()]),
        salt in any::<u8>(),
    ) {
        let [base_layer, index, length, proof_layers] = numbers;
        let range = HashRange { pieces_root: tried.root(0), base_layer, index, length, proof_layers };
        let mut hashes = tried.all_known();
        let mut out = Vec::new();
        let served = hashes.serve(&tried.layout, &range, |_| true, &mut out);
        prop_assert!(out.len() <= MAX_SERVED as usize + 32);
        prop_assert_eq!(served != Served::Hashes, out.is_empty());
        if let Served::Leaves(pieces) = served {
            prop_assert!(pieces.end <= tried.layout.pieces() && !pieces.is_empty());
        }
        prop_assert!(!hashes.serve_leaves(&tried.layout, &range, &[[salt; 32]], &mut out));
        hashes.received(&tried.layout, &range, &[[salt; 32]; 3]);
        prop_assert!(hashes.is_complete());
    }
}

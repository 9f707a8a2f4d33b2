//! Roots and proofs against the definition, spelled out without regard to cost.

use proptest::prelude::*;

use super::*;

/// The whole tree by the book: every layer, leaves first, filled with zeros to a power of two.
fn layers(leaves: &[Hash]) -> Vec<Vec<Hash>> {
    let mut layer = leaves.to_vec();
    layer.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut layers = vec![layer];
    while layers.last().unwrap().len() > 1 {
        let below = layers.last().unwrap();
        let above = below
            .chunks(2)
            .map(|two| Sha256::digest([two[0], two[1]].concat()).into())
            .collect();
        layers.push(above);
    }
    layers
}

fn some_leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|at| leaf(&at.to_le_bytes())).collect()
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_leaf_is_sha256_of_its_block() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hex(&leaf(b"abc")), abc);
}

#[test]
fn a_piece_of_64_kib_hashes_to_the_root_over_its_four_leaves() {
    let piece: Vec<u8> = (0..65_536_u32).map(|at| (at * 7 % 251) as u8).collect();
    let leaves: Vec<Hash> = piece.chunks(LEAF_LEN).map(leaf).collect();
    let left = pair(&leaves[0], &leaves[1]);
    let right = pair(&leaves[2], &leaves[3]);
    assert_eq!(root(&leaves), pair(&left, &right));
    assert_ne!(root(&leaves), leaf(&piece), "not the hash of the whole piece");
}

#[test]
fn a_piece_of_one_block_is_its_own_root() {
    assert_eq!(root(&[leaf(b"abc")]), leaf(b"abc"));
    assert_eq!(height(1), 0);
}

#[test]
fn nothing_but_padding_is_zeros_hashed_upwards() {
    assert_eq!(pad(0), [0; 32]);
    let one = "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b";
    assert_eq!(hex(&pad(1)), one, "SHA-256 of 64 zero bytes");
    assert_eq!(pad(5), layers(&[[0; 32]; 32])[5][0]);
    assert_eq!(Fold::new(2).finish(3), pad(5));
}

#[test]
fn the_height_of_a_tree_is_its_layers_above_the_leaves() {
    let heights = [0, 1, 2, 3, 4, 5, 8, 9, 512, 513].map(height);
    assert_eq!(heights, [0, 0, 1, 2, 2, 3, 3, 4, 9, 10]);
    assert_eq!(height(u64::MAX), 64);
}

#[test]
fn layers_that_the_hashes_fill_need_no_proof() {
    // 8 hashes give the three layers above them; of these the first two count as asked for.
    let lengths = [0, 1, 2, 3, 4].map(|layers| proof_len(8, layers));
    assert_eq!(lengths, [0, 0, 0, 1, 2]);
    assert_eq!(proof_len(2, 1), 1);
}

proptest! {
    #[test]
    fn a_root_is_what_the_definition_says(count in 1_usize..80, extra in 0_u32..4) {
        let leaves = some_leaves(count);
        let by_the_book = layers(&leaves);
        prop_assert_eq!(root(&leaves), by_the_book.last().unwrap()[0]);
        let mut fold = Fold::new(0);
        leaves.iter().for_each(|leaf| fold.push(leaf));
        prop_assert_eq!(fold.len(), leaves.len() as u64);
        let mut wider = leaves;
        wider.resize(wider.len().next_power_of_two() << extra, [0; 32]);
        let taller = height(fold.len()) + extra;
        prop_assert_eq!(fold.finish(taller), layers(&wider).last().unwrap()[0]);
    }

    #[test]
    fn the_root_over_a_layer_is_the_root_over_the_leaves(pieces in 2_usize..20, last in 1_usize..8, layer in 1_u32..4) {
        let width = 1 << layer;
        let leaves = some_leaves((pieces - 1) * width + last.min(width));
        let nodes: Vec<Hash> = leaves.chunks(width).map(|piece| {
            let mut fold = Fold::new(0);
            piece.iter().for_each(|leaf| fold.push(leaf));
            fold.finish(layer)
        }).collect();
        prop_assert_eq!(root_of_layer(&nodes, layer), root(&leaves));
    }

    #[test]
    fn a_proof_leads_to_the_root_and_only_from_the_right_node(
        count in 1_usize..70,
        at in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let layers = layers(&some_leaves(count));
        let index = at.index(layers[0].len());
        let proof: Vec<Hash> = layers[..layers.len() - 1].iter().enumerate()
            .map(|(above, layer)| layer[index >> above ^ 1]).collect();
        let root = layers.last().unwrap()[0];
        let node = layers[0][index];
        let mut passed = Vec::new();
        prop_assert_eq!(climb(&node, index as u64, &proof, |step, hash| passed.push((step, *hash))), root);
        for (step, hash) in passed {
            prop_assert_eq!(hash, layers[step as usize][index >> step]);
        }
        let mut wrong = node;
        wrong[flip.index(32)] ^= 1;
        prop_assert_ne!(climb(&wrong, index as u64, &proof, |_, _| ()), root);
        if count > 1 {
            let mut bent = proof;
            let step = flip.index(bent.len());
            bent[step][0] ^= 1;
            prop_assert_ne!(climb(&node, index as u64, &bent, |_, _| ()), root);
        }
    }
}

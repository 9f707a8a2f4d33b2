//! Hash trees over a file's blocks of 16 KiB (BEP 52): leaves, roots, and proofs that some hashes belong to a root.
//!
//! Layers are counted from the leaves, which are layer 0. A tree is full: leaves beyond the end of the file are zero, so
//! a node that has only such leaves below it is the same in every tree ([`pad`]).

use sha2::{Digest, Sha256};

/// SHA-256 over a block, or over two hashes of the layer below.
pub type Hash = [u8; 32];

/// Bytes under a leaf; the last of a file may have fewer.
pub const LEAF_LEN: usize = 16_384;

/// Layers of the tallest tree that [`Fold`] builds: 2^48 leaves, more than a file of 2^62 bytes has.
const MAX_HEIGHT: usize = 48;

/// The leaf of one block.
pub fn leaf(block: &[u8]) -> Hash {
    Sha256::digest(block).into()
}

/// The node above two.
pub fn pair(left: &Hash, right: &Hash) -> Hash {
    let mut both = Sha256::new();
    both.update(left);
    both.update(right);
    both.finalize().into()
}

/// The node of `layer` that has nothing but leaves beyond the end of the file below it.
pub fn pad(layer: u32) -> Hash {
    (0..layer).fold([0; 32], |hash, _| pair(&hash, &hash))
}

/// Layers above so many nodes until there is one: 0 for one node, 1 for two, 2 for three or four.
pub fn height(nodes: u64) -> u32 {
    nodes.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

/// The root over these leaves, filled up with zeros to a power of two.
pub fn root(leaves: &[Hash]) -> Hash {
    root_of_layer(leaves, 0)
}

/// The root over these nodes of `layer`, filled up with its [`pad`]s to a power of two: over a file's piece hashes, its
/// `pieces root`.
pub fn root_of_layer(nodes: &[Hash], layer: u32) -> Hash {
    let mut fold = Fold::new(layer);
    nodes.iter().for_each(|node| fold.push(node));
    fold.finish(height(fold.len()))
}

/// Builds a root out of nodes that come one by one, in order: keeps one hash for each layer and allocates nothing, can be
/// put aside and gone on with.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The layer of the nodes that are pushed.
    layer: u32,
    /// Of each layer the left node that has no right one yet: there if that bit of `len` is set.
    open: [Hash; MAX_HEIGHT],
    len: u64,
}

impl Fold {
    /// For nodes of `layer`: 0 for leaves.
    pub fn new(layer: u32) -> Self {
        Self {
            layer,
            open: [[0; 32]; MAX_HEIGHT],
            len: 0,
        }
    }

    /// The next node.
    pub fn push(&mut self, node: &Hash) {
        let mut node = *node;
        for (above, slot) in self.open.iter_mut().enumerate() {
            if self.len >> above & 1 == 0 {
                *slot = node;
                break;
            }
            node = pair(slot, &node);
        }
        self.len += 1;
    }

    /// How many nodes came.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The node `height` layers above those that came, as if pads followed. `height` must leave room for them: at least
    /// [`height`] of [`len`](Self::len).
    pub fn finish(&self, height: u32) -> Hash {
        // The rightmost node so far with all that is right of it, and the pad of its layer.
        let mut right: Option<(Hash, Hash)> = None;
        for (above, open) in (0..height).zip(&self.open) {
            let is_open = self.len >> above & 1 == 1;
            let step = |node, pad| Some((node, pair(&pad, &pad)));
            right = match right {
                None if !is_open => None,
                None => {
                    let pad = pad(self.layer + above);
                    step(pair(open, &pad), pad)
                }
                Some((node, pad)) if is_open => step(pair(open, &node), pad),
                Some((node, pad)) => step(pair(&node, &pad), pad),
            };
        }
        let full = usize::try_from(height).ok().and_then(|height| self.open.get(height));
        match (right, full) {
            (Some((node, _)), _) => node,
            (None, Some(full)) if self.len > 0 => *full,
            _ => pad(self.layer + height),
        }
    }
}

/// How many hashes of proof follow `length` hashes if `proof_layers` were asked for: layers that the hashes fill
/// themselves are counted and not sent.
pub fn proof_len(length: u32, proof_layers: u32) -> u32 {
    proof_layers.saturating_add(1).saturating_sub(height(length.into()))
}

/// Climbs from a node to its ancestor: `index` is the node's place in its layer, `proof` has the other child on each step,
/// the lowest first. `each` is told of every node passed: its distance from the first node and its hash.
pub fn climb(node: &Hash, index: u64, proof: &[Hash], mut each: impl FnMut(u32, &Hash)) -> Hash {
    let (mut node, mut index) = (*node, index);
    for (step, uncle) in (1..).zip(proof) {
        node = if index & 1 == 0 {
            pair(&node, uncle)
        } else {
            pair(uncle, &node)
        };
        index >>= 1;
        each(step, &node);
    }
    node
}

#[cfg(test)]
mod tests;

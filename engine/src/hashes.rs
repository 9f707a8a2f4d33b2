//! The v2 hashes of a torrent (BEP 52): what is known of its files' trees, what to ask peers for, what to answer them.
//!
//! A file of one piece or less is checked by its `pieces root`. A larger one needs its *piece layer*, one hash for each
//! piece: from the .torrent, or from peers if all there was is a magnet link. Nothing is kept that does not lead to the
//! root. In memory are 32 bytes for each piece whose hash is known, and a little for each 512 pieces.

mod ask;
mod serve;
mod tree;

use std::ops::Range;

use thiserror::Error;
use wire::bencode::Encoder;
use wire::merkle::{self, Fold, Hash};
use wire::message::HashRange;

use crate::key::BLOCK;
use crate::layout::Layout;

use tree::Tree;

pub use ask::Received;
pub use serve::{MAX_SERVED, Served};

/// Why a piece layer is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LayerError {
    /// It has another number of hashes than its file has pieces.
    #[error("{hashes} piece hashes for the {pieces} pieces of file {file}")]
    Length {
        /// The file.
        file: u32,
        /// How many came.
        hashes: usize,
        /// How many there must be.
        pieces: u32,
    },
    /// They do not lead to the root of the file.
    #[error("the piece hashes of file {0} do not lead to its root")]
    Wrong(u32),
}

/// What leaves say of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// They are the piece's.
    Right,
    /// They are not: some block is bad.
    Wrong,
    /// The hash of the piece is not known yet.
    Unknown,
}

/// The hash trees of a torrent's files.
#[derive(Debug)]
pub struct Hashes {
    /// Layers between leaves and piece hashes.
    piece_layer: u32,
    /// One for each root: files of equal content share it.
    trees: Vec<Tree>,
    /// The files of more than one piece in order, each with the place of its tree.
    files: Vec<(u32, u32)>,
    /// Chunks of piece hashes not known yet, in all trees.
    missing: u32,
    /// Where the search for what to ask next goes on: place in `files`, chunk.
    cursor: (usize, u32),
}

impl Hashes {
    /// For a torrent of which only the roots are known. A v1 torrent has no trees: all pieces stay unknown.
    pub fn new(layout: &Layout) -> Self {
        let piece_layer = (layout.piece_length() / BLOCK).checked_ilog2().unwrap_or(0);
        let mut hashes = Self {
            piece_layer,
            trees: Vec::new(),
            files: Vec::new(),
            missing: 0,
            cursor: (0, 0),
        };
        for file in 0..u32::try_from(layout.files().len()).unwrap_or(u32::MAX) {
            let pieces = layout.pieces_of(file);
            let Some(root) = layout.root(file).filter(|_| pieces.len() > 1) else {
                continue;
            };
            // Of files with one root the first comes first.
            let first = layout.file_with_root(root).unwrap_or(file);
            let tree = hashes.tree_of(first).unwrap_or_else(|| {
                let tree = Tree::new(*root, pieces.end - pieces.start, piece_layer);
                hashes.missing += tree.missing();
                hashes.trees.push(tree);
                u32::try_from(hashes.trees.len() - 1).unwrap_or(u32::MAX)
            });
            hashes.files.push((file, tree));
        }
        hashes
    }

    /// Takes the piece layer of the file with this root, as a .torrent has it ([`wire::metainfo::Torrent::layers`]).
    /// Layers of roots that no file of several pieces has are ignored.
    ///
    /// # Errors
    ///
    /// [`LayerError`]: the .torrent is not valid then (BEP 52), and nothing is kept of this layer.
    pub fn add_layer(&mut self, layout: &Layout, root: &Hash, layer: &[Hash]) -> Result<(), LayerError> {
        let Some(file) = layout.file_with_root(root) else {
            return Ok(());
        };
        let Some(tree) = self.tree_of(file).and_then(|at| self.trees.get_mut(index(at))) else {
            return Ok(());
        };
        let before = tree.missing();
        tree.load(layer).map_err(|fault| match fault {
            tree::Unfit::Length => LayerError::Length {
                file,
                hashes: layer.len(),
                pieces: tree.pieces(),
            },
            tree::Unfit::Wrong => LayerError::Wrong(file),
        })?;
        self.missing -= before;
        Ok(())
    }

    /// The hash of a piece: the root over its leaves, zeros beyond the end of the file. `None` if it is not known yet, or
    /// the torrent is v1 only.
    pub fn piece_root(&self, layout: &Layout, piece: u32) -> Option<Hash> {
        let (file, tree) = self.place(layout, piece)?;
        match tree {
            Some(tree) => tree.node(0, piece - layout.pieces_of(file).start),
            None => layout.root(file).copied(),
        }
    }

    /// Compares the leaves of a whole piece ([`Layout::leaves`] of them) with its hash.
    pub fn check_piece(&self, layout: &Layout, piece: u32, leaves: &[Hash]) -> Check {
        let Some(expected) = self.piece_root(layout, piece) else {
            return Check::Unknown;
        };
        let mut fold = Fold::new(0);
        leaves.iter().for_each(|leaf| fold.push(leaf));
        let whole = fold.len() == u64::from(layout.leaves(piece));
        if whole && fold.finish(self.piece_height(layout, piece)) == expected {
            Check::Right
        } else {
            Check::Wrong
        }
    }

    /// Whether the hash of every piece is known.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The piece layer of the files with this root, if all of it is known; files of one piece have none.
    pub fn layer(&self, layout: &Layout, root: &Hash) -> Option<impl Iterator<Item = &Hash> + use<'_>> {
        let tree = self.tree_of(layout.file_with_root(root)?)?;
        let tree = self.trees.get(index(tree))?;
        (tree.missing() == 0).then(|| tree.layer())
    }

    /// Appends `piece layers` as a .torrent has it, a bencoded dictionary; false, and nothing, if not all of it is known.
    pub fn piece_layers_bencoded(&self, out: &mut Vec<u8>) -> bool {
        if !self.is_complete() {
            return false;
        }
        let mut trees: Vec<&Tree> = self.trees.iter().collect();
        trees.sort_unstable_by_key(|tree| *tree.root());
        let mut to = Encoder::new(out);
        to.begin_dict();
        let mut layer = Vec::new();
        for tree in trees {
            layer.clear();
            tree.layer().for_each(|hash| layer.extend_from_slice(hash));
            to.key(tree.root()).bytes(&layer);
        }
        to.end();
        true
    }

    /// The file of a piece, and its tree if it has more than one piece.
    fn place(&self, layout: &Layout, piece: u32) -> Option<(u32, Option<&Tree>)> {
        let file = layout.file_of(piece)?;
        let tree = self.tree_of(file).and_then(|at| self.trees.get(index(at)));
        Some((file, tree))
    }

    fn tree_of(&self, file: u32) -> Option<u32> {
        let at = self.files.binary_search_by_key(&file, |(file, _)| *file).ok()?;
        self.files.get(at).map(|(_, tree)| *tree)
    }

    /// Layers between the leaves of a piece and its hash: those of a whole piece, unless it is all that its file has.
    fn piece_height(&self, layout: &Layout, piece: u32) -> u32 {
        let alone = self.place(layout, piece).is_some_and(|(_, tree)| tree.is_none());
        if alone {
            merkle::height(layout.leaves(piece).into())
        } else {
            self.piece_layer
        }
    }
}

/// What the numbers of a range say, if they say what BEP 52 allows: `log2` of its length. `layers` are those above the
/// base layer.
fn length_log(range: &HashRange, layers: u32) -> Option<u32> {
    let log = range.length.checked_ilog2()?;
    let end = u64::from(range.index) + u64::from(range.length);
    let fits = range.length.is_power_of_two()
        && range.length >= 2
        && range.index.is_multiple_of(range.length)
        && end <= 1_u64.checked_shl(layers).unwrap_or(u64::MAX)
        && range.proof_layers < layers;
    fits.then_some(log)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;

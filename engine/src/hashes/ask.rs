//! What to ask peers for, and whether their answers are true.

use super::*;

/// Chunks that one search for something to ask looks at: it goes on there the next time.
const SEARCH: usize = 512;

/// Peers that are asked for one chunk at once, when a piece waits for it.
const AT_ONCE: u8 = 2;

/// `log2` of the most leaves that are asked for at once: by BEP 52 no more than 512.
const MAX_LEAVES: u32 = 9;

/// What an answer was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received<'a> {
    /// Piece hashes, true and kept: pieces that waited for them can be checked.
    Layer,
    /// Leaves of the piece that was asked about, true and not kept: leaves of our blocks that differ are of bad blocks.
    Leaves {
        /// Which leaf of the piece is the first, so which block.
        first: u32,
        /// The leaves; those beyond the end of the file are left out.
        leaves: &'a [Hash],
    },
    /// Not what leads to the root: who sent it lies.
    Lie,
    /// Nothing that this torrent asks for; nothing was done.
    Unasked,
}

impl Hashes {
    /// What a peer should be asked for next: piece hashes that are not known, and that nobody was asked for. `may_ask` says
    /// whether the peer has one of these pieces, and so must be able to answer, and whether they are wanted. The caller
    /// sends the request, and later calls [`received`](Self::received) or [`let_go`](Self::let_go) with it.
    pub fn needs(&mut self, layout: &Layout, mut may_ask: impl FnMut(Range<u32>) -> bool) -> Option<HashRange> {
        if self.missing == 0 {
            return None;
        }
        for _ in 0..SEARCH {
            let (at, chunk) = self.cursor;
            let Some(&(file, tree)) = self.files.get(at) else {
                self.cursor = (0, 0);
                continue;
            };
            let tree = self.trees.get_mut(index(tree))?;
            self.cursor = if chunk + 1 < tree.chunks() && tree.missing() > 0 {
                (at, chunk + 1)
            } else {
                (at + 1, 0)
            };
            if tree.is_known(chunk) || tree.asked(chunk).is_none_or(|asked| *asked > 0) {
                continue;
            }
            let (first, count) = tree.span(chunk);
            let start = layout.pieces_of(file).start + first;
            if may_ask(start..start + count) {
                return request(tree, chunk, self.piece_layer);
            }
        }
        None
    }

    /// What to ask for so that a piece can be checked that is here and waits for its hash. `None` if the hash is known, or
    /// two peers owe it already.
    pub fn ask_for(&mut self, layout: &Layout, piece: u32) -> Option<HashRange> {
        let file = layout.file_of(piece)?;
        let tree = self.tree_of(file)?;
        let tree = self.trees.get_mut(index(tree))?;
        let chunk = tree.chunk_of(piece - layout.pieces_of(file).start);
        if tree.is_known(chunk) || tree.asked(chunk).is_none_or(|asked| *asked >= AT_ONCE) {
            return None;
        }
        request(tree, chunk, self.piece_layer)
    }

    /// What to ask for to learn which blocks of a piece are bad whose hash is known: its leaves, 512 at a time; `part` counts
    /// from 0. `None` after the last part, and for a piece of one block, of which the hash says it already.
    pub fn ask_leaves(&self, layout: &Layout, piece: u32, part: u32) -> Option<HashRange> {
        let (file, tree) = self.place(layout, piece)?;
        self.piece_root(layout, piece)?;
        let height = self.piece_height(layout, piece);
        let log = height.min(MAX_LEAVES);
        // As far as the piece's own hash, which is known.
        let proof_layers = height.checked_sub(1)?;
        let first = part
            .checked_mul(1 << log)
            .filter(|first| *first < layout.leaves(piece))?;
        let before = tree.map_or(0, |_| piece - layout.pieces_of(file).start);
        Some(HashRange {
            pieces_root: *layout.root(file)?,
            base_layer: 0,
            index: before.checked_mul(1 << self.piece_layer)?.checked_add(first)?,
            length: 1 << log,
            proof_layers,
        })
    }

    /// Judges an answer: `asked` is what that peer was asked for, and what the answer must be about.
    pub fn received<'a>(&mut self, layout: &Layout, asked: &HashRange, hashes: &'a [Hash]) -> Received<'a> {
        self.let_go(layout, asked);
        let Some(file) = layout.file_with_root(&asked.pieces_root) else {
            return Received::Unasked;
        };
        let proof = merkle::proof_len(asked.length, asked.proof_layers);
        let Some((nodes, proof)) = hashes
            .split_at_checked(index(asked.length))
            .filter(|(_, rest)| rest.len() == index(proof))
        else {
            return Received::Lie;
        };
        let layer = asked.base_layer == self.piece_layer;
        let tree = self.tree_of(file).filter(|_| layer);
        let Some(tree) = tree.and_then(|at| self.trees.get_mut(index(at))) else {
            return self.leaves(layout, file, asked, nodes, proof);
        };
        let chunk = tree.chunk_of(asked.index);
        let before = tree.missing();
        if request_of(tree, chunk, self.piece_layer).as_ref() != Some(asked) {
            return Received::Unasked;
        }
        let truth = tree.accept(chunk, nodes, proof);
        self.missing -= before - tree.missing();
        if truth { Received::Layer } else { Received::Lie }
    }

    /// A peer that was asked will not answer: it said so (hash reject), it is gone, or it takes too long.
    pub fn let_go(&mut self, layout: &Layout, asked: &HashRange) {
        if asked.base_layer != self.piece_layer {
            return;
        }
        let file = layout.file_with_root(&asked.pieces_root);
        let tree = file.and_then(|file| self.tree_of(file));
        if let Some(tree) = tree.and_then(|at| self.trees.get_mut(index(at))) {
            let chunk = tree.chunk_of(asked.index);
            if let Some(asked) = tree.asked(chunk) {
                *asked = asked.saturating_sub(1);
            }
        }
    }

    /// Judges leaves of one piece against the hash of the piece.
    fn leaves<'a>(
        &self,
        layout: &Layout,
        file: u32,
        asked: &HashRange,
        nodes: &'a [Hash],
        proof: &[Hash],
    ) -> Received<'a> {
        let piece = layout
            .pieces_of(file)
            .start
            .saturating_add(asked.index >> self.piece_layer);
        let first = asked.index & ((1 << self.piece_layer) - 1);
        let part = first / asked.length.max(1);
        let known = self.piece_root(layout, piece);
        let Some(expected) = known.filter(|_| self.ask_leaves(layout, piece, part).as_ref() == Some(asked)) else {
            return Received::Unasked;
        };
        let mut fold = Fold::new(0);
        nodes.iter().for_each(|node| fold.push(node));
        let log = asked.length.ilog2();
        let top = merkle::climb(&fold.finish(log), u64::from(first >> log), proof, |_, _| ());
        let count = layout.leaves(piece).saturating_sub(first).min(asked.length);
        match nodes.get(..index(count)) {
            Some(leaves) if top == expected => Received::Leaves { first, leaves },
            _ => Received::Lie,
        }
    }
}

/// The request for a chunk, counted as asked.
fn request(tree: &mut Tree, chunk: u32, piece_layer: u32) -> Option<HashRange> {
    let range = request_of(tree, chunk, piece_layer)?;
    let asked = tree.asked(chunk)?;
    *asked = asked.saturating_add(1);
    Some(range)
}

/// The request for a chunk: all its hashes, and the proof up to the root. Of the last chunk no more than what there is,
/// filled up to a power of two.
fn request_of(tree: &Tree, chunk: u32, piece_layer: u32) -> Option<HashRange> {
    let (first, count) = tree.span(chunk);
    (count > 0).then(|| HashRange {
        pieces_root: *tree.root(),
        base_layer: piece_layer,
        index: first,
        length: count.next_power_of_two().max(2),
        proof_layers: tree.height() - 1,
    })
}

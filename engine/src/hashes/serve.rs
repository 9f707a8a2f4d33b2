//! Answers to the hash requests of others.

use super::*;

/// Most hashes in an answer, and most leaves that are made again for one: the leaves of 16 MiB. BEP 52 says that nobody
/// should ask for more than 512; libtorrent asks for those of a whole piece. What is above is rejected.
pub const MAX_SERVED: u32 = 1_024;

/// What to do about a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// Send the hashes that were appended.
    Hashes,
    /// The leaves of these pieces are needed, all of them in order: [`Hashes::serve_leaves`] makes the answer, if they are at
    /// hand or are made again from the disk. Else reject.
    Leaves(Range<u32>),
    /// Send a hash reject.
    Reject,
}

impl Hashes {
    /// Looks at a request, and appends the answer if it is about piece hashes. `have` says which pieces are on the disk.
    pub fn serve(
        &self,
        layout: &Layout,
        range: &HashRange,
        mut have: impl FnMut(u32) -> bool,
        out: &mut Vec<Hash>,
    ) -> Served {
        if range.length > MAX_SERVED {
            return Served::Reject;
        }
        let Some(file) = layout.file_with_root(&range.pieces_root) else {
            return Served::Reject;
        };
        let tree = self.tree_of(file).and_then(|at| self.trees.get(index(at)));
        if let Some(tree) = tree.filter(|_| range.base_layer == self.piece_layer) {
            let start = out.len();
            return match layer(tree, self.piece_layer, range, out) {
                Some(()) => Served::Hashes,
                None => {
                    out.truncate(start);
                    Served::Reject
                }
            };
        }
        match self.leaf_pieces(layout, file, tree, range) {
            Some(pieces) if pieces.clone().all(&mut have) => Served::Leaves(pieces),
            _ => Served::Reject,
        }
    }

    /// Appends the answer to a request for leaves, made of the leaves of the pieces that [`serve`](Self::serve) named; false,
    /// and nothing, if they are not the right ones: the disk has changed.
    pub fn serve_leaves(&self, layout: &Layout, range: &HashRange, leaves: &[Hash], out: &mut Vec<Hash>) -> bool {
        let start = out.len();
        let served = self.append_leaves(layout, range, leaves, out).is_some();
        if !served {
            out.truncate(start);
        }
        served
    }

    /// The pieces whose leaves a request for leaves is about.
    fn leaf_pieces(&self, layout: &Layout, file: u32, tree: Option<&Tree>, range: &HashRange) -> Option<Range<u32>> {
        let pieces = layout.pieces_of(file);
        let layers = self.leaf_layers(layout, file, tree);
        length_log(range, layers).filter(|_| range.base_layer == 0)?;
        let first = pieces.start + (range.index >> self.piece_layer);
        let last = pieces.start + ((range.index + (range.length - 1)) >> self.piece_layer);
        let wanted = first..(last + 1).min(pieces.end);
        let leaves = wanted
            .clone()
            .map(|piece| layout.leaves(piece))
            .fold(0, u32::saturating_add);
        (1..=MAX_SERVED).contains(&leaves).then_some(wanted)
    }

    /// Layers above the leaves of a file.
    fn leaf_layers(&self, layout: &Layout, file: u32, tree: Option<&Tree>) -> u32 {
        match tree {
            Some(tree) => self.piece_layer + tree.height(),
            None => self.piece_height(layout, layout.pieces_of(file).start),
        }
    }

    fn append_leaves(&self, layout: &Layout, range: &HashRange, leaves: &[Hash], out: &mut Vec<Hash>) -> Option<()> {
        let file = layout.file_with_root(&range.pieces_root)?;
        let tree = self.tree_of(file).and_then(|at| self.trees.get(index(at)));
        let pieces = self.leaf_pieces(layout, file, tree, range)?;
        let mut rest = leaves;
        for piece in pieces.clone() {
            let (here, after) = rest.split_at_checked(index(layout.leaves(piece)))?;
            (self.check_piece(layout, piece, here) == Check::Right).then_some(())?;
            rest = after;
        }
        rest.is_empty().then_some(())?;
        // The place in the file of the first leaf that was given.
        let given = (pieces.start - layout.pieces_of(file).start) << self.piece_layer;
        let piece_height = self.piece_height(layout, pieces.start);
        let node = |layer: u32, place: u32| -> Option<Hash> {
            if layer >= piece_height {
                return tree?.node(layer - piece_height, place);
            }
            let first = index((place << layer).checked_sub(given)?).min(leaves.len());
            let below = leaves.get(first..)?;
            let mut fold = Fold::new(0);
            below.iter().take(1 << layer).for_each(|leaf| fold.push(leaf));
            Some(fold.finish(layer))
        };
        let log = range.length.ilog2();
        let first = index(range.index - given).min(leaves.len());
        let asked = leaves.get(first..)?.iter().copied().chain(std::iter::repeat([0; 32]));
        out.extend(asked.take(index(range.length)));
        for layer in log..=range.proof_layers {
            out.push(node(layer, (range.index >> layer) ^ 1)?);
        }
        Some(())
    }
}

/// Appends piece hashes and their proof.
fn layer(tree: &Tree, piece_layer: u32, range: &HashRange, out: &mut Vec<Hash>) -> Option<()> {
    let log = length_log(range, tree.height())?;
    let padding = merkle::pad(piece_layer);
    for place in range.index..range.index + range.length {
        let beyond = place >= tree.pieces();
        out.push(if beyond { padding } else { tree.node(0, place)? });
    }
    for layer in log..=range.proof_layers {
        out.push(tree.node(layer, (range.index >> layer) ^ 1)?);
    }
    Some(())
}

//! The upper part of one file's hash tree: its piece layer in chunks of 512, and what is above.

use wire::merkle::{self, Fold, Hash, climb, pad, pair};

use super::index;

/// `log2` of the hashes in a chunk: as many as one request may ask for by BEP 52.
const CHUNK: u32 = 9;

/// What is wrong with a piece layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unfit {
    Length,
    Wrong,
}

/// All that is known of a file's tree from the piece layer upwards. Layers are counted from the piece layer here.
#[derive(Debug)]
pub(super) struct Tree {
    pieces: u32,
    /// Layers between leaves and piece hashes.
    piece_layer: u32,
    /// Layers from the piece hashes to the root; at least one.
    height: u32,
    /// `log2` of the hashes in a chunk.
    chunk: u32,
    chunks: Box<[Chunk]>,
    /// The nodes above the chunks as a heap: the root is 1, below `n` are `2n` and `2n + 1`; chunks are the lowest.
    upper: Box<[Option<Hash>]>,
    /// Chunks without hashes.
    missing: u32,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    /// The hashes of its pieces, as many as there are.
    hashes: Option<Box<[Hash]>>,
    /// Peers that were asked and have not answered.
    asked: u8,
}

impl Tree {
    /// A tree of which only the root is known, over at least two pieces.
    pub(super) fn new(root: Hash, pieces: u32, piece_layer: u32) -> Self {
        let height = merkle::height(pieces.into());
        let chunk = height.min(CHUNK);
        let chunks = pieces.div_ceil(1 << chunk);
        let mut upper = vec![None; 2 << (height - chunk)];
        if let Some(top) = upper.get_mut(1) {
            *top = Some(root);
        }
        Self {
            pieces,
            piece_layer,
            height,
            chunk,
            chunks: vec![Chunk::default(); index(chunks)].into(),
            upper: upper.into(),
            missing: chunks,
        }
    }

    pub(super) fn pieces(&self) -> u32 {
        self.pieces
    }

    pub(super) fn height(&self) -> u32 {
        self.height
    }

    pub(super) fn missing(&self) -> u32 {
        self.missing
    }

    pub(super) fn chunks(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn root(&self) -> &Hash {
        self.upper.get(1).and_then(Option::as_ref).unwrap_or(&[0; 32])
    }

    /// The chunk of a piece, counted within the file.
    pub(super) fn chunk_of(&self, piece: u32) -> u32 {
        piece >> self.chunk
    }

    /// The first piece of a chunk, and how many it has.
    pub(super) fn span(&self, chunk: u32) -> (u32, u32) {
        let first = chunk << self.chunk;
        (first, self.pieces.saturating_sub(first).min(1 << self.chunk))
    }

    pub(super) fn is_known(&self, chunk: u32) -> bool {
        self.chunks
            .get(index(chunk))
            .is_some_and(|chunk| chunk.hashes.is_some())
    }

    /// How many peers were asked for a chunk and have not answered.
    pub(super) fn asked(&mut self, chunk: u32) -> Option<&mut u8> {
        self.chunks.get_mut(index(chunk)).map(|chunk| &mut chunk.asked)
    }

    /// All piece hashes that are known, in order.
    pub(super) fn layer(&self) -> impl Iterator<Item = &Hash> {
        self.chunks.iter().flat_map(|chunk| chunk.hashes.iter().flatten())
    }

    /// The node at `place` of a layer, if it is known. Costs at most the hashing of a chunk.
    pub(super) fn node(&self, layer: u32, place: u32) -> Option<Hash> {
        let first = u64::from(place) << layer;
        if first >= u64::from(self.pieces) {
            return Some(pad(self.piece_layer + layer));
        }
        if layer >= self.chunk {
            return *self.upper.get(self.heap(layer, place)?)?;
        }
        let first = u32::try_from(first).ok()?;
        let hashes = self.chunks.get(index(first >> self.chunk))?.hashes.as_ref()?;
        let within = hashes.get(index(first & ((1 << self.chunk) - 1))..)?;
        if layer == 0 {
            return within.first().copied();
        }
        let mut fold = Fold::new(self.piece_layer);
        within.iter().take(1 << layer).for_each(|hash| fold.push(hash));
        Some(fold.finish(layer))
    }

    /// Takes a whole piece layer if it leads to the root.
    pub(super) fn load(&mut self, layer: &[Hash]) -> Result<(), Unfit> {
        if layer.len() != index(self.pieces) {
            return Err(Unfit::Length);
        }
        let mut upper = self.upper.clone();
        let mut first = upper.len() / 2;
        let chunk_root = |hashes: &[Hash]| {
            let mut fold = Fold::new(self.piece_layer);
            hashes.iter().for_each(|hash| fold.push(hash));
            fold.finish(self.chunk)
        };
        let mut nodes: Vec<Hash> = layer.chunks(1 << self.chunk).map(chunk_root).collect();
        let mut padding = pad(self.piece_layer + self.chunk);
        while first > 1 {
            for (slot, node) in upper.iter_mut().skip(first).zip(&nodes) {
                *slot = Some(*node);
            }
            let above = |two: &[Hash]| match two {
                [left, right] => pair(left, right),
                [left, ..] => pair(left, &padding),
                [] => padding,
            };
            nodes = nodes.chunks(2).map(above).collect();
            padding = pair(&padding, &padding);
            first /= 2;
        }
        if nodes.first() != Some(self.root()) {
            return Err(Unfit::Wrong);
        }
        self.upper = upper;
        for (chunk, hashes) in self.chunks.iter_mut().zip(layer.chunks(1 << self.chunk)) {
            chunk.hashes = Some(hashes.into());
        }
        self.missing = 0;
        Ok(())
    }

    /// Takes the hashes of a chunk, filled up to a power of two, if they lead to the root with this proof.
    pub(super) fn accept(&mut self, chunk: u32, nodes: &[Hash], proof: &[Hash]) -> bool {
        let (first, count) = self.span(chunk);
        let log = nodes.len().checked_ilog2().unwrap_or(0);
        let mut fold = Fold::new(self.piece_layer);
        nodes.iter().for_each(|node| fold.push(node));
        let base = fold.finish(log);
        let place = first >> log;
        let mut passed = vec![(log, place, base)];
        let top = climb(&base, place.into(), proof, |step, node| {
            passed.push((log + step, place >> step, *node));
        });
        let reaches = self.height.checked_sub(log).map(index) == Some(proof.len());
        let Some(hashes) = nodes.get(..index(count)).filter(|_| reaches && top == *self.root()) else {
            return false;
        };
        // Each uncle stands beside the node that the climb passed on its layer.
        let uncles = passed
            .iter()
            .zip(proof)
            .map(|(&(layer, place, _), uncle)| (layer, place ^ 1, *uncle));
        for (layer, place, node) in passed.iter().copied().chain(uncles) {
            let slot = self.heap(layer, place).and_then(|at| self.upper.get_mut(at));
            if let Some(slot) = slot {
                *slot = Some(node);
            }
        }
        if let Some(slot) = self.chunks.get_mut(index(chunk)).filter(|slot| slot.hashes.is_none()) {
            slot.hashes = Some(hashes.into());
            self.missing -= 1;
        }
        true
    }

    /// Where a node above the chunks is in the heap.
    fn heap(&self, layer: u32, place: u32) -> Option<usize> {
        let depth = self.height.checked_sub(layer).filter(|_| layer >= self.chunk)?;
        Some((1 << depth) + index(place))
    }
}

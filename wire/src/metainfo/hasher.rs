//! Bytes of content to the hashes of their pieces, v1, v2 or both in one pass.

use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::merkle::{self, Fold, Hash, LEAF_LEN};

use super::content::Content;

/// Zeros to feed where none are read.
static ZEROS: [u8; LEAF_LEN] = [0; LEAF_LEN];

/// What the bytes of one piece hash to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PieceHashes {
    /// SHA-1 of the piece, padding included.
    pub v1: Option<[u8; 20]>,
    /// The piece's node in the hash tree of its file; none if the piece is all padding.
    pub v2: Option<[u8; 32]>,
    /// Some of its bytes are not there, so it has no hash.
    pub absent: bool,
}

/// Hashes runs of pieces: one [`part`](Self::part) after another, the bytes of each, then [`end`](Self::end). Zeros that
/// a file system knows of without reading cost next to nothing, as long as the whole piece is of them.
///
/// Allocates nothing but what `end` gives.
#[derive(Debug)]
pub struct PieceHasher {
    piece_length: u64,
    v1: Option<V1>,
    v2: Option<V2>,
    /// Bytes of the piece so far.
    filled: u64,
    absent: bool,
    in_file: bool,
    done: Vec<PieceHashes>,
}

impl PieceHasher {
    /// A hasher for pieces of this content.
    pub fn new(content: &Content) -> Self {
        let version = content.version();
        Self {
            piece_length: content.piece_length().max(1),
            v1: version.has_v1().then(V1::new),
            v2: version.has_v2().then(V2::new),
            filled: 0,
            absent: false,
            in_file: false,
            done: Vec::new(),
        }
    }

    /// The bytes that follow are of a file of this length, or padding.
    pub fn part(&mut self, file_length: Option<u64>) {
        self.in_file = file_length.is_some();
        if let (Some(v2), Some(length)) = (&mut self.v2, file_length) {
            // A file of one piece has the smallest tree that holds it (BEP 52).
            let blocks = length.min(self.piece_length).div_ceil(LEAF_LEN as u64);
            v2.height = merkle::height(blocks);
        }
    }

    /// Bytes of the part.
    pub fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(self.piece_length - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(v1) = &mut self.v1 {
                v1.bytes(now);
            }
            if let (Some(v2), true) = (&mut self.v2, self.in_file) {
                v2.bytes(now);
            }
            self.fill(now.len() as u64);
            bytes = later;
        }
    }

    /// So many bytes of the part are zero.
    pub fn zeros(&mut self, mut count: u64) {
        while count > 0 {
            let now = count.min(self.piece_length - self.filled);
            if let Some(v1) = &mut self.v1 {
                v1.zeros += now;
            }
            if let (Some(v2), true) = (&mut self.v2, self.in_file) {
                v2.zeros(now);
            }
            self.fill(now);
            count -= now;
        }
    }

    /// So many bytes of the part are not to be had.
    pub fn absent(&mut self, mut count: u64) {
        while count > 0 {
            self.absent = true;
            let now = count.min(self.piece_length - self.filled);
            self.fill(now);
            count -= now;
        }
    }

    /// The hashes of the pieces since the last call, in order; the last may be shorter than the others.
    pub fn end(&mut self) -> Vec<PieceHashes> {
        if self.filled > 0 {
            self.end_piece();
        }
        std::mem::take(&mut self.done)
    }

    fn fill(&mut self, count: u64) {
        self.filled += count;
        if self.filled == self.piece_length {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        let (v1, v2) = (
            self.v1.as_mut().map(|v1| v1.end(self.absent)),
            self.v2.as_mut().and_then(V2::end),
        );
        let absent = std::mem::take(&mut self.absent);
        self.filled = 0;
        self.done.push(PieceHashes {
            v1: v1.filter(|_| !absent),
            v2: v2.filter(|_| !absent),
            absent,
        });
    }
}

/// SHA-1 over a piece. Zeros are counted, and hashed only when other bytes follow.
#[derive(Debug)]
struct V1 {
    state: Sha1,
    /// Zeros that the state does not have yet.
    zeros: u64,
    /// Whether the state has anything.
    begun: bool,
    /// The last count of zeros that was a whole piece, and its hash.
    known: (u64, [u8; 20]),
}

impl V1 {
    fn new() -> Self {
        let state = Sha1::new();
        let known = (0, state.clone().finalize().into());
        Self {
            state,
            zeros: 0,
            begun: false,
            known,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.flush();
        self.state.update(bytes);
        self.begun = true;
    }

    fn flush(&mut self) {
        self.begun |= self.zeros > 0;
        feed_zeros(&mut self.state, std::mem::take(&mut self.zeros));
    }

    /// What the piece hashes to; anything if bytes of it are absent.
    fn end(&mut self, absent: bool) -> [u8; 20] {
        let zeros = self.zeros;
        if !self.begun && self.known.0 == zeros {
            self.zeros = 0;
            return self.known.1;
        }
        if absent {
            self.zeros = 0;
        }
        let all_zeros = !self.begun && !absent;
        self.flush();
        self.begun = false;
        let hash = self.state.finalize_reset().into();
        if all_zeros {
            self.known = (zeros, hash);
        }
        hash
    }
}

/// The hash tree below one piece.
#[derive(Debug)]
struct V2 {
    leaf: Sha256,
    /// Bytes of the leaf so far.
    filled: usize,
    tree: Fold,
    /// Layers above the leaves.
    height: u32,
    /// The leaf of a whole block of zeros.
    zero: Hash,
}

impl V2 {
    fn new() -> Self {
        Self {
            leaf: Sha256::new(),
            filled: 0,
            tree: Fold::new(0),
            height: 0,
            zero: merkle::leaf(&ZEROS),
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at((LEAF_LEN - self.filled).min(bytes.len()));
            self.leaf.update(now);
            self.fill(now.len());
            bytes = later;
        }
    }

    fn zeros(&mut self, mut count: u64) {
        while count > 0 {
            let room = LEAF_LEN - self.filled;
            let now = usize::try_from(count).map_or(room, |count| count.min(room));
            if now == LEAF_LEN {
                self.tree.push(&self.zero);
            } else {
                self.leaf.update(ZEROS.get(..now).unwrap_or_default());
                self.fill(now);
            }
            count -= now as u64;
        }
    }

    fn fill(&mut self, count: usize) {
        self.filled += count;
        if self.filled == LEAF_LEN {
            self.end_leaf();
        }
    }

    fn end_leaf(&mut self) {
        self.filled = 0;
        self.tree.push(&self.leaf.finalize_reset().into());
    }

    fn end(&mut self) -> Option<Hash> {
        if self.filled > 0 {
            self.end_leaf();
        }
        let tree = std::mem::replace(&mut self.tree, Fold::new(0));
        (!tree.is_empty()).then(|| tree.finish(self.height))
    }
}

fn feed_zeros(state: &mut Sha1, mut count: u64) {
    while count > 0 {
        let now = usize::try_from(count).map_or(LEAF_LEN, |count| count.min(LEAF_LEN));
        state.update(ZEROS.get(..now).unwrap_or_default());
        count -= now as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Version;
    use super::*;

    /// What feeds the hasher.
    #[derive(Clone, Debug)]
    enum Fed {
        Bytes(Vec<u8>),
        Zeros(u64),
    }

    fn fed() -> impl Strategy<Value = Vec<Fed>> {
        let bytes = (1usize..30_000, any::<u8>()).prop_map(|(count, byte)| Fed::Bytes(vec![byte; count]));
        proptest::collection::vec(prop_oneof![bytes, (1u64..70_000).prop_map(Fed::Zeros)], 1..6)
    }

    fn sha256(data: &[u8]) -> Hash {
        Sha256::digest(data).into()
    }

    /// The tree as BEP 52 tells it: leaves, zeros up to `width`, pair by pair.
    fn brute(data: &[u8], width: usize) -> Hash {
        let mut level: Vec<Hash> = data.chunks(LEAF_LEN).map(sha256).collect();
        level.resize(width, [0; 32]);
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| sha256(&pair.concat())).collect();
        }
        level[0]
    }

    proptest! {
        #[test]
        fn pieces_hash_as_their_bytes_do_however_they_come(fed in fed(), piece_length in prop::sample::select(vec![16_384u64, 32_768, 65_536])) {
            let mut data = Vec::new();
            for fed in &fed {
                match fed {
                    Fed::Bytes(bytes) => data.extend(bytes),
                    Fed::Zeros(count) => data.resize(data.len() + *count as usize, 0),
                }
            }
            let length = data.len() as u64;
            let content = Content::new(Version::Hybrid, piece_length, [(length, false)].into_iter());
            let mut hasher = PieceHasher::new(&content);
            // Twice: what one run leaves behind must not reach the next.
            for _ in 0..2 {
                hasher.part(Some(length));
                for fed in &fed {
                    match fed {
                        Fed::Bytes(bytes) => hasher.bytes(bytes),
                        Fed::Zeros(count) => hasher.zeros(*count),
                    }
                }
                let width = if length > piece_length { piece_length as usize / LEAF_LEN } else { data.len().div_ceil(LEAF_LEN).next_power_of_two() };
                let expected: Vec<_> = data
                    .chunks(piece_length as usize)
                    .map(|piece| PieceHashes {
                        v1: Some(Sha1::digest(piece).into()),
                        v2: Some(brute(piece, width)),
                        absent: false,
                    })
                    .collect();
                prop_assert_eq!(hasher.end(), expected);
            }
        }
    }

    #[test]
    fn a_piece_with_bytes_that_are_absent_has_no_hash() {
        let content = Content::new(Version::Hybrid, 16_384, [(40_000, false)].into_iter());
        let mut hasher = PieceHasher::new(&content);
        hasher.part(Some(40_000));
        hasher.zeros(16_000);
        hasher.absent(1_000);
        hasher.bytes(&[1; 23_000]);
        let pieces = hasher.end();
        assert_eq!(
            pieces.iter().map(|piece| piece.absent).collect::<Vec<_>>(),
            [true, true, false]
        );
        assert_eq!(
            pieces[0],
            PieceHashes {
                absent: true,
                ..PieceHashes::default()
            }
        );
        assert_eq!(pieces[2].v1, Some(Sha1::digest([1; 40_000 - 32_768]).into()));
    }

    #[test]
    fn padding_is_in_the_v1_hash_only() {
        let content = Content::new(Version::Hybrid, 16_384, [(5, false), (16_379, true)].into_iter());
        let mut hasher = PieceHasher::new(&content);
        hasher.part(Some(5));
        hasher.bytes(b"12345");
        hasher.part(None);
        hasher.zeros(16_379);
        let mut padded = b"12345".to_vec();
        padded.resize(16_384, 0);
        let expected = PieceHashes {
            v1: Some(Sha1::digest(&padded).into()),
            v2: Some(sha256(b"12345")),
            absent: false,
        };
        assert_eq!(hasher.end(), [expected]);
    }
}

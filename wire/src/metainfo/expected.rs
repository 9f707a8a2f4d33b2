//! What the pieces of a torrent must hash to, and whether they do.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::merkle::{self, Hash, LEAF_LEN};

use super::content::Content;
use super::hasher::PieceHashes;
use super::info::Info;
use super::torrent::Torrent;

/// The piece layer of a file is not what its root is the root of.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the piece layer of `{path}` does not belong to its `pieces root`")]
pub struct LayerError {
    /// The file.
    pub path: String,
}

/// Whether a piece is what the torrent says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Every hash that the torrent has of it is right.
    Good,
    /// A hash is wrong.
    Bad,
    /// Some of its bytes are not there.
    Absent,
    /// The torrent has no hash for it alone, only one for its whole file (v2 without piece layers): see
    /// [`Expected::whole_file`].
    Untold,
}

/// The v2 hashes of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Tree {
    /// It is empty, or the torrent is v1.
    None,
    /// Of its pieces, in order.
    Pieces(Vec<Hash>),
    /// Of all of it: the layer is missing.
    Whole(Hash),
}

/// What the pieces of a torrent must hash to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    v1: Option<Vec<[u8; 20]>>,
    /// Of each file, padding left out.
    v2: Vec<Tree>,
    content: Content,
}

impl Expected {
    /// Takes the hashes out of a torrent. Piece layers are checked against their roots first: who wrote them beside the
    /// info dictionary need not be who wrote that.
    ///
    /// # Errors
    ///
    /// [`LayerError`] with the first file whose layer is wrong.
    pub fn of(torrent: &Torrent) -> Result<Self, LayerError> {
        let info = &torrent.info;
        let content = Content::of(info);
        let v1 = info.version.has_v1().then(|| {
            let raw = torrent.raw_info();
            let hashes = Info::hashes_at(raw).and_then(|at| raw.get(at)).unwrap_or_default();
            hashes.as_chunks().0.to_vec()
        });
        let layers: BTreeMap<&Hash, &[Hash]> = torrent.layers().collect();
        let tree = |file: super::File<'_>| {
            let Some(&root) = file.pieces_root else {
                return Ok(Tree::None);
            };
            if file.length <= info.piece_length {
                return Ok(Tree::Pieces(vec![root]));
            }
            let Some(&hashes) = layers.get(&root) else {
                return Ok(Tree::Whole(root));
            };
            let count = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
            if count != file.length.div_ceil(info.piece_length) || root_of(hashes, info.piece_length) != root {
                return Err(LayerError {
                    path: file.path_lossy(),
                });
            }
            Ok(Tree::Pieces(hashes.to_vec()))
        };
        let real = info.files().filter(|file| !file.pad);
        let v2 = real.map(tree).collect::<Result<_, _>>()?;
        Ok(Self { v1, v2, content })
    }

    /// Where the pieces lie.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Judges a piece; of a hybrid both hashes must be right. No such piece is bad.
    pub fn judge(&self, piece: u64, found: &PieceHashes) -> Verdict {
        if found.absent {
            return Verdict::Absent;
        }
        let v1 = self.v1.as_ref().map(|hashes| {
            let hash = usize::try_from(piece).ok().and_then(|piece| hashes.get(piece));
            hash.is_some() && hash == found.v1.as_ref()
        });
        let v2 = match self.file_of(piece).map(|file| (file, self.v2.get(file))) {
            Some((file, Some(Tree::Pieces(hashes)))) => {
                let at = piece - self.content.pieces_of(file).start;
                let hash = usize::try_from(at).ok().and_then(|at| hashes.get(at));
                Some(hash.is_some() && hash == found.v2.as_ref())
            }
            _ => None,
        };
        match (v1, v2) {
            (Some(false), _) | (_, Some(false)) => Verdict::Bad,
            (None, None) => Verdict::Untold,
            _ => Verdict::Good,
        }
    }

    /// Judges a file by the v2 nodes of all its pieces; for a file whose pieces are [`Verdict::Untold`].
    pub fn whole_file(&self, file: usize, pieces: &[Hash]) -> Verdict {
        match self.v2.get(file) {
            Some(Tree::Whole(root)) if root_of(pieces, self.content.piece_length()) == *root => Verdict::Good,
            _ => Verdict::Bad,
        }
    }

    /// The file that a piece with a v2 hash is of; such a piece has bytes of no other.
    fn file_of(&self, piece: u64) -> Option<usize> {
        if !self.content.version().has_v2() {
            return None;
        }
        self.content
            .parts(piece..piece.saturating_add(1))
            .find_map(|part| part.file)
    }
}

/// The root over the nodes of a file's pieces, which are more than one.
fn root_of(pieces: &[Hash], piece_length: u64) -> Hash {
    let layer = piece_length.max(1).ilog2().saturating_sub(LEAF_LEN.ilog2());
    merkle::root_of_layer(pieces, layer)
}

#[cfg(test)]
mod tests {
    use super::super::wrap;
    use super::*;

    const HYBRID: &[u8] = include_bytes!("../../tests/fixtures/hybrid-multi.torrent");
    const V2: &[u8] = include_bytes!("../../tests/fixtures/v2-multi.torrent");

    fn good(expected: &Expected, piece: u64) -> PieceHashes {
        let file = expected.file_of(piece).unwrap();
        let at = piece - expected.content.pieces_of(file).start;
        let Tree::Pieces(hashes) = &expected.v2[file] else {
            panic!("a layer is missing")
        };
        PieceHashes {
            v1: expected.v1.as_ref().map(|hashes| hashes[piece as usize]),
            v2: Some(hashes[at as usize]),
            absent: false,
        }
    }

    #[test]
    fn both_hashes_of_a_hybrid_count() {
        let expected = Expected::of(&Torrent::parse(HYBRID).unwrap()).unwrap();
        for piece in 0..expected.content.piece_count() {
            let right = good(&expected, piece);
            assert_eq!(expected.judge(piece, &right), Verdict::Good);
            let v1 = right.v1.map(|hash| hash.map(|byte| !byte));
            assert_eq!(expected.judge(piece, &PieceHashes { v1, ..right }), Verdict::Bad);
            let v2 = right.v2.map(|hash| hash.map(|byte| !byte));
            assert_eq!(expected.judge(piece, &PieceHashes { v2, ..right }), Verdict::Bad);
            assert_eq!(
                expected.judge(piece, &PieceHashes { absent: true, ..right }),
                Verdict::Absent
            );
        }
        let beyond = expected.content.piece_count();
        assert_eq!(expected.judge(beyond, &good(&expected, 0)), Verdict::Bad);
    }

    #[test]
    fn a_layer_that_is_not_of_its_root_is_refused() {
        let mut raw = V2.to_vec();
        let at = raw.windows(12).position(|bytes| bytes == b"piece layers").unwrap();
        // Behind the root and the length of its layer.
        raw[at + 60] ^= 1;
        let error = Expected::of(&Torrent::parse(&raw).unwrap()).unwrap_err();
        assert_eq!(error.path, "docs/deep/ü.txt");
    }

    #[test]
    fn without_layers_a_file_is_judged_as_a_whole() {
        let torrent = Torrent::parse(V2).unwrap();
        let bare = Torrent::parse(&wrap::<&str>(torrent.raw_info(), &[])).unwrap();
        let (told, untold) = (Expected::of(&torrent).unwrap(), Expected::of(&bare).unwrap());
        let pieces: Vec<_> = (0..3).map(|piece| good(&told, piece)).collect();
        assert_eq!(untold.judge(0, &pieces[0]), Verdict::Untold);
        let mut nodes: Vec<_> = pieces.iter().filter_map(|piece| piece.v2).collect();
        assert_eq!(untold.whole_file(0, &nodes), Verdict::Good);
        nodes[1][0] ^= 1;
        assert_eq!(untold.whole_file(0, &nodes), Verdict::Bad);
        // A file of one piece needs no layer.
        assert_eq!(untold.judge(3, &good(&told, 3)), Verdict::Good);
        assert_eq!(Info::parse(bare.raw_info()).unwrap(), torrent.info);
    }
}

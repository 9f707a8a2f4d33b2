//! From blocks to files and back.

use std::iter::FusedIterator;
use std::ops::Range;

use wire::message::Block;
use world::disk::Slice;

use super::*;

impl Layout {
    /// Bytes of a piece on the wire; 0 if there is no such piece. In v2 a piece ends with its file, in a hybrid padding
    /// fills it (and v1 peers may ask for that).
    pub fn piece_len(&self, piece: u32) -> u32 {
        if piece >= self.pieces {
            return 0;
        }
        let start = self.start(piece);
        let end = match self.info.version {
            Version::V2 => self.holder(start).map_or(start, |(_, entry)| entry.end()),
            Version::V1 | Version::Hybrid => self.total,
        };
        u32::try_from(end.saturating_sub(start)).map_or(self.piece_length, |left| left.min(self.piece_length))
    }

    /// Blocks of 16 KiB in a piece, the last perhaps shorter.
    pub fn blocks(&self, piece: u32) -> u32 {
        self.piece_len(piece).div_ceil(BLOCK)
    }

    /// Bytes of a block as it is asked for; 0 if there is no such block.
    pub fn block_len(&self, piece: u32, block: u32) -> u32 {
        let begin = block.saturating_mul(BLOCK);
        self.piece_len(piece).saturating_sub(begin).min(BLOCK)
    }

    /// The request for a block; `None` if there is no such block.
    pub fn request(&self, piece: u32, block: u32) -> Option<Block> {
        let length = self.block_len(piece, block);
        let begin = block.checked_mul(BLOCK)?;
        (length > 0).then_some(Block { piece, begin, length })
    }

    /// Whether a range lies in its piece, and is not empty: what others ask for, before it is read from the disk.
    pub fn holds(&self, block: Block) -> bool {
        let end = block.begin.checked_add(block.length);
        block.length > 0 && end.is_some_and(|end| end <= self.piece_len(block.piece))
    }

    /// Whether a range can be given to who asks for it: one that the torrent [`holds`](Self::holds), or, in v2, a block that
    /// goes on beyond the end of its file. libtorrent 2.0 counts on padding there as in a hybrid: it is given zeros.
    pub fn can_give(&self, block: Block) -> bool {
        let Block { piece, begin, length } = block;
        let goes_beyond =
            || begin < self.piece_len(piece) && begin.is_multiple_of(BLOCK) && (1..=BLOCK).contains(&length);
        self.holds(block) || self.info.version == Version::V2 && goes_beyond()
    }

    /// The parts of files that a range of a piece is made of, in order. What is outside the piece is left out.
    pub fn map_block(&self, piece: u32, begin: u32, len: u32) -> BlockSlices<'_> {
        let whole = self.piece_len(piece);
        let begin = begin.min(whole);
        let start = self.start(piece) + u64::from(begin);
        BlockSlices {
            layout: self,
            next: self.holder(start).map_or(u32::MAX, |(file, _)| file),
            at: start,
            left: len.min(whole - begin),
        }
    }

    /// The range of a piece at which a range of a file begins; it may go on in the next pieces. `None` if the file has no
    /// such range.
    pub fn map_file(&self, file: u32, offset: u64, len: u32) -> Option<Block> {
        let entry = self.entry(file)?;
        let fits = offset.checked_add(len.into()).is_some_and(|end| end <= entry.len);
        let at = entry.offset.checked_add(offset).filter(|_| fits)?;
        let length = u64::from(self.piece_length);
        Some(Block {
            piece: u32::try_from(at / length).ok()?,
            begin: u32::try_from(at % length).ok()?,
            length: len,
        })
    }

    /// The pieces that a file has bytes in.
    pub fn pieces_of(&self, file: u32) -> Range<u32> {
        let length = u64::from(self.piece_length);
        let piece = |at: u64| u32::try_from(at / length).unwrap_or(self.pieces).min(self.pieces);
        match self.entry(file) {
            Some(entry) if entry.len > 0 => piece(entry.offset)..piece(entry.end() - 1) + 1,
            Some(entry) => piece(entry.offset)..piece(entry.offset),
            None => 0..0,
        }
    }

    /// The files that have bytes in a piece: the first to the last, with empty ones and padding between them. In v2 it is
    /// one file, in a hybrid one file and padding.
    pub fn files_of(&self, piece: u32) -> Range<u32> {
        let len = self.piece_len(piece);
        let start = self.start(piece);
        let last = start + u64::from(len.saturating_sub(1));
        match (self.holder(start), self.holder(last)) {
            (Some((first, _)), Some((last, _))) if len > 0 => first..last + 1,
            _ => 0..0,
        }
    }

    /// Whether a range is nothing but padding, so that it need not be asked for (BEP 47).
    pub fn is_padding(&self, piece: u32, begin: u32, len: u32) -> bool {
        let mut slices = self.map_block(piece, begin, len);
        slices.left > 0 && slices.all(|slice| slice.file.is_none())
    }

    /// Bytes of a piece that are no padding.
    pub fn content_len(&self, piece: u32) -> u32 {
        let slices = self.map_block(piece, 0, u32::MAX);
        slices.filter(|slice| slice.file.is_some()).map(|slice| slice.len).sum()
    }

    /// Leaves of a piece in its file's hash tree (v2, hybrid): blocks that have bytes of the file. The last leaf covers
    /// only these bytes, not the padding behind them.
    pub fn leaves(&self, piece: u32) -> u32 {
        self.tree_len(piece).div_ceil(BLOCK)
    }

    /// Bytes under a leaf; 0 if there is no such leaf.
    pub fn leaf_len(&self, piece: u32, leaf: u32) -> u32 {
        let begin = leaf.saturating_mul(BLOCK);
        self.tree_len(piece).saturating_sub(begin).min(BLOCK)
    }

    /// The file whose hash tree covers a piece (v2, hybrid).
    pub fn file_of(&self, piece: u32) -> Option<u32> {
        if piece >= self.pieces || !self.has_v2() {
            return None;
        }
        self.holder(self.start(piece)).map(|(file, _)| file)
    }

    /// Bytes of a piece that its file's hash tree covers.
    fn tree_len(&self, piece: u32) -> u32 {
        let entry = self.file_of(piece).and_then(|file| self.entry(file));
        let left = entry.map_or(0, |entry| entry.end().saturating_sub(self.start(piece)));
        u32::try_from(left).map_or(self.piece_length, |left| left.min(self.piece_length))
    }

    fn start(&self, piece: u32) -> u64 {
        u64::from(piece) * u64::from(self.piece_length)
    }

    /// The file that has the byte at `at`; files without bytes have none.
    fn holder(&self, at: u64) -> Option<(u32, &Entry)> {
        let found = self.files.partition_point(|entry| entry.end() <= at);
        let entry = self.files.get(found).filter(|entry| entry.offset <= at)?;
        Some((u32::try_from(found).ok()?, entry))
    }
}

/// The parts of files that a range is made of, in order. See [`Layout::map_block`].
#[derive(Clone, Debug)]
pub struct BlockSlices<'a> {
    layout: &'a Layout,
    /// The file that the next byte is in.
    next: u32,
    /// Where that byte is in the piece space.
    at: u64,
    /// Bytes to come.
    left: u32,
}

impl Iterator for BlockSlices<'_> {
    type Item = Slice;

    fn next(&mut self) -> Option<Slice> {
        while self.left > 0 {
            let entry = self.layout.entry(self.next)?;
            let file = self.next;
            self.next = self.next.saturating_add(1);
            let within = self.at.checked_sub(entry.offset)?;
            let len = u32::try_from(entry.len.saturating_sub(within)).map_or(self.left, |len| len.min(self.left));
            if len == 0 {
                continue;
            }
            self.at += u64::from(len);
            self.left -= len;
            return Some(Slice {
                file: (!entry.pad).then_some(file),
                at: if entry.pad { 0 } else { within },
                len,
            });
        }
        None
    }
}

impl FusedIterator for BlockSlices<'_> {}

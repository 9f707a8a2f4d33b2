//! Buffers that are used again.

/// Buffers of one size: those given back are lent again, so that a steady run allocates none.
pub(super) struct Buffers {
    size: usize,
    keep: usize,
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// Of `size` bytes. At most `keep` are kept while nobody has them; what is given back beyond is freed.
    pub(super) const fn new(size: usize, keep: usize) -> Self {
        let free = Vec::new();
        Self { size, keep, free }
    }

    /// One of the size; what is in it is anything. The one given back last: it is in the processor's cache.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| vec![0; self.size])
    }

    /// Takes one back. One of another size is freed.
    pub(super) fn give(&mut self, buffer: Vec<u8>) {
        if buffer.len() == self.size && self.free.len() < self.keep {
            self.free.push(buffer);
        }
    }
}

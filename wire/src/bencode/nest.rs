//! How deep a reader is, in a fixed number of bits: nesting costs no memory and no recursion.

/// The deepest nesting that any [`Limits`](super::Limits) can allow: one bit of a `u128` per open container.
pub const MAX_DEPTH: usize = 128;

/// One step of a walk over bencode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Key(&'a [u8]),
    List,
    Dict,
    End,
}

/// Which containers are open, without recursion and without memory of its own: depth of nesting is a stranger's
/// choice, so it must cost neither stack nor heap.
#[derive(Clone, Default, Debug)]
pub(super) struct Nest {
    /// One bit per open container, the innermost lowest; a dictionary is 1.
    kinds: u128,
    /// `0 <= depth <= MAX_DEPTH`.
    depth: usize,
    /// The innermost open container is a dictionary.
    in_dict: bool,
    /// What comes next in that dictionary is a key.
    key_next: bool,
}

impl Nest {
    /// How many containers are open.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    pub(super) const fn key_next(&self) -> bool {
        self.key_next
    }

    pub(super) const fn value_next(&self) -> bool {
        self.in_dict && !self.key_next
    }

    /// The caller has checked the depth: the reader counts it down.
    pub(super) const fn open(&mut self, dict: bool) {
        self.kinds = (self.kinds << 1) | dict as u128;
        self.depth += 1;
        self.in_dict = dict;
        self.key_next = dict;
    }

    /// Closes the innermost container, which was a whole value of the one around it.
    pub(super) const fn close(&mut self) {
        self.kinds >>= 1;
        self.depth = self.depth.saturating_sub(1);
        self.in_dict = self.kinds & 1 == 1;
        self.key_next = self.in_dict;
    }

    /// An integer or a string was read, as key or as value.
    pub(super) const fn scalar(&mut self) {
        self.scalars(1);
    }

    /// `count` integers or strings were read, as keys and values by turns if this is a dictionary.
    pub(super) const fn scalars(&mut self, count: usize) {
        self.key_next = self.in_dict && (self.key_next ^ (count % 2 == 1));
    }
}

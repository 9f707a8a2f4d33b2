//! Writing bencode into a lent buffer.

/// Writes bencode at the end of a lent vector; allocates only when that has to grow.
///
/// Canonical as long as the caller gives the keys of a dictionary in the order of their bytes, which debug builds
/// check.
#[derive(Debug)]
pub struct Encoder<'b> {
    out: &'b mut Vec<u8>,
    #[cfg(debug_assertions)]
    order: order::KeyOrder,
}

impl<'b> Encoder<'b> {
    /// Appends to `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self {
            out,
            #[cfg(debug_assertions)]
            order: order::KeyOrder::default(),
        }
    }

    /// An integer.
    pub fn int(&mut self, number: i64) -> &mut Self {
        self.out.push(b'i');
        if number < 0 {
            self.out.push(b'-');
        }
        self.decimal(number.unsigned_abs());
        self.out.push(b'e');
        self
    }

    /// A string.
    #[inline]
    pub fn bytes(&mut self, text: &[u8]) -> &mut Self {
        match u8::try_from(text.len()) {
            Ok(ones @ 0..=9) => self.out.extend_from_slice(&[b'0' + ones, b':']),
            Ok(two @ 10..=99) => self.out.extend_from_slice(&[b'0' + two / 10, b'0' + two % 10, b':']),
            _ => {
                self.decimal(text.len() as u64);
                self.out.push(b':');
            }
        }
        self.out.extend_from_slice(text);
        self
    }

    /// One whole value that is bencode already.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.out.extend_from_slice(value);
        self
    }

    /// Opens a dictionary: keys each followed by a value, then [`end`](Self::end).
    pub fn begin_dict(&mut self) -> &mut Self {
        self.out.push(b'd');
        #[cfg(debug_assertions)]
        self.order.open();
        self
    }

    /// A key of the open dictionary; a value must follow.
    #[inline]
    pub fn key(&mut self, name: &[u8]) -> &mut Self {
        let start = self.out.len();
        self.bytes(name);
        #[cfg(debug_assertions)]
        self.order.key(self.out, start, name.len());
        let _ = start;
        self
    }

    /// Opens a list: values, then [`end`](Self::end).
    pub fn begin_list(&mut self) -> &mut Self {
        self.out.push(b'l');
        #[cfg(debug_assertions)]
        self.order.open();
        self
    }

    /// Closes the innermost open list or dictionary.
    pub fn end(&mut self) -> &mut Self {
        self.out.push(b'e');
        #[cfg(debug_assertions)]
        self.order.close();
        self
    }

    fn decimal(&mut self, mut number: u64) {
        // u64::MAX has 20 digits.
        let mut digits = [b'0'; 20];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (number % 10) as u8;
            number /= 10;
            used += 1;
            if number == 0 {
                break;
            }
        }
        self.out.extend(digits.iter().skip(digits.len() - used));
    }
}

/// The debug check of the order of keys. It remembers where keys stand in the output, not the keys.
#[cfg(debug_assertions)]
mod order {
    use std::ops::Range;

    /// Containers nested deeper than this are not checked, so that the check needs no memory of its own.
    const CHECKED_DEPTH: usize = 8;

    #[derive(Debug, Default)]
    pub(super) struct KeyOrder {
        depth: usize,
        last: [Option<Range<usize>>; CHECKED_DEPTH],
    }

    impl KeyOrder {
        pub(super) fn open(&mut self) {
            if let Some(last) = self.last.get_mut(self.depth) {
                *last = None;
            }
            self.depth += 1;
        }

        pub(super) fn close(&mut self) {
            debug_assert!(self.depth > 0, "end without begin");
            self.depth = self.depth.saturating_sub(1);
        }

        pub(super) fn key(&mut self, out: &[u8], start: usize, length: usize) {
            let end = out.len();
            let key = (end - length)..end;
            debug_assert!(start < end && self.depth > 0, "a key outside of a dictionary");
            let Some(slot) = self.depth.checked_sub(1).and_then(|depth| self.last.get_mut(depth)) else {
                return;
            };
            if let Some(last) = slot.replace(key.clone()) {
                debug_assert!(out.get(last) < out.get(key), "keys out of order or repeated");
            }
        }
    }
}

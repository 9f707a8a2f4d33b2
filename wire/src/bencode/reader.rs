//! The pull parser that everything else reads bencode with.

use super::nest::{MAX_DEPTH, Nest, Token};
use super::{BencodeError, Limits, Value};

/// What the next byte announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `i42e`
    Int,
    /// `4:spam`
    Bytes,
    /// `l...e`
    List,
    /// `d...e`
    Dict,
    /// `e`: the innermost list or dictionary ends.
    End,
}

/// A value as [`Reader::item`] gives it: what is cheap to know is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// An integer.
    Int(i64),
    /// A string.
    Bytes(&'a [u8]),
    /// A list or a dictionary.
    Nested(Value<'a>),
}

/// Pulls tokens out of bencode, front to back, once, without allocating.
///
/// The caller drives: [`begin_dict`](Self::begin_dict), then [`key`](Self::key) until it is `None`, and after each key
/// exactly one of [`int`](Self::int), [`bytes`](Self::bytes), [`value`](Self::value), [`skip`](Self::skip) or another
/// `begin`. A list is [`begin_list`](Self::begin_list), then a value as long as [`more`](Self::more) says so. After an
/// error the position is unspecified.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Length of the whole input: `offset == whole - rest.len()`.
    whole: usize,
    /// Containers that may still be opened, `<= MAX_DEPTH`.
    depth_left: usize,
    /// Tokens that may still begin.
    tokens_left: usize,
}

impl<'a> Reader<'a> {
    /// Stands before the first byte.
    #[inline]
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            rest: bytes,
            whole: bytes.len(),
            depth_left: limits.depth.min(MAX_DEPTH),
            tokens_left: limits.tokens,
        }
    }

    /// For bytes that have been read within limits before.
    #[inline]
    pub(super) fn trusted(bytes: &'a [u8]) -> Self {
        let limits = Limits {
            depth: MAX_DEPTH,
            tokens: usize::MAX,
        };
        Self::new(bytes, &limits)
    }

    /// Bytes read so far.
    pub const fn offset(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What comes next; nothing is consumed.
    ///
    /// # Errors
    ///
    /// [`BencodeError::Truncated`] at the end of the input, [`BencodeError::Unexpected`] if the byte begins no value.
    #[inline]
    pub fn kind(&self) -> Result<Kind, BencodeError> {
        match self.rest.first() {
            Some(b'0'..=b'9') => Ok(Kind::Bytes),
            Some(b'i') => Ok(Kind::Int),
            Some(b'l') => Ok(Kind::List),
            Some(b'd') => Ok(Kind::Dict),
            Some(b'e') => Ok(Kind::End),
            Some(_) => Err(self.unexpected()),
            None => Err(self.truncated()),
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// [`BencodeError`] if what follows is not a whole string.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], BencodeError> {
        // A datagram is mostly strings, nearly all of them shorter than 100 bytes: this path is worth its own code,
        // and must not pass through an error's return slot (30 % of the time to decode a reply).
        match short_string(self.rest) {
            Some((text, rest)) if self.tokens_left > 0 => {
                self.tokens_left -= 1;
                self.rest = rest;
                Ok(text)
            }
            _ => self.any_string(),
        }
    }

    /// Passes over short strings as long as they come, and says how many; long lists are made of them.
    #[inline]
    fn skip_short_strings(&mut self) -> usize {
        // Copies, so that the loop runs in registers.
        let (mut rest, mut left) = (self.rest, self.tokens_left);
        while left > 0
            && let Some((_, after)) = short_string(rest)
        {
            left -= 1;
            rest = after;
        }
        let passed = self.tokens_left - left;
        (self.rest, self.tokens_left) = (rest, left);
        passed
    }

    #[inline(never)]
    fn any_string(&mut self) -> Result<&'a [u8], BencodeError> {
        self.count()?;
        let offset = self.offset();
        let mut length = 0_usize;
        let mut rest = self.rest;
        let mut digits = 0;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            if digits > 0 && length == 0 {
                return Err(BencodeError::Number { offset });
            }
            digits += 1;
            length = length.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
            rest = after;
            // Also what keeps a run of a million digits from being read to its end.
            if length > rest.len() {
                return Err(match rest.is_empty() {
                    true => self.truncated(),
                    false => BencodeError::Overlong { offset },
                });
            }
        }
        let text = match rest {
            [b':', text @ ..] if digits > 0 => text,
            [] => return Err(self.truncated()),
            _ => {
                let offset = self.whole - rest.len();
                return Err(BencodeError::Unexpected { offset });
            }
        };
        let (text, rest) = text.split_at_checked(length).ok_or(BencodeError::Overlong { offset })?;
        self.rest = rest;
        Ok(text)
    }

    /// Reads an integer.
    ///
    /// # Errors
    ///
    /// [`BencodeError`] if what follows is not a whole integer of 64 bits.
    pub fn int(&mut self) -> Result<i64, BencodeError> {
        self.count()?;
        let offset = self.offset();
        let [b'i', number @ ..] = self.rest else {
            return Err(self.unexpected_or_truncated());
        };
        let (negative, mut rest) = match number {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let first = rest;
        // Downwards, because i64 reaches one further below zero than above.
        let mut below = 0_i64;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            let digit = i64::from(digit - b'0');
            below = below
                .checked_mul(10)
                .and_then(|below| below.checked_sub(digit))
                .ok_or(BencodeError::Range { offset })?;
            rest = after;
        }
        let digits = first.len() - rest.len();
        match rest {
            [b'e', ..] if digits == 0 => return Err(BencodeError::Number { offset }),
            [b'e', after @ ..] => self.rest = after,
            [] => return Err(self.truncated()),
            _ => {
                let offset = self.whole - rest.len();
                return Err(BencodeError::Unexpected { offset });
            }
        }
        if first.first() == Some(&b'0') && (digits > 1 || negative) {
            return Err(BencodeError::Number { offset });
        }
        match negative {
            true => Ok(below),
            false => below.checked_neg().ok_or(BencodeError::Range { offset }),
        }
    }

    /// Enters a dictionary.
    ///
    /// # Errors
    ///
    /// [`BencodeError`] if what follows is not a dictionary, or one too deep.
    pub fn begin_dict(&mut self) -> Result<(), BencodeError> {
        self.open(b'd')
    }

    /// Enters a list.
    ///
    /// # Errors
    ///
    /// [`BencodeError`] if what follows is not a list, or one too deep.
    pub fn begin_list(&mut self) -> Result<(), BencodeError> {
        self.open(b'l')
    }

    #[inline]
    fn open(&mut self, mark: u8) -> Result<(), BencodeError> {
        self.count()?;
        match self.rest {
            [byte, after @ ..] if *byte == mark => {
                let offset = self.offset();
                self.depth_left = self.depth_left.checked_sub(1).ok_or(BencodeError::TooDeep { offset })?;
                self.rest = after;
                Ok(())
            }
            _ => Err(self.unexpected_or_truncated()),
        }
    }

    /// The next key of the dictionary that was entered; `None` leaves the dictionary.
    ///
    /// # Errors
    ///
    /// [`BencodeError::Key`] if something else than a string follows, and what [`bytes`](Self::bytes) says.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<&'a [u8]>, BencodeError> {
        match self.rest {
            [b'0'..=b'9', ..] => self.bytes().map(Some),
            [b'e', after @ ..] => {
                self.close(after);
                Ok(None)
            }
            [] => Err(self.truncated()),
            _ => Err(BencodeError::Key { offset: self.offset() }),
        }
    }

    /// Whether another item follows in the list that was entered; false leaves the list.
    ///
    /// # Errors
    ///
    /// [`BencodeError::Truncated`] at the end of the input.
    #[inline]
    pub fn more(&mut self) -> Result<bool, BencodeError> {
        match self.rest {
            [b'e', after @ ..] => {
                self.close(after);
                Ok(false)
            }
            [] => Err(self.truncated()),
            _ => Ok(true),
        }
    }

    fn close(&mut self, after: &'a [u8]) {
        self.depth_left += 1;
        self.rest = after;
    }

    /// Reads one value of any kind: scalars as themselves, the rest as a view.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value).
    #[inline]
    pub fn item(&mut self) -> Result<Item<'a>, BencodeError> {
        match self.rest.first() {
            Some(b'0'..=b'9') => self.bytes().map(Item::Bytes),
            Some(b'i') => self.int().map(Item::Int),
            _ => self.value().map(Item::Nested),
        }
    }

    /// Reads one value of any kind and lends a view on it.
    ///
    /// # Errors
    ///
    /// [`BencodeError`] if what follows is not one whole value within the limits.
    #[inline]
    pub fn value(&mut self) -> Result<Value<'a>, BencodeError> {
        let before = self.rest;
        self.skip()?;
        // The slice cannot be missing: the reader only moves forward in `before`.
        let raw = before.get(..before.len() - self.rest.len()).unwrap_or_default();
        Ok(Value::checked(raw))
    }

    /// Reads one value of any kind and forgets it.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value).
    #[inline]
    pub fn skip(&mut self) -> Result<(), BencodeError> {
        if let Some(b'0'..=b'9') = self.rest.first() {
            return self.bytes().map(drop);
        }
        self.walk()
    }

    fn walk(&mut self) -> Result<(), BencodeError> {
        let mut nest = Nest::default();
        loop {
            self.token(&mut nest)?;
            if nest.depth() == 0 {
                return Ok(());
            }
            let strings = self.skip_short_strings();
            nest.scalars(strings);
        }
    }

    /// One step of a walk through values of any kind; a value is over when the nest is empty again.
    #[inline]
    pub(super) fn token(&mut self, nest: &mut Nest) -> Result<Token<'a>, BencodeError> {
        let kind = self.kind()?;
        if kind == Kind::Bytes {
            let is_key = nest.key_next();
            nest.scalar();
            let bytes = self.bytes()?;
            return Ok(if is_key { Token::Key(bytes) } else { Token::Bytes(bytes) });
        }
        let offset = self.offset();
        if kind == Kind::End {
            if nest.depth() == 0 {
                return Err(BencodeError::Unexpected { offset });
            }
            if nest.value_next() {
                return Err(BencodeError::NoValue { offset });
            }
            nest.close();
            self.close(self.rest.get(1..).unwrap_or_default());
            return Ok(Token::End);
        }
        if nest.key_next() {
            return Err(BencodeError::Key { offset });
        }
        if kind == Kind::Int {
            nest.scalar();
            return self.int().map(Token::Int);
        }
        let dict = kind == Kind::Dict;
        self.open(if dict { b'd' } else { b'l' })?;
        nest.open(dict);
        Ok(if dict { Token::Dict } else { Token::List })
    }

    #[inline]
    fn count(&mut self) -> Result<(), BencodeError> {
        let offset = self.offset();
        self.tokens_left = self
            .tokens_left
            .checked_sub(1)
            .ok_or(BencodeError::TooMany { offset })?;
        Ok(())
    }

    const fn truncated(&self) -> BencodeError {
        BencodeError::Truncated { offset: self.whole }
    }

    const fn unexpected(&self) -> BencodeError {
        BencodeError::Unexpected { offset: self.offset() }
    }

    const fn unexpected_or_truncated(&self) -> BencodeError {
        match self.rest {
            [] => self.truncated(),
            _ => self.unexpected(),
        }
    }
}

/// The string that `bytes` begin with, and what follows it, if it is sound and its length has one or two digits.
#[inline(always)]
fn short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        // An IPv4 peer, the commonest string of all. Where the next one begins is then predicted, not computed from a
        // length that must be loaded first: nearly twice the speed on a list of them.
        [b'6', b':', rest @ ..] => rest.split_at_checked(6),
        [ones @ b'0'..=b'9', b':', rest @ ..] => rest.split_at_checked(usize::from(ones - b'0')),
        [tens @ b'1'..=b'9', ones @ b'0'..=b'9', b':', rest @ ..] => {
            rest.split_at_checked(usize::from(tens - b'0') * 10 + usize::from(ones - b'0'))
        }
        _ => None,
    }
}

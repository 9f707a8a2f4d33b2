//! Cutting a byte stream into frames.

use thiserror::Error;

/// Bytes of the length prefix.
const PREFIX: usize = 4;

/// A stranger announced a frame over the limit. The stream cannot be understood any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a frame of {claimed} bytes, over the limit of {limit}")]
pub struct FrameTooLong {
    /// Length that the prefix claims, bytes.
    pub claimed: u32,
    /// The caller's limit, bytes.
    pub limit: u32,
}

/// An incremental reader of frames.
///
/// A frame that lies whole in the bytes at hand is lent from there; only a frame split over several reads is copied,
/// into one buffer that is used again. That buffer grows as bytes arrive, never by a claimed length, and holds at most
/// one frame of the caller's limit.
#[derive(Debug)]
pub struct Frames {
    limit: u32,
    /// Prefix and content of the frame that is arriving; empty between frames.
    partial: Vec<u8>,
    /// `partial` was lent to the caller as a whole frame and is to be cleared.
    lent: bool,
}

impl Frames {
    /// A reader that refuses frames of more than `limit` bytes, prefix not counted.
    pub const fn new(limit: u32) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            lent: false,
        }
    }

    /// The next whole frame without its prefix, or `None` when `input` is used up. Takes what it uses off the front of
    /// `input`; call until `None`. An empty frame is a keep-alive.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`], and again on each further call with the same bytes: close the connection.
    #[expect(
        single_use_lifetimes,
        reason = "the bound is its use: without it no frame could be lent from the input"
    )]
    pub fn next_frame<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<&'s [u8]>, FrameTooLong> {
        if self.lent {
            self.partial.clear();
            self.lent = false;
        }
        if self.partial.is_empty()
            && let Some((&prefix, rest)) = input.split_first_chunk()
            && let Some((frame, rest)) = rest.split_at_checked(self.length(prefix)?)
        {
            *input = rest;
            return Ok(Some(frame));
        }
        self.take_up_to(PREFIX, input);
        let Some(&prefix) = self.partial.first_chunk() else {
            return Ok(None);
        };
        let whole = PREFIX.saturating_add(self.length(prefix)?);
        self.take_up_to(whole, input);
        if self.partial.len() < whole {
            return Ok(None);
        }
        self.lent = true;
        Ok(self.partial.get(PREFIX..))
    }

    /// Bytes of an unfinished frame that are held, prefix included.
    pub fn pending(&self) -> usize {
        if self.lent { 0 } else { self.partial.len() }
    }

    fn length(&self, prefix: [u8; PREFIX]) -> Result<usize, FrameTooLong> {
        let claimed = u32::from_be_bytes(prefix);
        let too_long = FrameTooLong {
            claimed,
            limit: self.limit,
        };
        if claimed > self.limit {
            return Err(too_long);
        }
        usize::try_from(claimed).map_err(|_| too_long)
    }

    /// Moves bytes until `partial` holds `wanted` of them or `input` is empty.
    fn take_up_to(&mut self, wanted: usize, input: &mut &[u8]) {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
        self.partial.extend_from_slice(taken);
        *input = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut frames = Frames::new(u32::MAX);
        let mut input: &[u8] = &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3];
        assert_eq!(frames.next_frame(&mut input), Ok(None));
        assert_eq!(frames.pending(), 7);
        assert!(frames.partial.capacity() < 100);
    }

    #[test]
    fn a_whole_frame_is_lent_from_the_input() {
        let mut frames = Frames::new(10);
        let mut input: &[u8] = &[0, 0, 0, 2, 9, 9, 0, 0];
        assert_eq!(frames.next_frame(&mut input), Ok(Some(&[9, 9][..])));
        assert_eq!(frames.partial.capacity(), 0);
        assert_eq!(frames.next_frame(&mut input), Ok(None));
        assert_eq!(frames.pending(), 2);
    }
}

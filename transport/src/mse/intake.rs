//! Taking the other end's bytes, in any split.

use crate::mse::{Failure, PAD_MAX};

/// Bytes that are to be read together and have not all come.
#[derive(Default, Debug)]
pub(super) struct Intake {
    bytes: Vec<u8>,
    /// Bytes looked at in search of a mark.
    searched: usize,
}

impl Intake {
    /// The next `N` bytes of `input` and what came before it, when all are there.
    pub(super) fn exactly<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let missing = N.saturating_sub(self.bytes.len());
        let (taken, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
        self.bytes.extend_from_slice(taken);
        *input = rest;
        let whole = self.bytes.first_chunk().copied()?;
        self.bytes.clear();
        Some(whole)
    }

    /// Passes over bytes until `mark` has come: true then, false if there are no more bytes.
    ///
    /// # Errors
    ///
    /// [`Failure::NoSync`] if it does not begin within the longest padding.
    pub(super) fn past(&mut self, mark: &[u8], input: &mut &[u8]) -> Result<bool, Failure> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if self.bytes.len() == mark.len() {
                self.bytes.remove(0);
            }
            self.bytes.push(byte);
            self.searched += 1;
            if self.bytes == mark {
                self.bytes.clear();
                self.searched = 0;
                return Ok(true);
            }
            if self.searched == PAD_MAX + mark.len() {
                return Err(Failure::NoSync);
            }
        }
        Ok(false)
    }
}

/// Takes at most `left` bytes off `input`, and lowers `left` by as many.
pub(super) fn skip<'a>(left: &mut usize, input: &mut &'a [u8]) -> &'a [u8] {
    let (taken, rest) = input.split_at_checked(*left).unwrap_or((input, &[]));
    *left -= taken.len();
    *input = rest;
    taken
}

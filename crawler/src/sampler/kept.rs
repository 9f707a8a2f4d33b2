//! The ledger between runs.

use world::Time;

use super::Sampler;
use crate::Family;
use crate::guard::Guard;
use crate::ledger::{KeptError, kept};

impl Sampler {
    /// What to keep of the ledger for the next run, written at `unix_now`.
    pub fn keep(&self, now: Time, unix_now: u64) -> Vec<u8> {
        self.ledger.keep(now, unix_now)
    }

    /// Takes up the ledger of an earlier run, read at `unix_now`: whoever may not be asked yet still may not. Says how many
    /// nodes it holds.
    ///
    /// # Errors
    ///
    /// [`KeptError`] if `bytes` are not what [`Sampler::keep`] wrote.
    pub fn restore(&mut self, now: Time, bytes: &[u8], unix_now: u64, guard: &Guard) -> Result<usize, KeptError> {
        let kept = kept::read(bytes, unix_now)?;
        for node in &kept {
            if self.families.has(Family::of(&node.contact.addr)) && guard.admits_contact(&node.contact.addr) {
                self.ledger.restore(now, node);
            }
        }
        Ok(kept.len())
    }
}

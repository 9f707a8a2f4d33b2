//! How much fits into one datagram.

use crate::{Family, peer_store};

/// Bytes of an answer at most. An IPv6 path takes 1,280 with headers, and larger datagrams are lost in pieces.
const MOST: usize = 1200;

/// What every answer may need besides its lists: brackets, `ip` of IPv6, `id`, token, a transaction of 64 bytes, `v`,
/// `y`, and the key and brackets of `values`.
const ENVELOPE: usize = 172;

/// Both filters of a scrape with their keys.
pub(super) const BLOOMS: usize = 2 * ("4:BFsd256:".len() + wire::bloom::LEN);

/// The key and the length of a name.
pub(super) const NAME: usize = "1:n100:".len();

/// The keys of a whole sample with its figures, and the sample.
pub(super) const SAMPLE: usize = "8:intervali21600e3:numi9223372036854775807e7:samples400:".len() + 20 * super::SAMPLE;

/// The key and the length of a list of nodes.
pub(super) const NODES: usize = "6:nodes6304:".len();

const _: () = assert!(peer_store::MAX_NAME <= 100);

/// Bytes of an answer that are still free.
pub(super) struct Room(usize);

impl Room {
    pub(super) const fn new() -> Self {
        Self(MOST - ENVELOPE)
    }

    /// Takes `bytes`, if they fit.
    pub(super) const fn take(&mut self, bytes: usize) -> bool {
        if self.0 < bytes {
            return false;
        }
        self.0 -= bytes;
        true
    }

    /// How many peers of `family` fit.
    pub(super) const fn peers(&self, family: Family) -> usize {
        self.0
            / match family {
                Family::V4 => "6:".len() + 6,
                Family::V6 => "18:".len() + 18,
            }
    }
}

//! What a node runs, as its `v` says (BEP 20), as far as it matters to sampling.

/// A client kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// It never said, or sent no `v`.
    Unknown,
    /// `LT`: libtorrent-rasterbar. Samples; with 20 infohashes or more the sample is frozen for six hours (crawlers F2).
    Libtorrent,
    /// `UT`: libbtdht. Answers `sample_infohashes` as if it were `find_node` (network-model E).
    UTorrent,
    /// `TR`: jech/dht. Silent to `sample_infohashes` (network-model E).
    Transmission,
    /// `lt`: libtorrent-rakshasa, of rTorrent. Does not know the query.
    RTorrent,
    /// `ML`: mldht. Samples; a new one every five minutes.
    Mldht,
    /// Another.
    Other,
}

impl Client {
    /// By the first two bytes of `v`.
    pub fn of(version: Option<&[u8]>) -> Self {
        match version.and_then(|version| version.get(..2)) {
            None => Self::Unknown,
            Some(b"LT") => Self::Libtorrent,
            Some(b"UT") => Self::UTorrent,
            Some(b"TR") => Self::Transmission,
            Some(b"lt") => Self::RTorrent,
            Some(b"ML") => Self::Mldht,
            Some(_) => Self::Other,
        }
    }

    /// Whether it answers `sample_infohashes`, where that is known of the kind.
    pub const fn samples(self) -> Option<bool> {
        match self {
            Self::Libtorrent | Self::Mldht => Some(true),
            Self::UTorrent | Self::Transmission | Self::RTorrent => Some(false),
            Self::Unknown | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_tells_the_two_libtorrents_apart() {
        assert_eq!(Client::of(Some(b"LT\x02\x00")).samples(), Some(true));
        assert_eq!(Client::of(Some(b"lt\x0d\x60")).samples(), Some(false));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for version in [None, Some(&b""[..]), Some(b"L"), Some(b"XY12")] {
            assert_eq!(Client::of(version).samples(), None);
        }
    }
}

//! What enemies among the peers do (`network-model.md` table J and 3.3), as closed lists.

use world::closed_list;

closed_list! {
    /// What a peer does to whoever asks it for metadata.
    Abuse {
        /// Accepts, and says nothing.
        Silence => "silence",
        /// Tells the truth, one byte a second.
        Slow => "slow",
        /// Shakes hands for another infohash.
        WrongInfoHash => "wrong_infohash",
        /// Sends messages of no meaning, under an extended id that nobody gave it, for as long as anybody listens.
        EndlessExtended => "endless_extended",
        /// Sends keepalives for as long as anybody listens.
        EndlessKeepalive => "endless_keepalive",
        /// Announces a frame of nearly 4 GiB.
        OversizePrefix => "oversize_prefix",
        /// Claims a size that no info dictionary has.
        Absurd => "absurd",
        /// Answers requests under an extended id that nobody gave it.
        WrongId => "wrong_id",
        /// Rejects every request.
        Rejects => "rejects",
        /// Answers with pieces that nobody asked for.
        WrongIndex => "wrong_index",
        /// Sends pieces that are a byte short.
        WrongLength => "wrong_length",
        /// Sends every piece twice.
        Twice => "twice",
        /// Sends bytes that do not hash to the infohash.
        Fake => "fake",
    }
}

closed_list! {
    /// How a torrent trips its readers, while its info dictionary hashes to its infohash.
    Trap {
        /// Ten thousand lists inside one another.
        Nesting => "nesting",
        /// Files that lead out of the directory.
        Paths => "paths",
        /// A megabyte more of piece hashes than there are pieces.
        Pieces => "pieces",
    }
}

/// Sizes that no info dictionary has (`network-model.md` 3.3).
pub(crate) const ABSURD_SIZES: [i64; 7] = [
    -1,
    0,
    1,
    16_383,
    2_147_483_647,
    4_294_967_296,
    9_223_372_036_854_775_807,
];

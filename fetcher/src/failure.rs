//! How things end, as closed lists: every ending is one of these, and each is counted.

use world::closed_list;

closed_list! {
    /// How far a peer came, from the first word of it to its bytes being the torrent's.
    Stage {
        /// Somebody named it.
        Known => "known",
        /// It was dialled.
        Dialled => "dialled",
        /// The connection opened.
        Connected => "connected",
        /// It answered with our infohash and speaks the extension protocol.
        Handshaken => "handshaken",
        /// It offers `ut_metadata` and a size that we accept.
        Extended => "extended",
        /// It was asked for a piece.
        Requested => "requested",
        /// It gave a piece.
        Received => "received",
        /// The bytes hash to the infohash.
        Verified => "verified",
    }
}

closed_list! {
    /// Why a peer that was dialled did not deliver.
    Failure {
        /// It refused the connection.
        Refused => "refused",
        /// No route, or another failure to connect.
        Unreachable => "unreachable",
        /// The connection did not open in time.
        ConnectTimeout => "connect_timeout",
        /// Our side had no descriptor left, and no connection whose end would free one.
        NoDescriptor => "no_descriptor",
        /// Open, but no whole handshake in time.
        HandshakeTimeout => "handshake_timeout",
        /// It hung up before its handshake: slots full, torrent unknown to it, or obfuscation required.
        ClosedInHandshake => "closed_in_handshake",
        /// Its first bytes are another protocol's, or obfuscated.
        NotBitTorrent => "not_bittorrent",
        /// It answered with another infohash, as a hybrid torrent's peer may (BEP 52).
        WrongInfoHash => "wrong_infohash",
        /// It does not speak the extension protocol (BEP 10).
        NoExtensions => "no_extensions",
        /// No extended handshake in time.
        ExtendedTimeout => "extended_timeout",
        /// It hung up between handshake and extended handshake.
        ClosedInExtended => "closed_in_extended",
        /// It does not offer `ut_metadata`, or took the offer back.
        NoUtMetadata => "no_ut_metadata",
        /// It offers `ut_metadata` and tells no size: it has no metadata itself.
        NoSize => "no_size",
        /// The size that it claims is not positive.
        BadSize => "bad_size",
        /// The size that it claims is over our limit.
        TooLarge => "too_large",
        /// Assemblies were full for too long.
        NoRoom => "no_room",
        /// No whole piece in time.
        PieceTimeout => "piece_timeout",
        /// It hung up before all pieces were there.
        ClosedInPieces => "closed_in_pieces",
        /// It rejected a request.
        Rejected => "rejected",
        /// A piece that was not asked for, came twice, or has a wrong length.
        BadPiece => "bad_piece",
        /// It contradicts the size that it claimed.
        SizeMismatch => "size_mismatch",
        /// All pieces are its own, and together are not the torrent's.
        HashMismatch => "hash_mismatch",
        /// An extension message that cannot be read.
        Malformed => "malformed",
        /// A frame over the limit.
        OversizeFrame => "oversize_frame",
        /// More frames or bytes that bring nothing than we listen to.
        Noise => "noise",
        /// Time was up for the infohash.
        Deadline => "deadline",
        /// Others delivered first.
        Superseded => "superseded",
        /// The fetch was cancelled.
        Cancelled => "cancelled",
    }
}

closed_list! {
    /// Why an infohash was given up.
    Ending {
        /// Nobody named a peer.
        NoPeers => "no_peers",
        /// All peers were tried, or are remembered as not worth trying.
        AllTried => "all_tried",
        /// As many were tried as may be.
        AttemptsSpent => "attempts_spent",
        /// Time was up.
        Deadline => "deadline",
        /// No slot was free when it was started.
        NoSlot => "no_slot",
        /// It was cancelled, or the pool stopped.
        Cancelled => "cancelled",
    }
}

/// What a failure says about the endpoint, whatever the infohash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lesson {
    /// Nothing: it may concern this infohash alone, or be ours.
    Nothing,
    /// Nobody listens there.
    Refused,
    /// It did not answer, or not in time.
    Silent,
    /// It cannot or will not do what we need.
    Useless,
}

impl Failure {
    pub(crate) fn lesson(self) -> Lesson {
        match self {
            Self::Refused => Lesson::Refused,
            Self::Unreachable
            | Self::ConnectTimeout
            | Self::HandshakeTimeout
            | Self::ExtendedTimeout
            | Self::PieceTimeout => Lesson::Silent,
            Self::NotBitTorrent
            | Self::NoExtensions
            | Self::NoUtMetadata
            | Self::BadSize
            | Self::BadPiece
            | Self::SizeMismatch
            | Self::HashMismatch
            | Self::Malformed
            | Self::OversizeFrame
            | Self::Noise => Lesson::Useless,
            Self::NoDescriptor
            | Self::ClosedInHandshake
            | Self::WrongInfoHash
            | Self::ClosedInExtended
            | Self::NoSize
            | Self::TooLarge
            | Self::NoRoom
            | Self::ClosedInPieces
            | Self::Rejected
            | Self::Deadline
            | Self::Superseded
            | Self::Cancelled => Lesson::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use world::Member;

    use super::*;

    #[test]
    fn no_two_failures_share_a_label() {
        let labels: std::collections::BTreeSet<_> = Failure::ALL.iter().map(|failure| failure.label()).collect();
        assert_eq!(labels.len(), Failure::ALL.len());
    }
}

//! Why a datagram is no KRPC message: a closed list, cheap to count; and the codes of KRPC errors.

use thiserror::Error;

use crate::bencode::BencodeError;

/// Why a datagram is no message that we can use: a closed list, one counter each (`KrpcError::ALL`, `as usize`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Error)]
#[repr(u8)]
pub enum KrpcError {
    /// Not bencode, or more of it than a datagram may hold.
    #[error("not bencode")]
    Bencode,
    /// Bencode, but not a dictionary.
    #[error("not a dictionary")]
    NotDict,
    /// No `t`.
    #[error("no transaction")]
    NoTransaction,
    /// A `t` longer than [`MAX_TRANSACTION_LEN`](super::MAX_TRANSACTION_LEN).
    #[error("transaction too long")]
    LongTransaction,
    /// No `y`, or one that is not `q`, `r` or `e`.
    #[error("neither query nor reply nor error")]
    NoKind,
    /// A query without the dictionary `a`, or a reply without the dictionary `r`.
    #[error("no arguments")]
    NoBody,
    /// A query or reply without `id`.
    #[error("no node id")]
    NoId,
    /// An `id` of another length than 20.
    #[error("node id of a wrong length")]
    BadId,
    /// A query without `q`.
    #[error("no method")]
    NoMethod,
    /// A query whose `target` or `info_hash` is missing or of another length than 20.
    #[error("no target of 20 bytes")]
    BadTarget,
    /// An announce or a put without `token`.
    #[error("no token")]
    NoToken,
    /// An announce without a port from 1 to 65535 and without `implied_port`.
    #[error("no port")]
    BadPort,
    /// A put without `v`, or whose `k` or `sig` is of a wrong length (BEP 44).
    #[error("malformed item")]
    BadItem,
}

impl KrpcError {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Bencode,
        Self::NotDict,
        Self::NoTransaction,
        Self::LongTransaction,
        Self::NoKind,
        Self::NoBody,
        Self::NoId,
        Self::BadId,
        Self::NoMethod,
        Self::BadTarget,
        Self::NoToken,
        Self::BadPort,
        Self::BadItem,
    ];

    /// A short name for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bencode => "bencode",
            Self::NotDict => "not_dict",
            Self::NoTransaction => "no_transaction",
            Self::LongTransaction => "long_transaction",
            Self::NoKind => "no_kind",
            Self::NoBody => "no_body",
            Self::NoId => "no_id",
            Self::BadId => "bad_id",
            Self::NoMethod => "no_method",
            Self::BadTarget => "bad_target",
            Self::NoToken => "no_token",
            Self::BadPort => "bad_port",
            Self::BadItem => "bad_item",
        }
    }
}

impl From<BencodeError> for KrpcError {
    fn from(_: BencodeError) -> Self {
        Self::Bencode
    }
}

//! KRPC, the messages of the DHT: BEP 5, with BEP 32 (IPv6), 33 (scrape), 42 (`ip`), 43 (`ro`), 44 (stored items) and
//! 51 (samples).
//!
//! [`Message::decode`] reads a datagram once, front to back, and lends what it finds; [`Message::encode`] writes
//! canonical bencode into a lent vector. Neither allocates, a growing vector apart.
//!
//! Lenient where the network is: keys in any order, unknown keys, values of an unexpected type where the value is
//! optional, bytes after the message, ragged tails of compact strings. Strict where it matters: the bencode itself, a
//! transaction that is there and not long, ids of 20 bytes, the arguments without which a query asks nothing. Of a
//! repeated key the last one counts.

mod encode;
mod error;
mod message;
mod query;
mod reply;
mod values;

pub use error::KrpcError;
pub use message::{Body, MAX_TRANSACTION_LEN, Message, query_transaction};
pub use query::{Method, Query, Want};
pub use reply::Reply;
pub use values::{Values, ValuesIter};

/// Error codes of BEP 5 and BEP 44.
pub mod error_code {
    /// Generic error; in practice often "you ask too much" (BEP 5).
    pub const GENERIC: i64 = 201;
    /// Server error (BEP 5).
    pub const SERVER: i64 = 202;
    /// Malformed packet, invalid arguments or bad token (BEP 5).
    pub const PROTOCOL: i64 = 203;
    /// Method unknown (BEP 5).
    pub const METHOD_UNKNOWN: i64 = 204;
    /// The value of a put is larger than 1000 bytes (BEP 44).
    pub const VALUE_TOO_BIG: i64 = 205;
    /// The signature of a put is invalid (BEP 44).
    pub const BAD_SIGNATURE: i64 = 206;
    /// The salt of a put is larger than 64 bytes (BEP 44).
    pub const SALT_TOO_BIG: i64 = 207;
    /// The `cas` of a put is not the sequence number that is stored: read again, then write (BEP 44).
    pub const CAS_MISMATCH: i64 = 301;
    /// The sequence number of a put is lower than what is stored (BEP 44).
    pub const SEQUENCE_TOO_LOW: i64 = 302;
}

#[cfg(test)]
mod tests;

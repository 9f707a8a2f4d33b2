//! Trackers over UDP (BEP 15): first a connection id, which shows that we are where we say, then questions. Path and query
//! of the URL follow an announce as options (BEP 41).

use std::net::IpAddr;

use thiserror::Error;

use super::{Announce, Counts, text};
use crate::{InfoHash, compact};

/// The longest datagram that is written here, bytes: an announce with a tail of [`MAX_URL`](super::MAX_URL) bytes, in
/// four options.
pub const MAX_LEN: usize = 98 + super::MAX_URL + 4 * 2;

/// What a connect begins with.
const PROTOCOL: u64 = 0x0417_2710_1980;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// The option that carries path and query (BEP 41).
const URL_DATA: u8 = 2;

/// A datagram that is no answer of a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    /// Fewer bytes than such an answer has.
    #[error("{0} bytes, fewer than such an answer has")]
    Short(usize),
    /// An action that no answer has.
    #[error("action {0}")]
    Action(u32),
}

/// What a tracker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// The connection id; good for a minute.
    Connected(u64),
    /// The answer to an announce.
    Announced {
        /// Seconds until the next announce is wanted; none if negative.
        interval: Option<u32>,
        /// The swarm.
        counts: Counts,
        /// The peers.
        peers: Peers<'a>,
    },
    /// The answer to a scrape.
    Scraped(Swarms<'a>),
    /// A refusal; [`Reply::reason`] is its text.
    Refused(&'a [u8]),
}

/// Peers of an announce, of 6 bytes or of 18: by the address family of the tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peers<'a> {
    bytes: &'a [u8],
    v6: bool,
}

/// Counts of the torrents that a scrape asked for, in the order of the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swarms<'a>(&'a [u8]);

impl<'a> Peers<'a> {
    /// The peers in order; a ragged tail is dropped.
    pub fn iter(self) -> impl Iterator<Item = std::net::SocketAddr> + use<'a> {
        let (four, six) = if self.v6 {
            (&[][..], self.bytes)
        } else {
            (self.bytes, &[][..])
        };
        compact::peers4(four).chain(compact::peers6(six))
    }
}

impl<'a> Swarms<'a> {
    /// Counts of one torrent after the other; a ragged tail is dropped.
    pub fn iter(self) -> impl Iterator<Item = Counts> + use<'a> {
        self.0
            .as_chunks::<12>()
            .0
            .iter()
            .map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| Counts {
                complete: count([a, b, c, d]),
                downloaded: count([e, f, g, h]),
                incomplete: count([i, j, k, l]),
                downloaders: None,
            })
    }
}

impl<'a> Reply<'a> {
    /// Reads an answer and the transaction that it belongs to. `v6` says that it came from an IPv6 address, whose peers
    /// are longer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is none.
    pub fn decode(datagram: &'a [u8], v6: bool) -> Result<(u32, Self), Malformed> {
        let short = Malformed::Short(datagram.len());
        let ([action, transaction], rest) = words(datagram).ok_or(short)?;
        let reply = match action {
            CONNECT => {
                let ([high, low], _) = words(rest).ok_or(short)?;
                Self::Connected(u64::from(high) << 32 | u64::from(low))
            }
            ANNOUNCE => {
                let ([interval, incomplete, complete], bytes) = words(rest).ok_or(short)?;
                Self::Announced {
                    interval: sensible(interval),
                    counts: Counts {
                        complete: sensible(complete),
                        incomplete: sensible(incomplete),
                        downloaded: None,
                        downloaders: None,
                    },
                    peers: Peers { bytes, v6 },
                }
            }
            SCRAPE => Self::Scraped(Swarms(rest)),
            ERROR => Self::Refused(rest),
            action => return Err(Malformed::Action(action)),
        };
        Ok((transaction, reply))
    }

    /// The text of a refusal, fit to be shown.
    pub fn reason(said: &[u8]) -> String {
        text(said)
    }
}

/// Whether a datagram begins as an answer of a tracker does: an action from 0 to 3 and a transaction. No KRPC message
/// does (`d`), and no uTP packet (1 in the low half of the first byte).
pub fn begins(datagram: &[u8]) -> bool {
    matches!(datagram, [0, 0, 0, 0..=3, _, _, _, _, ..])
}

/// Appends the question for a connection id.
pub fn connect(transaction: u32, out: &mut Vec<u8>) {
    head(PROTOCOL, CONNECT, transaction, out);
}

/// Appends an announce. `tail` is path and query of the tracker's URL; of more than [`MAX_URL`](super::MAX_URL) bytes the
/// rest is cut.
pub fn announce(connection: u64, transaction: u32, ask: &Announce<'_>, tail: &str, out: &mut Vec<u8>) {
    head(connection, ANNOUNCE, transaction, out);
    out.extend_from_slice(ask.info_hash.as_bytes());
    out.extend_from_slice(ask.peer_id.as_bytes());
    for number in [ask.downloaded, ask.left, ask.uploaded] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let ip = match ask.ip {
        Some(IpAddr::V4(ip)) => ip.to_bits(),
        _ => 0,
    };
    for number in [ask.event as u32, ip, ask.key, ask.num_want.unwrap_or(u32::MAX)] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&ask.port.to_be_bytes());
    let tail = tail.as_bytes();
    for chunk in tail.get(..super::MAX_URL).unwrap_or(tail).chunks(255) {
        out.extend_from_slice(&[URL_DATA, u8::try_from(chunk.len()).unwrap_or(0)]);
        out.extend_from_slice(chunk);
    }
}

/// Appends the question how large some swarms are; about 74 fit in a datagram.
pub fn scrape(connection: u64, transaction: u32, torrents: &[InfoHash], out: &mut Vec<u8>) {
    head(connection, SCRAPE, transaction, out);
    torrents.iter().for_each(|name| out.extend_from_slice(name.as_bytes()));
}

fn head(connection: u64, action: u32, transaction: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&connection.to_be_bytes());
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
}

/// The first `N` numbers, and the rest.
fn words<const N: usize>(bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let (chunks, _) = bytes.as_chunks::<4>();
    let chunks: &[[u8; 4]; N] = chunks.first_chunk()?;
    Some((chunks.map(u32::from_be_bytes), bytes.get(4 * N..)?))
}

/// A count, which is signed on the wire.
fn count(bytes: [u8; 4]) -> Option<u32> {
    sensible(u32::from_be_bytes(bytes))
}

fn sensible(number: u32) -> Option<u32> {
    (number <= i32::MAX as u32).then_some(number)
}

//! What is kept of the ledger between runs: who answered, what it runs, whether it samples, and when it may be asked
//! again. So a later run begins with the nodes that are worth most, and asks none inside its interval.
//!
//! A bencoded dictionary: `saved-at`, Unix seconds; `known` and `known6`, records end to end: a compact contact (26 bytes,
//! or 38 of IPv6), a byte for the client and one for what the node showed of itself, `num` (2 bytes, big-endian) and the
//! seconds until it may be asked again (4).

use thiserror::Error;
use wire::bencode::{BencodeError, Encoder, Limits, decode};
use wire::compact::{self, NODE4_LEN, NODE6_LEN};
use world::Time;

use super::{Client, Entry, Learned, Ledger, Node, Provenance, Standing};
use crate::{Contact, Family};

/// Nodes kept, at most: 2.3 MB. Those that sample come first.
const MAX_KEPT: usize = 1 << 16;
/// Bytes of a record beyond its contact.
const FACTS: usize = 8;
/// Three entries.
const LIMITS: Limits = Limits { depth: 4, tokens: 64 };

/// What the bytes stand for.
const CLIENTS: [Client; 7] = [
    Client::Unknown,
    Client::Libtorrent,
    Client::UTorrent,
    Client::Transmission,
    Client::RTorrent,
    Client::Mldht,
    Client::Other,
];
const STANDINGS: [Standing; 3] = [Standing::Samples, Standing::Alive, Standing::Never];

/// Why a kept ledger cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeptError {
    /// Not bencode.
    #[error("the kept ledger is damaged: {0}")]
    Bencode(#[from] BencodeError),
    /// Bencode, but no dictionary with the time of its writing.
    #[error("the kept ledger does not say when it was written")]
    NoTime,
}

/// A node as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) contact: Contact,
    client: Client,
    standing: Standing,
    num: u16,
    /// Seconds until it may be asked again.
    rest: u32,
}

impl Kept {
    fn put(&self, out: &mut Vec<u8>) {
        let place = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
        compact::put_contact(&self.contact, out);
        out.push(place(CLIENTS.iter().position(|client| *client == self.client)));
        out.push(place(STANDINGS.iter().position(|standing| *standing == self.standing)));
        out.extend_from_slice(&self.num.to_be_bytes());
        out.extend_from_slice(&self.rest.to_be_bytes());
    }

    /// `None` if it makes no sense, or `passed` seconds are not a time.
    fn read(contact: Contact, facts: &[u8], passed: u32) -> Option<Self> {
        let &[client, standing, n1, n0, r3, r2, r1, r0] = facts else {
            return None;
        };
        Some(Self {
            contact,
            client: *CLIENTS.get(usize::from(client))?,
            standing: *STANDINGS.get(usize::from(standing))?,
            num: u16::from_be_bytes([n1, n0]),
            rest: u32::from_be_bytes([r3, r2, r1, r0]).saturating_sub(passed),
        })
    }
}

/// The kept nodes in `bytes`, as they stand at `unix_now`.
pub(crate) fn read(bytes: &[u8], unix_now: u64) -> Result<Vec<Kept>, KeptError> {
    let value = decode(bytes, &LIMITS)?;
    let dict = value.as_dict().ok_or(KeptError::NoTime)?;
    let saved_at = dict.get(b"saved-at").and_then(|at| at.as_int());
    let saved_at = saved_at
        .and_then(|at| u64::try_from(at).ok())
        .ok_or(KeptError::NoTime)?;
    let passed = u32::try_from(unix_now.saturating_sub(saved_at)).unwrap_or(u32::MAX);
    let records = |key: &[u8]| dict.get(key).and_then(|known| known.as_bytes()).unwrap_or_default();
    let v4 = records(b"known").chunks_exact(NODE4_LEN + FACTS).filter_map(|record| {
        let (contact, facts) = record.split_at_checked(NODE4_LEN)?;
        Kept::read(compact::nodes4(contact).next()?, facts, passed)
    });
    let v6 = records(b"known6").chunks_exact(NODE6_LEN + FACTS).filter_map(|record| {
        let (contact, facts) = record.split_at_checked(NODE6_LEN)?;
        Kept::read(compact::nodes6(contact).next()?, facts, passed)
    });
    Ok(v4.chain(v6).take(MAX_KEPT).collect())
}

impl Ledger {
    /// What to keep for the next run, written at `unix_now`.
    pub(crate) fn keep(&self, now: Time, unix_now: u64) -> Vec<u8> {
        let now = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let mut worthy: Vec<u32> = (0..self.heads.len())
            .flat_map(|bucket| self.bucket_of(bucket))
            .filter(|&number| STANDINGS.contains(&self.nodes[number as usize].standing))
            .collect();
        worthy.sort_by_key(|&number| std::cmp::Reverse(self.nodes[number as usize].worth()));
        let mut records = [Vec::new(), Vec::new()];
        for number in worthy.into_iter().take(MAX_KEPT) {
            let node = &self.nodes[number as usize];
            let contact = self.contact(Entry(number));
            let kept = Kept {
                contact,
                client: node.client,
                standing: node.standing,
                num: node.num,
                rest: node.due.saturating_sub(now),
            };
            kept.put(&mut records[Family::of(&contact.addr) as usize]);
        }
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        encoder.begin_dict().key(b"known").bytes(&records[0]);
        encoder.key(b"known6").bytes(&records[1]);
        encoder
            .key(b"saved-at")
            .int(i64::try_from(unix_now).unwrap_or(i64::MAX));
        encoder.end();
        out
    }

    /// Takes down a node of an earlier run. What is known better from this one stays.
    pub(crate) fn restore(&mut self, now: Time, kept: &Kept) {
        let Learned::New(entry) = self.learn(&kept.contact, Provenance::Answered) else {
            return;
        };
        self.update(entry, |node: &mut Node| {
            (node.client, node.standing, node.num) = (kept.client, kept.standing, kept.num);
            node.interval = u16::try_from(kept.rest).unwrap_or(u16::MAX);
        });
        if kept.rest > 0 {
            let now = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
            self.put_off(entry, now.saturating_add(kept.rest));
        }
    }
}

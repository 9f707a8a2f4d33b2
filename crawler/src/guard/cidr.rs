//! Address blocks that the user forbids.

use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A block of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no address block. For the user's eyes.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CidrError {
    /// The part before the slash.
    #[error("{text:?}: {source} (expected a block like 192.0.2.0/24 or 2001:db8::/32)")]
    Address {
        /// The text given.
        text: String,
        /// What is wrong with the address.
        source: AddrParseError,
    },
    /// The part after the slash.
    #[error("{text:?}: the prefix length must be a number from 0 to {longest}")]
    Prefix {
        /// The text given.
        text: String,
        /// 32 for IPv4, 128 for IPv6.
        longest: u8,
    },
    /// Bits are set to the right of the prefix: was one address meant, or the block around it?
    #[error("{text:?}: the address lies inside a block of that size; for the whole block write {block}")]
    HostBits {
        /// The text given.
        text: String,
        /// The block that contains the address.
        block: Cidr,
    },
}

impl Cidr {
    /// The first address of the block.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address of the block.
    pub fn last(&self) -> IpAddr {
        match self.first {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | host_bits_v4(self.prefix)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | host_bits_v6(self.prefix)).into(),
        }
    }

    /// The block of all addresses that share their first `prefix` bits with `ip`.
    fn around(ip: IpAddr, prefix: u8) -> Self {
        let first = match ip {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !host_bits_v4(prefix)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !host_bits_v6(prefix)).into(),
        };
        Self { first, prefix }
    }

    /// A block of IPv4 addresses written as IPv6 (`::ffff:192.0.2.0/120`) is the block of IPv4 addresses.
    fn canonical(self) -> Self {
        match (self.first.to_canonical(), self.prefix.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(prefix)) if self.first.is_ipv6() => Self { first, prefix },
            _ => self,
        }
    }
}

fn host_bits_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

fn host_bits_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `ADDRESS/LENGTH`, or one `ADDRESS`; space around it is ignored.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let text = text.trim();
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|source| CidrError::Address {
            text: text.to_owned(),
            source,
        })?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match length {
            None => longest,
            Some(length) => {
                length
                    .parse()
                    .ok()
                    .filter(|&prefix| prefix <= longest)
                    .ok_or_else(|| CidrError::Prefix {
                        text: text.to_owned(),
                        longest,
                    })?
            }
        };
        let block = Self::around(ip, prefix);
        if block.first != ip {
            return Err(CidrError::HostBits {
                text: text.to_owned(),
                block,
            });
        }
        Ok(block.canonical())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Many blocks, as disjoint ranges in order: a question costs one binary search, however long the list.
pub(crate) struct Blocklist {
    v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl Blocklist {
    pub(crate) fn new(blocks: &[Cidr]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for block in blocks {
            match (block.first(), block.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first, last)),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first, last)),
                _ => unreachable!("first and last of a block are of one family"),
            }
        }
        Self {
            v4: disjoint(v4),
            v6: disjoint(v6),
        }
    }

    /// Whether `ip`, in its canonical form, is in any of the blocks.
    pub(crate) fn covers(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => any_covers(&self.v4, &ip),
            IpAddr::V6(ip) => any_covers(&self.v6, &ip),
        }
    }
}

/// Sorts ranges and joins those that overlap.
fn disjoint<A: Copy + Ord>(mut ranges: Vec<(A, A)>) -> Vec<(A, A)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
    ranges
}

fn any_covers<A: Ord>(ranges: &[(A, A)], ip: &A) -> bool {
    let after = ranges.partition_point(|range| range.0 <= *ip);
    after.checked_sub(1).is_some_and(|at| *ip <= ranges[at].1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Cidr, String> {
        text.parse().map_err(|error: CidrError| error.to_string())
    }

    #[test]
    fn blocks_and_single_addresses_are_read() {
        for (text, shown) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            (" 192.0.2.7 ", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, hint) in [
            ("", "invalid IP address"),
            ("192.0.2/24", "invalid IP address"),
            ("192.0.2.0/33", "0 to 32"),
            ("2001:db8::/129", "0 to 128"),
            ("192.0.2.0/", "0 to 32"),
            ("192.0.2.0/-1", "0 to 32"),
            ("192.0.2.7/24", "write 192.0.2.0/24"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn an_empty_list_covers_nothing() {
        assert!(!Blocklist::new(&[]).covers("192.0.2.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_list_covers_what_any_block_covers(
            blocks in prop::collection::vec((any::<u32>(), 0..=32_u8), 0..20),
            probes in prop::collection::vec(any::<u32>(), 0..50),
        ) {
            let blocks: Vec<Cidr> = blocks
                .into_iter()
                .map(|(bits, prefix)| Cidr::around(Ipv4Addr::from_bits(bits).into(), prefix))
                .collect();
            let list = Blocklist::new(&blocks);
            let edges = blocks.iter().flat_map(|block| [block.first(), block.last()]);
            for ip in probes.into_iter().map(|bits| Ipv4Addr::from_bits(bits).into()).chain(edges) {
                let expected = blocks.iter().any(|block| block.first() <= ip && ip <= block.last());
                prop_assert_eq!(list.covers(ip), expected);
            }
        }
    }
}

//! The bloom filters of a scrape (BEP 33): 2048 bits, two per address, from which the size of a swarm is estimated.

use std::fmt;
use std::net::IpAddr;

use sha1::{Digest, Sha1};

/// Bytes of a filter.
pub const LEN: usize = 256;

const BITS: u32 = 2048;
/// Bits set per address.
const HASHES: f64 = 2.0;

/// A set of IP addresses that can be counted and united, but not listed.
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom([u8; LEN]);

impl Bloom {
    /// No address.
    pub const fn new() -> Self {
        Self([0; LEN])
    }

    /// A filter as a node sent it.
    pub const fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self(bytes)
    }

    /// The filter as it goes over the wire.
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Adds an address.
    pub fn insert(&mut self, ip: IpAddr) {
        for (byte, mask) in places(ip) {
            if let Some(byte) = self.0.get_mut(byte) {
                *byte |= mask;
            }
        }
    }

    /// Whether the address may have been added; false is certain.
    pub fn contains(&self, ip: IpAddr) -> bool {
        places(ip)
            .iter()
            .all(|&(byte, mask)| self.0.get(byte).is_some_and(|byte| byte & mask != 0))
    }

    /// Adds what the other holds. What two nodes see of a swarm overlaps, so unite and then estimate; never add up.
    pub fn unite(&mut self, other: &Self) {
        for (byte, more) in self.0.iter_mut().zip(other.0) {
            *byte |= more;
        }
    }

    /// How many bits are set, 0 to 2048; an honest filter of 6000 addresses has about 2042.
    pub fn ones(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// About how many addresses are in it: `ln(c/m) / (k * ln(1 - 1/m))` for `c` zero bits of `m` (BEP 33).
    ///
    /// Off by 2 % at 1000 addresses and by 5 % at 5000. `None` if every bit is set: more than about 6000, or forged,
    /// and not to be taken for a number. The formula's half an address for an empty filter is given as 0.
    pub fn estimate(&self) -> Option<f64> {
        let size = f64::from(BITS);
        match BITS - self.ones() {
            0 => None,
            BITS => Some(0.0),
            zeros => Some((f64::from(zeros) / size).ln() / (HASHES * (1.0 - 1.0 / size).ln())),
        }
    }
}

impl Default for Bloom {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom({} of {BITS} bits)", self.ones())
    }
}

/// Byte and mask of the two bits of an address: the first two and the next two bytes of its SHA-1, little-endian.
fn places(ip: IpAddr) -> [(usize, u8); 2] {
    let hash = match ip {
        IpAddr::V4(ip) => Sha1::digest(ip.octets()),
        IpAddr::V6(ip) => Sha1::digest(ip.octets()),
    };
    let [a, b, c, d, ..] = hash.0;
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])].map(|bit| {
        let bit = usize::from(bit) % BITS as usize;
        (bit / 8, 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// The addresses of the test vector of BEP 33: 192.0.2.0/24, and 2001:db8:: to 2001:db8::3e7.
    fn addresses() -> impl Iterator<Item = IpAddr> {
        let v4 = (0..=255).map(|last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last)));
        let v6 = (0..=0x3E7).map(|last| IpAddr::from(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, last)));
        v4.chain(v6)
    }

    fn filter(addresses: impl Iterator<Item = IpAddr>) -> Bloom {
        let mut bloom = Bloom::new();
        addresses.for_each(|ip| bloom.insert(ip));
        bloom
    }

    #[test]
    fn the_test_vector_of_bep_33_holds() {
        let bloom = filter(addresses());
        let hex: String = bloom.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        let vector = "F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAE\
                      FE5EEDB1FBFAFF67F6ABFF5E43DDBCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B\
                      7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE148246C2BC5DBFF7E7EFDCF24F\
                      D8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3\
                      FA1FC77BFE07FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5\
                      BFAF2E9EBFFFFEECD67ADBF7C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB57\
                      62ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE76B6\
                      FD8F72EF";
        assert_eq!(hex, vector);
        assert!((bloom.estimate().unwrap() - 1224.9308).abs() < 0.0001);
    }

    #[test]
    fn every_address_added_is_found() {
        let bloom = filter(addresses().take(100));
        assert!(addresses().take(100).all(|ip| bloom.contains(ip)));
        assert!(addresses().skip(100).filter(|&ip| bloom.contains(ip)).count() < 50);
    }

    #[test]
    fn a_union_counts_an_overlap_once() {
        let mut bloom = filter(addresses().take(600));
        bloom.unite(&filter(addresses().skip(300)));
        assert_eq!(bloom, filter(addresses()));
    }

    #[test]
    fn empty_is_none_and_full_is_no_number() {
        assert_eq!(Bloom::new().estimate(), Some(0.0));
        assert_eq!(Bloom::from_bytes([0xFF; LEN]).estimate(), None);
    }
}

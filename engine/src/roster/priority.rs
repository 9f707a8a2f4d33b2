//! The order of dialling that both ends agree on (BEP 40).

use std::net::{IpAddr, SocketAddr};

use wire::crc32c;

/// The canonical priority of the connection between two endpoints; the same seen from either end, the higher the better.
/// `None` if one is IPv4 and the other is not: the BEP has no rule for it.
pub fn canonical_priority(one: SocketAddr, other: SocketAddr) -> Option<u32> {
    match (one.ip().to_canonical(), other.ip().to_canonical()) {
        (a, b) if a == b => {
            let (low, high) = sorted(one.port().to_be_bytes(), other.port().to_be_bytes());
            Some(crc32c([low, high].as_flattened()))
        }
        // The same mask is FF.FF.55.55, then FF.FF.FF.55, then FF.FF.FF.FF.
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(masked(a.octets(), b.octets(), 2)),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(masked(a.octets(), b.octets(), 6)),
        _ => None,
    }
}

/// Of each address the first bytes as far as they are the same, one more, and at least `whole`; of the rest every other
/// bit. So everybody in a small network has much the same priority, and yet neighbours tell one another apart.
fn masked<const N: usize>(a: [u8; N], b: [u8; N], whole: usize) -> u32 {
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let whole = whole.max(common + 1);
    let mask = |mut address: [u8; N]| {
        for byte in address.iter_mut().skip(whole) {
            *byte &= 0x55;
        }
        address
    };
    let (low, high) = sorted(mask(a), mask(b));
    crc32c([low, high].as_flattened())
}

fn sorted<T: Ord>(a: T, b: T) -> (T, T) {
    if a < b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn priority(one: &str, other: &str) -> Option<u32> {
        canonical_priority(one.parse().unwrap(), other.parse().unwrap())
    }

    #[test]
    fn the_examples_of_bep_40() {
        assert_eq!(priority("123.213.32.10:1", "98.76.54.32:2"), Some(0xec2d_7224));
        assert_eq!(priority("123.213.32.10:1", "123.213.32.234:2"), Some(0x9956_8189));
    }

    #[test]
    fn the_masks_of_bep_40() {
        let of = |bytes: &[u8]| Some(crc32c(bytes));
        // The same /16: FF.FF.FF.55.
        assert_eq!(
            priority("10.1.255.255:1", "10.1.2.3:1"),
            of(&[10, 1, 2, 1, 10, 1, 255, 0x55])
        );
        // IPv6: six bytes whole, seven in the same /48, eight in the same /56.
        let other = |prefix: [u8; 8]| {
            let mut bytes = [0x55; 16];
            bytes[..8].copy_from_slice(&prefix);
            bytes
        };
        let check = |a: &str, b: &str, low: [u8; 8], high: [u8; 8]| {
            let bytes = [other(low), other(high)].concat();
            assert_eq!(priority(&format!("[{a}]:1"), &format!("[{b}]:1")), of(&bytes));
        };
        let ones = "ffff:ffff:ffff:ffff";
        check(
            &format!("2001:db8:1:{ones}:ffff"),
            &format!("2001:db8:2:{ones}:ffff"),
            [0x20, 1, 0x0d, 0xb8, 0, 1, 0x55, 0x55],
            [0x20, 1, 0x0d, 0xb8, 0, 2, 0x55, 0x55],
        );
        check(
            &format!("2001:db8:1:1ff:{ones}"),
            &format!("2001:db8:1:2ff:{ones}"),
            [0x20, 1, 0x0d, 0xb8, 0, 1, 1, 0x55],
            [0x20, 1, 0x0d, 0xb8, 0, 1, 2, 0x55],
        );
        check(
            &format!("2001:db8:1:1fe:{ones}"),
            &format!("2001:db8:1:1ff:{ones}"),
            [0x20, 1, 0x0d, 0xb8, 0, 1, 1, 0xfe],
            [0x20, 1, 0x0d, 0xb8, 0, 1, 1, 0xff],
        );
    }

    #[test]
    fn on_one_host_the_ports_decide() {
        assert_eq!(
            priority("127.0.0.1:6882", "127.0.0.1:6881"),
            Some(crc32c(&[0x1a, 0xe1, 0x1a, 0xe2]))
        );
    }

    #[test]
    fn families_do_not_mix_unless_one_is_mapped() {
        assert_eq!(priority("10.0.0.1:1", "[2001:db8::1]:1"), None);
        assert_eq!(priority("[::ffff:123.213.32.10]:1", "98.76.54.32:2"), Some(0xec2d_7224));
    }
    proptest! {
        #[test]
        fn both_ends_agree(a: [u8; 4], b: [u8; 4], ports: (u16, u16)) {
            let (one, other) = (SocketAddr::from((a, ports.0)), SocketAddr::from((b, ports.1)));
            prop_assert_eq!(canonical_priority(one, other), canonical_priority(other, one));
        }
    }
}

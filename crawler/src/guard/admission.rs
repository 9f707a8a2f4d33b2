//! Whom strangers may name to us at all.

use std::net::{IpAddr, SocketAddr};

use super::bogon;
use super::cidr::{Blocklist, Cidr};

/// Which addresses may be believed to be a node or a peer, whatever the time. What a [`Guard`](super::Guard) admits, but
/// for our own addresses, which only that one knows.
pub struct Admission {
    lab: bool,
    blocklist: Blocklist,
}

impl Admission {
    /// In a `lab`, loopback addresses are admitted and no others.
    pub fn new(blocklist: &[Cidr], lab: bool) -> Self {
        Self {
            lab,
            blocklist: Blocklist::new(blocklist),
        }
    }

    /// Whether `addr` may be believed: of this network, with a port that is not reserved, and not blocked.
    pub fn admits(&self, addr: &SocketAddr) -> bool {
        self.in_reach(addr.ip().to_canonical()) && addr.port() >= 1024 && !self.is_blocked(addr.ip())
    }

    /// Whether the user forbids this host.
    pub fn is_blocked(&self, ip: IpAddr) -> bool {
        self.blocklist.covers(ip.to_canonical())
    }

    pub(super) fn in_reach(&self, ip: IpAddr) -> bool {
        if self.lab {
            bogon::is_loopback(ip)
        } else {
            bogon::is_global(ip)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_name_hosts_of_this_network_that_are_not_blocked() {
        let blocked = ["8.8.0.0/16".parse().unwrap()];
        let admits = |lab, addr: &str| Admission::new(&blocked, lab).admits(&addr.parse().unwrap());
        assert!(admits(false, "9.9.9.9:6881"));
        for refused in [
            "8.8.8.8:6881",
            "9.9.9.9:0",
            "9.9.9.9:80",
            "192.168.1.1:6881",
            "[::1]:6881",
        ] {
            assert!(!admits(false, refused), "{refused}");
        }
        assert!(admits(true, "127.1.2.3:6881") && !admits(true, "9.9.9.9:6881"));
    }
}

//! Local Service Discovery (BEP 14): announcements of torrents to everybody on the network at hand, in the form of HTTP headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::InfoHash;

/// The port of both groups.
pub const PORT: u16 = 6771;
/// Where IPv4 hosts announce.
pub const GROUP_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), PORT);
/// Where IPv6 hosts announce: site-local.
pub const GROUP_V6: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)), PORT);

/// Longest announcement that BEP 14 lets anybody send, bytes; ours are no longer.
pub const LONGEST: usize = 1400;
/// Infohashes that fit into one of ours.
pub const INFOHASHES: usize = 24;
/// Longest cookie that is looked at, bytes.
const COOKIE_LONGEST: usize = 64;

const FIRST_LINE: &str = "BT-SEARCH * HTTP/1.1";

/// Whether an address is one of the groups.
pub fn is_group(addr: &SocketAddr) -> bool {
    *addr == GROUP_V4 || *addr == GROUP_V6
}

/// An announcement as it came, lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce<'a> {
    /// TCP port (and that of uTP) where the announcer is called; never 0.
    pub port: u16,
    /// What the announcer put in to know its own announcements by.
    pub cookie: Option<&'a [u8]>,
    /// All header lines.
    lines: &'a [u8],
}

impl<'a> Announce<'a> {
    /// Reads a datagram. `None` for anything but an announcement: another first line, no port, no infohash, not ended by an
    /// empty line, or longer than one may be.
    ///
    /// Names of headers are read in any case; unknown ones and infohashes that are none are passed over.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        if datagram.len() > LONGEST {
            return None;
        }
        let lines = datagram.strip_prefix(FIRST_LINE.as_bytes())?.strip_prefix(b"\r\n")?;
        // One empty line ends it by the law of HTTP, two by the example of the BEP.
        let end = lines.windows(4).position(|four| four == b"\r\n\r\n")?;
        let lines = lines.get(..end)?;
        let mut port = None;
        let mut cookie = None;
        for (name, value) in headers(lines) {
            if name.eq_ignore_ascii_case(b"port") {
                port = str::from_utf8(value).ok()?.parse().ok();
            } else if name.eq_ignore_ascii_case(b"cookie") {
                cookie = Some(value).filter(|value| value.len() <= COOKIE_LONGEST);
            }
        }
        let port = port.filter(|port| *port != 0)?;
        let announce = Self { port, cookie, lines };
        announce.infohashes().next().is_some().then_some(announce)
    }

    /// The torrents, in their order; as many as there are in the datagram, which is short.
    pub fn infohashes(&self) -> impl Iterator<Item = InfoHash> + use<'a> {
        headers(self.lines)
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"infohash"))
            .filter_map(|(_, value)| InfoHash::from_hex(str::from_utf8(value).ok()?).ok())
    }
}

fn headers(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

/// Appends an announcement to `group` of the first [`INFOHASHES`] of `infohashes`: that we are called at `port`, with `cookie`,
/// by which we know it when it comes back to us.
pub fn write(group: SocketAddr, port: u16, cookie: u32, infohashes: &[InfoHash], out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a vector does not fail.
    let _ = write!(out, "{FIRST_LINE}\r\nHost: {group}\r\nPort: {port}\r\n");
    for infohash in infohashes.iter().take(INFOHASHES) {
        let _ = write!(out, "Infohash: {infohash}\r\n");
    }
    let _ = write!(out, "cookie: {cookie:08x}\r\n\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn infohash() -> InfoHash {
        InfoHash::from_hex(HASH).unwrap()
    }

    #[test]
    fn an_announcement_reads_as_the_bep_writes_it() {
        let mut out = Vec::new();
        write(GROUP_V4, 6881, 0xbeef, &[infohash()], &mut out);
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {HASH}\r\n\
             cookie: 0000beef\r\n\r\n\r\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), text);
        let mut out = Vec::new();
        write(GROUP_V6, 1, 0, &[infohash()], &mut out);
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("Host: [ff15::efc0:988f]:6771\r\n")
        );
    }

    #[test]
    fn what_other_programs_write_is_read() {
        let upper = HASH.to_uppercase();
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nPORT:51413\r\ninfohash: {upper}\r\nInfohash: short\r\nX-Else: 1\r\nINFOHASH: {HASH}\r\n\r\n"
        );
        let announce = Announce::read(text.as_bytes()).unwrap();
        assert_eq!((announce.port, announce.cookie), (51413, None));
        assert_eq!(announce.infohashes().collect::<Vec<_>>(), [infohash(), infohash()]);
    }

    #[test]
    fn what_is_no_announcement_is_nothing() {
        let full = format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: {HASH}\r\n\r\n");
        assert!(Announce::read(full.as_bytes()).is_some());
        let long = full.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "a".repeat(LONGEST)));
        for text in [
            "",
            &full.replace("BT-SEARCH", "M-SEARCH"),
            &full.replace("6881", "0"),
            &full.replace("6881", "65536"),
            &full.replace("Port", "Prot"),
            &full.replace(HASH, "abc"),
            full.trim_end(),
            &long,
        ] {
            assert_eq!(Announce::read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_is_short_enough(
            port in 1u16..,
            cookie: u32,
            hashes in vec(any::<[u8; 20]>(), 1..40),
            v6: bool,
        ) {
            let hashes: Vec<_> = hashes.into_iter().map(InfoHash::new).collect();
            let mut out = Vec::new();
            write(if v6 { GROUP_V6 } else { GROUP_V4 }, port, cookie, &hashes, &mut out);
            prop_assert!(out.len() <= LONGEST);
            let announce = Announce::read(&out).unwrap();
            prop_assert_eq!(announce.port, port);
            let cookie = format!("{cookie:08x}");
            prop_assert_eq!(announce.cookie, Some(cookie.as_bytes()));
            let read: Vec<_> = announce.infohashes().collect();
            prop_assert_eq!(read.as_slice(), &hashes[..hashes.len().min(INFOHASHES)]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            head in prop_oneof![Just("BT-SEARCH * HTTP/1.1\r\n"), Just("")],
            bytes in "(Port: 1|Infohash: [0-9a-f]{38,40}|cookie|:|\r\n|\\PC){0,60}",
            end in prop_oneof![Just("\r\n\r\n"), Just("")],
        ) {
            crate::fuzz::lsd(format!("{head}{bytes}{end}").as_bytes());
        }
    }
}

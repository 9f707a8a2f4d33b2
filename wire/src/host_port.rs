//! A place on the network as people and torrents write it: a host, by name or address, and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Longest host name, bytes (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// Why text is not a host and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HostPortError {
    /// No colon, or nothing behind it.
    #[error("no port: write host:port, or [address]:port for IPv6")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    BadPort,
    /// An IPv6 address without brackets, where its last group cannot be told from the port.
    #[error("an IPv6 address needs brackets: [address]:port")]
    NoBrackets,
    /// Empty, too long, or with characters that no host has.
    #[error("not a host name or IP address")]
    BadHost,
}

/// A host and a port. The host is an IP address, or a name that is still to be resolved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// Joins a host (IPv6 without brackets) and a port.
    ///
    /// A name needs a letter: `12` or `1.2.3` is neither an address nor a name that resolves, and so `x.pe=0:4` in a
    /// magnet link cannot mean a peer.
    ///
    /// # Errors
    ///
    /// [`HostPortError::BadHost`] or [`HostPortError::BadPort`].
    pub fn new(host: &str, port: u16) -> Result<Self, HostPortError> {
        if port == 0 {
            return Err(HostPortError::BadPort);
        }
        if host.parse::<IpAddr>().is_err() && !is_name(host) {
            return Err(HostPortError::BadHost);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The host, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The socket address, if the host is an IP address and nothing is to be resolved.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for HostPort {
    fn from(addr: SocketAddr) -> Self {
        Self {
            host: addr.ip().to_string(),
            port: addr.port(),
        }
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    /// Reads `name:port`, `1.2.3.4:port` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(HostPortError::BadHost)?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(HostPortError::BadHost);
            }
            (host, rest.strip_prefix(':').ok_or(HostPortError::NoPort)?)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or(HostPortError::NoPort)?;
            if host.contains(':') {
                return Err(HostPortError::NoBrackets);
            }
            (host, port)
        };
        if port.is_empty() {
            return Err(HostPortError::NoPort);
        }
        let digits_only = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port
            .parse()
            .ok()
            .filter(|_| digits_only)
            .ok_or(HostPortError::BadPort)?;
        Self::new(host, port)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Letters (of any script, for names that were not yet turned into ASCII), digits, `-`, `_` and `.`, with one letter.
fn is_name(host: &str) -> bool {
    host.len() <= MAX_HOST
        && host.chars().any(char::is_alphabetic)
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_read_and_print_alike() {
        for text in ["router.example.org:6881", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_an_address_needs_no_resolver() {
        let parse = |text: &str| text.parse::<HostPort>().unwrap().socket_addr();
        assert_eq!(parse("[::1]:5"), Some("[::1]:5".parse().unwrap()));
        assert_eq!(parse("example.org:5"), None);
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        for (text, error) in [
            ("example.org", HostPortError::NoPort),
            ("example.org:", HostPortError::NoPort),
            ("[::1]", HostPortError::NoPort),
            ("example.org:0", HostPortError::BadPort),
            ("example.org:+5", HostPortError::BadPort),
            ("example.org:65536", HostPortError::BadPort),
            ("::1:6881", HostPortError::NoBrackets),
            (":6881", HostPortError::BadHost),
            ("a b:6881", HostPortError::BadHost),
            ("[example.org]:6881", HostPortError::BadHost),
            ("12:6881", HostPortError::BadHost),
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
        }
    }
}

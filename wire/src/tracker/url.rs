//! The URL of a tracker, taken apart.

use std::net::Ipv6Addr;

use thiserror::Error;

use crate::HostPort;

/// Longest URL that is taken, bytes: over UDP, path and query have to fit in a datagram beside the announce (BEP 41).
pub const MAX_URL: usize = 1_000;

/// How a tracker is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP under TLS.
    Https,
    /// BEP 15.
    Udp,
}

impl Scheme {
    /// Where a tracker listens whose URL has no port. BEP 15 knows no such URL; clients take 80.
    const fn port(self) -> u16 {
        match self {
            Self::Http | Self::Udp => 80,
            Self::Https => 443,
        }
    }
}

/// Why text is not the URL of a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadUrl {
    /// Longer than [`MAX_URL`].
    #[error("longer than {MAX_URL} bytes")]
    TooLong,
    /// Neither http, https nor udp.
    #[error("neither an http, an https nor a udp URL")]
    Scheme,
    /// A host or port that cannot be.
    #[error("no host and port that can be")]
    Host,
    /// Spaces or control characters.
    #[error("spaces or control characters in it")]
    Space,
}

/// The parts of a tracker's URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerUrl<'a> {
    /// How.
    pub scheme: Scheme,
    /// Name and password, as they stand before an `@`.
    pub login: Option<&'a str>,
    /// Where.
    pub host: HostPort,
    /// Path and query, with the `/` or `?` that they begin with; without a fragment.
    pub tail: &'a str,
}

impl<'a> TrackerUrl<'a> {
    /// Takes a URL apart.
    ///
    /// # Errors
    ///
    /// [`BadUrl`].
    pub fn parse(url: &'a str) -> Result<Self, BadUrl> {
        if url.len() > MAX_URL {
            return Err(BadUrl::TooLong);
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(BadUrl::Space);
        }
        let (scheme, rest) = url.split_once("://").ok_or(BadUrl::Scheme)?;
        let known = [("http", Scheme::Http), ("https", Scheme::Https), ("udp", Scheme::Udp)];
        let scheme = known.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
        let (_, scheme) = scheme.ok_or(BadUrl::Scheme)?;
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let place = rest.split(['/', '?']).next().unwrap_or_default();
        let tail = rest.get(place.len()..).unwrap_or_default();
        let (login, place) = match place.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, place),
        };
        let host = host(place, scheme.port()).ok_or(BadUrl::Host)?;
        Ok(Self {
            scheme,
            login,
            host,
            tail,
        })
    }
}

/// A host with or without a port.
fn host(place: &str, port: u16) -> Option<HostPort> {
    if let Some(address) = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        address.parse::<Ipv6Addr>().ok()?;
        return HostPort::new(address, port).ok();
    }
    match place.strip_suffix(':').unwrap_or(place) {
        bare if !bare.contains(':') => HostPort::new(bare, port).ok(),
        _ => place.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (Scheme, Option<&str>, String, &str) {
        let parsed = TrackerUrl::parse(url).unwrap();
        (parsed.scheme, parsed.login, parsed.host.to_string(), parsed.tail)
    }

    #[test]
    fn a_url_comes_apart() {
        let whole = parts("http://user:pass@tracker.example:6969/a/announce?k=1#here");
        let tail = "/a/announce?k=1";
        assert_eq!(
            whole,
            (Scheme::Http, Some("user:pass"), "tracker.example:6969".into(), tail)
        );
        assert_eq!(
            parts("UDP://[2001:db8::1]:9"),
            (Scheme::Udp, None, "[2001:db8::1]:9".into(), "")
        );
        assert_eq!(
            parts("https://a.example?x=1"),
            (Scheme::Https, None, "a.example:443".into(), "?x=1")
        );
        assert_eq!(parts("udp://192.0.2.1/").2, "192.0.2.1:80");
        assert_eq!(parts("http://[::1]/announce").2, "[::1]:80");
    }

    #[test]
    fn what_is_none_says_why() {
        for (url, why) in [
            ("tracker.example/announce", BadUrl::Scheme),
            ("wss://tracker.example/", BadUrl::Scheme),
            ("http:///announce", BadUrl::Host),
            ("udp://a.example:0/", BadUrl::Host),
            ("http://a.example:port/", BadUrl::Host),
            ("http://::1/", BadUrl::Host),
            ("http://a.example/announce\r\nHost: b", BadUrl::Space),
            ("http://a.example/ announce", BadUrl::Space),
        ] {
            assert_eq!(TrackerUrl::parse(url), Err(why), "{url}");
        }
        let long = format!("http://a.example/{}", "a".repeat(MAX_URL));
        assert_eq!(TrackerUrl::parse(&long), Err(BadUrl::TooLong));
    }
}

//! Proxies between us and trackers or web seeds (TRK-24, WSD-06): HTTP's CONNECT (RFC 9110, 9.3.6), and SOCKS 5 (RFC 1928,
//! with the names and passwords of RFC 1929), which carries datagrams, too.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::web::url::{basic, unescaped};

/// For all that is said to a proxy before datagrams can pass.
const RELAY_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the head of an answer to CONNECT.
const HEAD_LONGEST: usize = 8 * 1024;
/// SOCKS: its version, and the version of RFC 1929.
const SOCKS: u8 = 5;
const LOGIN: u8 = 1;
/// SOCKS: kinds of addresses.
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// A proxy, as people write it: `socks5://HOST:PORT` or `http://HOST:PORT`, with `USER:PASSWORD@` before the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    is_socks: bool,
    /// `HOST:PORT`.
    pub(crate) place: String,
    login: Option<String>,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProxyError {
    /// Another scheme, or none.
    #[error("a proxy begins with socks5:// or http://")]
    Scheme,
    /// No host, or no port.
    #[error("a proxy is named with its port, as socks5://127.0.0.1:1080")]
    Place,
    /// Longer than SOCKS can say.
    #[error("user and password of a proxy have 1 to 255 bytes each")]
    Login,
}

impl std::str::FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::Scheme)?;
        let is_socks = match scheme {
            "socks5" | "socks5h" => true,
            "http" => false,
            _ => return Err(ProxyError::Scheme),
        };
        let rest = rest.trim_end_matches('/');
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login.to_owned()), place),
            None => (None, rest),
        };
        let (host, port) = place.rsplit_once(':').ok_or(ProxyError::Place)?;
        if host.is_empty() || host.contains('/') || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(ProxyError::Place);
        }
        let proxy = Self {
            is_socks,
            place: place.to_owned(),
            login,
        };
        let (user, password) = proxy.user().unwrap_or_else(|| (vec![0], vec![0]));
        let fits = |text: &[u8]| (1..=255).contains(&text.len());
        if !fits(&user) || !fits(&password) || proxy.login.as_deref().is_some_and(|login| basic(login).is_none()) {
            return Err(ProxyError::Login);
        }
        Ok(proxy)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password is not for logs.
        f.debug_struct("Proxy")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Where a proxy is to lead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Addr(SocketAddr),
    /// A name that the proxy is to look up, and a port.
    Name(&'a str, u16),
}

/// What carries datagrams for as long as it is kept.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    /// The proxy forgets us when this ends.
    _control: std::net::TcpStream,
}

impl Relay {
    /// Where [`enclosed`](enclose) datagrams are sent, and where answers come from.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Proxy {
    /// Whether it can carry datagrams at all.
    pub const fn is_socks(&self) -> bool {
        self.is_socks
    }

    /// User and password.
    fn user(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let login = self.login.as_deref()?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Some((unescaped(user), unescaped(password)))
    }

    /// Makes a connection to the proxy one to `target`.
    pub(crate) async fn lead(&self, stream: &mut TcpStream, target: Target<'_>) -> io::Result<()> {
        if self.is_socks {
            self.greet(stream).await?;
            ask(stream, 1, target).await.map(drop)
        } else {
            self.connect(stream, target).await
        }
    }

    /// Has a SOCKS proxy carry datagrams of ours.
    ///
    /// # Errors
    ///
    /// When it cannot be reached; `PermissionDenied` when it does not let us in, or carries no datagrams.
    pub fn relay(&self) -> io::Result<Relay> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            timeout(RELAY_WITHIN, async {
                let mut stream = TcpStream::connect(&self.place).await?;
                let proxy = stream.peer_addr()?;
                self.greet(&mut stream).await?;
                // From where our datagrams come is not said: it may be seen as another address.
                let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
                let mut addr = ask(&mut stream, 3, Target::Addr(any)).await?;
                if addr.ip().is_unspecified() {
                    addr.set_ip(proxy.ip());
                }
                Ok(Relay {
                    addr,
                    _control: stream.into_std()?,
                })
            })
            .await?
        })
    }

    async fn connect(&self, stream: &mut TcpStream, target: Target<'_>) -> io::Result<()> {
        let place = match target {
            Target::Addr(addr) => addr.to_string(),
            Target::Name(name, port) => format!("{name}:{port}"),
        };
        let mut head = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
        if let Some(login) = self.login.as_deref().and_then(basic) {
            head.push_str("Proxy-Authorization: ");
            head.push_str(login.to_str().unwrap_or_default());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            if said.len() >= HEAD_LONGEST {
                return Err(refused());
            }
            // What follows the head is the other end's already, so no byte too many may be taken.
            said.push(stream.read_u8().await?);
        }
        let status = said.split(|byte| *byte == b' ').nth(1);
        if said.starts_with(b"HTTP/1.") && status.is_some_and(|status| status.first() == Some(&b'2')) {
            Ok(())
        } else {
            Err(refused())
        }
    }

    /// Says who we are, as far as it wants to know.
    async fn greet(&self, stream: &mut TcpStream) -> io::Result<()> {
        let user = self.user();
        let methods: &[u8] = if user.is_some() {
            &[SOCKS, 2, 0, 2]
        } else {
            &[SOCKS, 1, 0]
        };
        stream.write_all(methods).await?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await?;
        match (chosen, user) {
            ([SOCKS, 0], _) => Ok(()),
            ([SOCKS, 2], Some((user, password))) => {
                let mut says = vec![LOGIN];
                for text in [&user, &password] {
                    says.push(u8::try_from(text.len()).map_err(|_| refused())?);
                    says.extend(text);
                }
                stream.write_all(&says).await?;
                let mut answer = [0; 2];
                stream.read_exact(&mut answer).await?;
                if answer[1] == 0 { Ok(()) } else { Err(refused()) }
            }
            _ => Err(refused()),
        }
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the proxy refuses")
}

/// Asks a SOCKS proxy for something; the address that it names in return.
async fn ask(stream: &mut TcpStream, command: u8, target: Target<'_>) -> io::Result<SocketAddr> {
    let mut asks = vec![SOCKS, command, 0];
    put_target(&mut asks, target).ok_or_else(refused)?;
    stream.write_all(&asks).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [SOCKS, 0, _, kind] = head else {
        return Err(refused());
    };
    let ip = match kind {
        V4 => IpAddr::V4(Ipv4Addr::from(stream.read_u32().await?)),
        V6 => IpAddr::V6(Ipv6Addr::from(stream.read_u128().await?)),
        NAME => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            let name = std::str::from_utf8(&name).map_err(|_| refused())?;
            // Only where datagrams go does this matter; a proxy that names a host there is met at its own address.
            name.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
        _ => return Err(refused()),
    };
    Ok(SocketAddr::new(ip, stream.read_u16().await?))
}

/// `None` for a name of over 255 bytes.
fn put_target(out: &mut Vec<u8>, target: Target<'_>) -> Option<()> {
    match target {
        Target::Addr(addr) => put_addr(out, addr),
        Target::Name(name, port) => {
            out.extend([NAME, u8::try_from(name.len()).ok()?]);
            out.extend(name.as_bytes());
            out.extend(port.to_be_bytes());
        }
    }
    Some(())
}

fn put_addr(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            out.push(V4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(V6);
            out.extend(ip.octets());
        }
    }
    out.extend(addr.port().to_be_bytes());
}

/// What goes before a datagram to `to` on its way to a [`Relay`].
pub fn enclose(to: SocketAddr) -> Vec<u8> {
    // Reserved; and no part of a larger one.
    let mut head = vec![0, 0, 0];
    put_addr(&mut head, to);
    head
}

/// A datagram that came from a [`Relay`]: who sent it, and what. `None` if it is none, or a part of a larger one.
pub fn disclose(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (&[0, 0, 0, kind], rest) = bytes.split_first_chunk()? else {
        return None;
    };
    let (ip, rest) = match kind {
        V4 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(*ip), rest)
        }
        V6 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(*ip), rest)
        }
        _ => return None,
    };
    let (port, rest) = rest.split_first_chunk()?;
    Some((SocketAddr::new(ip, u16::from_be_bytes(*port)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        let read = |text: &str| {
            text.parse::<Proxy>()
                .map(|proxy| (proxy.is_socks, proxy.place.clone(), proxy.user()))
        };
        assert_eq!(read("socks5://[::1]:1080"), Ok((true, "[::1]:1080".to_owned(), None)));
        let login = Some((b"me".to_vec(), b"p@ss:x".to_vec()));
        assert_eq!(
            read("http://me:p%40ss:x@proxy.example:3128/"),
            Ok((false, "proxy.example:3128".to_owned(), login))
        );
        assert_eq!(read("proxy.example:3128"), Err(ProxyError::Scheme));
        assert_eq!(read("https://proxy.example:3128"), Err(ProxyError::Scheme));
        assert_eq!(read("socks5://proxy.example"), Err(ProxyError::Place));
        assert_eq!(read("socks5://proxy.example:0"), Err(ProxyError::Place));
        assert_eq!(read("socks5://me@proxy.example:1080"), Err(ProxyError::Login));
    }

    #[test]
    fn a_password_is_in_no_log() {
        let proxy: Proxy = "socks5://me:secret@127.0.0.1:1080".parse().unwrap();
        assert!(!format!("{proxy:?}").contains("secret"));
    }

    #[test]
    fn what_is_enclosed_is_disclosed() {
        for to in ["192.0.2.1:80", "[2001:db8::1]:6969"] {
            let to: SocketAddr = to.parse().unwrap();
            let mut bytes = enclose(to);
            bytes.extend(b"said");
            assert_eq!(disclose(&bytes), Some((to, &b"said"[..])));
            for end in 0..bytes.len() - 4 {
                assert_eq!(disclose(&bytes[..end]), None);
            }
        }
        // A part of a larger datagram, and an answer from a name.
        assert_eq!(disclose(&[0, 0, 1, 1, 1, 2, 3, 4, 0, 80]), None);
        assert_eq!(disclose(&[0, 0, 0, 3, 1, b'a', 0, 80]), None);
    }
}

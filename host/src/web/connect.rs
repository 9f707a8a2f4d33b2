//! From a URL's host to an open stream: resolved, judged by [`Allowed`], connected, under TLS if it says https.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use world::WebFault;

use super::Checked;
use super::allowed::Allowed;
use crate::proxy::{Proxy, Target};

/// For names, connections and TLS together; the asker's own deadline may be shorter.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For one of several addresses, so that a dead first one leaves time for the next.
const ADDRESS_WITHIN: Duration = Duration::from_secs(3);
/// Names looked up at once. Each keeps a thread of the runtime for as long as the system takes.
const LOOKUPS_AT_ONCE: usize = 8;

/// Why there is no stream.
#[derive(Clone, Copy, Debug, Error)]
#[error("{0:?}")]
pub(super) struct Refused(pub(super) WebFault);

impl Refused {
    /// Finds what a [`Connector`] said among the causes of an error of the library around it.
    pub(super) fn within(error: &(dyn Error + 'static)) -> Option<WebFault> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref::<Self>() {
                return Some(refused.0);
            }
            cause = error.source();
        }
        None
    }
}

/// Names to addresses by the system, a few at once.
#[derive(Clone, Debug)]
pub(super) struct Names(Arc<Semaphore>);

impl Names {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)))
    }

    /// All addresses of `host:port`; none if there are none or the system cannot say.
    pub(super) async fn look_up(&self, place: &str) -> Vec<SocketAddr> {
        if let Ok(addr) = place.parse() {
            return vec![addr];
        }
        let Ok(_turn) = self.0.acquire().await else {
            return Vec::new();
        };
        lookup_host(place).await.map(Vec::from_iter).unwrap_or_default()
    }
}

/// What the HTTP client opens streams with.
#[derive(Clone)]
pub(super) struct Connector {
    allowed: Allowed,
    /// Addresses of ours, at most one of each family.
    from: Vec<IpAddr>,
    proxy: Option<Arc<Proxy>>,
    names: Names,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Trusts Mozilla's roots.
    pub(super) fn new(policy: &Checked, names: Names) -> Result<Self, rustls::Error> {
        Self::trusting(
            RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            policy,
            names,
        )
    }

    fn trusting(roots: RootCertStore, policy: &Checked, names: Names) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Arc::new(tls);
        Ok(Self {
            allowed: policy.allowed,
            from: policy.from.clone(),
            proxy: policy.proxy.clone().map(Arc::new),
            names,
            tls,
        })
    }

    async fn open(self, uri: Uri) -> Result<TokioIo<Stream>, Refused> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or(Refused(WebFault::BadUrl))?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = match &self.proxy {
            None => self.dial(&format!("{host}:{port}")).await?,
            Some(proxy) => self.dial_through(proxy, host, port).await?,
        };
        // Requests go out whole, and nothing is gained by holding a second one back for the answer to the first.
        let _ = stream.set_nodelay(true);
        if !secure {
            return Ok(TokioIo::new(Stream(Box::new(stream))));
        }
        let name = bare(host).to_owned();
        let name = ServerName::try_from(name).map_err(|_| Refused(WebFault::BadUrl))?;
        match TlsConnector::from(self.tls).connect(name, stream).await {
            Ok(stream) => Ok(TokioIo::new(Stream(Box::new(stream)))),
            Err(error) => Err(Refused(tls_fault(&error))),
        }
    }

    /// Tries the addresses of a host in the system's order of preference.
    async fn dial(&self, place: &str) -> Result<TcpStream, Refused> {
        let mut addrs = self.names.look_up(place).await;
        if addrs.is_empty() {
            return Err(Refused(WebFault::NoName));
        }
        addrs.retain(|addr| self.allowed.allows(addr.ip()));
        let mut fault = WebFault::Forbidden;
        for (after, addr) in addrs.iter().rev().enumerate().rev() {
            fault = WebFault::NoConnection;
            let within = if after > 0 { ADDRESS_WITHIN } else { CONNECT_WITHIN };
            if let Ok(Ok(stream)) = timeout(within, self.connect(*addr)).await {
                return Ok(stream);
            }
        }
        Err(Refused(fault))
    }

    /// Has a proxy lead to a host. What the user named may be anywhere; where a stranger's URL points to, as far as it says.
    async fn dial_through(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Refused> {
        let ip = bare(host).parse::<IpAddr>().ok();
        let target = match ip {
            Some(ip) if !self.allowed.allows(ip) => return Err(Refused(WebFault::Forbidden)),
            Some(ip) => Target::Addr(SocketAddr::new(ip, port)),
            None => Target::Name(host, port),
        };
        for addr in self.names.look_up(&proxy.place).await {
            if let Ok(Ok(mut stream)) = timeout(ADDRESS_WITHIN, self.connect(addr)).await {
                let led = proxy.lead(&mut stream, target).await;
                return led.map(|()| stream).map_err(|_| Refused(WebFault::Proxy));
            }
        }
        Err(Refused(WebFault::Proxy))
    }

    /// A connection from the address of ours that is of the same family, if there is one.
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let Some(from) = self.from.iter().find(|from| from.is_ipv4() == to.is_ipv4()) else {
            return TcpStream::connect(to).await;
        };
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.bind(SocketAddr::new(*from, 0))?;
        socket.connect(to).await
    }
}

/// A URL's host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// What a failed TLS handshake says of the server.
fn tls_fault(error: &io::Error) -> WebFault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => WebFault::Untrusted,
        _ => WebFault::Broken,
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Refused>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = timeout(CONNECT_WITHIN, self.clone().open(uri));
        Box::pin(async { opening.await.unwrap_or(Err(Refused(WebFault::NoConnection))) })
    }
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Both for S {}

/// A stream to a server, with TLS or without.
pub(super) struct Stream(Box<dyn Both>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use rustls::ServerConfig;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// A certificate of its own authority for `localhost` and 127.0.0.1, good from 2020 to 2120, and its key.
    const CERTIFICATE: &[u8] = include_bytes!("testing/localhost.der");
    const KEY: &[u8] = include_bytes!("testing/localhost.key.der");

    fn policy() -> Checked {
        Checked {
            agent: HeaderValue::from_static("test"),
            allowed: Allowed { loopback: true },
            from: Vec::new(),
            proxy: None,
            requests: 1,
        }
    }

    fn connector(roots: RootCertStore) -> Connector {
        Connector::trusting(roots, &policy(), Names::new()).unwrap()
    }

    /// Opens a stream by TLS to a server that has the certificate, and says how it fared.
    fn open_tls(host: &str, connector: Connector) -> Result<(), WebFault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(KEY);
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key.into())
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind((host, 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                // The client may not like it; that is the client's to say.
                let _ = TlsAcceptor::from(Arc::new(server)).accept(stream).await;
            });
            let uri = format!("https://{host}:{port}/").parse().unwrap();
            connector.open(uri).await.map(drop).map_err(|Refused(fault)| fault)
        })
    }

    #[test]
    fn a_trusted_server_is_spoken_to_under_tls() {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(CERTIFICATE)).unwrap();
        assert_eq!(open_tls("127.0.0.1", connector(roots)), Ok(()));
    }

    #[test]
    fn a_certificate_of_nobody_known_is_untrusted() {
        let connector = Connector::new(&policy(), Names::new()).unwrap();
        assert_eq!(open_tls("127.0.0.1", connector), Err(WebFault::Untrusted));
    }

    #[test]
    fn a_certificate_for_another_name_is_untrusted() {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(CERTIFICATE)).unwrap();
        assert_eq!(open_tls("127.0.0.2", connector(roots)), Err(WebFault::Untrusted));
    }
}

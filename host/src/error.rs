//! Why a run cannot begin.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why sockets could not be opened or a loop not be built. Each is one line for the person who started the run.
#[derive(Debug, Error)]
pub enum HostError {
    /// Somebody else has the port.
    #[error("{transport} port {} is in use on {}; choose another with {flag}", .addr.port(), .addr.ip())]
    InUse {
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The address that was asked for.
        addr: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// Not allowed, as ports below 1024 without privileges.
    #[error("no permission to open {transport} {addr}; choose a port above 1023 with {flag}")]
    Permission {
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The address that was asked for.
        addr: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// This machine does not have the address, or not the whole family.
    #[error("this machine has no address {}; choose another with {flag}", .addr.ip())]
    NotOurs {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// Two sockets of one family were asked for.
    #[error("more than one UDP address of one family: {addr}")]
    TwoOfAFamily {
        /// The second.
        addr: SocketAddr,
    },
    /// Another failure to open a socket.
    #[error("cannot open {transport} {addr}: {source}")]
    Socket {
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No three free ports in a row for a lab.
    #[error("no three free TCP ports in a row; name the first with --port")]
    NoLabPorts,
    /// A user agent that cannot stand in a header.
    #[error("{0:?} cannot be a user agent: printable ASCII only")]
    UserAgent(String),
    /// The loop could not be built.
    #[error("cannot start the event loop: {0}")]
    Loop(io::Error),
}

impl HostError {
    pub(crate) fn socket(transport: &'static str, addr: SocketAddr, flag: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { transport, addr, flag },
            io::ErrorKind::PermissionDenied => Self::Permission { transport, addr, flag },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { addr, flag },
            _ if source.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => {
                Self::NotOurs { addr, flag }
            }
            _ => Self::Socket {
                transport,
                addr,
                source,
            },
        }
    }
}

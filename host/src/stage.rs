//! The sockets of a run, opened before it begins: a port that is in use is known before anything else happens.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lsd::Groups;
use crate::{DiskLimits, HostError, LsdReach, Meter, Stopper, Waker, WebPolicy, lab, web};

/// Asked of the kernel for a UDP socket, bytes: a second of a busy crawl. It may give less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 4 << 20;
/// Callers that the kernel keeps until they are accepted. It may keep fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// The flag that the person at the door sets addresses with.
const BIND_FLAG: &str = "--bind";

/// How much the host holds at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections, dialled and accepted, closing ones included. More: [`world::Closed::NoRoom`], and strangers are
    /// hung up on.
    pub connections: usize,
    /// Of these, connections that strangers opened. More are hung up on and counted, so that strangers cannot keep the
    /// machine from dialling.
    pub accepted: usize,
    /// Bytes of one connection that the kernel has not taken. More: [`world::Closed::Congested`].
    pub write_buffer: usize,
    /// Datagrams of one socket that the kernel has not taken. More are dropped and counted.
    pub send_backlog: usize,
    /// How long a connection that the machine closed may take to send its last bytes.
    pub close_grace: Duration,
    /// How the disk is dealt with, if the machine asks for one.
    pub disk: DiskLimits,
}

/// What to open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Where to bind UDP, at most one address of each family; port 0 lets the kernel choose.
    pub udp: Vec<SocketAddr>,
    /// Where to listen for TCP connections, if at all.
    pub listen: Option<SocketAddr>,
    /// Whether SIGINT and SIGTERM stop the run.
    pub signals: bool,
    /// How much to hold at most.
    pub limits: Limits,
}

/// Open sockets, ready for [`run`](crate::run). Can be sent to another thread.
#[derive(Debug)]
pub struct Stage {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) loopback_only: bool,
    pub(crate) signals: bool,
    pub(crate) limits: Limits,
    pub(crate) stopper: Stopper,
    pub(crate) meter: Meter,
    /// Sockets that are only there to be as they are: a lab's silent and closed ports.
    pub(crate) props: Vec<Socket>,
    /// How the web is asked, if it may be.
    pub(crate) web: Option<web::Checked>,
    /// The groups of local discovery, if they are heard.
    pub(crate) lsd: Option<Groups>,
}

impl Stage {
    /// Opens sockets.
    ///
    /// # Errors
    ///
    /// [`HostError`], for the first one that could not be opened.
    pub fn open(setup: &Setup) -> Result<Self, HostError> {
        let mut udp = Vec::new();
        for &addr in &setup.udp {
            if udp
                .iter()
                .any(|(other, _): &(SocketAddr, _)| other.is_ipv4() == addr.is_ipv4())
            {
                return Err(HostError::TwoOfAFamily { addr });
            }
            let socket = bind(Kind::Udp, addr, Device::Any, BIND_FLAG)?;
            udp.push((addr, socket.into()));
        }
        let mut listeners = Vec::new();
        if let Some(addr) = setup.listen {
            listeners.push(bind(Kind::Listener, addr, Device::Any, BIND_FLAG)?.into());
        }
        Ok(Self {
            udp: udp.into_iter().map(|(_, socket)| socket).collect(),
            listeners,
            loopback_only: false,
            signals: setup.signals,
            limits: setup.limits,
            stopper: Stopper::default(),
            meter: Meter::default(),
            props: Vec::new(),
            web: None,
            lsd: None,
        })
    }

    /// Opens a lab: every address of 127/8 at once, on UDP and TCP `port` (0: any). TCP `port + 1` is silent as a peer
    /// behind NAT is: it answers no SYN; UDP `port + 1` is heard, as such a peer is by uTP. TCP `port + 2` refuses.
    ///
    /// # Errors
    ///
    /// [`HostError`], for the first socket that could not be opened.
    pub fn lab(port: u16, signals: bool, limits: Limits) -> Result<Self, HostError> {
        let sockets = lab::open(port)?;
        Ok(Self {
            udp: sockets.udp,
            listeners: vec![sockets.listener],
            loopback_only: true,
            signals,
            limits,
            stopper: Stopper::default(),
            meter: Meter::default(),
            props: sockets.props,
            web: None,
            lsd: None,
        })
    }

    /// The addresses of the UDP sockets, in the order of the setup.
    pub fn udp_addrs(&self) -> Vec<SocketAddr> {
        self.udp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Listens for TCP connections at the address of every UDP socket too: who knows one of our ports as a node's tries
    /// it as a peer's.
    ///
    /// # Errors
    ///
    /// [`HostError`], for the first listener that could not be opened; then there is none of them.
    pub fn listen_beside_udp(&mut self) -> Result<(), HostError> {
        let mut beside = Vec::new();
        for addr in self.udp_addrs() {
            beside.push(bind(Kind::Listener, addr, Device::Any, BIND_FLAG)?.into());
        }
        self.listeners.append(&mut beside);
        Ok(())
    }

    /// Lets the machine ask for documents over HTTP(S) and for the addresses of names. Without this its requests are
    /// [`world::WebFault::Forbidden`], and names have no addresses.
    ///
    /// # Errors
    ///
    /// [`HostError::UserAgent`].
    pub fn allow_web(&mut self, policy: &WebPolicy) -> Result<(), HostError> {
        self.web = Some(policy.checked()?);
        Ok(())
    }

    /// Hears the groups of Local Service Discovery (BEP 14), and says which: none of a family that this machine does not have.
    /// Their datagrams come with the group as the local address, and what the machine sends to a group goes out on all
    /// networks.
    pub fn hear_lsd(&mut self, reach: LsdReach) -> Vec<SocketAddr> {
        let groups = Groups::open(reach);
        let addrs = groups.addrs().collect();
        self.lsd = Some(groups);
        addrs
    }

    /// The address of the first listener.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        self.listeners.first()?.local_addr().ok()
    }

    /// What the run on this stage counts, to be read from anywhere while it goes on.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Ends the run on this stage, from anywhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Wakes the run on this stage, from anywhere.
    pub fn waker(&self) -> Waker {
        self.stopper.waker()
    }
}

/// What a socket is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Datagrams.
    Udp,
    /// Accepting connections.
    Listener,
    /// A listener whose queue holds no more than one caller.
    Silent,
    /// Only keeping others from a TCP port.
    Closed,
}

/// Which network device a socket hears.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Any,
    /// `lo`, where the kernel lets us say so; elsewhere the loop refuses what was not sent to 127/8.
    Loopback,
}

/// Opens one socket. Errors name `flag` as the way to choose another address.
pub(crate) fn bind(kind: Kind, addr: SocketAddr, device: Device, flag: &'static str) -> Result<Socket, HostError> {
    let (transport, protocol, socket_type) = match kind {
        Kind::Udp => ("UDP", Protocol::UDP, Type::DGRAM),
        _ => ("TCP", Protocol::TCP, Type::STREAM),
    };
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), socket_type, Some(protocol))?;
        socket.set_nonblocking(true)?;
        if addr.is_ipv6() {
            // The IPv4 socket is another one.
            socket.set_only_v6(true)?;
        }
        if device == Device::Loopback {
            bind_to_loopback(&socket);
        }
        if kind == Kind::Udp {
            // A smaller buffer loses datagrams under load and is no reason not to run.
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        } else {
            // Connections of an earlier run that the kernel still remembers must not keep us from the port.
            socket.set_reuse_address(true)?;
        }
        socket.bind(&addr.into())?;
        match kind {
            Kind::Listener => socket.listen(BACKLOG)?,
            Kind::Silent => socket.listen(0)?,
            Kind::Udp | Kind::Closed => {}
        }
        Ok(socket)
    };
    open().map_err(|error| HostError::socket(transport, addr, flag, error))
}

/// Needs no privilege since Linux 5.7 and `CAP_NET_RAW` before; what the loop refuses does not depend on it.
fn bind_to_loopback(socket: &Socket) {
    #[cfg(target_os = "linux")]
    let _ = socket.bind_device(Some(b"lo"));
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Every address of this machine's IPv4.
pub(crate) const fn any(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

/// Raises the number of files and sockets that this process may have open towards `wanted`, as far as it may do so
/// itself, and says what it is now. Many systems begin at 1,024.
pub fn raise_descriptor_limit(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is unlimited.
    let Some(current) = current.filter(|current| *current < wanted) else {
        return current.unwrap_or(u64::MAX);
    };
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum)).max(current);
    let new = Rlimit {
        current: Some(raised),
        maximum,
    };
    if setrlimit(Resource::Nofile, new).is_ok() {
        raised
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_limit_never_shrinks() {
        let before = raise_descriptor_limit(0);
        assert!(raise_descriptor_limit(before.saturating_add(1)) >= before);
    }
}

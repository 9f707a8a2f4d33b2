//! Multicast for Local Service Discovery (BEP 14): its two groups, heard and spoken to on every network of this machine.
//!
//! The kernel sends a multicast datagram to one network; so each is sent once for each. Which networks there are is looked up
//! whenever something is sent, a few times a minute at most: a laptop changes them. Elsewhere than on Linux it is the one
//! network that the kernel prefers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use crate::Counters;
use crate::udp::Udp;

const PORT: u16 = 6771;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);

/// Networks spoken to at most. Who has more, as a host of containers, is heard and speaks on the first ones only.
const NETWORKS: usize = 16;

/// On which networks to discover peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LsdReach {
    /// Only among the programs of this machine, and by IPv4: Linux has no way for multicast over IPv6 there.
    Loopback,
    /// On all networks that it is part of, one hop far.
    Networks,
}

/// The groups' sockets before the run.
#[derive(Debug)]
pub(crate) struct Groups {
    sockets: Vec<std::net::UdpSocket>,
    reach: LsdReach,
}

impl Groups {
    /// Opens what can be opened: a machine without one of the families has the other.
    pub(crate) fn open(reach: LsdReach) -> Self {
        let groups: &[IpAddr] = match reach {
            LsdReach::Loopback => &[IpAddr::V4(GROUP_V4)],
            LsdReach::Networks => &[IpAddr::V4(GROUP_V4), IpAddr::V6(GROUP_V6)],
        };
        let sockets = groups.iter().filter_map(|group| open(*group, reach).ok());
        Self {
            sockets: sockets.collect(),
            reach,
        }
    }

    /// The groups that are heard.
    pub(crate) fn addrs(&self) -> impl Iterator<Item = SocketAddr> {
        let is_v4 = |socket: &std::net::UdpSocket| socket.local_addr().map(|addr| addr.is_ipv4());
        self.sockets
            .iter()
            .filter_map(move |socket| Some(group(is_v4(socket).ok()?)))
    }
}

/// The groups' sockets in the loop.
pub(crate) struct Lsd {
    pub(crate) sockets: Vec<Udp>,
    reach: LsdReach,
}

impl Lsd {
    /// Needs the runtime's context.
    pub(crate) fn new(groups: Option<Groups>, backlog_limit: usize) -> io::Result<Self> {
        let Some(Groups { sockets, reach }) = groups else {
            return Ok(Self {
                sockets: Vec::new(),
                reach: LsdReach::Loopback,
            });
        };
        let sockets = sockets.into_iter().map(|socket| Udp::new(socket, false, backlog_limit));
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
            reach,
        })
    }

    /// Whether `to` is one of the groups, for which datagrams go out here.
    pub(crate) fn is_group(to: SocketAddr) -> bool {
        to == group(to.is_ipv4())
    }

    /// Sends to a group on every network. What cannot be sent is counted.
    pub(crate) fn send(&mut self, to: SocketAddr, bytes: &[u8], counters: &mut Counters) {
        let socket = self
            .sockets
            .iter_mut()
            .find(|udp| udp.local().is_ipv4() == to.is_ipv4());
        let Some(udp) = socket else {
            counters.send_errors.no_socket += 1;
            return;
        };
        // Left to itself the kernel names an address of another network even there.
        let from = match self.reach {
            LsdReach::Loopback => Some(Ipv4Addr::LOCALHOST.into()),
            LsdReach::Networks => None,
        };
        let networks = networks(self.reach);
        if networks.is_empty() {
            counters.send_errors.unreachable += 1;
        }
        for network in networks {
            // New since the last time; the kernel refuses those that are joined.
            let _ = join(&udp.socket().into(), to.ip(), network);
            if choose(udp.socket(), to.ip(), network).is_ok() {
                udp.put(from, to, bytes, counters);
                udp.send(counters);
            } else {
                counters.send_errors.unreachable += 1;
            }
        }
    }
}

fn group(is_v4: bool) -> SocketAddr {
    if is_v4 {
        SocketAddr::from((GROUP_V4, PORT))
    } else {
        SocketAddr::from((GROUP_V6, PORT))
    }
}

/// A socket on the port that all clients of this machine share, that hears one group.
fn open(group: IpAddr, reach: LsdReach) -> io::Result<std::net::UdpSocket> {
    let domain = if group.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    match group {
        IpAddr::V4(_) => {
            socket.set_multicast_ttl_v4(1)?;
            // Other clients of this machine hear us by this; we hear ourselves, too, and know our cookie.
            socket.set_multicast_loop_v4(true)?;
            // Only from the networks that this socket joined, not from those of any other socket.
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
        }
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_loop_v6(true)?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v6(false)?;
        }
    }
    // Bound to the group, Linux gives it nothing but what is sent to the group. Others cannot bind to one.
    let local = match group {
        _ if cfg!(target_os = "linux") => group,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    socket.bind(&SocketAddr::new(local, PORT).into())?;
    for network in networks(reach) {
        // A network of one family has no group of the other.
        let _ = join(&(&socket).into(), group, network);
    }
    Ok(socket.into())
}

/// Hears the group on the network of this index; 0 is the kernel's choice.
fn join(socket: &SockRef<'_>, group: IpAddr, network: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(network)),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, network),
    }
}

/// Sends to the group on the network of this index from now on.
fn choose(socket: &tokio::net::UdpSocket, group: IpAddr, network: u32) -> io::Result<()> {
    match group {
        #[cfg(target_os = "linux")]
        IpAddr::V4(_) => {
            let any = Ipv4Addr::UNSPECIFIED;
            rustix::net::sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, network)?;
        }
        // The kernel's choice, which is the only network here.
        #[cfg(not(target_os = "linux"))]
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => rustix::net::sockopt::set_ipv6_multicast_if(socket, network)?,
    }
    Ok(())
}

/// The indices of the networks that are up: those with multicast, or the loopback one, which serves it without saying so.
#[cfg(target_os = "linux")]
fn networks(reach: LsdReach) -> Vec<u32> {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let number = |path: &std::path::Path, name: &str| {
        let text = std::fs::read_to_string(path.join(name)).ok()?;
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let Ok(entries) = std::fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let mut found: Vec<u32> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let flags = number(&path, "flags")?;
            let is_wanted = match reach {
                LsdReach::Loopback => flags & LOOPBACK != 0,
                LsdReach::Networks => flags & (MULTICAST | LOOPBACK) == MULTICAST,
            };
            (flags & UP != 0 && is_wanted).then(|| number(&path, "ifindex"))?
        })
        .collect();
    found.sort_unstable();
    found.truncate(NETWORKS);
    found
}

#[cfg(not(target_os = "linux"))]
fn networks(_reach: LsdReach) -> Vec<u32> {
    vec![0]
}

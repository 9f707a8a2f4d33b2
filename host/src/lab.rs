//! The sockets of a lab: one of each kind for every address of 127/8 at once.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::Socket;

use crate::HostError;
use crate::stage::{Device, Kind, any, bind};

/// The flag that the person at the door sets a lab's port with.
const PORT_FLAG: &str = "--port";
/// How long a caller of our own waits before the silent port counts as silent. Loopback answers within microseconds.
const SILENCE: Duration = Duration::from_millis(50);
/// Free ports are tried for this often before giving up.
const ATTEMPTS: u32 = 32;

/// A lab's open sockets.
pub(crate) struct LabSockets {
    /// Of the port that answers, and of the silent one: a peer that is silent by TCP may answer uTP.
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) listener: TcpListener,
    /// What keeps the silent port silent and the closed port closed.
    pub(crate) props: Vec<Socket>,
}

/// Opens UDP and TCP `port`, the port behind it that TCP finds silent and UDP does not, and the closed port behind that;
/// port 0 finds three in a row.
pub(crate) fn open(port: u16) -> Result<LabSockets, HostError> {
    if port != 0 {
        return open_at(bind(Kind::Udp, any(port), Device::Loopback, PORT_FLAG)?, port);
    }
    for _ in 0..ATTEMPTS {
        let udp: UdpSocket = bind(Kind::Udp, any(0), Device::Loopback, PORT_FLAG)?.into();
        let Ok(port) = udp.local_addr().map(|addr| addr.port()) else {
            continue;
        };
        match open_at(udp.into(), port) {
            Err(HostError::InUse { .. } | HostError::NoLabPorts) => {}
            other => return other,
        }
    }
    Err(HostError::NoLabPorts)
}

fn open_at(udp: Socket, port: u16) -> Result<LabSockets, HostError> {
    let (Some(silent), Some(closed)) = (port.checked_add(1), port.checked_add(2)) else {
        return Err(HostError::NoLabPorts);
    };
    let listener = bind(Kind::Listener, any(port), Device::Loopback, PORT_FLAG)?;
    let closed = bind(Kind::Closed, any(closed), Device::Loopback, PORT_FLAG)?;
    let second = bind(Kind::Udp, any(silent), Device::Loopback, PORT_FLAG)?;
    let mut props = silence(silent)?;
    props.push(closed);
    Ok(LabSockets {
        udp: vec![udp.into(), second.into()],
        listener: listener.into(),
        props,
    })
}

/// A listener that nobody accepts from, and callers of our own that fill its queue: the kernel then drops the SYN of
/// everybody else, as a NAT or a firewall does.
fn silence(port: u16) -> Result<Vec<Socket>, HostError> {
    let mut props = vec![bind(Kind::Silent, any(port), Device::Loopback, PORT_FLAG)?];
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // The queue takes one more than the backlog of 0; no kernel takes many.
    for _ in 0..16 {
        match TcpStream::connect_timeout(&target, SILENCE) {
            Ok(caller) => props.push(caller.into()),
            Err(_) => break,
        }
    }
    Ok(props)
}

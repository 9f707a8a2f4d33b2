//! A lab's stage: every address of 127/8 behind one socket of each kind.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use host::{HostError, Stage};
use support::{LIMITS, play};
use world::Input;

fn lab() -> (Stage, u16) {
    let stage = Stage::lab(0, false, LIMITS).unwrap();
    let port = stage.listen_addr().unwrap().port();
    assert_eq!(stage.udp_addrs()[0].port(), port);
    (stage, port)
}

/// The port where TCP is silent and UDP is not.
fn behind(host: SocketAddr) -> SocketAddr {
    SocketAddr::new(host.ip(), host.port() + 1)
}

#[test]
fn each_address_is_a_host_of_its_own() {
    let (stage, port) = lab();
    let hosts = [[127, 0, 0, 1], [127, 1, 2, 3], [127, 255, 255, 254]].map(|ip| SocketAddr::from((ip, port)));
    let clients = thread::spawn(move || {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut from = Vec::new();
        for host in hosts {
            for host in [host, behind(host)] {
                client.send_to(b"who is there", host).unwrap();
                from.push(client.recv_from(&mut [0; 16]).unwrap().1);
            }
            drop(TcpStream::connect(host).unwrap());
        }
        from
    });
    let mut called = Vec::new();
    play(
        stage,
        |_| (),
        |acts, _, input| match input {
            Input::Datagram { from, to, bytes } => acts.send_from(Some(to), from, bytes),
            Input::Accepted { to, .. } => {
                called.push(to);
                if called.len() == hosts.len() {
                    acts.done();
                }
            }
            _ => {}
        },
    );
    assert_eq!(
        clients.join().unwrap(),
        hosts.map(|host| [host, behind(host)]).as_flattened(),
        "answers come from the address that was asked"
    );
    assert_eq!(called, hosts);
}

#[test]
fn the_port_behind_is_silent_and_the_next_refuses() {
    let (stage, port) = lab();
    for ip in [[127, 0, 0, 1], [127, 9, 9, 9]] {
        let silent = TcpStream::connect_timeout(&(ip, port + 1).into(), Duration::from_millis(300));
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let closed = TcpStream::connect_timeout(&(ip, port + 2).into(), Duration::from_secs(10));
        assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
    drop(stage);
}

#[test]
fn nothing_but_loopback_is_heard() {
    let (stage, port) = lab();
    let Some(other) = other_address() else {
        // A namespace with loopback only: there is nothing else that could be heard.
        return;
    };
    let client = UdpSocket::bind((other, 0)).unwrap();
    client.send_to(b"from outside", (other, port)).unwrap();
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    near.send_to(b"from inside", (Ipv4Addr::LOCALHOST, port)).unwrap();
    // Whether the kernel already keeps the first one from us is a matter of its version.
    play(
        stage,
        |_| (),
        |acts, _, input| {
            let Input::Datagram { bytes, .. } = input else {
                panic!("{input:?}")
            };
            assert_eq!(bytes, b"from inside");
            acts.done();
        },
    );
}

/// An address of this machine outside 127/8. Connecting a UDP socket sends nothing.
fn other_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let (_stage, port) = lab();
    let error = Stage::lab(port, false, LIMITS).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("UDP port {port} is in use on 0.0.0.0; choose another with --port")
    );
    assert!(matches!(
        Stage::lab(65_535, false, LIMITS),
        Err(HostError::NoLabPorts | HostError::InUse { .. })
    ));
}

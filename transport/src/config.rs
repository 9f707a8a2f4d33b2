//! What a transport must be told before it starts. Plain data: the door holds the defaults.

use std::time::Duration;

use world::closed_list;

use crate::carrier::Carrier;
use crate::mse::Level;
use crate::utp;

closed_list! {
    /// Whether streams are under message stream encryption (NET-09).
    Policy {
        /// They must be.
        Forced => "forced",
        /// They may be: outgoing ones where the peer wants it, incoming ones as the caller wants it.
        Enabled => "enabled",
        /// They are not.
        Disabled => "disabled",
    }
}

/// Everything a [`Transport`](crate::Transport) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether TCP is dialled (NET-21).
    pub tcp: bool,
    /// Whether uTP is dialled and answered (NET-21).
    pub utp: bool,
    /// Encryption of streams that we dial.
    pub outgoing: Policy,
    /// Encryption of streams that strangers open.
    pub incoming: Policy,
    /// What encryption may be (NET-10).
    pub level: Level,
    /// Which method a caller who offers both is answered with: RC4 if set, else plaintext.
    pub prefer_rc4: bool,
    /// How long each thing may take.
    pub deadlines: Deadlines,
    /// How many of each thing there may be.
    pub limits: Limits,
    /// What is remembered of endpoints and networks.
    pub memory: Memory,
    /// How uTP behaves; also how long it may take to connect.
    pub socket: utp::Config,
}

impl Config {
    /// From a dial to the last moment at which the mind above hears how it went.
    pub fn connect(&self) -> Duration {
        self.deadlines.beside_after + self.deadlines.tcp_connect.max(self.socket.connect)
    }

    /// From a dial of one carrier to open.
    pub(crate) fn connect_by(&self, carrier: Carrier) -> Duration {
        match carrier {
            Carrier::Tcp => self.deadlines.tcp_connect,
            Carrier::Utp => self.socket.connect,
        }
    }
}

/// How long each thing may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From a TCP dial to open.
    pub tcp_connect: Duration,
    /// What is dialled first is alone for this long; then the other carrier is dialled beside it.
    pub beside_after: Duration,
    /// From open to the end of an encrypted handshake that we began.
    pub handshake: Duration,
    /// From accepting a stream until it is known to be plain, or its encrypted handshake is through.
    pub accepted: Duration,
}

/// How many of each thing there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams that strangers opened, at once. One more is closed and counted.
    pub accepted: usize,
    /// Infohashes that encrypted callers may name, at once. One more is not understood.
    pub admitted: usize,
}

/// What is remembered of endpoints and networks.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Endpoints remembered; the one that nothing was learnt of for longest is forgotten first.
    pub endpoints: usize,
    /// Networks (IPv4 /24, IPv6 /48) remembered, likewise.
    pub networks: usize,
    /// Half of what was learnt is forgotten in this time.
    pub half_life: Duration,
}

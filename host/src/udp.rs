//! Datagrams: received in batches, and sent in batches, one by one.
//!
//! Segmentation offload is not used for sending: it joins datagrams of one size to one destination, and a crawler
//! sends each of its datagrams to another host. What a batch of received datagrams causes to be sent is collected first:
//! the machine's code and tables would otherwise be driven out of the caches by the kernel's between any two datagrams.

use std::array;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::Counters;

/// Room for one slot of a batch: the longest datagram, or as many as receive offload joins, and a bit that is no
/// power of two, so that the beginnings of all slots do not compete for the same lines of the cache.
const SLOT: usize = 65_536 + 1_600;

/// Where a batch of datagrams is received. Two megabytes of addresses, of which small datagrams touch little.
pub(crate) struct Batch {
    memory: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
}

/// One datagram of a batch.
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddr,
    /// The local address it was sent to, if the kernel says so.
    pub(crate) to: Option<IpAddr>,
    pub(crate) bytes: &'a [u8],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            memory: vec![0; SLOT * BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
        }
    }

    /// The datagrams of the first `filled` slots. Receive offload may have joined several of one sender in a slot.
    pub(crate) fn datagrams(&self, filled: usize) -> impl Iterator<Item = Datagram<'_>> {
        let slots = self.memory.chunks_exact(SLOT).zip(&self.metas).take(filled);
        slots.flat_map(|(slot, meta)| {
            let bytes = &slot[..meta.len.min(slot.len())];
            bytes.chunks(meta.stride.max(1)).map(|bytes| Datagram {
                from: meta.addr,
                to: meta.dst_ip,
                bytes,
            })
        })
    }
}

/// A datagram that the kernel would not take yet.
struct Waiting {
    from: Option<IpAddr>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// Datagrams to be sent together, so many at the most; their bytes lie one after the other.
#[derive(Default)]
struct Outgoing {
    heads: Vec<(Option<IpAddr>, SocketAddr, usize)>,
    bytes: Vec<u8>,
}

/// One UDP socket in the loop.
pub(crate) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Only a lab's: refuses datagrams for other than loopback addresses.
    pub(crate) loopback_only: bool,
    outgoing: Outgoing,
    /// Datagrams that wait for the socket to become writable. When full, further ones are dropped and counted.
    backlog: VecDeque<Waiting>,
    backlog_limit: usize,
}

impl Udp {
    /// Needs the runtime's context.
    pub(crate) fn new(socket: std::net::UdpSocket, loopback_only: bool, backlog_limit: usize) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            state,
            local,
            loopback_only,
            outgoing: Outgoing::default(),
            backlog: VecDeque::new(),
            backlog_limit,
        })
    }

    /// For options of its own.
    pub(crate) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// What it is bound to.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// One receive call: how many slots it filled. `Pending` if nothing has come, and then `cx` will be woken.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<usize>> {
        loop {
            if let Err(error) = ready!(self.socket.poll_recv_ready(cx)) {
                return Poll::Ready(Err(error));
            }
            let mut filled = 0;
            let result = self.socket.try_io(Interest::READABLE, || {
                filled = self.receive(batch)?;
                // A batch that is not full found the socket empty: the runtime learns it here, and need not ask again.
                if filled < BATCH_SIZE {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match result {
                _ if filled > 0 => return Poll::Ready(Ok(filled)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => {}
            }
        }
    }

    fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        let mut slots = batch.memory.chunks_exact_mut(SLOT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        self.state.recv((&self.socket).into(), &mut slices, &mut batch.metas)
    }

    /// Takes a datagram to be sent with the next [`send`](Self::send), or now if as many wait as are sent together.
    pub(crate) fn put(&mut self, from: Option<IpAddr>, to: SocketAddr, bytes: &[u8], counters: &mut Counters) {
        self.outgoing.heads.push((from, to, bytes.len()));
        self.outgoing.bytes.extend_from_slice(bytes);
        if self.outgoing.heads.len() >= BATCH_SIZE {
            self.send(counters);
        }
    }

    /// Sends what was [`put`](Self::put), or keeps for later what the kernel does not take now.
    pub(crate) fn send(&mut self, counters: &mut Counters) {
        let mut outgoing = mem::take(&mut self.outgoing);
        let mut rest = outgoing.bytes.as_slice();
        for (from, to, len) in outgoing.heads.drain(..) {
            let (bytes, after) = rest.split_at(len);
            rest = after;
            self.send_one(from, to, bytes, counters);
        }
        outgoing.bytes.clear();
        self.outgoing = outgoing;
    }

    fn send_one(&mut self, from: Option<IpAddr>, to: SocketAddr, bytes: &[u8], counters: &mut Counters) {
        if self.backlog.is_empty() {
            // Not through the runtime, which would have to see the socket writable first.
            let sent = self.state.try_send((&self.socket).into(), &transmit(from, to, bytes));
            if count(sent, counters) {
                return;
            }
        }
        if self.backlog.len() >= self.backlog_limit {
            counters.send_dropped += 1;
            return;
        }
        let bytes = bytes.to_vec();
        self.backlog.push_back(Waiting { from, to, bytes });
    }

    /// Sends all that waits, as far as the kernel takes it.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>, counters: &mut Counters) {
        self.send(counters);
        while let Some(first) = self.backlog.front() {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => counters.send_errors.other += 1,
                Poll::Ready(Ok(())) => {
                    let sent = self.socket.try_io(Interest::WRITABLE, || {
                        let transmit = transmit(first.from, first.to, &first.bytes);
                        self.state.try_send((&self.socket).into(), &transmit)
                    });
                    if !count(sent, counters) {
                        continue;
                    }
                }
            }
            self.backlog.pop_front();
        }
    }
}

fn transmit(from: Option<IpAddr>, to: SocketAddr, bytes: &[u8]) -> Transmit<'_> {
    Transmit {
        destination: to,
        ecn: None,
        contents: bytes,
        segment_size: None,
        src_ip: from,
    }
}

/// Counts how a datagram fared; false if it is to be tried again.
fn count(sent: io::Result<()>, counters: &mut Counters) -> bool {
    let Err(error) = sent else {
        counters.datagrams_out += 1;
        return true;
    };
    let errors = &mut counters.send_errors;
    let counter = match error.kind() {
        io::ErrorKind::WouldBlock => return false,
        io::ErrorKind::PermissionDenied => &mut errors.forbidden,
        io::ErrorKind::OutOfMemory => &mut errors.no_buffers,
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => &mut errors.unreachable,
        _ if quinn_udp::is_msg_size_err(&error) => &mut errors.too_long,
        _ if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => &mut errors.no_buffers,
        _ => &mut errors.other,
    };
    *counter += 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SendErrors;

    #[test]
    fn joined_datagrams_are_split_again() {
        let mut batch = Batch::new();
        batch.memory[..5].copy_from_slice(b"aabbc");
        batch.memory[SLOT] = b'd';
        (batch.metas[0].len, batch.metas[0].stride) = (5, 2);
        (batch.metas[1].len, batch.metas[1].stride) = (1, 1);
        let split: Vec<_> = batch.datagrams(2).map(|datagram| datagram.bytes).collect();
        assert_eq!(split, [&b"aa"[..], b"bb", b"c", b"d"]);
    }

    #[test]
    fn refusals_of_the_kernel_are_counted_by_kind() {
        let mut counters = Counters::default();
        for errno in [
            Errno::NOBUFS,
            Errno::PERM,
            Errno::NETUNREACH,
            Errno::MSGSIZE,
            Errno::CONNREFUSED,
        ] {
            assert!(count(Err(errno.into()), &mut counters));
        }
        let SendErrors {
            no_buffers,
            forbidden,
            unreachable,
            too_long,
            other,
            ..
        } = counters.send_errors;
        assert_eq!([no_buffers, forbidden, unreachable, too_long, other], [1; 5]);
        assert!(!count(Err(io::ErrorKind::WouldBlock.into()), &mut counters));
    }
}

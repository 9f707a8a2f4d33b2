//! Connections: a table of slots, each looked at only when its waker said so.
//!
//! Not a task for each connection: the machine and the sink are borrowed by the loop and could not be reached from
//! tasks, so every byte would be copied through a channel of its own, with a buffer at each end. Here a read goes
//! from the kernel into one buffer shared by all, and from there to the machine.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use world::{Closed, ConnId, ConnMap, Time, Via};

use crate::ready::{ReadyList, SlotWaker};
use crate::{Counters, Limits};

/// How long to leave the listener alone when descriptors or memory ran out: the kernel keeps the callers waiting.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Bytes thrown away at most before a connection is closed. Closing with unread bytes resets it, and a reset can
/// overtake what was written before.
const DISCARD: usize = 64 * 1024;

/// All connections of a run.
pub(crate) struct Tcp {
    listeners: Vec<Listener>,
    /// Whose turn it is to be asked first, so that a busy one does not starve the others.
    first_asked: usize,
    /// A lab's: refuses connections to other than loopback addresses.
    loopback_only: bool,
    slots: Vec<Slot>,
    /// Slots without a connection.
    free: Vec<usize>,
    by_id: ConnMap<usize>,
    ready: Arc<ReadyList>,
    limits: Limits,
    /// Slots taken by connections that strangers opened.
    accepted: usize,
    next_accepted: u64,
    /// Closed by the machine with bytes unsent, oldest first, and when their time is up.
    closing: VecDeque<(Time, usize, ConnId)>,
    /// Slots that were ready while nothing might be read, each once.
    unread: Vec<usize>,
    /// What came about while the machine was being polled; told to it afterwards. Never more than twice the numbers that
    /// the machine has given out.
    late: VecDeque<Late>,
}

struct Listener {
    socket: TcpListener,
    paused_until: Option<Time>,
}

struct Slot {
    note: Arc<SlotWaker>,
    waker: Waker,
    /// It is among [`Tcp::unread`].
    is_unread: bool,
    conn: Option<Conn>,
}

struct Conn {
    id: ConnId,
    stream: TcpStream,
    phase: Phase,
    /// Written by the machine, not taken by the kernel. At most [`Limits::write_buffer`] bytes, then
    /// [`Closed::Congested`].
    unsent: VecDeque<u8>,
    /// The machine wants to know when nothing is unsent.
    reports: bool,
}

/// What came about on a connection while the machine was being polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It ended.
    Closed(ConnId, Closed),
    /// All that was written is with the kernel.
    Flushed(ConnId),
}

impl Late {
    const fn conn(self) -> ConnId {
        match self {
            Self::Closed(conn, _) | Self::Flushed(conn) => conn,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the remote's answer.
    Dialling,
    /// Open at both ends.
    Open,
    /// The machine is done with it; its last bytes are still on their way.
    Closing,
}

/// What a look at a connection gave; to be told to the machine.
pub(crate) enum Step {
    /// Nothing more until its waker says so.
    Idle,
    /// A dialled connection is open.
    Opened(ConnId),
    /// So many bytes are in the buffer.
    Received(ConnId, usize),
    /// All that was written is with the kernel, which it was to report.
    Flushed(ConnId),
    /// It ended, and is gone.
    Closed(ConnId, Closed),
}

/// What the listener gave.
pub(crate) enum Called {
    /// A stranger's connection.
    Accepted {
        conn: ConnId,
        from: SocketAddr,
        to: SocketAddr,
    },
    /// One that was closed at once, or a failed call; counted.
    Nothing,
}

impl Tcp {
    /// Needs the runtime's context.
    pub(crate) fn new(listeners: Vec<StdListener>, loopback_only: bool, limits: Limits) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(|socket| {
            Ok::<_, io::Error>(Listener {
                socket: TcpListener::from_std(socket)?,
                paused_until: None,
            })
        });
        Ok(Self {
            listeners: listeners.collect::<Result<_, _>>()?,
            first_asked: 0,
            loopback_only,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: ConnMap::default(),
            ready: Arc::default(),
            limits,
            accepted: 0,
            next_accepted: ConnId::ACCEPTED,
            closing: VecDeque::new(),
            unread: Vec::new(),
            late: VecDeque::new(),
        })
    }

    /// The task to wake from now on.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        self.ready.watch(cx);
    }

    /// The next connection to look at.
    pub(crate) fn next_ready(&self) -> Option<usize> {
        let slot = self.ready.pop()?;
        if let Some(slot) = self.slots.get(slot) {
            slot.note.popped();
        }
        Some(slot)
    }

    /// Whether some connection is to be looked at, or some end to be told.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.late.is_empty()
    }

    /// Puts a connection back behind the others.
    pub(crate) fn look_again(&self, slot: usize) {
        if let Some(slot) = self.slots.get(slot) {
            slot.waker.wake_by_ref();
        }
    }

    /// Has those connections looked at that were not read when they could be.
    pub(crate) fn read_on(&mut self) {
        for at in self.unread.drain(..) {
            if let Some(slot) = self.slots.get_mut(at) {
                slot.is_unread = false;
                slot.waker.wake_by_ref();
            }
        }
    }

    /// What is still to be told.
    pub(crate) fn next_late(&mut self) -> Option<Late> {
        self.late.pop_front()
    }

    /// When [`Tcp::tidy`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let paused = self.listeners.iter().filter_map(|listener| listener.paused_until);
        let closing = self.closing.front().map(|(until, ..)| *until);
        paused.chain(closing).min()
    }

    /// Drops closed connections whose remote takes too long to take the last bytes.
    pub(crate) fn tidy(&mut self, now: Time) {
        while let Some(&(until, slot, id)) = self.closing.front()
            && until <= now
        {
            self.closing.pop_front();
            if self.conn(slot).is_some_and(|conn| conn.id == id) {
                self.release(slot);
            }
        }
    }

    /// Accepts one connection; `Pending` if nobody calls, and then `cx` will be woken.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>, now: Time, counters: &mut Counters) -> Poll<Called> {
        let stream = ready!(self.poll_listeners(cx, now, counters));
        let called = stream.and_then(|(stream, from)| self.admit(stream, from, counters));
        Poll::Ready(called.unwrap_or(Called::Nothing))
    }

    /// The next caller of any listener, or `None` for a call that failed.
    fn poll_listeners(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        counters: &mut Counters,
    ) -> Poll<Option<(TcpStream, SocketAddr)>> {
        let count = self.listeners.len();
        for at in (0..count).map(|step| (self.first_asked + step) % count) {
            let Some(listener) = self.listeners.get_mut(at) else {
                continue;
            };
            if listener.paused_until.is_some_and(|until| now < until) {
                continue;
            }
            listener.paused_until = None;
            let Poll::Ready(accepted) = listener.socket.poll_accept(cx) else {
                continue;
            };
            self.first_asked = at + 1;
            return Poll::Ready(match accepted {
                Ok(accepted) => Some(accepted),
                Err(error) => {
                    counters.accept_errors += 1;
                    if is_exhaustion(&error) {
                        listener.paused_until = Some(now + ACCEPT_PAUSE);
                    }
                    None
                }
            });
        }
        Poll::Pending
    }

    /// Takes a caller in, if it may come in and there is room.
    fn admit(&mut self, stream: TcpStream, from: SocketAddr, counters: &mut Counters) -> Option<Called> {
        let Ok(to) = stream.local_addr() else {
            counters.accept_errors += 1;
            return None;
        };
        if self.loopback_only && !to.ip().is_loopback() {
            counters.not_loopback += 1;
            return None;
        }
        if self.is_full() || self.accepted >= self.limits.accepted {
            counters.accept_no_room += 1;
            return None;
        }
        // Small messages must not wait for one another; if this fails they do.
        let _ = stream.set_nodelay(true);
        counters.accepted += 1;
        let conn = ConnId(self.next_accepted);
        self.next_accepted += 1;
        self.insert(conn, stream, Phase::Open);
        Some(Called::Accepted { conn, from, to })
    }

    /// Begins to open a connection. A failure that is known at once is told later, as all others.
    pub(crate) fn dial(&mut self, id: ConnId, to: SocketAddr, via: Option<Via>, counters: &mut Counters) {
        debug_assert!(!self.by_id.contains_key(&id), "a connection's number is used once");
        counters.dialled += 1;
        let stream = if via.is_some_and(|via| via != Via::Tcp) {
            Err(Closed::Unreachable)
        } else if self.is_full() {
            Err(Closed::NoRoom)
        } else {
            connect(to).map_err(|error| dial_failure(&error))
        };
        match stream {
            Ok(stream) => self.insert(id, stream, Phase::Dialling),
            Err(why) => {
                counters.dial_no_room += u64::from(why == Closed::NoRoom);
                self.late.push_back(Late::Closed(id, why));
            }
        }
    }

    /// Writes, or keeps for later what the kernel does not take. Nothing happens if the connection has ended.
    pub(crate) fn write(&mut self, id: ConnId, bytes: &[u8], counters: &mut Counters) {
        let Some(&slot) = self.by_id.get(&id) else {
            return;
        };
        let limit = self.limits.write_buffer;
        let Some(conn) = self.conn_mut(slot) else {
            return;
        };
        let mut rest = bytes;
        if conn.phase == Phase::Open && conn.unsent.is_empty() {
            match conn.stream.try_write(bytes) {
                Ok(written) => {
                    counters.sends += 1;
                    counters.bytes_out += u64::try_from(written).unwrap_or(0);
                    rest = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.end_later(slot, Closed::Reset),
            }
        }
        if rest.is_empty() {
            return;
        }
        if conn.unsent.len() + rest.len() > limit {
            counters.congested += 1;
            return self.end_later(slot, Closed::Congested);
        }
        conn.unsent.extend(rest);
        // To have it watched until it is writable.
        self.look_again(slot);
    }

    /// Says when all that was written is with the kernel.
    pub(crate) fn report(&mut self, id: ConnId) {
        let Some(&slot) = self.by_id.get(&id) else {
            return;
        };
        match self.conn_mut(slot) {
            Some(conn) if conn.phase == Phase::Open && conn.unsent.is_empty() => self.late.push_back(Late::Flushed(id)),
            Some(conn) => conn.reports = true,
            None => {}
        }
    }

    /// Closes a connection for the machine, which hears no more of it.
    pub(crate) fn close(&mut self, now: Time, id: ConnId) {
        let Some(slot) = self.by_id.remove(&id) else {
            self.late.retain(|late| late.conn() != id);
            return;
        };
        self.late.retain(|late| late.conn() != id);
        let until = now + self.limits.close_grace;
        match self.conn_mut(slot) {
            Some(conn) if conn.phase == Phase::Open && !conn.unsent.is_empty() => {
                conn.phase = Phase::Closing;
                self.closing.push_back((until, slot, id));
                self.look_again(slot);
            }
            _ => self.hang_up(slot),
        }
    }

    /// Carries a connection on by one step. Bytes are read into `buffer`; without one, not before [`Tcp::read_on`].
    pub(crate) fn advance(&mut self, slot: usize, buffer: Option<&mut [u8]>, counters: &mut Counters) -> Step {
        let Some(Slot {
            waker, is_unread, conn, ..
        }) = self.slots.get_mut(slot)
        else {
            return Step::Idle;
        };
        let Some(conn) = conn else {
            return Step::Idle;
        };
        let mut cx = Context::from_waker(waker);
        let id = conn.id;
        if conn.phase == Phase::Dialling {
            return match conn.poll_opened(&mut cx) {
                Poll::Pending => Step::Idle,
                Poll::Ready(Ok(())) => {
                    conn.phase = Phase::Open;
                    counters.opened += 1;
                    Step::Opened(id)
                }
                Poll::Ready(Err(why)) => self.end(slot, why),
            };
        }
        let flushed = conn.poll_flush(&mut cx, counters);
        if conn.phase == Phase::Closing {
            if flushed.is_ready() {
                self.hang_up(slot);
            }
            return Step::Idle;
        }
        match flushed {
            Poll::Ready(Err(_)) => return self.end(slot, Closed::Reset),
            Poll::Ready(Ok(())) if mem::take(&mut conn.reports) => return Step::Flushed(id),
            _ => {}
        }
        let Some(buffer) = buffer else {
            if !mem::replace(is_unread, true) {
                self.unread.push(slot);
            }
            return Step::Idle;
        };
        match conn.poll_read(&mut cx, buffer) {
            Poll::Pending => Step::Idle,
            Poll::Ready(Ok(0)) => {
                counters.receives += 1;
                self.end(slot, Closed::ByRemote)
            }
            Poll::Ready(Ok(read)) => {
                counters.receives += 1;
                counters.bytes_in += u64::try_from(read).unwrap_or(0);
                Step::Received(id, read)
            }
            Poll::Ready(Err(_)) => self.end(slot, Closed::Reset),
        }
    }

    fn conn(&self, slot: usize) -> Option<&Conn> {
        self.slots.get(slot)?.conn.as_ref()
    }

    fn conn_mut(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_mut()
    }

    fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() >= self.limits.connections
    }

    fn insert(&mut self, id: ConnId, stream: TcpStream, phase: Phase) {
        let conn = Conn {
            id,
            stream,
            phase,
            unsent: VecDeque::new(),
            reports: false,
        };
        let at = self.free.pop().unwrap_or_else(|| {
            let note = SlotWaker::new(self.slots.len(), &self.ready);
            let waker = Waker::from(Arc::clone(&note));
            self.slots.push(Slot {
                note,
                waker,
                is_unread: false,
                conn: None,
            });
            self.slots.len() - 1
        });
        self.by_id.insert(id, at);
        self.accepted += usize::from(id.is_accepted());
        if let Some(slot) = self.slots.get_mut(at) {
            slot.conn = Some(conn);
            // To have it watched.
            slot.waker.wake_by_ref();
        }
    }

    fn end(&mut self, slot: usize, why: Closed) -> Step {
        let id = self.conn(slot).map(|conn| conn.id);
        self.release(slot);
        id.map_or(Step::Idle, |id| Step::Closed(id, why))
    }

    fn end_later(&mut self, slot: usize, why: Closed) {
        if let Step::Closed(id, why) = self.end(slot, why) {
            self.late.push_back(Late::Closed(id, why));
        }
    }

    fn hang_up(&mut self, slot: usize) {
        if let Some(conn) = self.conn(slot) {
            conn.discard_input();
        }
        self.release(slot);
    }

    fn release(&mut self, slot: usize) {
        if let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.take()) {
            self.by_id.remove(&conn.id);
            self.accepted -= usize::from(conn.id.is_accepted());
            self.free.push(slot);
        }
    }
}

impl Conn {
    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let writable = ready!(self.stream.poll_write_ready(cx));
        let failure = writable.err().or_else(|| self.stream.take_error().unwrap_or_else(Some));
        Poll::Ready(failure.map_or(Ok(()), |error| Err(dial_failure(&error))))
    }

    /// `Ready` when nothing is unsent, or on failure.
    fn poll_flush(&mut self, cx: &mut Context<'_>, counters: &mut Counters) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            if let Err(error) = ready!(self.stream.poll_write_ready(cx)) {
                return Poll::Ready(Err(error));
            }
            match self.stream.try_write(self.unsent.as_slices().0) {
                Ok(written) => {
                    counters.sends += 1;
                    counters.bytes_out += u64::try_from(written).unwrap_or(0);
                    self.unsent.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        // Not `try_read`: only this knows that a read that did not fill the buffer has emptied the socket, and spares the
        // call that would find it empty.
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn discard_input(&self) {
        let mut buffer = [0; 4096];
        let mut discarded = 0;
        while discarded < DISCARD {
            match self.stream.try_read(&mut buffer) {
                Ok(read) if read > 0 => discarded += read,
                _ => break,
            }
        }
    }
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = nonblocking(Domain::for_address(to))?;
    // Small messages must not wait for one another; if this fails they do.
    let _ = socket.set_tcp_nodelay(true);
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => TcpStream::from_std(socket.into()),
    }
}

/// A socket that does not block, by one call where the kernel takes the wish with it.
fn nonblocking(domain: Domain) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    return Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP));
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// How the machine is told that a connection could not be opened.
fn dial_failure(error: &io::Error) -> Closed {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Closed::Refused,
        // All local ports are taken.
        io::ErrorKind::AddrNotAvailable => Closed::NoRoom,
        _ if is_exhaustion(error) => Closed::NoRoom,
        _ => Closed::Unreachable,
    }
}

/// Whether descriptors or memory have run out.
fn is_exhaustion(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    exhausted
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_to_connect_are_told_apart() {
        let told = |errno: Errno| dial_failure(&errno.into());
        assert_eq!(told(Errno::CONNREFUSED), Closed::Refused);
        assert_eq!(told(Errno::HOSTUNREACH), Closed::Unreachable);
        assert_eq!(told(Errno::TIMEDOUT), Closed::Unreachable);
        assert_eq!(told(Errno::PERM), Closed::Unreachable);
        assert_eq!(told(Errno::MFILE), Closed::NoRoom);
        assert_eq!(told(Errno::ADDRNOTAVAIL), Closed::NoRoom);
    }
}

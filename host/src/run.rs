//! The loop.
//!
//! One task on one thread. A turn looks at everything that may have something to do, and does a bounded amount of each
//! before it lets the kernel speak again: a fast stream of datagrams cannot starve the connections, nor they it.

use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::Socket;
use tokio::time::{Instant, Sleep, sleep_until};
use world::{Effect, Input, Machine, Output, Time, Via};

use crate::clock::Clock;
use crate::disk::{CHUNK, Disk, Lent};
use crate::lsd::Lsd;
use crate::meter::Metering;
use crate::tcp::{Called, Late, Step, Tcp};
use crate::udp::{Batch, Udp};
use crate::web::Web;
use crate::{Counters, HostError, Stage, Stopper};

/// Receive calls of one UDP socket in a turn; each gives up to 32 datagrams, about 100 microseconds of a mind's work.
const BATCHES_PER_TURN: usize = 8;
/// Connections accepted in a turn.
const ACCEPTS_PER_TURN: usize = 64;
/// Connections looked at in a turn.
const CONNECTIONS_PER_TURN: usize = 64;
/// Steps of one connection before the next one's turn; each reads up to [`CHUNK`].
const STEPS_PER_CONNECTION: usize = 4;
/// What came about on connections while the machine was polled, and is told in one turn.
const LATE_PER_TURN: usize = 256;
/// Answers of the disk told in a turn.
const ANSWERS_PER_TURN: usize = 256;
/// Parts of answers from the web told in a turn.
const WEB_PER_TURN: usize = 64;

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The sink said so.
    Sink,
    /// It was told to stop for the second time.
    Stopped,
}

/// The end of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Why.
    pub why: Why,
    /// When.
    pub at: Time,
    /// What passed through its sockets.
    pub counters: Counters,
}

/// Carries `machine` on the sockets of `stage` until `sink` breaks or somebody insists. Blocks; `sink` gets every event.
///
/// Time begins at zero with this call. The first SIGINT, SIGTERM (if the stage has signals) or
/// [`Stopper::stop`](crate::Stopper::stop) becomes [`Input::Stop`]; it is for the machine to be done soon, and for the
/// sink to break then. The second ends the run at once.
///
/// After each input the machine is polled until it gives nothing more. `sink` may give it commands: it is polled after
/// them, too, and before the first input.
///
/// # Errors
///
/// [`HostError::Loop`] if the loop cannot be built. A running loop does not fail: what goes wrong on a socket is counted
/// and told to the machine.
pub fn run<M: Machine>(
    stage: Stage,
    machine: &mut M,
    sink: impl FnMut(Time, &mut M, M::Event) -> ControlFlow<()>,
) -> Result<Ended, HostError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HostError::Loop)?;
    let ended = runtime.block_on(async {
        let mut run = Run::begin(stage, machine, sink).map_err(HostError::Loop)?;
        // Turns are bounded by themselves; the runtime's own bound would hide sockets that are ready.
        Ok(tokio::task::unconstrained(poll_fn(|cx| run.poll_turn(cx))).await)
    });
    runtime.shutdown_background();
    ended
}

/// What the machine's effects act on.
struct World {
    udp: Vec<Udp>,
    lsd: Lsd,
    tcp: Tcp,
    disk: Disk,
    web: Web,
    counters: Counters,
    /// A lab's silent and closed ports, which are what they are while these are open.
    _props: Vec<Socket>,
}

impl World {
    /// `lent` is what the machine was told last.
    fn carry_out(&mut self, now: Time, effect: Effect, payload: &[u8], lent: Lent<'_>) {
        match effect {
            Effect::Send { from, to, len } => {
                let payload = payload.get(..len).unwrap_or(payload);
                if to.ip().is_multicast() && Lsd::is_group(to) {
                    self.lsd.send(to, payload, &mut self.counters);
                    return;
                }
                let fits = |udp: &Udp| {
                    let local = udp.local();
                    local.is_ipv4() == to.is_ipv4()
                        && from.is_none_or(|from| from.port() == 0 || from.port() == local.port())
                };
                match self.udp.iter_mut().find(|udp| fits(udp)) {
                    Some(udp) => udp.put(from.map(|from| from.ip()), to, payload, &mut self.counters),
                    None => self.counters.send_errors.no_socket += 1,
                }
            }
            Effect::Dial { conn, to, via } => self.tcp.dial(conn, to, via, &mut self.counters),
            Effect::Write { conn, len } => {
                let payload = payload.get(..len).unwrap_or(payload);
                self.tcp.write(conn, payload, &mut self.counters);
            }
            Effect::Close { conn } => self.tcp.close(now, conn),
            Effect::Report { conn } => self.tcp.report(conn),
            Effect::Disk { store, job, op } => {
                self.disk.carry_out((store, job, op), payload, lent, &mut self.counters);
            }
            Effect::Fetch { id, get, len } => self.web.fetch(id, get, payload.get(..len).unwrap_or(payload)),
            Effect::CancelFetch { id } => self.web.cancel(id),
            Effect::Resolve { id, len } => self.web.resolve(id, payload.get(..len).unwrap_or(payload)),
        }
    }

    /// Hands the kernel the datagrams that were collected.
    fn send_all(&mut self) {
        for udp in &mut self.udp {
            udp.send(&mut self.counters);
        }
    }

    /// Hands the kernel what waits for it, too.
    fn flush(&mut self, cx: &mut Context<'_>) {
        for udp in self.udp.iter_mut().chain(&mut self.lsd.sockets) {
            udp.flush(cx, &mut self.counters);
        }
    }

    /// All sockets for datagrams: those of the setup, then those of local discovery.
    fn sockets(&mut self) -> impl Iterator<Item = &mut Udp> {
        self.udp.iter_mut().chain(&mut self.lsd.sockets)
    }
}

/// Whether a phase of a turn left work undone; breaks when the run is over.
type Flow<T> = ControlFlow<Why, T>;

struct Run<'m, M, S> {
    machine: &'m mut M,
    sink: S,
    world: World,
    clock: Clock,
    metering: Metering,
    stopper: Stopper,
    #[cfg(unix)]
    signals: Option<crate::stop::Signals>,
    /// How often the machine's end was asked for so far.
    stops_seen: u32,
    /// Armed at `armed` or, once a deadline moved later, before it: moving a timer costs more than a needless turn.
    timer: Pin<Box<Sleep>>,
    armed: Option<Time>,
    started: bool,
    // Buffers, each for the whole run.
    payload: Vec<u8>,
    batch: Option<Box<Batch>>,
    read: Vec<u8>,
}

impl<'m, M, S> Run<'m, M, S>
where
    M: Machine,
    S: FnMut(Time, &mut M, M::Event) -> ControlFlow<()>,
{
    /// Needs the runtime's context.
    fn begin(stage: Stage, machine: &'m mut M, sink: S) -> std::io::Result<Self> {
        let (loopback_only, limits) = (stage.loopback_only, stage.limits);
        let udp = stage
            .udp
            .into_iter()
            .map(|socket| Udp::new(socket, loopback_only, limits.send_backlog));
        let world = World {
            udp: udp.collect::<Result<_, _>>()?,
            lsd: Lsd::new(stage.lsd, limits.send_backlog)?,
            tcp: Tcp::new(stage.listeners, loopback_only, limits)?,
            disk: Disk::new(limits.disk),
            web: Web::new(stage.web),
            counters: Counters::default(),
            _props: stage.props,
        };
        Ok(Self {
            machine,
            sink,
            world,
            clock: Clock::start(),
            metering: Metering::of(stage.meter),
            stopper: stage.stopper,
            #[cfg(unix)]
            signals: if stage.signals {
                Some(crate::stop::Signals::watch()?)
            } else {
                None
            },
            stops_seen: 0,
            timer: Box::pin(sleep_until(Instant::now())),
            armed: None,
            started: false,
            payload: Vec::new(),
            batch: Some(Box::new(Batch::new())),
            read: vec![0; CHUNK],
        })
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.turn(cx) {
            ControlFlow::Break(why) => {
                let at = self.clock.now();
                self.world.send_all();
                self.world.disk.finish(&mut self.world.counters);
                Poll::Ready(Ended {
                    why,
                    at,
                    counters: self.world.counters,
                })
            }
            ControlFlow::Continue(more) => {
                if more {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Everything once. True if there is more to do at once.
    fn turn(&mut self, cx: &mut Context<'_>) -> Flow<bool> {
        self.world.tcp.watch(cx);
        self.stops(cx)?;
        let now = self.clock.now();
        if !mem::replace(&mut self.started, true) {
            self.drain(now, Lent::Nothing)?;
        }
        self.world.tcp.tidy(now);
        self.metering.tell(now, &self.world.counters);
        let woken = self.stopper.woken();
        if woken || self.machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(now, Input::Tick)?;
        }
        let mut more = false;
        // Datagrams wait with the kernel, which drops what is too much: whoever sent them slows down.
        if self.reads() {
            for socket in 0..self.world.udp.len() + self.world.lsd.sockets.len() {
                more |= self.datagrams(cx, socket)?;
            }
        }
        more |= self.callers(cx)?;
        self.connections()?;
        self.late_ends()?;
        more |= self.web(cx)?;
        more |= self.answers(cx)?;
        // What the disk's answers made the machine ask of the web was not there yet when that was looked at.
        more |= self.world.web.is_fresh() && self.reads();
        self.world.flush(cx);
        more |= self.world.tcp.has_work();
        Flow::Continue(more | self.arm(cx))
    }

    fn stops(&mut self, cx: &mut Context<'_>) -> Flow<()> {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals {
            signals.pass_on(cx, &self.stopper);
        }
        let asked = self.stopper.asked(cx);
        if asked > 1 {
            return Flow::Break(Why::Stopped);
        }
        if asked > self.stops_seen {
            self.stops_seen = asked;
            self.tell(self.clock.now(), Input::Stop)?;
        }
        Flow::Continue(())
    }

    fn datagrams(&mut self, cx: &mut Context<'_>, socket: usize) -> Flow<bool> {
        let Some(mut batch) = self.batch.take() else {
            return Flow::Continue(false);
        };
        let mut more = true;
        for _ in 0..BATCHES_PER_TURN {
            let Some(udp) = self.world.sockets().nth(socket) else {
                break;
            };
            let filled = match udp.poll_receive(cx, &mut batch) {
                Poll::Pending => {
                    more = false;
                    break;
                }
                Poll::Ready(Ok(filled)) => filled,
                Poll::Ready(Err(_)) => {
                    self.world.counters.receive_errors += 1;
                    continue;
                }
            };
            let (local, loopback_only) = (udp.local(), udp.loopback_only);
            let now = self.clock.now();
            for datagram in batch.datagrams(filled) {
                let to = datagram.to.map_or(local, |ip| SocketAddr::new(ip, local.port()));
                if loopback_only && !to.ip().is_loopback() {
                    self.world.counters.not_loopback += 1;
                    continue;
                }
                self.world.counters.datagrams_in += 1;
                let (from, bytes) = (datagram.from, datagram.bytes);
                self.tell(now, Input::Datagram { from, to, bytes })?;
            }
            self.world.send_all();
        }
        self.batch = Some(batch);
        Flow::Continue(more)
    }

    fn callers(&mut self, cx: &mut Context<'_>) -> Flow<bool> {
        let now = self.clock.now();
        for _ in 0..ACCEPTS_PER_TURN {
            match self.world.tcp.poll_accept(cx, now, &mut self.world.counters) {
                Poll::Pending => return Flow::Continue(false),
                Poll::Ready(Called::Nothing) => {}
                Poll::Ready(Called::Accepted { conn, from, to }) => {
                    self.tell(
                        now,
                        Input::Accepted {
                            conn,
                            from,
                            to,
                            via: Via::Tcp,
                        },
                    )?;
                }
            }
        }
        Flow::Continue(true)
    }

    fn connections(&mut self) -> Flow<()> {
        for _ in 0..CONNECTIONS_PER_TURN {
            let Some(slot) = self.world.tcp.next_ready() else {
                break;
            };
            self.connection(slot)?;
        }
        Flow::Continue(())
    }

    fn connection(&mut self, slot: usize) -> Flow<()> {
        for _ in 0..STEPS_PER_CONNECTION {
            let may_read = self.reads();
            let mut read = mem::take(&mut self.read);
            let buffer = may_read.then_some(read.as_mut_slice());
            let step = self.world.tcp.advance(slot, buffer, &mut self.world.counters);
            let now = self.clock.now();
            let flow = match step {
                Step::Idle => Flow::Continue(()),
                Step::Opened(conn) => self.tell(now, Input::Opened { conn, via: Via::Tcp }),
                Step::Received(conn, len) => {
                    let bytes = read.get(..len).unwrap_or_default();
                    self.machine.handle(now, Input::Received { conn, bytes });
                    let flow = self.drain(now, Lent::received(bytes));
                    self.world.disk.settle(&mut read, &mut self.world.counters);
                    flow
                }
                Step::Flushed(conn) => self.tell(now, Input::Flushed { conn }),
                Step::Closed(conn, why) => self.tell(now, Input::Closed { conn, why }),
            };
            self.read = read;
            flow?;
            if matches!(step, Step::Idle | Step::Closed(..)) {
                return Flow::Continue(());
            }
        }
        self.world.tcp.look_again(slot);
        Flow::Continue(())
    }

    fn late_ends(&mut self) -> Flow<()> {
        for _ in 0..LATE_PER_TURN {
            let Some(late) = self.world.tcp.next_late() else {
                break;
            };
            let input = match late {
                Late::Closed(conn, why) => Input::Closed { conn, why },
                Late::Flushed(conn) => Input::Flushed { conn },
            };
            self.tell(self.clock.now(), input)?;
        }
        Flow::Continue(())
    }

    /// Tells what came from the web, as far as the disk has room for it.
    fn web(&mut self, cx: &mut Context<'_>) -> Flow<bool> {
        for _ in 0..WEB_PER_TURN {
            if !self.reads() {
                return Flow::Continue(false);
            }
            let Poll::Ready(told) = self.world.web.poll(cx) else {
                return Flow::Continue(false);
            };
            let now = self.clock.now();
            self.machine.handle(now, told.input());
            self.drain(now, Lent::Copied(told.body()))?;
        }
        Flow::Continue(true)
    }

    /// Has done what the disk is asked for, and tells what it has done.
    fn answers(&mut self, cx: &Context<'_>) -> Flow<bool> {
        self.world.disk.flush(&mut self.world.counters);
        self.world.disk.collect(cx, &mut self.world.counters);
        for _ in 0..ANSWERS_PER_TURN {
            let Some(answer) = self.world.disk.next_answer() else {
                break;
            };
            let (job, done) = answer.done();
            let flow = self.tell(self.clock.now(), Input::Disk { job, done });
            self.world.disk.told(answer);
            flow?;
        }
        self.world.disk.flush(&mut self.world.counters);
        if self.reads() {
            self.world.tcp.read_on();
        }
        Flow::Continue(self.world.disk.has_answers())
    }

    /// Whether sockets may be read: the disk must have room for what comes.
    fn reads(&mut self) -> bool {
        !self.world.disk.is_full(&mut self.world.counters)
    }

    fn tell(&mut self, now: Time, input: Input<'_>) -> Flow<()> {
        self.machine.handle(now, input);
        self.drain(now, Lent::Nothing)
    }

    /// Polls the machine until it gives nothing more. `lent` is what it was just told.
    fn drain(&mut self, now: Time, lent: Lent<'_>) -> Flow<()> {
        loop {
            self.payload.clear();
            match self.machine.poll(now, &mut self.payload) {
                None => return Flow::Continue(()),
                Some(Output::Effect(effect)) => self.world.carry_out(now, effect, &self.payload, lent),
                Some(Output::Event(event)) => {
                    if (self.sink)(now, self.machine, event).is_break() {
                        return Flow::Break(Why::Sink);
                    }
                }
            }
        }
    }

    /// Sets the timer; true if it has already come.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let deadlines = [self.machine.deadline(), self.world.tcp.deadline()];
        if let Some(deadline) = deadlines.into_iter().flatten().min()
            && self.armed.is_none_or(|armed| deadline < armed)
        {
            let instant = Instant::from_std(self.clock.instant(deadline));
            self.timer.as_mut().reset(instant);
            self.armed = Some(deadline);
        }
        let came = self.armed.is_some() && self.timer.as_mut().poll(cx).is_ready();
        if came {
            self.armed = None;
        }
        came
    }
}

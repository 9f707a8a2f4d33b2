//! Asking a run to end or to look again, from a signal or from another thread.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Context, Poll};

/// Ends a run from anywhere: it can be cloned and sent to other threads, and used before the run begins.
#[derive(Clone, Default, Debug)]
pub struct Stopper(Arc<State>);

#[derive(Default, Debug)]
struct State {
    asked: AtomicU32,
    woken: AtomicBool,
    task: Mutex<Option<task::Waker>>,
}

impl State {
    fn wake_task(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

/// Tells a run from another thread that something its machine waits for is there.
#[derive(Clone, Debug)]
pub struct Waker(Arc<State>);

impl Waker {
    /// The machine gets [`world::Input::Tick`] soon; several calls may become one.
    pub fn wake(&self) {
        self.0.woken.store(true, Ordering::Release);
        self.0.wake_task();
    }
}

impl Stopper {
    /// The first call sends [`world::Input::Stop`] to the machine, the second ends the run at once; as SIGINT does.
    pub fn stop(&self) {
        // Saturates in effect: the loop looks at no more than two.
        self.0.asked.fetch_add(1, Ordering::AcqRel);
        self.0.wake_task();
    }

    /// A way to wake the same run.
    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0))
    }

    /// Whether it was woken since this was last asked.
    pub(crate) fn woken(&self) -> bool {
        self.0.woken.swap(false, Ordering::AcqRel)
    }

    /// How often it was asked; `cx` is woken when it is asked again.
    pub(crate) fn asked(&self, cx: &Context<'_>) -> u32 {
        let mut task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
        drop(task);
        self.0.asked.load(Ordering::Acquire)
    }
}

/// SIGINT and SIGTERM, each of which calls [`Stopper::stop`].
#[cfg(unix)]
pub(crate) struct Signals {
    both: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl Signals {
    /// Needs the runtime's context. From now on these signals do not end the process.
    pub(crate) fn watch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            both: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?],
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let any = self.both.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(crate) fn pass_on(&mut self, cx: &mut Context<'_>, stopper: &Stopper) {
        for signal in &mut self.both {
            while let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                stopper.stop();
            }
        }
    }
}

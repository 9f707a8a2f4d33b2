//! Asking a run to end, from a signal or from another thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Ends a run from anywhere: it can be cloned and sent to other threads, and used before the run begins.
#[derive(Clone, Default, Debug)]
pub struct Stopper(Arc<State>);

#[derive(Default, Debug)]
struct State {
    asked: AtomicU32,
    task: Mutex<Option<Waker>>,
}

impl Stopper {
    /// The first call sends [`world::Input::Stop`] to the machine, the second ends the run at once; as SIGINT does.
    pub fn stop(&self) {
        // Saturates in effect: the loop looks at no more than two.
        self.0.asked.fetch_add(1, Ordering::AcqRel);
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
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

    pub(crate) fn pass_on(&mut self, cx: &mut Context<'_>, stopper: &Stopper) {
        for signal in &mut self.both {
            while let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                stopper.stop();
            }
        }
    }
}

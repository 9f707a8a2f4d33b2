//! Ctrl-C for work that has no loop: a flag that SIGINT and SIGTERM set.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Whether this process was asked to end.
#[derive(Clone, Default, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first SIGINT or SIGTERM does not end the process but sets the flag; a second one ends it at once,
    /// with code 130, as shells count.
    ///
    /// # Errors
    ///
    /// When there can be no thread that waits for signals.
    pub fn watch() -> io::Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // In place before this returns: a signal that comes right after is not missed.
        let mut signals = {
            let _context = runtime.enter();
            crate::stop::Signals::watch()?
        };
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(signals.next());
            flag.set();
            runtime.block_on(signals.next());
            std::process::exit(130);
        })?;
        Ok(interrupt)
    }

    /// Sets the flag.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

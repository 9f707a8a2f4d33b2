//! The real world: the one loop, sockets, files, clock, entropy and signals.
//!
//! [`run`] carries a [`world::Machine`] on a [`Stage`] of open sockets. Everything else here is what a mind must not
//! touch itself: [`entropy`], [`unix_now`], the [`Resolver`], and the files of a run ([`AppendFile`], [`DirLock`],
//! [`replace_file`], [`set_aside`]).

mod clock;
mod counters;
mod disk;
mod error;
mod files;
mod interrupt;
mod lab;
mod lsd;
mod meter;
mod metrics;
mod program;
mod proxy;
mod ready;
mod resolve;
mod run;
mod scribe;
mod stage;
mod stop;
mod sweep;
mod tcp;
mod udp;
mod web;

pub use clock::{entropy, unix_millis, unix_now};
pub use counters::{Counters, DiskCounters, SendErrors};
pub use disk::DiskLimits;
pub use error::HostError;
pub use files::{
    AppendFile, DirLock, FileError, FileFault, create_dir, new_file, read_file, read_part, replace_file, set_aside,
    stamp, sync_file,
};
pub use interrupt::Interrupt;
pub use lsd::LsdReach;
pub use meter::Meter;
pub use metrics::Metrics;
pub use program::become_program;
pub use proxy::{Proxy, ProxyError, Relay, disclose, enclose};
pub use resolve::{ResolveError, Resolved, Resolver};
pub use run::{Ended, Why, run};
pub use scribe::{Scribe, Sheet, Written};
pub use stage::{Limits, Setup, Stage, raise_descriptor_limit};
pub use stop::{Stopper, Waker};
pub use sweep::{Eater, Gap, Stretch, Swept, sweep};
pub use web::WebPolicy;

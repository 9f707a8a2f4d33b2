//! Reads stretches of files on several threads, in order and in large pieces, and hands the bytes to what makes
//! something of them. Holes of sparse files are told and not read.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, SeekFrom, seek};

use crate::{FileFault, Interrupt};

/// Bytes of one read: few system calls, and what was read is hashed before it leaves the second-level cache.
const READ: usize = 256 << 10;

/// Results that wait to be looked at; when there are so many, threads wait.
const WAITING: usize = 64;

/// Bytes to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Which file; `None` is zeros that no file has.
    pub file: Option<usize>,
    /// Where it begins, bytes.
    pub at: u64,
    /// Bytes.
    pub length: u64,
}

/// Why the rest of a stretch cannot be read.
#[derive(Debug)]
pub enum Gap {
    /// There is no such file.
    Missing,
    /// It is no regular file.
    NotAFile,
    /// It ends before.
    Short,
    /// Anything else.
    Fault(FileFault),
}

/// What makes something of bytes; each thread has one.
pub trait Eater: Send {
    /// What comes of one task.
    type Made: Send;

    /// The bytes that follow are of this stretch.
    fn stretch(&mut self, stretch: &Stretch);

    /// The next bytes of the stretch.
    fn bytes(&mut self, bytes: &[u8]);

    /// The next so many bytes of the stretch are zeros.
    fn zeros(&mut self, count: u64);

    /// The remaining so many bytes of the stretch are not to be had.
    fn gap(&mut self, count: u64, gap: Gap);

    /// The task ends.
    fn end(&mut self) -> Self::Made;
}

/// What is told of a sweep while it goes on.
#[derive(Debug)]
pub enum Swept<T, M> {
    /// A task, and what came of it. Tasks end in any order.
    Made(T, M),
    /// Some time has passed.
    Tick,
}

/// Reads the stretches of all tasks, each task by one thread from its first byte to its last, as many at once as there
/// are `eaters`. `path` says where a file is. `tell` is called on this thread, at least every `tick`; when it gives
/// false, or at an interrupt, the sweep is given up. Whether it came to its end.
///
/// Memory: 256 KiB for each thread, and 64 results.
pub fn sweep<T, E, P>(
    path: P,
    tasks: impl Iterator<Item = (T, Vec<Stretch>)> + Send,
    eaters: Vec<E>,
    interrupt: &Interrupt,
    tick: Duration,
    mut tell: impl FnMut(Swept<T, E::Made>) -> bool,
) -> bool
where
    T: Send,
    E: Eater,
    P: Fn(usize) -> PathBuf + Sync,
{
    let tasks = Mutex::new(tasks);
    let (made, results) = mpsc::sync_channel(WAITING);
    // Ours alone: giving up is no interrupt of the caller's.
    let over = Interrupt::default();
    thread::scope(|scope| {
        for mut eater in eaters {
            let (tasks, path, made, over) = (&tasks, &path, made.clone(), &over);
            scope.spawn(move || {
                let mut reader = Reader::new(path, || over.is_set() || interrupt.is_set());
                loop {
                    let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((task, stretches)) = task else { return };
                    for stretch in &stretches {
                        eater.stretch(stretch);
                        if !reader.read(stretch, &mut eater) {
                            return;
                        }
                    }
                    if made.send((task, eater.end())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(made);
        loop {
            let goes_on = match results.recv_timeout(tick) {
                Ok((task, made)) => tell(Swept::Made(task, made)),
                Err(RecvTimeoutError::Timeout) => tell(Swept::Tick),
                // All threads are done, or gave up.
                Err(RecvTimeoutError::Disconnected) => return !interrupt.is_set(),
            };
            if !goes_on || interrupt.is_set() {
                over.set();
                // Threads that wait to send wake up.
                drop(results);
                return false;
            }
        }
    })
}

/// What one thread reads with. Its file stays open until another is asked for.
struct Reader<'a, P, S> {
    path: &'a P,
    stopped: S,
    open: Option<Open>,
    buffer: Vec<u8>,
}

struct Open {
    number: usize,
    file: Result<File, Gap>,
    sparse: bool,
}

impl<'a, P: Fn(usize) -> PathBuf, S: Fn() -> bool> Reader<'a, P, S> {
    fn new(path: &'a P, stopped: S) -> Self {
        Self {
            path,
            stopped,
            open: None,
            buffer: vec![0; READ],
        }
    }

    /// Feeds a stretch; false if it was told to stop.
    fn read(&mut self, stretch: &Stretch, eater: &mut impl Eater) -> bool {
        let Some(number) = stretch.file else {
            eater.zeros(stretch.length);
            return !(self.stopped)();
        };
        if self.open.as_ref().is_none_or(|open| open.number != number) {
            self.open = Some(Open::new(number, (self.path)(number)));
        }
        let Some(open) = &self.open else { return true };
        let file = match &open.file {
            Ok(file) => file,
            Err(gap) => {
                eater.gap(stretch.length, gap.again());
                return !(self.stopped)();
            }
        };
        let (mut at, end) = (stretch.at, stretch.at.saturating_add(stretch.length));
        // Up to where it is known that there are data.
        let mut data_until = if open.sparse { at } else { end };
        while at < end {
            if (self.stopped)() {
                return false;
            }
            if at >= data_until {
                match next_data(file, at) {
                    Some((begin, until)) if begin <= at => data_until = until,
                    Some((begin, _)) => {
                        eater.zeros(begin.min(end) - at);
                        at = begin.min(end);
                        continue;
                    }
                    // Only reading tells.
                    None => data_until = end,
                }
            }
            let most = usize::try_from(data_until.min(end) - at).unwrap_or(READ).min(READ);
            match file.read_at(self.buffer.get_mut(..most).unwrap_or_default(), at) {
                Ok(0) => {
                    eater.gap(end - at, Gap::Short);
                    return true;
                }
                Ok(count) => {
                    eater.bytes(self.buffer.get(..count).unwrap_or_default());
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    eater.gap(end - at, Gap::of(error));
                    return true;
                }
            }
        }
        true
    }
}

impl Open {
    fn new(number: usize, path: PathBuf) -> Self {
        let mut sparse = false;
        // A pipe in the place of a file must not hold us up.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
        let file = opened.and_then(|file| Ok((file.metadata()?, file)));
        let file = match file {
            Ok((metadata, file)) if metadata.is_file() => {
                sparse = metadata.blocks().saturating_mul(512) < metadata.len();
                Ok(file)
            }
            Ok(_) => Err(Gap::NotAFile),
            Err(error) => Err(Gap::of(error)),
        };
        Self { number, file, sparse }
    }
}

impl Gap {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Fault(FileFault::of(error)),
        }
    }

    /// The same once more: faults hold errors, which cannot be copied.
    fn again(&self) -> Self {
        match self {
            Self::Missing => Self::Missing,
            Self::NotAFile => Self::NotAFile,
            Self::Short => Self::Short,
            Self::Fault(FileFault::Other(error)) => {
                let same = error.raw_os_error().map(io::Error::from_raw_os_error);
                Self::Fault(FileFault::Other(same.unwrap_or_else(|| error.kind().into())))
            }
            Self::Fault(FileFault::Permission) => Self::Fault(FileFault::Permission),
            Self::Fault(fault) => Self::Fault(FileFault::Other(io::Error::other(fault.to_string()))),
        }
    }
}

/// The data at or after `at`: where they begin and end. `None` where the file system cannot tell, or nothing follows but
/// the end of the file, up to which a hole is read as zeros.
fn next_data(file: &File, at: u64) -> Option<(u64, u64)> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(begin) => {
            let until = seek(file, SeekFrom::Hole(begin)).ok()?;
            Some((begin, until))
        }
        // A hole up to the end, or beyond the end.
        Err(rustix::io::Errno::NXIO) => {
            let end = file.metadata().ok()?.len();
            (end > at).then_some((end, end))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek, Write};

    use super::*;

    /// Notes what it is fed.
    #[derive(Default)]
    struct Notes {
        bytes: Vec<u8>,
        hole: u64,
        gaps: Vec<(u64, String)>,
        /// Interrupts at the first bytes.
        at_bytes: Option<Interrupt>,
    }

    impl Eater for Notes {
        type Made = (Vec<u8>, u64, Vec<(u64, String)>);

        fn stretch(&mut self, _: &Stretch) {}

        fn bytes(&mut self, bytes: &[u8]) {
            self.bytes.extend_from_slice(bytes);
            if let Some(interrupt) = &self.at_bytes {
                interrupt.set();
            }
        }

        fn zeros(&mut self, count: u64) {
            self.hole += count;
            self.bytes.resize(self.bytes.len() + usize::try_from(count).unwrap(), 0);
        }

        fn gap(&mut self, count: u64, gap: Gap) {
            self.gaps.push((count, format!("{gap:?}")));
        }

        fn end(&mut self) -> Self::Made {
            let Self { bytes, hole, gaps, .. } = std::mem::take(self);
            (bytes, hole, gaps)
        }
    }

    fn stretch(file: usize, at: u64, length: u64) -> Stretch {
        Stretch {
            file: Some(file),
            at,
            length,
        }
    }

    /// Sweeps with so many threads; what was made, in the order of the tasks.
    fn swept(paths: &[PathBuf], tasks: Vec<Vec<Stretch>>, threads: usize) -> Vec<<Notes as Eater>::Made> {
        let mut all = Vec::new();
        let whole = sweep(
            |file| paths[file].clone(),
            tasks.into_iter().enumerate(),
            (0..threads).map(|_| Notes::default()).collect(),
            &Interrupt::default(),
            Duration::from_secs(60),
            |told| {
                if let Swept::Made(task, made) = told {
                    all.push((task, made));
                }
                true
            },
        );
        assert!(whole);
        all.sort_by_key(|(task, _)| *task);
        all.into_iter().map(|(_, made)| made).collect()
    }

    #[test]
    fn every_byte_is_read_once_and_in_order_by_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let data: Vec<u8> = (0..1_500_000u32).map(|at| (at / 7) as u8).collect();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, &data[..1_000_000]).unwrap();
        fs::write(&b, &data[1_000_000..]).unwrap();
        for threads in [1, 3] {
            let tasks = vec![
                vec![stretch(0, 0, 700_000)],
                vec![stretch(0, 700_000, 300_000), stretch(1, 0, 1)],
                vec![stretch(1, 1, 499_999)],
            ];
            let made = swept(&[a.clone(), b.clone()], tasks, threads);
            assert_eq!(
                made.iter().map(|made| made.0.len()).collect::<Vec<_>>(),
                [700_000, 300_001, 499_999]
            );
            let all: Vec<u8> = made.into_iter().flat_map(|made| made.0).collect();
            assert!(all == data);
        }
    }

    #[test]
    fn holes_are_told_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let mut file = File::create(&path).unwrap();
        file.seek(io::SeekFrom::Start(8 << 20)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.set_len(16 << 20).unwrap();
        drop(file);
        let made = swept(std::slice::from_ref(&path), vec![vec![stretch(0, 0, 16 << 20)]], 1);
        let (bytes, hole, gaps) = &made[0];
        assert!(*bytes == fs::read(&path).unwrap());
        assert!(gaps.is_empty());
        // A file system without holes has none to tell.
        if fs::metadata(&path).unwrap().blocks() < 1000 {
            assert!(*hole > 15 << 20, "{hole} bytes of holes");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let short = dir.path().join("short");
        fs::write(&short, "12345").unwrap();
        let paths = [
            short.clone(),
            dir.path().join("none"),
            short.join("below"),
            dir.path().to_owned(),
        ];
        let tasks = (0..paths.len()).map(|file| vec![stretch(file, 2, 10)]).collect();
        let gaps: Vec<_> = swept(&paths, tasks, 1).into_iter().map(|made| made.2).collect();
        let gap = |count, name: &str| vec![(count, name.to_owned())];
        assert_eq!(
            gaps,
            [
                gap(7, "Short"),
                gap(10, "Missing"),
                gap(10, "Missing"),
                gap(10, "NotAFile")
            ]
        );
    }

    #[test]
    fn an_interrupt_gives_it_up() {
        let interrupt = Interrupt::default();
        let eater = Notes {
            at_bytes: Some(interrupt.clone()),
            ..Notes::default()
        };
        let endless = (0..).map(|task: u64| (task, vec![stretch(0, 0, 100)]));
        let whole = sweep(
            |_| PathBuf::from("/proc/self/exe"),
            endless,
            vec![eater],
            &interrupt,
            Duration::from_secs(60),
            |_| true,
        );
        assert!(!whole);
    }

    #[test]
    fn who_is_told_can_give_it_up() {
        let endless = (0..).map(|task: u64| (task, vec![stretch(0, 0, 100)]));
        let eaters = vec![Notes::default(), Notes::default()];
        let interrupt = Interrupt::default();
        let mut told = 0;
        let whole = sweep(
            |_| PathBuf::from("/proc/self/exe"),
            endless,
            eaters,
            &interrupt,
            Duration::from_secs(60),
            |_| {
                told += 1;
                told < 5
            },
        );
        assert!(!whole && told == 5 && !interrupt.is_set());
    }
}

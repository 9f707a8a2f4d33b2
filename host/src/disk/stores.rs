//! The stores: which files they have, which of these are open, which are not yet on stable storage.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use world::{DiskFault, JobId, StoreId};

use super::fault::fault;
use super::folder::Folder;
use super::handles::Handles;

/// All stores of a run, for all its threads. Who needs both locks takes a store's first.
pub(super) struct Stores {
    table: Mutex<HashMap<StoreId, Arc<Store>>>,
    handles: Mutex<Handles>,
    next_key: AtomicU64,
}

/// One store, from one [`DiskOp::Open`](world::DiskOp::Open) to the next.
pub(super) struct Store {
    /// In the keys of its handles.
    key: u64,
    names: Mutex<Names>,
}

/// What a store has.
pub(super) struct Names {
    /// Its folder.
    pub(super) root: Arc<Path>,
    /// Path of each file below it; empty for one that never is on the disk.
    pub(super) files: Vec<Arc<str>>,
    pub(super) unsynced: Unsynced,
    /// Whether a worker flushes what was unsynced before.
    pub(super) flushing: bool,
    /// Syncs that were asked while it did: they may not be answered before it is done.
    pub(super) waiting: Vec<JobId>,
}

/// What was written and is not known to be on stable storage.
#[derive(Default)]
pub(super) struct Unsynced {
    pub(super) files: BTreeSet<u32>,
    /// Folders in which names are new.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl Unsynced {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    /// Notes that a file was written.
    pub(super) fn wrote(&self, file: u32) {
        self.names().unsynced.files.insert(file);
    }
}

impl Names {
    /// The path of a file.
    pub(super) fn path(&self, file: u32) -> Result<Arc<str>, DiskFault> {
        match self.files.get(file as usize) {
            Some(path) if path.is_empty() => Err(DiskFault::Unfit),
            Some(path) => Ok(Arc::clone(path)),
            None => Err(DiskFault::Gone),
        }
    }

    /// The paths of the files that are or can be on the disk.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|path| &**path).filter(|path| !path.is_empty())
    }
}

impl Stores {
    pub(super) fn new(open_files: usize) -> Self {
        Self {
            table: Mutex::default(),
            handles: Mutex::new(Handles::new(open_files)),
            next_key: AtomicU64::new(0),
        }
    }

    /// A store that was opened.
    pub(super) fn store(&self, id: StoreId) -> Result<Arc<Store>, DiskFault> {
        lock(&self.table).get(&id).cloned().ok_or(DiskFault::Gone)
    }

    /// Puts a store in the place of what had its number.
    pub(super) fn insert(&self, id: StoreId, root: Arc<Path>, files: Vec<Arc<str>>) {
        let names = Names {
            root,
            files,
            unsynced: Unsynced::default(),
            flushing: false,
            waiting: Vec::new(),
        };
        let store = Store {
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            names: Mutex::new(names),
        };
        lock(&self.table).insert(id, Arc::new(store));
    }

    pub(super) fn forget(&self, id: StoreId) {
        lock(&self.table).remove(&id);
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        lock(&self.handles)
    }

    /// Closes a file.
    pub(super) fn close(&self, store: &Store, file: u32) {
        self.handles().close((store.key, file));
    }

    /// Closes all files of a store.
    pub(super) fn close_all(&self, store: &Store) {
        self.handles().close_store(store.key);
    }

    /// A file if it is open already.
    pub(super) fn if_open(&self, id: StoreId, file: u32) -> Option<Arc<OwnedFd>> {
        let key = self.store(id).ok()?.key;
        self.handles().get((key, file), false)
    }

    /// A file to read.
    pub(super) fn to_read(&self, store: &Store, file: u32) -> Result<Arc<OwnedFd>, DiskFault> {
        self.file(store, file, false)
    }

    /// A file to write, made if it is not there.
    pub(super) fn to_write(&self, store: &Store, file: u32) -> Result<Arc<OwnedFd>, DiskFault> {
        self.file(store, file, true)
    }

    fn file(&self, store: &Store, file: u32, writable: bool) -> Result<Arc<OwnedFd>, DiskFault> {
        let key = (store.key, file);
        if let Some(open) = self.handles().get(key, writable) {
            return Ok(open);
        }
        // Held until the handle is kept: whoever renames or closes the file finds it open, or waits.
        let mut names = store.names();
        let path = names.path(file)?;
        self.handles().make_room();
        let mut made = Vec::new();
        let fd = loop {
            let opened = if writable {
                Folder::make(&names.root, &mut made).and_then(|folder| folder.write(&path, &mut made))
            } else {
                Folder::open(&names.root).and_then(|folder| folder.read(&path))
            };
            match opened {
                // Connections have taken the descriptors that the pool may have.
                Err(Errno::MFILE | Errno::NFILE) if self.handles().close_one() => {}
                opened => break opened,
            }
        };
        names.unsynced.folders.extend(made);
        Ok(self.handles().put(key, fd.map_err(fault)?, writable))
    }
}

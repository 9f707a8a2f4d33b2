//! To stable storage.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fdatasync, fstat, fsync, openat};
use rustix::io::Errno;
use world::DiskFault;

use super::fault::fault;
use super::stores::{Store, Stores, Unsynced};
use crate::counters::DiskCounters;

/// Waits until files and folders are on stable storage. Goes on after a fault, and tells the first: what one sync could not
/// do the next one is not asked again, for the system forgets what it failed to write.
pub(super) fn flush(
    stores: &Stores,
    store: &Store,
    unsynced: Unsynced,
    counted: &mut DiskCounters,
) -> Result<(), DiskFault> {
    let mut first = Ok(());
    for file in unsynced.files {
        counted.files_synced += 1;
        first = first.and(flush_file(stores, store, file));
    }
    for folder in unsynced.folders {
        first = first.and(flush_folder(&folder).map_err(fault));
    }
    first
}

fn flush_file(stores: &Stores, store: &Store, file: u32) -> Result<(), DiskFault> {
    let fd = stores.to_read(store, file)?;
    fdatasync(&*fd).map_err(fault)?;
    if fstat(&*fd).map_err(fault)?.st_nlink == 0 {
        // Somebody deleted it while it was open: what was written to it went with it. The next writer makes it anew.
        stores.close(store, file);
        return Err(DiskFault::Gone);
    }
    Ok(())
}

/// Waits until the names in a folder are on stable storage. One that is not there any more has none.
pub(super) fn flush_folder(path: &Path) -> Result<(), Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let synced = openat(CWD, path, flags, Mode::empty()).and_then(|fd| fsync(&fd));
    match synced {
        // Some file systems have nothing to sync in a folder, and say that it cannot be done.
        Err(Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        synced => synced,
    }
}

/// The same for several, each once.
pub(super) fn flush_folders(mut folders: Vec<PathBuf>) -> Result<(), Errno> {
    folders.sort_unstable();
    folders.dedup();
    folders.iter().try_for_each(|folder| flush_folder(folder))
}

//! Room for files before they are written.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, fstat, ftruncate, seek};
use rustix::io::{Errno, pwrite};
use world::DiskFault;
use world::disk::Allocation;

use super::CHUNK;
use super::fault::fault;
use super::stores::{Store, Stores};

/// Makes a file of a size. If the room is not there, a file that was there is as long as before.
pub(super) fn allocate(
    stores: &Stores,
    store: &Store,
    (file, size): (u32, u64),
    how: Allocation,
    closing: &AtomicBool,
) -> Result<(), DiskFault> {
    // Lengths are signed on their way to the system.
    if i64::try_from(size).is_err() {
        return Err(DiskFault::Unfit);
    }
    let fd = stores.to_write(store, file)?;
    let before = u64::try_from(fstat(&*fd).map_err(fault)?.st_size).unwrap_or(0);
    store.wrote(file);
    let done = reserve(&fd, before, size, how, closing);
    if done.is_err() && before < size {
        // It must not keep what it got of a room that was too small.
        let _ = ftruncate(&*fd, before);
    }
    done.map_err(fault)
}

fn reserve(fd: &OwnedFd, before: u64, size: u64, how: Allocation, closing: &AtomicBool) -> Result<(), Errno> {
    if how == Allocation::Fallocate && size > 0 {
        match fallocate(fd, FallocateFlags::empty(), 0, size) {
            Ok(()) => return if before > size { ftruncate(fd, size) } else { Ok(()) },
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno),
        }
    }
    if before != size {
        ftruncate(fd, size)?;
    }
    if how == Allocation::Sparse {
        return Ok(());
    }
    fill_holes(fd, before.min(size), size, closing)
}

/// Writes zeros where nothing was ever written. Behind `old`, which the file was grown from, that is everything; before
/// it, a file system that does not know its holes has none.
fn fill_holes(fd: &OwnedFd, old: u64, size: u64, closing: &AtomicBool) -> Result<(), Errno> {
    let zeros = vec![0; 4 * CHUNK];
    let mut at = 0;
    while at < size {
        if closing.load(Ordering::Relaxed) {
            return Err(Errno::INTR);
        }
        let latest = at.max(old);
        at = seek(fd, SeekFrom::Hole(at)).map_or(latest, |hole| hole.min(latest));
        let end = next_data(fd, at, size)?.filter(|&data| data > at).unwrap_or(size);
        let end = end.min(at.saturating_add(zeros.len() as u64)).min(size);
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
        let mut rest = zeros.get(..len).unwrap_or_default();
        while !rest.is_empty() {
            let written = pwrite(fd, rest, at)?;
            at += written as u64;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Where the next bytes that were written are, from `at` on; `None` if there are none before `size`. A file system that
/// does not know its holes has none.
pub(super) fn next_data(fd: &OwnedFd, at: u64, size: u64) -> Result<Option<u64>, Errno> {
    if at >= size {
        return Ok(None);
    }
    match seek(fd, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data).filter(|&data| data < size)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(errno) => Err(errno),
    }
}

//! A store moves to another folder.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, fdatasync, fstat, ftruncate, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use world::DiskFault;

use super::CHUNK;
use super::allocate::next_data;
use super::arrange::{delete_file, file_at, nothing_at, remove_empty_folders, rename_to_nothing};
use super::fault::fault;
use super::folder::Folder;
use super::stores::{Names, Store, Stores};
use super::sync::flush_folders;

/// How a file came to its new place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Renamed,
    /// Its old self is still there.
    Copied,
}

/// Moves all files, or none: after a fault those that were moved are moved back, and copies are deleted. Where the file
/// system is another, each is copied, and the old ones are deleted when all copies are on stable storage.
pub(super) fn relocate(stores: &Stores, store: &Store, to: &[u8], closing: &AtomicBool) -> Result<(), DiskFault> {
    let to = std::str::from_utf8(to)
        .ok()
        .filter(|to| !to.is_empty() && !to.contains('\0'));
    let to: Arc<Path> = Path::new(to.ok_or(DiskFault::Unfit)?).into();
    let mut names = store.names();
    let from = Arc::clone(&names.root);
    if from == to {
        return Ok(());
    }
    let mut made = Vec::new();
    let moved = move_files(&from, &to, &names, closing, &mut made);
    names.unsynced.folders.extend(made);
    if moved.map_err(fault)? {
        // What is open is of the deleted.
        stores.close_all(store);
    }
    remove_empty_folders(&from, names.paths());
    names.root = to;
    Ok(())
}

/// True if files were copied.
fn move_files(
    from: &Path,
    to: &Path,
    names: &Names,
    closing: &AtomicBool,
    made: &mut Vec<PathBuf>,
) -> Result<bool, Errno> {
    let new = Folder::make(to, made)?;
    let old = match Folder::open(from) {
        Err(Errno::NOENT) => {
            // What is there would become the store's.
            names.paths().try_for_each(|path| nothing_at(&new, path))?;
            return Ok(false);
        }
        old => old?,
    };
    let mut moved = Vec::new();
    if let Err(errno) = move_all(&old, &new, names, closing, made, &mut moved) {
        undo(&old, &new, &moved);
        remove_empty_folders(to, names.paths());
        return Err(errno);
    }
    let mut copied = false;
    for (path, _) in moved.iter().filter(|(_, how)| *how == Moved::Copied) {
        copied = true;
        // The copy counts from now on; an old file that cannot be deleted is left.
        let _ = delete_file(&old, path);
    }
    Ok(copied)
}

fn move_all<'n>(
    old: &Folder<'_>,
    new: &Folder<'_>,
    names: &'n Names,
    closing: &AtomicBool,
    made: &mut Vec<PathBuf>,
    moved: &mut Vec<(&'n str, Moved)>,
) -> Result<(), Errno> {
    for path in names.paths() {
        let Some(source) = file_at(old, path)? else {
            nothing_at(new, path)?;
            continue;
        };
        let target = new.walk_making(path, made)?;
        made.extend([old.path_of_folder(path), new.path_of_folder(path)]);
        match rename_to_nothing(&source, &target) {
            Err(Errno::XDEV) => {
                nothing_at(new, path)?;
                let copied = new
                    .write(path, made)
                    .and_then(|to| copy(&old.read(path)?, &to, closing));
                if let Err(errno) = copied {
                    let _ = unlinkat(target.folder(), target.name, AtFlags::empty());
                    return Err(errno);
                }
                moved.push((path, Moved::Copied));
            }
            renamed => {
                renamed?;
                moved.push((path, Moved::Renamed));
            }
        }
    }
    // What was copied is only deleted when its copies can be found after the power fails.
    if moved.iter().any(|(_, how)| *how == Moved::Copied) {
        flush_folders(made.clone())?;
    }
    Ok(())
}

/// Copies a file to an empty one, its holes as holes, to stable storage.
fn copy(from: &OwnedFd, to: &OwnedFd, closing: &AtomicBool) -> Result<(), Errno> {
    let size = u64::try_from(fstat(from)?.st_size).unwrap_or(0);
    ftruncate(to, size)?;
    let mut buffer = vec![0; 4 * CHUNK];
    let mut at = 0;
    while let Some(data) = next_data(from, at, size)? {
        if closing.load(Ordering::Relaxed) {
            return Err(Errno::INTR);
        }
        let read = match pread(from, buffer.as_mut_slice(), data)? {
            0 => break,
            read => read,
        };
        let mut rest = buffer.get(..read).unwrap_or_default();
        at = data;
        while !rest.is_empty() {
            let written = pwrite(to, rest, at)?;
            at += written as u64;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    fdatasync(to)
}

/// As it was, as far as the disk lets us.
fn undo(old: &Folder<'_>, new: &Folder<'_>, moved: &[(&str, Moved)]) {
    for (path, how) in moved.iter().rev() {
        match how {
            Moved::Renamed => {
                let back = new.walk(path).and_then(|spot| Ok((spot, old.walk(path)?)));
                let _ = back.and_then(|(new, old)| rename_to_nothing(&new, &old));
            }
            Moved::Copied => {
                let _ = delete_file(new, path);
            }
        }
    }
}

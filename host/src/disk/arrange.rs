//! Files come, get other names and go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use world::disk::{FileStat, Folder as Form};
use world::{DiskFault, StoreId};

use super::fault::fault;
use super::folder::{Folder, Spot, is_file, is_sound};
use super::stores::{Store, Stores};
use super::sync::flush;
use crate::counters::DiskCounters;

/// Names a store and its files; says how they stand.
pub(super) fn open(
    stores: &Stores,
    id: StoreId,
    form: &[u8],
    counted: &mut DiskCounters,
) -> Result<Vec<Option<FileStat>>, DiskFault> {
    let (folder, files) = Form::of(form).read().ok_or(DiskFault::Unfit)?;
    let mut paths = BTreeSet::new();
    for &(path, _) in files.iter().filter(|(path, _)| !path.is_empty()) {
        if !is_sound(path) {
            return Err(DiskFault::Unfit);
        }
        if !paths.insert(path) {
            return Err(DiskFault::InTheWay);
        }
    }
    if let Ok(before) = stores.store(id) {
        // Its names are forgotten, and what was written under them could not be found to be synced.
        let unsynced = std::mem::take(&mut before.names().unsynced);
        flush(stores, &before, unsynced, counted)?;
        stores.close_all(&before);
    }
    let root: Arc<Path> = Path::new(folder).into();
    let stats = match Folder::open(&root) {
        Ok(folder) => files
            .iter()
            .map(|(path, _)| stat(&folder, path))
            .collect::<Result<_, _>>()?,
        Err(Errno::NOENT) => vec![None; files.len()],
        Err(errno) => return Err(fault(errno)),
    };
    let files = files.iter().map(|&(path, _)| path.into()).collect();
    stores.insert(id, root, files);
    Ok(stats)
}

fn stat(folder: &Folder<'_>, path: &str) -> Result<Option<FileStat>, DiskFault> {
    if path.is_empty() {
        return Ok(None);
    }
    match folder.walk(path).and_then(|spot| spot.stat()) {
        Ok(stat) => Ok(is_file(&stat).then(|| FileStat {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: stat
                .st_mtime
                .saturating_mul(1_000_000_000)
                .saturating_add(i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        })),
        // A file or link where a folder is to be: whoever writes there will hear of it.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
        Err(errno) => Err(fault(errno)),
    }
}

/// Gives a file another path. One that is not on the disk gets only the name.
pub(super) fn rename(store: &Store, file: u32, path: &[u8]) -> Result<(), DiskFault> {
    let path = std::str::from_utf8(path).ok().filter(|path| is_sound(path));
    let path = path.ok_or(DiskFault::Unfit)?;
    let mut names = store.names();
    let old = names.path(file)?;
    if *old == *path {
        return Ok(());
    }
    if names.paths().any(|other| other == path) {
        return Err(DiskFault::InTheWay);
    }
    let mut made = Vec::new();
    let renamed = rename_on_disk(&names.root, (&old, path), &mut made);
    names.unsynced.folders.extend(made);
    renamed.map_err(fault)?;
    if let Some(name) = names.files.get_mut(file as usize) {
        *name = path.into();
    }
    remove_empty_folders(&names.root, std::iter::once(&*old));
    Ok(())
}

fn rename_on_disk(root: &Path, (old, new): (&str, &str), made: &mut Vec<PathBuf>) -> Result<(), Errno> {
    let folder = match Folder::open(root) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let Some(from) = file_at(&folder, old)? else {
        return nothing_at(&folder, new);
    };
    let to = folder.walk_making(new, made)?;
    rename_to_nothing(&from, &to)?;
    made.extend([folder.path_of_folder(old), folder.path_of_folder(new)]);
    Ok(())
}

/// The file at a path, if there is one. What is no file is not the store's own.
pub(super) fn file_at<'f, 'p>(folder: &'f Folder<'_>, path: &'p str) -> Result<Option<Spot<'f, 'p>>, Errno> {
    match folder.walk(path).and_then(|spot| Ok((is_file(&spot.stat()?), spot))) {
        Ok((is_file, spot)) => Ok(Some(spot).filter(|_| is_file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// [`Errno::EXIST`] if something is at a path.
pub(super) fn nothing_at(folder: &Folder<'_>, path: &str) -> Result<(), Errno> {
    match folder.walk(path).and_then(|spot| spot.stat()) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Renames where nothing is; [`Errno::EXIST`] if something is.
pub(super) fn rename_to_nothing(old: &Spot<'_, '_>, new: &Spot<'_, '_>) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(old.folder(), old.name, new.folder(), new.name, RenameFlags::NOREPLACE) {
            // A file system that cannot promise it.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            renamed => return renamed,
        }
    }
    match new.stat() {
        Err(Errno::NOENT) => rustix::fs::renameat(old.folder(), old.name, new.folder(), new.name),
        Ok(_) => Err(Errno::EXIST),
        Err(errno) => Err(errno),
    }
}

/// Deletes the files of a store, and the folders on their paths that are empty then; forgets the store. What is no file is
/// not its own and stays. Goes on after a fault, and tells the first.
pub(super) fn delete(stores: &Stores, id: StoreId) -> Result<(), DiskFault> {
    let store = stores.store(id)?;
    let names = store.names();
    stores.close_all(&store);
    let mut first = Ok(());
    match Folder::open(&names.root) {
        Ok(folder) => {
            for path in names.paths() {
                first = first.and(delete_file(&folder, path));
            }
            remove_empty_folders(&names.root, names.paths());
        }
        Err(Errno::NOENT) => {}
        Err(errno) => first = Err(errno),
    }
    drop(names);
    if first.is_ok() {
        stores.forget(id);
    }
    first.map_err(fault)
}

/// Deletes a file, if there is one.
pub(super) fn delete_file(folder: &Folder<'_>, path: &str) -> Result<(), Errno> {
    file_at(folder, path)?.map_or(Ok(()), |spot| unlinkat(spot.folder(), spot.name, AtFlags::empty()))
}

/// Removes the folders on these paths that are empty, the deepest first; not the store's own.
pub(super) fn remove_empty_folders<'p, P: Iterator<Item = &'p str>>(root: &Path, paths: P) {
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut path = path;
        while let Some((above, _)) = path.rsplit_once('/') {
            folders.insert(above);
            path = above;
        }
    }
    let Ok(folder) = Folder::open(root) else {
        return;
    };
    // In this order a folder comes behind its own beginning.
    for path in folders.into_iter().rev() {
        if let Ok(spot) = folder.walk(path) {
            // One that is not empty says no.
            let _ = unlinkat(spot.folder(), spot.name, AtFlags::REMOVEDIR);
        }
    }
}

/// Closes what is open of a store.
pub(super) fn release(stores: &Stores, store: &Store) {
    // Who opens one now is done before, or finds it closed.
    let _names = store.names();
    stores.close_all(store);
}

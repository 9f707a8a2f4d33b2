//! Paths below a store's folder, walked name by name: no link below it is ever followed, so nothing that a torrent (or
//! who else may write there) puts into the folder leads out of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, statat};
use rustix::io::{Errno, Result};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// Not blocking: a named pipe is refused once it is open, and must not keep the opener waiting for its other end.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// What the process's mask leaves of these.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// Whether a path can be walked: names between single `/`, none of them `.` or `..`.
pub(super) fn is_sound(path: &str) -> bool {
    path.split('/')
        .all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'))
}

/// The folder of a store, open.
pub(super) struct Folder<'r> {
    fd: OwnedFd,
    root: &'r Path,
}

/// Where a path's last name is.
pub(super) struct Spot<'f, 'p> {
    root: &'f OwnedFd,
    below: Option<OwnedFd>,
    pub(super) name: &'p str,
}

impl Spot<'_, '_> {
    /// The folder that holds the name.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.below.as_ref().unwrap_or(self.root).as_fd()
    }

    /// What is there, links not followed.
    pub(super) fn stat(&self) -> Result<Stat> {
        statat(self.folder(), self.name, AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl<'r> Folder<'r> {
    /// Opens it. The path of the folder itself is its owner's: links in it are followed.
    pub(super) fn open(root: &'r Path) -> Result<Self> {
        let fd = openat(CWD, root, FOLDER, Mode::empty())?;
        Ok(Self { fd, root })
    }

    /// Opens it, or makes it with all above it. Adds to `made` each folder that has a new name in it.
    pub(super) fn make(root: &'r Path, made: &mut Vec<PathBuf>) -> Result<Self> {
        match Self::open(root) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let missing: Vec<&Path> = root
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            match mkdirat(CWD, folder, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
            made.push(above.unwrap_or(Path::new(".")).to_owned());
        }
        Self::open(root)
    }

    /// Walks to the folder of a sound path's last name.
    pub(super) fn walk<'p>(&self, path: &'p str) -> Result<Spot<'_, 'p>> {
        self.steps(path, |_, _, _| Err(Errno::NOENT))
    }

    /// The same, and makes what is missing on the way.
    pub(super) fn walk_making<'p>(&self, path: &'p str, made: &mut Vec<PathBuf>) -> Result<Spot<'_, 'p>> {
        self.steps(path, |at, name, before| {
            match mkdirat(at, name, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            made.push(self.root.join(before));
            openat(at, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
        })
    }

    /// `missing` gets the folder, the name that is not in it, and the folder's path.
    fn steps<'p>(
        &self,
        path: &'p str,
        mut missing: impl FnMut(BorrowedFd<'_>, &str, &str) -> Result<OwnedFd>,
    ) -> Result<Spot<'_, 'p>> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut below: Option<OwnedFd> = None;
        let mut walked = 0;
        for step in folders.split('/').filter(|step| !step.is_empty()) {
            let at = below.as_ref().unwrap_or(&self.fd).as_fd();
            let next = match openat(at, step, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::NOENT) => missing(at, step, folders.get(..walked).unwrap_or_default())?,
                opened => opened?,
            };
            walked += step.len() + usize::from(walked > 0);
            below = Some(next);
        }
        let root = &self.fd;
        Ok(Spot { root, below, name })
    }

    /// Opens a file to read it.
    pub(super) fn read(&self, path: &str) -> Result<OwnedFd> {
        let spot = self.walk(path)?;
        regular(openat(spot.folder(), spot.name, FILE | OFlags::RDONLY, Mode::empty())?)
    }

    /// Opens a file to read and write it, and makes it if it is not there.
    pub(super) fn write(&self, path: &str, made: &mut Vec<PathBuf>) -> Result<OwnedFd> {
        let spot = self.walk_making(path, made)?;
        let open = |flags| openat(spot.folder(), spot.name, FILE | OFlags::RDWR | flags, FILE_MODE);
        match open(OFlags::empty()) {
            Err(Errno::NOENT) => {}
            opened => return regular(opened?),
        }
        let fd = open(OFlags::CREATE | OFlags::EXCL)?;
        made.push(self.path_of_folder(path));
        Ok(fd)
    }

    /// The path of the folder that a file is in.
    pub(super) fn path_of_folder(&self, path: &str) -> PathBuf {
        self.root.join(path.rsplit_once('/').map_or("", |(folders, _)| folders))
    }
}

/// Refuses everything that is no file.
fn regular(fd: OwnedFd) -> Result<OwnedFd> {
    if is_file(&fstat(&fd)?) {
        Ok(fd)
    } else {
        Err(Errno::EXIST)
    }
}

/// Whether it is a file, and no folder, link, pipe or device.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_folder_are_sound() {
        assert!(["a", "a/ü b/c", "...", "a\\b"].into_iter().all(is_sound));
        let unsound = ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"];
        assert!(!unsound.into_iter().any(is_sound));
    }
}

//! Files of a run: appended to under a lock, or replaced whole. Every error names its path.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file operation that failed: one line for a person.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {fault}", .path.display())]
pub struct FileError {
    /// What was tried: `open`, `write`, ...
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Why not.
    pub fault: FileFault,
}

/// Why a file operation failed.
#[derive(Debug, Error)]
pub enum FileFault {
    /// The disk, or this user's share of it, is full.
    #[error("the disk is full; free some space and run it again")]
    DiskFull,
    /// The file system takes no writes.
    #[error("the file system is read-only")]
    ReadOnly,
    /// This user may not.
    #[error("permission denied")]
    Permission,
    /// There is no such file, or no such directory to make it in.
    #[error("no such file or directory")]
    Missing,
    /// A directory where a file is to be.
    #[error("it is a directory")]
    IsDirectory,
    /// A file where a directory is to be.
    #[error("it is not a directory, or below something that is none")]
    NotDirectory,
    /// A file where a new one was to be.
    #[error("it exists already")]
    Exists,
    /// Another run has it open.
    #[error("another run is using it")]
    InUse,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

impl FileFault {
    pub(crate) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::IsADirectory => Self::IsDirectory,
            // Making a directory fails with "exists" only where a file has its name.
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => Self::NotDirectory,
            _ => Self::Other(error),
        }
    }
}

/// For `map_err`: says what was tried on which path.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |error| FileError {
        action,
        path: path.to_owned(),
        fault: FileFault::of(error),
    }
}

/// A file that grows, locked against every other run for as long as it is open.
///
/// It is written without a buffer: what a write has taken survives the death of the process. Errors of its `Read`,
/// `Write` and `Seek` keep their kind, and say the path.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
}

impl AppendFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// [`FileFault::InUse`] if another run has it open, or what the file system says.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed("open", path))?;
        let regular = file.metadata().map_err(failed("open", path))?.is_file();
        // `/dev/null` is nobody's.
        if regular {
            lock(&file, path)?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, bytes.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn len(&self) -> Result<u64, FileError> {
        let metadata = self.file.metadata().map_err(failed("read", &self.path))?;
        Ok(metadata.len())
    }

    /// Whether it has no bytes, as a new one.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn is_empty(&self) -> Result<bool, FileError> {
        Ok(self.len()? == 0)
    }

    /// Cuts it to `keep` bytes, as a torn tail must be.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn cut(&mut self, keep: u64) -> Result<(), FileError> {
        if keep < self.len()? {
            self.file.set_len(keep).map_err(failed("cut", &self.path))?;
        }
        Ok(())
    }

    /// Waits until the disk has everything.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(failed("write", &self.path))
    }

    fn named<T>(&self, action: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| io::Error::new(error.kind(), failed(action, &self.path)(error)))
    }
}

impl Read for AppendFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.file.read(buffer);
        self.named("read", result)
    }
}

impl Write for AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        self.named("write", result)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for AppendFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let result = self.file.seek(to);
        self.named("read", result)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), FileError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(FileError {
            action: "open",
            path: path.to_owned(),
            fault: FileFault::InUse,
        }),
        // A file system without locks is no reason not to run.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(failed("lock", path)(error)),
    }
}

/// A directory that this run has for itself, until this is dropped or the process dies.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    ///
    /// [`FileFault::InUse`] with the directory's path if another run has it, or what the file system says.
    pub fn acquire(dir: &Path) -> Result<Self, FileError> {
        create_dir(dir)?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("write", &path))?;
        lock(&file, dir)?;
        Ok(Self { _file: file })
    }
}

/// Makes a directory, and those above it; it may exist.
///
/// # Errors
///
/// What the file system says.
pub fn create_dir(dir: &Path) -> Result<(), FileError> {
    fs::create_dir_all(dir).map_err(failed("create", dir))
}

/// The whole of a file; `None` if there is none.
///
/// # Errors
///
/// What the file system says.
pub fn read_file(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// A part of a file; `None` if there is no such file, or it ends before.
///
/// # Errors
///
/// What the file system says.
pub fn read_part(path: &Path, from: u64, len: usize) -> Result<Option<Vec<u8>>, FileError> {
    let mut bytes = vec![0; len];
    match File::open(path).and_then(|file| file.read_exact_at(&mut bytes, from)) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Bytes of a file, and when it was last written to, Unix seconds; `None` if there is none.
///
/// # Errors
///
/// What the file system says.
pub fn stamp(path: &Path) -> Result<Option<(u64, i64)>, FileError> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some((about.len(), about.mtime()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Brings what others wrote to a file to stable storage.
///
/// # Errors
///
/// What the file system says.
pub fn sync_file(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|file| file.sync_data())
        .map_err(failed("write", path))
}

/// Puts `contents` in the place of a file: whoever reads it, even after a crash, finds all of the old or all of the new.
///
/// # Errors
///
/// What the file system says; the old file is then as it was.
pub fn replace_file(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    if written.is_err() {
        // What was written of it is of no use; that it cannot be removed says no more than the first error.
        let _ = fs::remove_file(&new);
    }
    written.map_err(failed("write", path))?;
    // The new name is on the disk once the directory is; not every file system can be asked.
    if let Some(dir) = path.parent()
        && let Ok(dir) = File::open(if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        })
    {
        let _ = dir.sync_all();
    }
    Ok(())
}

/// Writes a new file, whole: whoever finds it finds all of it, and a file that has the name already stays as it is.
///
/// # Errors
///
/// [`FileFault::Exists`] if there is something with this name, or what the file system says; there is no file then.
pub fn new_file(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let exists = || FileError {
        action: "write",
        path: path.to_owned(),
        fault: FileFault::Exists,
    };
    // Making the name first is what makes it ours. Where the process dies before the contents are in its place, an empty
    // file is left, and no torn one.
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists()),
        Err(error) => return Err(failed("write", path)(error)),
    }
    replace_file(path, contents).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// Renames a file or a directory to `NAME.1`, or to the first such name that is free; nothing is overwritten. Gives the new name, or
/// `None` if there is no such file.
///
/// # Errors
///
/// What the file system says; the file is then where it was.
pub fn set_aside(path: &Path) -> Result<Option<PathBuf>, FileError> {
    if !path.try_exists().map_err(failed("rename", path))? {
        return Ok(None);
    }
    for number in 1u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        let aside = PathBuf::from(name);
        // Making the name first is what makes it ours: a rename alone would replace a file that appeared meanwhile.
        let made = if path.is_dir() {
            fs::create_dir(&aside)
        } else {
            OpenOptions::new().write(true).create_new(true).open(&aside).map(drop)
        };
        match made {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(failed("create", &aside)(error)),
        }
        if let Err(error) = fs::rename(path, &aside) {
            let _ = fs::remove_file(&aside).or_else(|_| fs::remove_dir(&aside));
            return Err(failed("rename", path)(error));
        }
        return Ok(Some(aside));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn an_append_file_is_cut_and_goes_on_at_its_end() {
        let dir = dir();
        let path = dir.path().join("table");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut file = AppendFile::open(&path).unwrap();
        assert!(!file.is_empty().unwrap());
        file.cut(8).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"four\n").unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nfour\n");
        file.cut(1000).unwrap();
        assert_eq!(file.len().unwrap(), 13, "cutting never lengthens");
    }

    #[test]
    fn two_runs_cannot_have_one_file_or_directory() {
        let dir = dir();
        let path = dir.path().join("table");
        let first = AppendFile::open(&path).unwrap();
        let error = AppendFile::open(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot open {}: another run is using it", path.display())
        );
        drop(first);
        AppendFile::open(&path).unwrap();

        let data = dir.path().join("data");
        let first = DirLock::acquire(&data).unwrap();
        let error = DirLock::acquire(&data).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot open {}: another run is using it", data.display())
        );
        drop(first);
        DirLock::acquire(&data).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_with_the_path_and_the_kind() {
        let mut file = AppendFile::open(Path::new("/dev/full")).unwrap();
        let error = file.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            error.to_string(),
            "cannot write /dev/full: the disk is full; free some space and run it again"
        );
    }

    #[test]
    fn missing_directories_are_named() {
        let path = Path::new("/nowhere/at/all/table");
        let error = AppendFile::open(path).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open /nowhere/at/all/table: no such file or directory"
        );
        assert!(matches!(replace_file(path, b"").unwrap_err().fault, FileFault::Missing));
        assert!(read_file(path).unwrap().is_none());
        assert!(set_aside(path).unwrap().is_none());
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_told_and_the_other_way() {
        let dir = dir();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let below = file.join("below");
        assert!(matches!(create_dir(&file).unwrap_err().fault, FileFault::NotDirectory));
        assert!(matches!(create_dir(&below).unwrap_err().fault, FileFault::NotDirectory));
        assert!(matches!(
            AppendFile::open(dir.path()).unwrap_err().fault,
            FileFault::IsDirectory
        ));
    }

    #[test]
    fn replacing_leaves_no_other_file() {
        let dir = dir();
        let path = dir.path().join("run.json");
        replace_file(&path, b"old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(read_file(&path).unwrap().unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_takes_the_place_of_none() {
        let dir = dir();
        let path = dir.path().join("new.torrent");
        new_file(&path, b"first").unwrap();
        let error = new_file(&path, b"second").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}: it exists already", path.display())
        );
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = dir.path().join("nowhere/new");
        assert!(matches!(new_file(&nowhere, b"").unwrap_err().fault, FileFault::Missing));
    }

    #[test]
    fn a_directory_is_set_aside_with_all_that_is_in_it() {
        let dir = dir();
        let path = dir.path().join("observed");
        for number in 1..=2 {
            fs::create_dir(&path).unwrap();
            fs::write(path.join("nodes.csv"), "x").unwrap();
            let aside = set_aside(&path).unwrap().unwrap();
            assert_eq!(aside, dir.path().join(format!("observed.{number}")));
            assert!(aside.join("nodes.csv").is_file() && !path.exists());
        }
    }

    #[test]
    fn setting_aside_overwrites_nothing() {
        let dir = dir();
        let path = dir.path().join("metadata.txt");
        for number in 1..=3 {
            fs::write(&path, format!("run {number}")).unwrap();
            let aside = set_aside(&path).unwrap().unwrap();
            assert_eq!(aside, dir.path().join(format!("metadata.txt.{number}")));
        }
        assert!(!path.exists());
        for number in 1..=3 {
            let aside = dir.path().join(format!("metadata.txt.{number}"));
            assert_eq!(fs::read_to_string(aside).unwrap(), format!("run {number}"));
        }
    }
}

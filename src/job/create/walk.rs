//! What is to be shared: a file, or all files of a directory, in the order that a torrent has them.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use wire::metainfo::NewFile;

use crate::bad_input;
use crate::report::{note, plain};

/// The owner may run it.
const EXECUTABLE: u32 = 0o100;

/// A file, as it was before it was read.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) new: NewFile,
    pub(super) path: PathBuf,
    state: State,
}

/// What changes when a file is written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    length: u64,
    modified: (i64, i64),
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Found {
    fn new(segments: Vec<String>, path: PathBuf, metadata: &Metadata) -> Self {
        Self {
            new: NewFile {
                path: segments,
                length: metadata.len(),
                executable: metadata.mode() & EXECUTABLE != 0,
            },
            path,
            state: State::of(metadata),
        }
    }

    /// Whether it was written to, or is gone, since it was found.
    pub(super) fn changed(&self) -> bool {
        fs::metadata(&self.path).map_or(true, |metadata| State::of(&metadata) != self.state)
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) name: String,
    /// It is one file, and not a directory.
    pub(super) single: bool,
    /// Sorted by path, segment by segment and byte by byte.
    pub(super) files: Vec<Found>,
}

/// Finds all files. What is neither file nor directory is left out, with a line, and so is `output`, which an earlier run
/// may have left among them.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for a path that is nothing to share, and names that a torrent cannot have; else
/// what the file system says.
pub(super) fn walk(path: &Path, output: &Path) -> anyhow::Result<Tree> {
    let shown = plain(path.as_os_str().as_encoded_bytes());
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bad_input!("{shown}: no such file or directory"),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        // `.` and `..` have a name, too.
        None => fs::canonicalize(path)?.file_name().map(ToOwned::to_owned),
    };
    let Some(name) = name else {
        bad_input!("{shown}: it has no name to give to a torrent; name a directory in it")
    };
    let name = utf8(&name, path)?;
    if metadata.is_file() {
        let file = Found::new(vec![name.clone()], path.to_owned(), &metadata);
        return Ok(Tree {
            name,
            single: true,
            files: vec![file],
        });
    }
    if !metadata.is_dir() {
        bad_input!("{shown}: neither a file nor a directory");
    }
    let mut files = Vec::new();
    directory(path, &mut Vec::new(), &fs::canonicalize(output).ok(), &mut files)?;
    files.sort_unstable_by(|a, b| a.new.path.cmp(&b.new.path));
    Ok(Tree {
        name,
        single: false,
        files,
    })
}

/// The files of one directory and of all below it; `segments` leads to it.
fn directory(
    dir: &Path,
    segments: &mut Vec<String>,
    output: &Option<PathBuf>,
    files: &mut Vec<Found>,
) -> anyhow::Result<()> {
    let in_dir = || format!("cannot read {}", plain(dir.as_os_str().as_encoded_bytes()));
    for entry in fs::read_dir(dir).with_context(in_dir)? {
        let entry = entry.with_context(in_dir)?;
        let path = entry.path();
        let shown = plain(path.as_os_str().as_encoded_bytes());
        let metadata = entry.metadata().with_context(|| format!("cannot read {shown}"))?;
        if metadata.is_symlink() {
            note(&format!("left out: {shown}: a symbolic link"));
            continue;
        }
        if !metadata.is_file() && !metadata.is_dir() {
            note(&format!("left out: {shown}: a special file"));
            continue;
        }
        if output
            .as_ref()
            .is_some_and(|output| fs::canonicalize(&path).is_ok_and(|path| path == *output))
        {
            note(&format!("left out: {shown}: the output"));
            continue;
        }
        segments.push(utf8(&entry.file_name(), &path)?);
        if metadata.is_dir() {
            directory(&path, segments, output, files)?;
        } else {
            files.push(Found::new(segments.clone(), path, &metadata));
        }
        segments.pop();
    }
    Ok(())
}

/// A name as the text that a torrent has for it.
fn utf8(name: &std::ffi::OsStr, path: &Path) -> anyhow::Result<String> {
    match name.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => bad_input!(
            "{}: its name is not UTF-8, as names in a torrent are; rename it",
            plain(path.as_os_str().as_encoded_bytes())
        ),
    }
}

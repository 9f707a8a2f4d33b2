//! What is written: whole files, made beside their place and moved there, so that nobody reads a half.
#![expect(
    clippy::disallowed_methods,
    reason = "part of the stage: it reads and writes whole files"
)]

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::error::{BadInput, unreadable};

/// Puts a file in the place of whatever was there; directories above it are made.
///
/// # Errors
///
/// Those of the disk.
pub fn write_file(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let fault = || format!("cannot write {}", path.display());
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).with_context(fault)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    fs::write(&beside, contents).with_context(fault)?;
    fs::rename(&beside, path).with_context(fault)
}

/// The files of a directory whose names end so, in order: each name without its end, and the text.
///
/// # Errors
///
/// [`BadInput`] for a directory or file that cannot be read, and for one that is no text.
pub fn read_text(dir: &Path, end: &str) -> anyhow::Result<Vec<(String, String)>> {
    let entries = fs::read_dir(dir).map_err(|error| unreadable(dir, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(dir, error))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(end));
        let Some(name) = name else { continue };
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, error))?;
        let text = String::from_utf8(bytes).map_err(|_| BadInput::at(&path, None, "not UTF-8"))?;
        files.push((name.to_owned(), text));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_below_directories_that_were_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c.sql");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        write_file(&dir.path().join("a/b/d.txt"), b"three").unwrap();
        let files = read_text(&dir.path().join("a/b"), ".sql").unwrap();
        assert_eq!(files, [("c".to_owned(), "two".to_owned())]);
    }
}

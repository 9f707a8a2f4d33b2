//! Files that are written: new ones only, nothing is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use store::Veil;

use super::error::{BadInput, unreadable};

/// A new file, in a directory that is made if it is not there.
///
/// # Errors
///
/// [`BadInput`] if it is there already, or cannot be there.
pub fn new_file(path: &Path) -> anyhow::Result<File> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(|error| unwritable(dir, error))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => BadInput::at(path, None, "is there already; name another, or remove it").into(),
        io::ErrorKind::NotADirectory => BadInput::at(path, None, "part of the path is no directory").into(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            anyhow::Error::msg(format!("{}: cannot be written there: {error}", path.display()))
        }
        _ => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
    }
}

/// The key of pseudonyms: the one in the file; one drawn and kept there if there is none; without a file one that nobody keeps.
///
/// # Errors
///
/// [`BadInput`] if what is there is no key; else when it can be neither read nor kept, or the system has no entropy.
pub fn key(path: Option<&Path>) -> anyhow::Result<[u8; 16]> {
    if let Some(path) = path
        && path.exists()
    {
        // Far more than a key has.
        let mut text = Vec::new();
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        file.take(1024)
            .read_to_end(&mut text)
            .map_err(|error| unreadable(path, error))?;
        let key = Veil::key_of(&text);
        return key.ok_or_else(|| BadInput::at(path, None, "not a key of 32 hex digits").into());
    }
    let mut key = [0; 16];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut key))?;
    if let Some(path) = path {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(&Veil::key_text(&key)));
        written.map_err(|error| unwritable(path, error))?;
    }
    Ok(key)
}

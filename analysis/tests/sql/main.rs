//! `estudely-analyze` with SQL, as a user runs it: one program for all of these tests, since each of its own would link the engine
//! again.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that fails says where; it reads and writes files"
)]

mod mmdb;
mod questions;
mod reports;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run said, and its exit code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program with these words.
fn analyze<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_estudely-analyze"))
        .args(words)
        .output()
        .unwrap();
    Said {
        code: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// The sample that comes with the tree: made by a lab, nobody's data.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample")
}

/// Writes a file below a directory.
fn put(dir: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, contents).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

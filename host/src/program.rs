//! Another program in the place of this one, as git and cargo find theirs.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Runs the program of this name with these arguments in the place of this process: its output, its exit code and its signals are ours. It is
/// the one beside this program's own file, or else the first on PATH. Comes back only if there is none or it cannot be run.
pub fn become_program(name: &str, args: &[OsString]) -> io::Error {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| own.parent().map(|dir| dir.join(name)));
    let program = beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name));
    Command::new(program).args(args).exec()
}

//! `estudely show`: what a .torrent file, an info dictionary, resume data or a magnet link says, on stdout.
//!
//! `subject` finds out what was given; `describe` says what is in it; every line goes through one `sheet`, which
//! lets no control character of a stranger's text reach the terminal.

mod describe;
mod resume;
mod sheet;
mod subject;

use std::io::{self, BufWriter, ErrorKind, Write};

use anyhow::Context;

use crate::args::ShowArgs;
use crate::exit::Exit;
use sheet::Sheet;
pub(super) use subject::Subject;

/// Runs `estudely show`.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) if what was given cannot be read or is not a torrent; any other error if stdout
/// does not take the text. A reader that has seen enough and went away, as `head` does, is no error.
pub fn run(args: &ShowArgs) -> anyhow::Result<Exit> {
    let subject = Subject::find(&args.what)?;
    ended(print(&subject, args.files, BufWriter::new(io::stdout().lock())))
}

fn ended(printing: io::Result<()>) -> anyhow::Result<Exit> {
    match printing {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        Ok(()) | Err(_) => Ok(Exit::Done),
    }
}

/// Writes all that is known. Of the files at most `files` are listed, all of them if it is 0.
fn print(subject: &Subject, files: usize, mut out: impl Write) -> io::Result<()> {
    let files = if files == 0 { usize::MAX } else { files };
    let mut sheet = Sheet::new(&mut out);
    match subject {
        Subject::Torrent(torrent) => describe::torrent(torrent, files, &mut sheet)?,
        Subject::Salvaged(salvaged) => describe::salvaged(salvaged, files, &mut sheet)?,
        Subject::Resume(resume) => resume::resume(resume, &mut sheet)?,
        Subject::Magnet(magnet) => describe::magnet(magnet, &mut sheet)?,
    }
    out.flush()
}

#[cfg(test)]
mod tests;

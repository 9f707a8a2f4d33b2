//! `estudely verify`: whether files are what a torrent says, byte for byte.
//!
//! `place` says where the files are, `hashing` hashes them on all cores, `judge` says what the pieces mean for the files.

mod judge;
mod place;
mod tell;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, ErrorKind};

use anyhow::{Context, bail};
use host::Interrupt;
use wire::metainfo::{Content, Expected, Torrent};

use super::hashing;
use super::show::Subject;
use crate::args::VerifyArgs;
use crate::bad_input;
use crate::config;
use crate::exit::Exit;
use crate::report::{BytesProgress, plain};
use judge::Findings;
use place::Place;

/// Runs `estudely verify`.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for a torrent that cannot be used or a place without anything; that it was
/// interrupted. Files that are not right are no error, but [`Exit::Failed`].
pub fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::watch().context("cannot wait for signals")?;
    let torrent = read(args)?;
    let expected = match Expected::of(&torrent) {
        Ok(expected) => expected,
        Err(error) => bad_input!("{}: {}", shown(args), plain(error.to_string().as_bytes())),
    };
    let places = place::places(&torrent, &args.data)?;
    let mut findings = Findings::new(&expected);
    let took = hash(args.quick, &mut findings, &expected, &places, &interrupt)?;
    findings.settle();
    let report = tell::Report {
        torrent: &torrent,
        findings: &findings,
        places: &places,
        took: &took,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = if args.json {
        report.json(&mut out)
    } else {
        report.text(args.all, &mut out)
    };
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error).context("cannot write to stdout"),
        _ => {}
    }
    let all_right = report.right() == places.len();
    Ok(if all_right { Exit::Done } else { Exit::Failed })
}

fn shown(args: &VerifyArgs) -> String {
    plain(args.torrent.as_os_str().as_encoded_bytes())
}

fn read(args: &VerifyArgs) -> anyhow::Result<Box<Torrent>> {
    let Some(name) = args.torrent.to_str().filter(|_| args.torrent.exists()) else {
        bad_input!("{}: no such file", shown(args))
    };
    match Subject::find(name)? {
        Subject::Torrent(torrent) => Ok(torrent),
        Subject::Salvaged(remains) => bad_input!("{}: not a torrent: {}", shown(args), remains.problem),
        Subject::Magnet(_) | Subject::Resume(_) => {
            bad_input!("{}: not a .torrent file, which alone has the hashes", shown(args))
        }
    }
}

/// Hashes all pieces, or, to be quick, those at the ends of files; says what it took.
fn hash(
    quick: bool,
    findings: &mut Findings<'_>,
    expected: &Expected,
    places: &[Place],
    interrupt: &Interrupt,
) -> anyhow::Result<tell::Took> {
    let content = expected.content();
    let path = |file: usize| places.get(file).map(|place| place.path.clone()).unwrap_or_default();
    let take = |run: std::ops::Range<u64>, hashed: hashing::Hashed| {
        findings.take(run.start, &hashed.pieces, hashed.gap);
        true
    };
    let whole = |run| {
        content
            .parts(run)
            .filter(|part| part.file.is_some())
            .map(|part| part.length)
    };
    let (total, done, mut progress);
    if quick {
        let ends = ends(content);
        total = ends.iter().flat_map(|&piece| whole(piece..piece + 1)).sum();
        progress = BytesProgress::new(total);
        let runs = ends.into_iter().map(|piece| piece..piece + 1);
        done = hashing::hash(content, runs, path, interrupt, &mut progress, take);
    } else {
        total = places.iter().map(|place| place.length).fold(0, u64::saturating_add);
        progress = BytesProgress::new(total);
        let runs = content.runs(config::HASH_RUN);
        done = hashing::hash(content, runs, path, interrupt, &mut progress, take);
    }
    let words = progress.finish();
    if !done {
        bail!("interrupted before every piece was looked at");
    }
    Ok(tell::Took {
        words,
        seconds: progress.elapsed().as_secs_f64(),
        bytes: total,
    })
}

/// The first and the last piece of each file.
fn ends(content: &Content) -> BTreeSet<u64> {
    let files = (0..content.file_count()).map(|file| content.pieces_of(file));
    files
        .filter(|pieces| !pieces.is_empty())
        .flat_map(|pieces| [pieces.start, pieces.end - 1])
        .collect()
}

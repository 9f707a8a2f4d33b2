//! Counts one file, on several threads if it is plain.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use super::chance::secret;
use super::error::{BadInput, broken, unreadable};
use super::source::{Packed, Source, Stretch, What};
use crate::read::{ENDLESS, Form, Refusal};
use crate::stats::{Counter, Ended, Figures};

/// Bytes read at once: few system calls, and the second-level cache still has them when they are counted.
const READ: usize = 256 << 10;

/// Bytes of a table for each infohash: fewer than most tables have, since room that is not used costs nothing.
const FOR_EACH: u64 = 256;

/// Counts a `metadata.txt`, plain or packed.
///
/// # Errors
///
/// [`BadInput`] if it is none, or cannot be read; other errors are the disk's.
pub fn count(path: &Path, threads: usize) -> anyhow::Result<Figures> {
    let source = Source::look(path)?;
    match (&source.what, source.form()) {
        (What::Nothing, _) => return Ok(Figures::default()),
        (_, Some(Form::Metadata)) => {}
        (_, form) => {
            let form = form.map_or("Parquet", Form::name);
            let what = format!("{form}: only the columns of a metadata.txt are counted");
            return Err(BadInput::at(path, Some(1), &what).into());
        }
    }
    let secret = secret();
    if source.packed != Packed::Plain {
        let (mut input, _) = source.input(Stretch { begin: 0, end: 0 })?;
        let counter = feed(&mut input, u64::MAX, Counter::new(secret, 0));
        return Ok(counter
            .map_err(|(lines, error)| broken(path, Some(lines + 1), error))?
            .finish());
    }
    let stretches = at_lines(&source, threads)?;
    let mut counters = thread::scope(|scope| {
        let counting = stretches.iter().map(|stretch| {
            let source = &source;
            scope.spawn(move || {
                let file = File::open(&source.path).map_err(|error| (0, error))?;
                let mut input = super::source::At {
                    file,
                    at: stretch.begin,
                };
                let bytes = stretch.end - stretch.begin;
                let room = usize::try_from(bytes / FOR_EACH).unwrap_or(0);
                feed(&mut input, bytes, Counter::new(secret, room))
            })
        });
        let counting: Vec<_> = counting.collect();
        let ended = counting.into_iter().map(thread::ScopedJoinHandle::join);
        ended.collect::<Vec<_>>()
    })
    .into_iter();
    let mut all: Option<Counter> = None;
    for (stretch, counted) in stretches.iter().zip(&mut counters) {
        let counter = match counted {
            Ok(Ok(counter)) => counter,
            Ok(Err((lines, error))) => return Err(source.broken(*stretch, lines, error)),
            Err(_) => anyhow::bail!("a thread that counted {} has failed", path.display()),
        };
        match &mut all {
            None => all = Some(counter),
            Some(all) => all.join(counter),
        }
    }
    Ok(all.map(|all| figures(all, threads)).unwrap_or_default())
}

/// Counts the infohashes, each thread those of its parts.
fn figures(counter: Counter, threads: usize) -> Figures {
    let ended = counter.end();
    let each = Ended::PARTS.div_ceil(threads.max(1));
    let kinds = thread::scope(|scope| {
        let counting: Vec<_> = (0..Ended::PARTS)
            .step_by(each)
            .map(|begin| {
                let parts = begin..(begin + each).min(Ended::PARTS);
                let (ended, again) = (&ended, parts.clone());
                (scope.spawn(move || ended.kinds(parts)), again)
            })
            .collect();
        let kinds = counting.into_iter();
        // What a thread failed to do is done here.
        kinds
            .map(|(thread, parts)| thread.join().unwrap_or_else(|_| ended.kinds(parts)))
            .collect::<Vec<_>>()
    });
    ended.figures(&kinds)
}

/// The stretches of a file, moved to where lines begin.
fn at_lines(source: &Source, threads: usize) -> anyhow::Result<Vec<Stretch>> {
    let mut stretches = source.stretches(threads);
    let file = File::open(&source.path).map_err(|error| unreadable(&source.path, error))?;
    let mut input = super::source::At { file, at: 0 };
    let mut buffer = vec![0; READ];
    let mut begin = 0;
    for stretch in &mut stretches {
        stretch.begin = begin;
        // The end of the line in which the last byte of the stretch is.
        input.at = stretch.end.saturating_sub(1).max(begin);
        let searched = input.at;
        while input.at < source.bytes {
            let from = input.at;
            if from - searched > ENDLESS {
                // Whoever counts this line finds that it does not end.
                input.at = source.bytes;
                break;
            }
            let count = input
                .read(&mut buffer)
                .map_err(|error| broken(&source.path, None, error))?;
            if count == 0 {
                break;
            }
            if let Some(end) = memchr::memchr(b'\n', buffer.get(..count).unwrap_or_default()) {
                input.at = from + end as u64 + 1;
                break;
            }
        }
        stretch.end = input.at.max(stretch.end);
        begin = stretch.end;
    }
    // What was appended since is another day's.
    if let Some(last) = stretches.last_mut() {
        last.end = source.bytes.max(last.begin);
    }
    Ok(stretches)
}

/// Counts up to so many bytes. An error comes with the lines before it.
fn feed(input: &mut impl Read, bytes: u64, mut counter: Counter) -> Result<Counter, (u64, io::Error)> {
    let mut buffer = vec![0; READ];
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(READ).min(READ);
        let count = match input.read(buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err((counter.lines(), error)),
        };
        left -= count as u64;
        let fed = counter.feed(buffer.get(..count).unwrap_or_default());
        if let Err(refusal) = fed {
            return Err((counter.lines(), endless(refusal)));
        }
    }
    Ok(counter)
}

fn endless(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refusal)
}

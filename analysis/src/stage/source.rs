//! One file of a crawl: what it is, and its rows, whole or in stretches for several threads.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use store::{LINE_MAX, Packing};

use super::error::{BadInput, broken, unreadable};
use crate::read::{Fault, Form, Layout, Refusal, Scan, Share};

/// How a file is packed.
pub use store::Packing as Packed;

/// What is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Rows of this layout.
    Csv(Layout),
    /// Parquet, which says itself what it is.
    Parquet,
    /// Nothing at all, not even a header.
    Nothing,
}

/// A file of a crawl.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Which crawl it is of.
    pub crawl: String,
    /// What it is.
    pub what: What,
    /// How it is packed.
    pub packed: Packed,
    /// Bytes of it, as it lies there.
    pub bytes: u64,
}

/// Bytes of a plain file: lines that begin there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// From this byte.
    pub begin: u64,
    /// Up to before this.
    pub end: u64,
}

/// Bytes that are looked at for what no text has.
const LOOK: usize = 4096;

impl Source {
    /// Looks at the beginning of a file.
    ///
    /// # Errors
    ///
    /// [`BadInput`] if it is no table, or cannot be read; other errors are the disk's.
    pub(super) fn look(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "a directory, not a file"
            } else {
                "not a regular file"
            };
            return Err(BadInput::at(path, None, what).into());
        }
        let of = |what, packed| Self {
            path: path.to_owned(),
            crawl: String::new(),
            what,
            packed,
            bytes: metadata.len(),
        };
        let fault = |error| broken(path, Some(1), error);
        let (packed, mut input) = store::unpack(BufReader::new(file)).map_err(fault)?;
        let mut head = Vec::new();
        // A line beyond LINE_MAX is no header.
        let most = LINE_MAX as u64 + 1;
        input.by_ref().take(most).read_until(b'\n', &mut head).map_err(fault)?;
        if head.starts_with(b"PAR1") && packed == Packing::Plain {
            return Ok(of(What::Parquet, packed));
        }
        if head.is_empty() {
            return Ok(of(What::Nothing, packed));
        }
        // Of a file with short lines the first says little.
        let mut more = Vec::new();
        input.take(LOOK as u64).read_to_end(&mut more).map_err(fault)?;
        if head.contains(&0) || more.contains(&0) {
            return Err(BadInput::at(path, None, &Refusal::Binary.to_string()).into());
        }
        if head.len() > LINE_MAX && !head.ends_with(b"\n") {
            let what = format!("a first line of more than {LINE_MAX} bytes is no header of a table");
            return Err(BadInput::at(path, Some(1), &what).into());
        }
        let layout = layout_of(&head).map_err(|refusal| BadInput::at(path, Some(1), &refusal.to_string()))?;
        Ok(of(What::Csv(layout), packed))
    }

    /// Reads the first lines: a file of which not one of them is a row is another table under our header, or spoiled from the start.
    ///
    /// # Errors
    ///
    /// [`BadInput`] with the first fault; other errors are the disk's.
    pub(super) fn try_rows(&self) -> anyhow::Result<()> {
        const FIRST: u64 = 1 << 20;
        let What::Csv(layout) = &self.what else { return Ok(()) };
        let whole = Stretch {
            begin: 0,
            end: self.bytes,
        };
        let (input, share) = self.input(whole)?;
        let mut scan = Scan::new(input.take(FIRST), layout.clone(), share);
        scan.rows(1, |_| {})
            .map_err(|error| self.broken(whole, scan.lines(), error))?;
        match scan.rejects().first.first() {
            // A run that was killed early, or where the first lines were cut off here.
            Some(reject) if scan.count() == 0 && reject.fault != Fault::Torn => {
                let what = format!("{}; of the first {} lines none is a row", reject.fault, scan.lines());
                Err(BadInput::at(&self.path, Some(reject.line), &what).into())
            }
            _ => Ok(()),
        }
    }

    /// Its form, if it is CSV.
    pub fn form(&self) -> Option<Form> {
        match &self.what {
            What::Csv(layout) => Some(layout.form),
            What::Parquet | What::Nothing => None,
        }
    }

    /// The stretches in which up to `most` threads may read it; one, of everything, if it is packed.
    pub fn stretches(&self, most: usize) -> Vec<Stretch> {
        // Less is not worth a thread.
        const LEAST: u64 = 1 << 20;
        let whole = self.bytes;
        if self.packed != Packing::Plain {
            return vec![Stretch { begin: 0, end: whole }];
        }
        let count = (whole / LEAST).clamp(1, most.max(1) as u64);
        let at = |number: u64| whole / count * number + whole % count * number / count;
        (0..count)
            .map(|number| Stretch {
                begin: at(number),
                end: at(number + 1),
            })
            .collect()
    }

    /// The rows of a stretch.
    ///
    /// # Errors
    ///
    /// If it is no CSV, or cannot be opened.
    pub fn scan(&self, stretch: Stretch) -> anyhow::Result<Scan<Box<dyn Read + Send>>> {
        let What::Csv(layout) = &self.what else {
            return Err(BadInput::at(&self.path, None, "no rows of CSV in it").into());
        };
        let (input, share) = self.input(stretch)?;
        Ok(Scan::new(input, layout.clone(), share))
    }

    pub(super) fn input(&self, stretch: Stretch) -> anyhow::Result<(Box<dyn Read + Send>, Share)> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        if self.packed != Packing::Plain {
            let unpacked = store::unpack(BufReader::with_capacity(256 << 10, file));
            let (_, input) = unpacked.map_err(|error| broken(&self.path, Some(1), error))?;
            return Ok((Box::new(input), Share::default()));
        }
        let from = stretch.begin.saturating_sub(1);
        let share = Share {
            inside: stretch.begin > 0,
            until: Some(stretch.end - from),
        };
        Ok((Box::new(At { file, at: from }), share))
    }

    /// The number in the file of a line that a scan of this stretch gave a number.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn line(&self, stretch: Stretch, number: u64) -> anyhow::Result<u64> {
        if stretch.begin == 0 {
            return Ok(number);
        }
        let fault = |error| broken(&self.path, None, error);
        let file = File::open(&self.path).map_err(fault)?;
        let mut input = BufReader::with_capacity(256 << 10, At { file, at: 0 }.take(stretch.begin));
        let (mut lines, mut last) = (0, b'\n');
        loop {
            let bytes = input.fill_buf().map_err(fault)?;
            let Some(end) = bytes.last() else { break };
            last = *end;
            lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            let taken = bytes.len();
            input.consume(taken);
        }
        Ok(lines + u64::from(last != b'\n') + number)
    }

    /// What reading it failed of, after so many lines of a stretch.
    pub fn broken(&self, stretch: Stretch, lines: u64, error: io::Error) -> anyhow::Error {
        let line = self.line(stretch, lines + 1).ok();
        broken(&self.path, line, error)
    }
}

/// What a first line says: a header, or a row of a table without one.
fn layout_of(head: &[u8]) -> Result<Layout, Refusal> {
    let text = head.strip_suffix(b"\n").unwrap_or(head);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let told = match std::str::from_utf8(text) {
        Ok(text) => Layout::of(text),
        Err(_) => Err(Refusal::NoTable),
    };
    told.or_else(|refusal| {
        let fits = |form: &Form| {
            let mut scan = Scan::new(head, Layout::own(*form), Share::default());
            scan.rows(1, |_| {}).is_ok() && scan.count() == 1
        };
        let mut forms = Form::ALL.into_iter();
        forms.find(fits).map(Layout::own).ok_or(refusal)
    })
}

/// A file from some byte on.
#[derive(Debug)]
pub(super) struct At {
    pub(super) file: File,
    pub(super) at: u64,
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

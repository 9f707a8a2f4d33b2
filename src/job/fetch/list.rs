//! A list in a file or on stdin, plain or packed, from its beginning or from where the last run was.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::journal::{Mark, head_sum};
use store::wants::{Kind, Place, Wants};
use store::{Packing, unpack};

use crate::config;
use crate::exit::BadInput;

/// First bytes of a file that tell it from others.
const HEAD: usize = 4096;

/// Bytes read from the source at once.
const BUFFER: usize = 256 * 1024;

/// A list that is being read.
pub(super) type Reading = Wants<Box<dyn BufRead + Send>>;

/// Where a list is.
#[derive(Clone, Debug)]
pub(super) struct List {
    kind: Kind,
    /// `None` is stdin.
    path: Option<PathBuf>,
    /// What is known of a regular file; a pipe can be read once only.
    regular: Option<Regular>,
    /// Bytes of the source that were read.
    read: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Regular {
    size: u64,
    head: Vec<u8>,
}

impl List {
    /// Looks at the file `what`; `-` is stdin.
    ///
    /// # Errors
    ///
    /// [`BadInput`] if it cannot be opened.
    pub(super) fn find(what: &str, kind: Kind) -> anyhow::Result<Self> {
        let path = (what != "-").then(|| PathBuf::from(what));
        let regular = match &path {
            None => None,
            Some(path) => look(path).map_err(|error| BadInput(format!("cannot read {what}: {error}")))?,
        };
        let read = Arc::default();
        Ok(Self {
            kind,
            path,
            regular,
            read,
        })
    }

    /// As people call it.
    pub(super) fn name(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "stdin".to_owned(), |path| path.display().to_string())
    }

    /// Reads it from `place` on, which is its beginning unless it is a regular file.
    pub(super) fn open(&self, place: Place) -> io::Result<Reading> {
        let source: Box<dyn Read + Send> = match &self.path {
            None => Box::new(io::stdin()),
            Some(path) => Box::new(File::open(path)?),
        };
        self.read.store(0, Ordering::Relaxed);
        let (packing, mut plain) = unpack(self.counted(source))?;
        if place.byte > 0 {
            match (packing, &self.path) {
                (Packing::Plain, Some(path)) => {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(place.byte))?;
                    self.read.store(place.byte, Ordering::Relaxed);
                    plain = Box::new(self.counted(Box::new(file)));
                }
                // What is packed cannot be entered in its middle.
                _ => {
                    io::copy(&mut plain.by_ref().take(place.byte), &mut io::sink())?;
                }
            }
        }
        Ok(Wants::new(plain, place, self.kind, config::PEERS_PER_WANT))
    }

    fn counted(&self, source: Box<dyn Read + Send>) -> BufReader<Counted> {
        let read = Arc::clone(&self.read);
        BufReader::with_capacity(BUFFER, Counted { source, read })
    }

    /// Bytes of the source that were read so far.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the source, if it is a regular file.
    pub(super) fn size(&self) -> Option<u64> {
        self.regular.as_ref().map(|regular| regular.size)
    }

    /// A mark at `place`, if it can be found again.
    pub(super) fn mark(&self, place: Place) -> Option<Mark> {
        let head = &self.regular.as_ref()?.head;
        Some(Mark {
            head: head_sum(head),
            head_len: u32::try_from(head.len()).ok()?,
            place,
        })
    }

    /// Whether `mark` is one of this list. It may have grown since.
    pub(super) fn is_ours(&self, mark: &Mark) -> bool {
        let head = self.regular.as_ref().map(|regular| &regular.head[..]);
        let len = usize::try_from(mark.head_len).unwrap_or(usize::MAX);
        head.and_then(|head| head.get(..len))
            .is_some_and(|head| head_sum(head) == mark.head)
    }
}

/// What is known of a regular file, or `None` for a pipe or a device.
fn look(path: &Path) -> io::Result<Option<Regular>> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    let size = metadata.len();
    Ok(Some(Regular { size, head }))
}

/// Counts what is read.
struct Counted {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buffer)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_known_again_when_it_has_grown_and_not_when_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.csv");
        let find = || List::find(path.to_str().unwrap(), Kind::Table).unwrap();
        std::fs::write(&path, "infohash\nabc\n").unwrap();
        let mark = find().mark(Place { byte: 9, line: 1 }).unwrap();
        assert!(find().is_ours(&mark));
        std::fs::write(&path, "infohash\nabc\ndef\n").unwrap();
        assert!(find().is_ours(&mark));
        std::fs::write(&path, "infohash\nxyz\ndef\n").unwrap();
        assert!(!find().is_ours(&mark));
        std::fs::write(&path, "infohash\n").unwrap();
        assert!(!find().is_ours(&mark), "shorter than it was");
    }

    #[test]
    fn reading_goes_on_at_a_place_plain_or_packed() {
        let rows: String = (1..=200)
            .map(|byte| format!("{}\n", wire::InfoHash::new([byte; 20])))
            .collect();
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("plain", rows.clone().into_bytes()),
            ("packed", zstd::encode_all(rows.as_bytes(), 1).unwrap()),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let list = List::find(path.to_str().unwrap(), Kind::Table).unwrap();
            let all: Vec<_> = list.open(Place::default()).unwrap().flatten().collect();
            let rest: Vec<_> = list.open(all[150].place).unwrap().flatten().collect();
            assert_eq!(all.len(), 200);
            assert_eq!(rest[..], all[150..]);
            assert_eq!(Some(list.read()), list.size());
        }
    }
}

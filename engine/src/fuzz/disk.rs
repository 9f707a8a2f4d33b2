//! A small disk that does what it is asked, in any order that the contract allows, or fails.

use std::collections::{BTreeMap, VecDeque};

use sha1::{Digest as _, Sha1};
use wire::merkle;
use world::disk::{Digest, FileStat, Folder, Slice, Slices, Source};
use world::{DiskFault, DiskOp, Done, JobId, StoreId};

use super::FILE;
use crate::{BLOCK, TorrentId};

/// What is where nothing was written.
const NOTHING: u8 = 0xee;

/// A question.
#[derive(Debug)]
struct Asked {
    store: StoreId,
    job: JobId,
    op: DiskOp,
    bytes: Vec<u8>,
}

/// The disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    queue: VecDeque<Asked>,
    /// The one file of a torrent, by its store; what is a journal is nobody's business here.
    files: BTreeMap<StoreId, Vec<u8>>,
    /// Which torrent's files are in a store.
    stores: BTreeMap<TorrentId, StoreId>,
}

/// An answer with its bytes.
#[derive(Debug)]
pub(super) enum Reply {
    Opened(Vec<Option<FileStat>>),
    Wrote(usize),
    Read(Vec<u8>),
    Hashed(Vec<u8>),
    Ok,
    Failed(usize),
}

impl Reply {
    pub(super) fn done(&self) -> Done<'_> {
        match self {
            Self::Opened(stats) => Done::Opened(stats),
            Self::Wrote(bytes) => Done::Wrote(*bytes),
            Self::Read(bytes) => Done::Read(bytes),
            Self::Hashed(bytes) => Done::Hashed(bytes),
            Self::Ok => Done::Ok,
            Self::Failed(bytes) => Done::Failed {
                fault: DiskFault::Device,
                bytes: *bytes,
            },
        }
    }
}

impl Disk {
    pub(super) fn ask(&mut self, store: StoreId, job: JobId, op: DiskOp, payload: &[u8], input: &[u8]) {
        let bytes = match op {
            DiskOp::Write {
                source: Source::Input { start, len },
                ..
            } => {
                let bytes = input.get(start..start + len);
                assert!(bytes.is_some(), "it has bytes written that it was not told");
                bytes.unwrap_or_default()
            }
            _ => payload,
        };
        let bytes = bytes.to_vec();
        self.queue.push_back(Asked { store, job, op, bytes });
    }

    pub(super) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Does one of the things that were asked: of those that change, the first of their store; a read comes after the changes
    /// before it.
    pub(super) fn carry_out(&mut self, which: usize, how: u8) -> Option<(JobId, Reply)> {
        let which = which.checked_rem(self.queue.len())?;
        let store = self.queue.get(which)?.store;
        let in_order = self.queue.iter().position(|asked| asked.store == store)?;
        let asked = self.queue.remove(in_order)?;
        let reply = if how >= 250 {
            self.fail(&asked)
        } else {
            self.act(&asked)
        };
        Some((asked.job, reply))
    }

    fn fail(&mut self, asked: &Asked) -> Reply {
        let DiskOp::Write { file, at, .. } = asked.op else {
            return Reply::Failed(0);
        };
        let half = asked.bytes.get(..asked.bytes.len() / 2).unwrap_or_default();
        self.write(asked.store, file, at, half);
        Reply::Failed(asked.bytes.len())
    }

    fn act(&mut self, asked: &Asked) -> Reply {
        let store = asked.store;
        match asked.op {
            DiskOp::Open { .. } => self.open(store, &asked.bytes),
            DiskOp::Write { file, at, .. } => {
                self.write(store, file, at, &asked.bytes);
                Reply::Wrote(asked.bytes.len())
            }
            DiskOp::Read { file, at, len } => {
                let slice = Slice {
                    file: Some(file),
                    at,
                    len,
                };
                self.read(store, slice).map_or(Reply::Failed(0), Reply::Read)
            }
            DiskOp::Hash { digest, .. } => self.hash(store, digest, &asked.bytes),
            DiskOp::Delete => {
                self.files.remove(&store);
                Reply::Ok
            }
            DiskOp::Allocate { .. } | DiskOp::Sync | DiskOp::Rename { .. } | DiskOp::Move { .. } | DiskOp::Release => {
                Reply::Ok
            }
        }
    }

    fn open(&mut self, store: StoreId, payload: &[u8]) -> Reply {
        let read = Folder::of(payload).read();
        assert!(read.is_some(), "a folder that cannot be read");
        let Some((folder, files)) = read else {
            return Reply::Failed(0);
        };
        let torrent = folder.get(1..).and_then(|number| number.parse().ok());
        if let Some(number) = torrent {
            self.stores.insert(TorrentId(number), store);
        }
        let there = self.files.contains_key(&store).then_some(FileStat {
            size: u64::from(FILE),
            mtime_ns: 0,
        });
        Reply::Opened(vec![there; files.len()])
    }

    fn write(&mut self, store: StoreId, file: u32, at: u64, bytes: &[u8]) {
        if !self.stores.values().any(|of| *of == store) {
            return;
        }
        let content = self.files.entry(store).or_insert_with(|| vec![NOTHING; FILE as usize]);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let there = content.get_mut(start..start.saturating_add(bytes.len()));
        assert!(file == 0 && there.is_some(), "it writes where no file is: {file} {at}");
        if let Some(there) = there {
            there.copy_from_slice(bytes);
        }
    }

    fn read(&self, store: StoreId, slice: Slice) -> Option<Vec<u8>> {
        let start = usize::try_from(slice.at).ok()?;
        let content = self.files.get(&store)?;
        Some(content.get(start..start + slice.len as usize)?.to_vec())
    }

    fn hash(&self, store: StoreId, digest: Digest, payload: &[u8]) -> Reply {
        let (mut all, mut content) = (Vec::new(), Vec::new());
        for slice in Slices::read(payload) {
            let bytes = match slice.file {
                None => Some(vec![0; slice.len as usize]),
                Some(_) => self.read(store, slice),
            };
            let Some(bytes) = bytes else { return Reply::Failed(0) };
            all.extend_from_slice(&bytes);
            if slice.file.is_some() {
                content.extend(bytes);
            }
        }
        let mut out = Vec::new();
        if digest != Digest::Leaves {
            out.extend(Sha1::digest(&all));
        }
        if digest != Digest::Sha1 {
            content
                .chunks(BLOCK as usize)
                .for_each(|block| out.extend(merkle::leaf(block)));
        }
        Reply::Hashed(out)
    }

    /// Whether a torrent's slices are what they should be: zeros.
    pub(super) fn is_right(&self, id: TorrentId, mut slices: impl Iterator<Item = Slice>) -> bool {
        let Some(&store) = self.stores.get(&id) else {
            return false;
        };
        slices.all(|slice| {
            slice.file.is_none()
                || self
                    .read(store, slice)
                    .is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
        })
    }
}
